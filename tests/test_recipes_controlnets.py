"""Recipes of the ControlNets and of the pointer, tried for two steps."""

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel
from safetensors.torch import load_file

from course_utils import models, recipes, toybox
from course_utils.models import difference
from course_utils.oracle.points import Pointer, keypoints
from course_utils.recipes.pointer import hills, pictures_and_points
from course_utils.tiny.control import control_batch

KINDS = "edges", "scribble", "segmentation", "pose"
SHIPPED = [f"tiny-controlnet-{kind}" for kind in KINDS]


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    work = tmp_path_factory.mktemp("train")
    name = "tiny-controlnet-edges"
    return recipes.train(name, into=work / "kept", work=work, steps=2)


def test_what_is_kept_is_put_together_and_plain_diffusers_loads_it(tried, tmp_path):
    difference.put_together(tried, models.path("tiny") / "unet", tmp_path / "whole")
    net = ControlNetModel.from_pretrained(tmp_path / "whole", use_safetensors=True)
    assert list(net.config.conditioning_embedding_out_channels) == [16, 32, 64]
    pipe = models.load("control", "tiny", controlnet=net)
    pipe.set_progress_bar_config(disable=True)
    options = dict(num_inference_steps=2, output_type="np")
    found = pipe("a red cat", image=torch.zeros(1, 3, 64, 64), **options).images
    assert found.shape == (1, 64, 64, 3)


def test_only_the_difference_is_kept_and_no_decoder(tried):
    assert sum(f.stat().st_size for f in tried.rglob("*") if f.is_file()) < 3e6
    kept = load_file(tried / "diffusion_pytorch_model.safetensors")
    assert kept["conv_in.weight"].dtype == torch.int8
    assert not [name for name in kept if name.startswith("up_blocks")]
    assert '"base": "tiny-sd/unet"' in (tried / "difference.json").read_text()


@pytest.mark.parametrize("name", SHIPPED)
def test_plain_diffusers_loads_the_shipped_ones(name):
    net = ControlNetModel.from_pretrained(models.path(name), use_safetensors=True)
    assert net.controlnet_mid_block.weight.abs().max() > 0


def test_a_batch_shows_what_its_pictures_show():
    seen = []

    def encode(scenes):
        seen.extend(scenes)
        return torch.zeros(len(scenes), 4, 16, 16)

    def listen(texts):
        return torch.tensor([*map(len, texts)])

    batch = control_batch("pose", encode, listen, 6, 8)
    x0, noise, t, words, shown = batch(torch.Generator().manual_seed(0), 0)
    assert {thing.toy for scene in seen for thing in scene.things} == {"doll"}
    assert x0.shape == noise.shape == (6, 4, 16, 16) and shown.shape == (6, 3, 64, 64)
    known = toybox.condition("pose", seen)
    assert all((known == one).flatten(1).all(1).any() for one in shown)
    assert torch.equal(batch(torch.Generator().manual_seed(0), 0)[3], words)


class Knower(torch.nn.Module):
    """A perfect pointer of these scenes."""

    def __init__(self, some):
        super().__init__()
        self.truth = hills(toybox.keypoints(some))

    def forward(self, images):
        return self.truth * 20 - 10


def dolls(n):
    rng = np.random.default_rng(0)
    return [toybox.sample(rng, toy="doll", things=1) for _ in range(n)]


def test_a_perfect_pointer_finds_the_points():
    some = dolls(6)
    found = keypoints(toybox.render(some), net=Knower(some))
    torch.testing.assert_close(found, toybox.keypoints(some)[:, 0], atol=1, rtol=0)


def test_where_no_doll_is_read_there_is_no_point():
    cat = [toybox.Scene([toybox.Thing("cat", "red")])]
    assert keypoints(toybox.render(cat), net=Pointer()).isnan().all()


def test_hills_stand_on_the_points():
    images, truth = pictures_and_points(8, 0, torch.Generator().manual_seed(3), 3)
    assert images.shape == (8, 3, 64, 64) and truth.shape == (8, 6, 64, 64)
    assert truth.amax() > 0.9 and truth.mean() < 0.05


def test_the_pointer_is_saved_and_says_what_it_scores(tmp_path):
    folder = recipes.train("pointer", into=tmp_path, work=tmp_path / "w", steps=2)
    assert "as drawn" in (folder / "README.md").read_text(encoding="utf-8")
    assert models.network(folder, Pointer)(torch.zeros(1, 3, 64, 64)).shape[1] == 6


def test_the_shipped_pointer_finds_the_points_of_dolls():
    some = dolls(20)
    gaps = keypoints(toybox.render(some)) - toybox.keypoints(some)[:, 0]
    assert gaps.norm(dim=-1).mean() < 1
