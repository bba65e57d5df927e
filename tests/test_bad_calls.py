"""Arguments of any kind, as in test_bad_arguments: of what lessons call by name."""

import numpy as np
import pytest
import torch
from test_bad_arguments import (
    FIELD,
    PICTURES,
    PIPE,
    PLAN,
    SCENES,
    TOY,
    VIDEOS,
    VIEWS,
    A,
    B,
    cases,
    generator,
    named_or_harmless,
    some,
)

from course_utils import diffusion, measure, models, oracle, schedules, toybox, training
from course_utils.measure import (
    clips,
    controls,
    dances,
    illusions,
    scales,
    shown,
    solids,
    subjects,
)
from course_utils.methods import (
    anagrams,
    attention,
    controlnet,
    dreambooth,
    dreamfusion,
    imagic,
    instruct_pix2pix,
    meshes,
    new_words,
    sdedit,
    text_to_video,
)
from course_utils.methods import illusions as sheets
from course_utils.models import architectures, pipelines
from course_utils.tiny import (
    batches,
    editor,
    feelings,
    gans,
    instruct,
    language,
    rivals,
    text_gans,
    translators,
    unet,
    worlds,
)
from course_utils.toybox import sdf, solid_render

SUBJECT = toybox.Subject("cat", marks={"hat": "red"})
EYE = batches.load_alignment_encoder(models.path("tiny") / "eye")
ASKED = shown.shown_to_ask(1)
X, Y = some(8, 8), some(8, 8, seed=1)
SAYS = ["a red cat"], ["a blue cat"]
DANCE = [
    toybox.perform(
        toybox.sample_dancer(np.random.default_rng(0), "test"),
        toybox.dance(next(iter(toybox.DANCES)), 2),
    )
]
DANCED = torch.stack([toybox.render(row) for row in DANCE])
SHEET = next(iter(sheets.ARRANGEMENTS.values()))
MESH = meshes.extract_mesh(FIELD, 1.5)
VIEW = next(iter(anagrams.VIEWS.values()))
# name: function, its arguments, and those of which another one may be right
CALLS = {
    "trajectory": (
        lambda **known: [x for _, x in diffusion.trajectory(**known)][-1],
        dict(model=lambda x, t: x * 0.5, x_T=A, schedule=PLAN, num_steps=3),
        "x_T num_steps",
    ),
    "posterior": (
        diffusion.posterior,
        dict(x0=A, x_t=B, t=5, schedule=PLAN, to=2),
        "to",
    ),
    "clip_directional": (
        measure.clip_directional,
        dict(
            before=PICTURES,
            after=-PICTURES,
            captions_before=SAYS[0],
            captions_after=SAYS[1],
        ),
        "captions_before captions_after",
    ),
    "in_the_middle": (
        clips.in_the_middle,
        dict(videos=VIDEOS, centres=clips.tracks(VIDEOS)[0]),
        "centres",
    ),
    "caption_of": (
        lambda scene: torch.tensor(len(controls.caption_of(scene))),
        dict(scene=SCENES[0]),
        "",
    ),
    "keypoint_error": (dances.keypoint_error, dict(videos=DANCED, scenes=DANCE), ""),
    "views_right": (
        illusions.views_right,
        dict(views=some(2, 3, 48, 48), prompts=["a red cat", "a blue star"]),
        "",
    ),
    "followed_shown": (
        shown.followed_shown,
        dict(images=PICTURES, asked=ASKED),
        "",
    ),
    "likeness": (subjects.likeness, dict(images=PICTURES, subject=SUBJECT), ""),
    "marks_present": (
        subjects.marks_present,
        dict(images=PICTURES, subject=SUBJECT),
        "",
    ),
    "prompt_scenes": (
        lambda **known: torch.tensor(len(subjects.prompt_scenes(**known))),
        dict(subject=SUBJECT, seen=SCENES, n=3),
        "seen",
    ),
    "portray": (toybox.portray, dict(subject=SUBJECT, scenes=SCENES, size=32), ""),
    "photo_scenes": (
        lambda **known: toybox.render(toybox.photo_scenes(**known)[0]),
        dict(subject=SUBJECT, n=2, seed=0),
        "",
    ),
    "setting": (
        lambda **known: toybox.render([toybox.setting(**known)]),
        dict(subject=SUBJECT, place="top", ground="grass"),
        "",
    ),
    "is_orthogonal": (
        lambda **known: torch.tensor(anagrams.is_orthogonal(**known)),
        dict(view=VIEW, images=some(2, 3, 8, 8), close=1e-4),
        "images close",
    ),
    "is_cross": (
        lambda **known: torch.tensor(attention.is_cross(**known)),
        dict(name="mid_block.attn2"),
        "name",
    ),
    "is_temporal": (
        lambda **known: torch.tensor(text_to_video.is_temporal(**known)),
        dict(name="temp_convs.0"),
        "name",
    ),
    "visits": (
        lambda **known: torch.tensor(sdedit.visits(**known)),
        dict(path=[9, 5, 1], strength=0.7),
        "path",
    ),
    "disc": (sdf.disc, dict(x=X, y=Y, cx=0.1, cy=0.2, radius=0.5), "x y cx cy radius"),
    "capsule": (
        sdf.capsule,
        dict(x=X, y=Y, start=(0.0, 0.1), end=(0.5, 0.4), r=0.1),
        "x y r",
    ),
    "default_lights": (solid_render.default_lights, dict(views=VIEWS), "views"),
    "count_parts": (
        lambda name: torch.tensor([*architectures.count_parts(name).values()]),
        dict(name="sd15"),
        "",
    ),
    "download_bytes": (architectures.download_bytes, dict(name="sd15"), ""),
    "card": (lambda name: torch.tensor(len(models.card(name))), dict(name="sd15"), ""),
    "plan_of": (pipelines.plan_of, dict(pipe=None), ""),
    "cosine": (
        lambda **known: schedules.cosine(**known).alpha_bar,
        dict(T=10, offset=0.008, largest=0.999),
        "",
    ),
    "orthogonalise": (
        training.muon.orthogonalise,
        dict(matrices=some(2, 4, 6), steps=5),
        "matrices steps",
    ),
    "depths": (
        lambda images: oracle.depths(images, EYE)[0],
        dict(images=PICTURES),
        "images",
    ),
    "saying": (
        lambda **known: torch.tensor(len(feelings.saying(**known).text)),
        dict(tenor="my heart", words="a kite in the wind"),
        "",
    ),
    "is_prompt": (
        lambda text: torch.tensor(language.is_prompt(text)),
        dict(text="a red cat"),
        "text",
    ),
    "said_of_pair": (
        lambda k: torch.tensor(len(text_gans.said_of_pair(k))),
        dict(k=1),
        "",
    ),
    "pairs_in": (
        lambda split: torch.tensor(text_gans.pairs_in(split)),
        dict(split="train"),
        "",
    ),
    "label_maps": (translators.label_maps, dict(scenes=SCENES), ""),
    "big_toys": (
        lambda **known: toybox.render(gans.big_toys(**known)),
        dict(n=2, seed=0, split="test"),
        "",
    ),
    "step_weights": (unet.step_weights, dict(schedule=PLAN), ""),
    "numpy_rng": (
        lambda generator: torch.tensor(worlds.numpy_rng(generator).random()),
        dict(generator=generator()),
        "",
    ),
    "view_matrix": (
        illusions.view_matrix,
        dict(views=some(2, 3, 48, 48), prompts=["a red cat", "a blue star"]),
        "",
    ),
    "weight_bytes": (scales.weight_bytes, dict(nets=[EYE]), "nets"),
    "solid_scores": (
        solids.solid_scores,
        dict(field=FIELD, solid=TOY, views=VIEWS),
        "views",
    ),
    "mesh_page": (
        lambda mesh: torch.tensor(len(meshes.mesh_page(mesh))),
        dict(mesh=MESH),
        "",
    ),
    "render_mesh": (
        meshes.render_mesh,
        dict(mesh=MESH, views=VIEWS, size=16, ambient=0.3),
        "views",
    ),
    "timesteps_of": (
        lambda sampler: torch.tensor(rivals.timesteps_of(sampler)),
        dict(sampler=next(iter(rivals.SAMPLERS))),
        "",
    ),
    "shipped_sheet": (
        rivals.shipped_sheet,
        dict(sampler=next(iter(rivals.SAMPLERS))),
        "",
    ),
    "shipped_text_gan": (
        lambda variant: [*text_gans.shipped_text_gan(variant).parameters()][0],
        dict(variant="int-cls"),
        "",
    ),
    "edit_in_words": (
        lambda rng: torch.tensor(len(editor.edit_in_words(rng))),
        dict(rng=np.random.default_rng(0)),
        "",
    ),
    "is_valid": (
        lambda **known: torch.tensor(editor.is_valid(**known)),
        dict(
            caption="a red cat",
            instruction="make the cat blue",
            edited="a blue cat",
        ),
        "caption instruction edited",
    ),
    "nearest_words": (
        lambda **known: torch.tensor(len(new_words.nearest_words(**known))),
        dict(pipe=PIPE, vectors=some(2, 128), number=2),
        "",
    ),
    "embed": (imagic.embed, dict(pipe=PIPE, texts=["a red cat"]), ""),
    "widen": (
        lambda unet: instruct_pix2pix.widen(unet).conv_in.weight,
        dict(unet=PIPE.unet),
        "",
    ),
    "attach": (
        lambda **known: controlnet.attach(**known).conv_in.weight,
        dict(unet=PIPE.unet, factor=4),
        "",
    ),
    "inflate": (
        lambda unet: text_to_video.inflate(unet).conv_in.weight,
        dict(unet=PIPE.unet),
        "",
    ),
    "token_ids": (
        dreambooth.token_ids,
        dict(tokenizer=PIPE.tokenizer, text="a red cat"),
        "text",
    ),
    "is_rare": (
        lambda **known: torch.tensor(dreambooth.is_rare(**known)),
        dict(tokenizer=PIPE.tokenizer, word="cat"),
        "word",
    ),
    "to_latents": (dreamfusion.to_latents, dict(pipe=PIPE, images=PICTURES), "images"),
    "words_of": (pipelines.words_of, dict(pipe=PIPE, prompts=SAYS[0]), ""),
    "sayings": (
        lambda **known: torch.tensor(len(feelings.sayings(**known))),
        dict(rng=np.random.default_rng(0), n=2, kind="train"),
        "",
    ),
    "opposite": (
        lambda feeling: torch.tensor(len(feelings.opposite(feeling).name)),
        dict(feeling=feelings.FEELINGS[0]),
        "",
    ),
    "pair_shown": (
        lambda scene: torch.tensor(text_gans.pair_shown(scene)),
        dict(scene=gans.big_toys(1, 0)[0]),
        "",
    ),
    "update_ema": (training.update_ema, dict(average=EYE, model=EYE, decay=0.9), ""),
    "shared_noise": (
        sheets.shared_noise,
        dict(arrangement=SHEET, derived=some(2, 3, 8, 8), seed=0),
        "derived",
    ),
    "rendered_pairs": (
        lambda **known: instruct.rendered_pairs(**known)[1],
        dict(encode=lambda x: x.mean((2, 3)), n=2, number=0),
        "",
    ),
}


@pytest.mark.parametrize("which, name, how", cases(CALLS))
def test_what_a_lesson_calls_names_the_argument_that_is_spoilt(which, name, how):
    named_or_harmless(CALLS, which, name, how)


def test_one_caption_may_be_a_text_and_is_not_read_letter_by_letter():
    one = measure.clip_score(PICTURES, "a red cat")
    assert torch.equal(one, measure.clip_score(PICTURES, ["a red cat"]))
