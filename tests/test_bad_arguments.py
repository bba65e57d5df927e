"""Arguments of any kind, each spoilt in turn: a name, a cure, or the right answer.

Beside test_bad_input, whose functions take tensors: seeds, counts, lists of scenes,
cameras, schedules, networks. A learner forgets one, or passes the other thing.
"""

import functools
import math

import numpy as np
import pytest
import torch
from test_bad_input import PLAN, VP, A, B, numbers, some

from course_utils import data, diffusion, models, schedules, session, toybox
from course_utils.diffusion import flow_matching, likelihood, sde, solvers
from course_utils.measure import clips, controls, edits, hints, shown, solids, subjects
from course_utils.methods import (
    distillation,
    gan,
    igan,
    magic_animate,
    meshes,
    nerf,
    pixeldance,
    sdedit,
    sds,
    textual_inversion,
)
from course_utils.models import pipelines
from course_utils.networks import images_to_images, unet
from course_utils.tiny import flow as tiny_flow
from course_utils.tiny import text
from course_utils.toybox import closeups, solid, solid_render


def half(x, t):
    """A model, a score and a velocity."""
    return x * 0.5


def generator():
    return torch.Generator().manual_seed(0)


SCENES = [toybox.sample(np.random.default_rng(0), things=1)]
PICTURES = toybox.render(SCENES)
CLIPS = clips.clips_to_ask(2)
VIDEOS = toybox.film(CLIPS)
TOY, VIEWS = toybox.Solid("cat", "red"), solids.around(4)
FIELD = solids.field_of(TOY, 8)
TRIPLES = edits.triples(7)
AFTER = toybox.render([x.target for x in TRIPLES])
STEPS = torch.tensor([1, 2])
WALK = dict(schedule=PLAN, num_steps=3)
# name: function, its arguments, and those of which another one may be right
ARGUMENTS = {
    "flow_times": (flow_matching.flow_times, dict(n=5, mean=0.0, std=1.0), "mean"),
    "flow_grid": (flow_matching.flow_grid, dict(steps=4, shift=1.5), ""),
    "euler_path": (
        flow_matching.euler_path,
        dict(model=half, noise=A, grid=[1.0, 0.5, 0.0]),
        "noise grid",
    ),
    "straightness": (
        flow_matching.straightness,
        dict(path=[A, A * 0.5, B], grid=[1.0, 0.5, 0.0]),
        "",
    ),
    "flow_time": (flow_matching.flow_time, dict(schedule=PLAN), ""),
    "as_flow": (flow_matching.as_flow, dict(model=half, schedule=PLAN), ""),
    "log_likelihood": (
        likelihood.log_likelihood,
        dict(score=half, x0=some(2, 2), process=VP, start=1e-3, tolerance=1e-2),
        "x0",
    ),
    "score_of_noise": (
        sde.score_of_noise,
        dict(model=half, schedule=PLAN, process=VP),
        "model process",
    ),
    "sample": (diffusion.sample, dict(model=half, x_T=A, **WALK), "x_T num_steps"),
    "dpm_sample": (
        solvers.dpm_sample,
        dict(model=half, x_T=A, **WALK),
        "x_T num_steps",
    ),
    "invert": (solvers.invert, dict(model=half, x0=A, **WALK), "x0 num_steps"),
    "sdedit": (
        sdedit.sdedit,
        dict(model=half, guide=A, strength=0.5, **WALK),
        "guide num_steps",
    ),
    "sds_gradient": (
        sds.sds_gradient,
        dict(model=half, images=A, t=STEPS, noise=B, schedule=PLAN),
        "t",
    ),
    "ring": (data.ring, dict(n=5, generator=generator(), modes=4, std=0.1), ""),
    "swiss_roll": (data.swiss_roll, dict(n=5, generator=generator(), noise=0.1), ""),
    "photographs": (data.photographs, dict(size=16), ""),
    "load": (data.load, dict(name="digits", split="test"), ""),
    "linear": (schedules.linear, dict(T=10, first=1e-4, last=0.02), ""),
    "scaled_linear": (schedules.scaled_linear, dict(T=10, first=1e-3, last=0.02), ""),
    "reseed": (lambda seed: session.reseed(seed).initial_seed(), dict(seed=0), ""),
    "boundary": (
        distillation.boundary,
        dict(t=STEPS, sigma_data=0.5, scale=10.0),
        "t",
    ),
    "noise_levels": (distillation.noise_levels, dict(t=STEPS, x=A, schedule=PLAN), "x"),
    "believed": (distillation.believed, dict(logits=[A, B]), "logits"),
    "critic_doubt": (distillation.critic_doubt, dict(on_true=[A], on_made=[B]), ""),
    "hints_of": (pixeldance.hints_of, dict(first=A, last=B, frames=4), ""),
    "training_hints": (
        functools.partial(pixeldance.training_hints, generator=generator()),
        dict(x0=some(2, 3, 4, 8, 8), schedule=PLAN, dropped=0.1),
        "x0",
    ),
    "shorten": (textual_inversion.shorten, dict(vectors=some(2, 5), longest=1.0), ""),
    "bicubic": (images_to_images.bicubic, dict(images=A, size=16), ""),
    "timestep_embedding": (unet.timestep_embedding, dict(t=STEPS, dim=8), "t"),
    "colour_map": (igan.colour_map, dict(before=PICTURES, after=-PICTURES), ""),
    "blurred": (igan.blurred, dict(x=A, sigma=1.0), ""),
    "point_network": (
        gan.point_network,
        dict(games=1, inputs=2, outputs=1, width=8),
        "",
    ),
    "windows_of": (
        magic_animate.windows_of,
        dict(frames=20, length=16, overlap=4),
        "",
    ),
    "clips_to_ask": (clips.clips_to_ask, dict(n=2, seed=0), ""),
    "flicker": (clips.flicker, dict(videos=VIDEOS), ""),
    "tracks": (clips.tracks, dict(videos=VIDEOS), ""),
    "did": (clips.did, dict(videos=VIDEOS, clips=CLIPS), ""),
    "identity": (clips.identity, dict(videos=VIDEOS, clips=CLIPS), ""),
    "track_error": (clips.track_error, dict(videos=VIDEOS, clips=CLIPS), ""),
    "between_scores": (hints.between_scores, dict(videos=VIDEOS, clips=CLIPS), ""),
    "sketched": (hints.sketched, dict(clips=CLIPS), "clips"),
    "film": (toybox.film, dict(clips=CLIPS, frames=8, size=64), "clips"),
    "around": (solids.around, dict(n=4, elevation=15.0), "elevation"),
    "field_of": (solids.field_of, dict(solid=TOY, n=8), ""),
    "turntable": (solids.turntable, dict(field=FIELD, views=VIEWS, size=16), "views"),
    "look_at": (
        nerf.look_at,
        dict(field=FIELD, views=VIEWS, size=16, samples=4),
        "views",
    ),
    "janus_score": (solids.janus_score, dict(read=["side"] * 4, views=VIEWS), ""),
    "view_accuracy": (solids.view_accuracy, dict(read=["side"] * 4, views=VIEWS), ""),
    "silhouette_iou": (
        solids.silhouette_iou,
        dict(opacity=some(4, 16, 16).abs(), mask=some(4, 16, 16) > 0),
        "mask",
    ),
    "extract_mesh": (meshes.extract_mesh, dict(field=FIELD, level=1.5), ""),
    "view_caption": (solid.view_caption, dict(solid=TOY, view="front"), ""),
    "see_solids": (
        solid_render.see_solids,
        dict(solids=[TOY], views=VIEWS[:1], size=16),
        "",
    ),
    "sample_closeups": (
        closeups.sample_closeups,
        dict(n=2, generator=generator()),
        "",
    ),
    "class_kept": (subjects.class_kept, dict(images=PICTURES, toy="cat"), "toy"),
    "drift": (
        subjects.drift,
        dict(after=PICTURES, before=PICTURES, toy="cat"),
        "toy",
    ),
    "prompts": (subjects.prompts, dict(scenes=SCENES), ""),
    "prompt_scores": (
        subjects.prompt_scores,
        dict(images=PICTURES, scenes=SCENES),
        "",
    ),
    "said_right": (controls.said_right, dict(images=PICTURES, scenes=SCENES), ""),
    "control_scenes": (controls.control_scenes, dict(kind="pose", n=2, seed=0), "kind"),
    "shown_to_ask": (shown.shown_to_ask, dict(n=2, seed=0), ""),
    "triples": (edits.triples, dict(n=7, seed=0, kinds=edits.KINDS), "kinds"),
    "changed": (edits.changed, dict(edits=TRIPLES), "edits"),
    "edit_scores": (edits.edit_scores, dict(images=AFTER, edits=TRIPLES), ""),
    "to_64": (pipelines.to_64, dict(images=some(1, 3, 32, 32)), ""),
}


def spoilt(x):
    """An argument as somebody may pass it by mistake, with words for it."""
    yield "None", None
    if isinstance(x, torch.Tensor):
        yield from {"a list": x.tolist(), "an array": x.numpy()}.items()
        yield from {"of one": x[0], "more": x[None], "empty": x[:0]}.items()
        if x.is_floating_point():
            broken = x.clone()
            broken.view(-1)[0] = math.nan
            yield from {"nan": broken, "double": x.double()}.items()
    elif isinstance(x, int | float):
        yield from {"a text": "x", "nan": math.nan, "below 0": -1 * type(x)(1)}.items()
        yield from {"half": 2.5, "0": 0}.items() if isinstance(x, int) else ()
    elif isinstance(x, str):
        yield from {"a number": 3, "empty": "", "unknown": "no such"}.items()
    elif isinstance(x, list | tuple):
        yield from {"empty": [], "its first": x[0], "short": x[:-1]}.items()
        yield from {"of None": [None] * len(x), "a text": "a cat"}.items()
    else:
        yield from {"a text": "x", "a number": 3}.items()


def cases(table):
    """Each argument of each function of a table, spoilt in each way."""
    return [
        pytest.param(which, name, how, id=f"{which}-{name}-{how.replace(' ', '_')}")
        for which, (_, known, _) in table.items()
        for name, x in known.items()
        for how, _ in spoilt(x)
    ]


MAY_BE_NONE = {"generator", "last", "num_steps"}
OTHER_NAMES = {"noise": ("images",), "path": ("grid",), "x": ("t must",)}
OTHER_NAMES |= {"guide": ("x0", "x_T"), "x_T": ("x_t",), "first": ("last",)}


def answer(call, known):
    """What the function says, always with the same chance."""
    torch.manual_seed(0)
    for x in known.values():
        if isinstance(x, torch.Generator):
            x.manual_seed(0)
    return call(**known)


def named_or_harmless(table, which, name, how):
    """Spoil an argument: an error that names it, or the right answer all the same."""
    call, known, free = table[which]
    if how == "None" and name in MAY_BE_NONE:
        return
    value = dict(spoilt(known[name]))[how]
    try:
        found = numbers(answer(call, known | {name: value}))
    except ValueError as error:
        assert any(x in str(error) for x in (name, *OTHER_NAMES.get(name, ()))), error
        return
    if name in free.split() or how == "nan" and not found.isfinite().all():
        return
    right = numbers(answer(call, known))
    assert torch.allclose(found, right, 1e-3, 1e-3, equal_nan=True), str(found)[:80]


@pytest.mark.parametrize("which, name, how", cases(ARGUMENTS))
def test_an_argument_of_another_kind_is_named_or_does_no_harm(which, name, how):
    named_or_harmless(ARGUMENTS, which, name, how)


PIPE = models.load("text-to-image", "tiny")
ASKED = {
    "draw": lambda **x: pipelines.draw(PIPE, **x),
    "draw_as_flow": lambda captions, **x: tiny_flow.draw_as_flow(PIPE, captions, **x),
}
WRONG = [
    (dict(captions="a red cat"), "must be a list of at least one text"),
    (dict(captions=[]), "must be a list of at least one text"),
    (dict(captions=[None]), "must be a list of at least one text"),
    (dict(steps=0), "steps=0 must be a whole number"),
    (dict(steps=2.5), "steps=2.5 must be a whole number"),
    (dict(guidance=math.nan), "guidance=nan must be a finite number"),
    (dict(guidance="3"), "guidance='3' must be a finite number"),
    (dict(seed=-1), "seed=-1 must be a whole number"),
    (dict(seed=None), "seed=None must be a whole number"),
]


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("wrong, message", WRONG)
def test_no_pipeline_is_asked_for_what_cannot_be(name, wrong, message):
    with pytest.raises(ValueError, match=message):
        ASKED[name](**dict(captions=["a red cat"], steps=1) | wrong)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: pipelines.encode(PIPE.vae, x),
        lambda x: pipelines.round_trip(PIPE.vae, x),
    ],
)
@pytest.mark.parametrize(
    "wrong",
    [None, PICTURES[0], PICTURES[:0], PICTURES * 2, PICTURES * math.nan, PICTURES > 0],
)
def test_a_vae_takes_pictures_only(call, wrong):
    with pytest.raises(ValueError, match="images"):
        call(wrong)


def test_texts_are_a_list():
    for call in (
        lambda x: pipelines.words_of(PIPE, x),
        lambda x: pipelines.guided(PIPE, x),
        lambda x: text.tokenise(PIPE.tokenizer, x),
    ):
        with pytest.raises(ValueError, match="must be a list of at least one text"):
            call("a red cat")
