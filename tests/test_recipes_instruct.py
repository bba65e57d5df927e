"""Recipes of InstructPix2Pix, tried for two steps: weights, sentences, pairs, twins."""

import json

import pytest
import torch
from diffusers import StableDiffusionInstructPix2PixPipeline
from safetensors.torch import load_file

from course_utils import models, recipes, toybox
from course_utils.models import difference
from course_utils.recipes import instruct_pairs
from course_utils.recipes.instruct_lm import valid_rate
from course_utils.tiny import editor


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    work = tmp_path_factory.mktemp("train")
    return recipes.train("tiny-instruct", into=work / "kept", work=work, steps=2)


def test_what_is_kept_is_put_together_and_plain_diffusers_edits_with_it(
    tried, tmp_path
):
    difference.put_together(tried, models.path("tiny"), tmp_path / "whole")
    load = StableDiffusionInstructPix2PixPipeline.from_pretrained
    pipe = load(tmp_path / "whole", use_safetensors=True)
    pipe.set_progress_bar_config(disable=True)
    assert pipe.unet.config.in_channels == 8
    scene = toybox.Scene([toybox.Thing("cat", "red")])
    options = dict(num_inference_steps=2, output_type="np")
    found = pipe("make it blue", toybox.render([scene]) / 2 + 0.5, **options).images
    assert found.shape == (1, 64, 64, 3)


def test_only_the_difference_is_kept(tried):
    assert sum(f.stat().st_size for f in tried.rglob("*") if f.is_file()) < 7e6
    files = {f.relative_to(tried).as_posix() for f in tried.rglob("*.safetensors")}
    names = "text_encoder/model", "unet/diffusion_pytorch_model"
    assert files == {f"{name}.safetensors" for name in names}
    kept = load_file(tried / "unet" / "diffusion_pytorch_model.safetensors")
    assert kept["conv_in.weight"].shape[1] == 8


def test_the_language_model_is_saved_and_writes(tmp_path):
    folder = recipes.train("instruct-lm", into=tmp_path, work=tmp_path / "w", steps=2)
    net, tokenizer = editor.load_editor(folder)
    [found] = editor.write_edits(net, tokenizer, ["a red cat"])
    assert len(found) == 3 and 0 <= valid_rate(net, tokenizer, 2) <= 1


def test_pairs_are_drawn_once_and_those_kept_that_clip_likes(tmp_path, monkeypatch):
    edit = ("a red cat on the sand", "make it blue", "a blue cat on the sand")
    monkeypatch.setattr(instruct_pairs, "load_editor", lambda folder: None)
    monkeypatch.setattr(
        instruct_pairs, "thought_of", lambda editor, n, seed: [edit] * n
    )
    make = instruct_pairs.instruct_pairs(steps=3).make
    work = make(tmp_path)
    [file] = work.glob("*.safetensors")
    before = file.stat().st_mtime_ns
    assert make(tmp_path) == work and file.stat().st_mtime_ns == before
    every = list(instruct_pairs.pairs_of(work, {}))
    assert [pair[0] for pair in every] == [list(edit)] * 3
    assert every[0][1].shape == (4, 16, 16) and not torch.equal(*every[0][1:])
    assert not list(instruct_pairs.pairs_of(work, {"direction": 1.01}))


def test_twins_differ_in_nothing_but_their_pictures(tmp_path):
    folder = recipes.train(
        "instruct-twins", into=tmp_path, work=tmp_path / "w", steps=2
    )
    for name in ("drawn", "rendered"):
        rows = (folder / f"{name}.jsonl").read_text().splitlines()
        assert json.loads(rows[-1])["step"] == 2
        assert json.loads((folder / f"{name}.json").read_text())["n"] == 7
