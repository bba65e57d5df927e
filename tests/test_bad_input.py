"""Any public function that takes tensors, with one of them spoilt at random.

It ends in a ValueError that names the argument, or with the right answer: a spoilt
number is still seen in the result, and a kind of number changes nothing. Never in
another error, never in a wrong answer that nobody notices.
"""

import functools

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_diffusion import CALLS, T, X
from test_measure_refusals import DRAWN, READERS

from course_utils import diffusion, images, measure, schedules, toybox
from course_utils.diffusion import flow_matching, likelihood, ratios, sde
from course_utils.measure import controls, editors, hints, illusions
from course_utils.methods import (
    attention,
    ddgan,
    diffedit,
    distillation,
    gan,
    igan,
    imagic,
    instruct_pix2pix,
    nerf,
    perp_neg,
    primes,
)
from course_utils.methods import illusions as sheets

PLAN, VP = schedules.linear(10), sde.VP()


def some(*shape, seed=0):
    """Numbers in (-1, 1)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator) * 1.98 - 0.99


def shares(*shape):
    """Numbers in (0, 1)."""
    return (some(*shape) + 1) / 2


A, B = some(2, 3, 8, 8), some(2, 3, 8, 8, seed=1)
POINTS, OTHERS = some(30, 4), some(30, 4, seed=1)
S, TO = torch.tensor([1, 2]), torch.tensor([4, 6])
STEPS = dict(t=T, schedule=PLAN)
# name: function, its arguments, and those of which any shape is right
TENSORS = {
    "flow_path": (flow_matching.flow_path, dict(x0=A, noise=B, t=shares(2)), ""),
    "flow_velocity": (flow_matching.flow_velocity, dict(x0=A, noise=B), ""),
    "ratio_alpha_bar": (ratios.ratio_alpha_bar, dict(r=shares(2)), "r"),
    "noised_to": (ratios.noised_to, dict(x0=A, noise=B, r=shares(2)), ""),
    "ratio_weights": (ratios.ratio_weights, dict(r=shares(2)), "r"),
    "flow": (likelihood.flow, dict(score=A, x=B, t=0.5, process=VP), ""),
    "back_step": (
        sde.back_step,
        dict(score=A, x_t=B, noise=A, t=0.5, process=VP, to=0.2),
        "",
    ),
    "langevin_step": (sde.langevin_step, dict(score=A, x=B, noise=A), ""),
    "ddpm_step": (
        diffusion.ddpm_step,
        dict(prediction=A, x_t=B, noise=A, t=5, schedule=PLAN),
        "",
    ),
    "add_noise": (diffusion.add_noise, dict(x0=A, noise=B, **STEPS), ""),
    "velocity": (diffusion.velocity, dict(x0=A, noise=B, **STEPS), ""),
    "predict_x0": (diffusion.predict_x0, dict(x_t=A, noise=B, **STEPS), ""),
    "fid": (measure.fid, dict(a=POINTS, b=OTHERS), "a b"),
    "kid": (measure.kid, dict(a=POINTS, b=OTHERS), "a b"),
    "prdc": (measure.prdc, dict(real=POINTS, fake=OTHERS), "real fake"),
    "modes_covered": (
        measure.modes_covered,
        dict(points=POINTS, centres=some(3, 4), std=0.1),
        "points centres",
    ),
    "classes_covered": (
        measure.classes_covered,
        dict(labels=torch.arange(10)),
        "labels",
    ),
    "psnr": (measure.psnr, dict(a=A, b=B), ""),
    "ssim": (measure.ssim, dict(a=A, b=B), ""),
    "iou": (measure.iou, dict(a=A > 0, b=B > 0), ""),
    "outlines": (controls.outlines, dict(masks=A[:, 0] > 0), "masks"),
    "line_f1": (controls.line_f1, dict(found=A[:, 0] > 0, truth=B[:, 0] > 0), ""),
    "blend": (hints.blend, dict(first=A, last=B), ""),
    "noise_like": (
        functools.partial(editors.noise_like, seed=1),
        dict(latents=A),
        "latents",
    ),
    "alignment": (illusions.alignment, dict(matrix=some(4, 4)), ""),
    "concealment": (illusions.concealment, dict(matrix=some(4, 4)), ""),
    "attend": (
        attention.attend,
        dict(query=some(2, 5, 4), key=some(2, 6, 4), value=some(2, 6, 3)),
        "query value",
    ),
    "batch_spread": (ddgan.batch_spread, dict(x=some(4, 3, 8, 8)), "x"),
    "contrast_mask": (diffedit.contrast_mask, dict(found=shares(2, 1, 8, 8)), "found"),
    "clean_of": (distillation.clean_of, dict(v=A, x_t=B, **STEPS), ""),
    "velocity_of": (distillation.velocity_of, dict(x0=A, x_t=B, **STEPS), ""),
    "jump": (distillation.jump, dict(x0=A, x_t=B, s=S, **STEPS), ""),
    "jump_target": (distillation.jump_target, dict(x_t=A, x_s=B, s=S, **STEPS), ""),
    "renoise": (
        distillation.renoise,
        dict(x_s=A, s=S, to=TO, noise=B, schedule=PLAN),
        "",
    ),
    "consistent": (distillation.consistent, dict(x0=A, x_t=B, t=T), ""),
    "scale_embedding": (distillation.scale_embedding, dict(w=shares(2)), "w"),
    "huber": (distillation.huber, dict(a=A, b=B), ""),
    "discriminator_loss": (
        gan.discriminator_loss,
        dict(real_logits=some(4, 1), fake_logits=some(4, 1)),
        "real_logits fake_logits",
    ),
    "generator_loss": (gan.generator_loss, dict(fake_logits=some(4, 1)), "fake_logits"),
    "saturating_loss": (
        gan.saturating_loss,
        dict(fake_logits=some(4, 1)),
        "fake_logits",
    ),
    "pack": (gan.pack, dict(x=A), "x"),
    "outstanding": (igan.outstanding, dict(pictures=A), "pictures"),
    "overlay": (
        lambda first, second: sheets.overlay(first, second),
        dict(first=A, second=B),
        "first second",
    ),
    "turns": (sheets.turns, dict(sheet=some(3, 8, 8)), "sheet"),
    "interpolate": (
        functools.partial(imagic.interpolate, eta=0.5),
        dict(target=A, own=B),
        "",
    ),
    "two_guidances": (
        functools.partial(
            instruct_pix2pix.two_guidances, text_scale=3.0, image_scale=1.5
        ),
        dict(both=A, image=B, nothing=A),
        "",
    ),
    "ray_weights": (
        functools.partial(nerf.ray_weights, step=0.1),
        dict(density=shares(5, 8)),
        "density",
    ),
    "perpendicular": (perp_neg.perpendicular, dict(x=A, to=B), ""),
    "mismatch": (
        primes.mismatch,
        dict(a=some(2, 3, 16, 16), b=some(2, 3, 16, 16, seed=1)),
        "",
    ),
    "to_bytes": (images.to_bytes, dict(images=A), "images"),
    "uncoloured": (toybox.conditions.uncoloured, dict(pictures=A), "pictures"),
    "Schedule": (schedules.Schedule, dict(beta=shares(5)), "beta"),
}
SPOILT = "none list numpy ints double nan inf shape empty".split()


def spoilt(x, how, data):
    """x as somebody may pass it by mistake."""
    if how in ("none", "list", "numpy"):
        return {"none": None, "list": x.tolist(), "numpy": x.numpy()}[how]
    if how == "double":
        return x.double() if x.is_floating_point() else x.int()
    if how == "ints":
        return x.to(torch.uint8) if x.is_floating_point() else x.float() + 0.5
    if how in ("nan", "inf"):
        x = x.clone()
        x.view(-1)[data.draw(st.integers(0, x.numel() - 1))] = float(how)
        return x
    return torch.zeros(data.draw(others(x.shape, how)), dtype=x.dtype)


def others(shape, how):
    """Shapes that are not this one, or this one with nothing in it."""
    if how == "empty":
        return st.sampled_from([(0, *shape[1:]), (*shape[:-1], 0)])
    grown = [shape[:k] + (n + 1,) + shape[k + 1 :] for k, n in enumerate(shape)]
    ones = [shape[:k] + (1,) + shape[k + 1 :] for k, n in enumerate(shape) if n > 1]
    return st.sampled_from([*grown, *ones, shape[1:], (1, *shape), (*shape, 1)])


def numbers(result):
    """All tensors and numbers of an answer, as one flat tensor."""
    if isinstance(result, torch.Tensor | float | int):
        return torch.as_tensor(result).double().flatten()
    if isinstance(result, dict):
        result = list(result.values())
    if not isinstance(result, list | tuple):
        result = vars(result).values() if hasattr(result, "__dict__") else [*result]
        result = [x for x in result if isinstance(x, torch.Tensor | float | int)]
    return torch.cat([torch.zeros(0).double(), *map(numbers, result)])


def wrong(call, name, how, known, good, anything_goes):
    """What is wrong with what `call` makes of one spoilt argument; "" if nothing is."""
    spoilt_one, right = known[name], call(**good)
    try:
        found = call(**known)
    except ValueError as error:
        named = name in str(error) or any(x in str(error) for x in CALLED.get(name, ()))
        return "" if named else f"{name} is not named: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if how in ("nan", "inf"):
        seen = not numbers(found).isfinite().all()
        unasked = torch.equal(numbers(found), numbers(right))  # as off a diagonal
        return "" if seen or unasked else f"{how} was not noticed"
    if how in ("list", "numpy", "double"):  # the same numbers, so the same answer
        same = torch.allclose(numbers(found), numbers(right), 1e-3, 1e-3)
        return "" if same else "another answer for the same numbers"
    if how == "ints":
        plain = call(**known | {name: spoilt_one.to(good[name].dtype)})
        same = torch.allclose(numbers(found), numbers(plain), equal_nan=True)
        return "" if same else "another answer for the same numbers"
    return "" if anything_goes else f"it answered: {str(found)[:60]}"


# beyond white is white, and a critic may be sure
SATURATING = ("to_bytes", "overlay", "discriminator_loss", "generator_loss")
SATURATING += ("saturating_loss",)
# what else an argument is called in a message
CALLED = {x: ("sets", " set ") for x in ("a", "b", "real", "fake")}
CALLED |= {"first": ("sheets",), "second": ("sheets",)}
CALLED |= {"truth": ("both of the same shape",), "found": ("both of the same shape",)}
CALLED |= {x: ("query and key", "as the query is") for x in ("query", "key", "value")}


@pytest.mark.parametrize("which", TENSORS)
@settings(
    max_examples=40,
    deadline=2000,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_what_is_spoilt_is_named_or_answered_rightly(which, data):
    call, known, free = TENSORS[which]
    tensors = [name for name, x in known.items() if isinstance(x, torch.Tensor)]
    name = data.draw(st.sampled_from(tensors))
    how = data.draw(st.sampled_from(SPOILT))
    if how in ("nan", "inf") and not known[name].is_floating_point():
        how = "ints"
    if how == "none" and known[name] is known.get("noise") and which.endswith("_step"):
        how = "list"  # none is given: it is drawn
    if how == "inf" and which in SATURATING:
        how = "nan"
    given = known | {name: spoilt(known[name], how, data)}
    for_all = name in ("t", "r") and how == "shape" and given[name].ndim == 0
    nothing = how == "empty" and which in ("to_bytes", "classes_covered", "noise_like")
    anything_goes = how == "shape" and name in free.split() or for_all or nothing
    found = wrong(call, name, how, given, known, anything_goes)
    assert not found, f"{which}, {name}, {how}: {found}"


@pytest.mark.parametrize("name", CALLS)
def test_doubles_are_answered_as_floats_and_nothing_is_refused(name):
    """The table of test_diffusion: another kind of float, or nothing at all."""
    right = numbers(CALLS[name](X, X))
    found = numbers(CALLS[name](X.double(), X.double()))
    assert name == "ddpm_step" or torch.allclose(found, right)  # that one draws noise
    with pytest.raises(ValueError, match="must have the shape of"):
        CALLS[name](X, X[:0])


@pytest.mark.parametrize("name", READERS)
def test_a_reader_takes_doubles_as_they_are_or_names_them(name):
    try:
        found = READERS[name](DRAWN.double())
    except ValueError as error:
        assert "float64" in str(error)
    else:
        same = numbers(found), numbers(READERS[name](DRAWN))
        assert torch.allclose(*same, 1e-3, 1e-3)
