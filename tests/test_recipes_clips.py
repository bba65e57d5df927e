"""Recipes of what draws clips and of what judges them, tried for two steps."""

import inspect
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import MotionAdapter, TextToVideoSDPipeline
from safetensors.torch import load_file

from course_utils import models, recipes, toybox
from course_utils.methods.pixeldance import draw_between
from course_utils.methods.text_to_video import draw_clips
from course_utils.models import difference
from course_utils.models.quiet import quiet
from course_utils.oracle.clips import VERBS, ClipReader, clip_features
from course_utils.recipes.clip_reader import clips_and_verbs, verb_of
from course_utils.recipes.dancer_pointer import posed

FRESH = """
import sys, torch
from diffusers import TextToVideoSDPipeline
pipe = TextToVideoSDPipeline.from_pretrained(sys.argv[1], use_safetensors=True)
frames = pipe("a red star moves left", num_frames=8, height=64, width=64,
              num_inference_steps=2).frames
assert frames.shape == (1, 8, 64, 64, 3), frames.shape
assert "course_utils" not in sys.modules
"""


@pytest.fixture(scope="module", autouse=True)
def draws_in_two_steps():
    """What recipes draw to be looked at takes two steps, not ten."""
    with pytest.MonkeyPatch.context() as patch:
        for draw in (draw_clips, draw_between):
            patch.setitem(inspect.unwrap(draw).__kwdefaults__, "steps", 2)
        yield


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    work = tmp_path_factory.mktemp("train")
    options = dict(work=work / "w", steps=2, small=True)
    return recipes.train("tiny-video", into=work / "kept", **options)


def test_what_is_kept_is_put_together_and_plain_diffusers_draws_with_it(
    tried, tmp_path
):
    difference.put_together(tried, models.path("tiny"), tmp_path / "whole")
    with quiet():
        pipe = TextToVideoSDPipeline.from_pretrained(tmp_path / "whole")
    pipe.set_progress_bar_config(disable=True)
    options = dict(num_frames=3, height=64, width=64, num_inference_steps=2)
    assert pipe("a red star jumps", **options).frames.shape == (1, 3, 64, 64, 3)


def test_only_the_difference_is_kept_new_layers_in_bytes(tried):
    assert sum(f.stat().st_size for f in tried.rglob("*") if f.is_file()) < 13e6
    kept = load_file(tried / "unet" / "diffusion_pytorch_model.safetensors")
    assert kept["transformer_in.proj_in.weight"].dtype == torch.int8


def test_a_fresh_process_with_plain_diffusers_draws_a_clip_by_the_shipped_one():
    run = [sys.executable, "-c", FRESH, models.path("tiny-video")]
    found = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr[-2000:]


def test_plain_diffusers_loads_the_shipped_motion_module():
    adapter = MotionAdapter.from_pretrained(
        models.path("tiny-motion"), use_safetensors=True
    )
    ends = [m for n, m in adapter.named_modules() if n.endswith("proj_out")]
    assert len(ends) and all(end.weight.abs().max() > 0 for end in ends)


def test_a_motion_module_is_tried_and_saved(tmp_path):
    folder = recipes.train("tiny-motion", into=tmp_path, work=tmp_path / "w", steps=2)
    assert MotionAdapter.from_pretrained(folder).config.block_out_channels == [
        64,
        96,
        128,
    ]
    assert "nan" not in (folder / "README.md").read_text(encoding="utf-8")


def test_a_pixeldance_is_tried_and_kept_as_what_differs_from_tiny_video(tmp_path):
    options = dict(work=tmp_path / "w", steps=2, small=True)
    folder = recipes.train("tiny-pixeldance", into=tmp_path, **options)
    kept = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    assert kept["conv_in.weight"].shape[1] == 8  # twice as many inputs
    assert not any(".resnets." in name and ".same" not in name for name in kept)
    assert "nan" not in (folder / "README.md").read_text(encoding="utf-8")


def test_twins_of_pixeldance_leave_their_scores(tmp_path):
    options = dict(work=tmp_path / "w", steps=2, small=True)
    folder = recipes.train("pixeldance-twins", into=tmp_path, **options)
    scores = json.loads((folder / "twins.json").read_text(encoding="utf-8"))
    assert set(scores) == {"rough", "exact"}
    for row in scores.values():
        assert set(row) == {"last", "sketch", "did"}
        assert 0 <= row["did"] <= 1 and min(row["last"], row["sketch"]) > 5  # dB


def test_a_reader_of_clips_learns_from_each_verb_as_often():
    videos, verbs = clips_and_verbs(400, 0, torch.Generator().manual_seed(0), 0)
    assert videos.shape == (400, 8, 3, 64, 64) and videos.abs().max() <= 1
    assert verbs.bincount(minlength=len(VERBS)).min() > 25


def test_the_shipped_reader_of_clips_names_motions_and_knows_their_order():
    rng = np.random.default_rng(1)
    clips = [toybox.sample_clip(rng, "test", toybox.MOTIONS[:4]) for _ in range(24)]
    videos, verbs = toybox.film(clips), torch.tensor([verb_of(c) for c in clips])
    net = models.network("clip-reader", ClipReader)
    with torch.no_grad():
        assert (net(videos).argmax(1) == verbs).float().mean() > 0.8
        assert (net(videos.flip(1)).argmax(1) == verbs).float().mean() < 0.2
    assert clip_features(videos).shape == (24, 18)
    with pytest.raises(ValueError, match="four frames or more"):
        clip_features(videos[:, :3])


def test_posed_dancers_are_of_the_split_and_differ():
    some = posed(6, np.random.default_rng(0), "test")
    assert all(scene.split == "test" for scene in some)
    assert len({scene.things[0].pose for scene in some}) == 6
