import json
import re
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from course_utils import diffusion, models, recipes, schedules, toybox
from course_utils.models.pipelines import decode, draw, guided
from course_utils.recipes import recipe, sampler_sheets, vae
from course_utils.tiny import gans, rivals


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder of trainings in which a VAE is ready, untrained."""
    place = tmp_path_factory.mktemp("train")
    vae.build_vae().save_pretrained(place / "vae" / "weights")
    (place / "vae" / "weights" / "README.md").write_text("# vae")
    return place


@pytest.fixture
def no_tiny(monkeypatch):
    known = models.path

    def missing(name):
        if name == "tiny":
            raise ValueError(name)
        return known(name)

    monkeypatch.setattr(models, "path", missing)


def test_the_scenes_show_one_big_plain_shape_and_no_seed_shows_anothers():
    some = gans.big_toys(40, 1)
    assert {len(scene.things) for scene in some} == {1}
    assert {scene.things[0].pattern for scene in some} == {"plain"}
    assert {scene.things[0].size for scene in some} == {"big"}
    assert {scene.things[0].toy for scene in some} <= set(toybox.SHAPES)
    assert {scene.split for scene in some} == {"test"}
    assert some == gans.big_toys(40, 1) != gans.big_toys(40, 2)


def test_the_rival_is_small_and_draws_with_a_plain_decoder():
    model = rivals.LatentVAE()
    assert sum(p.numel() for p in model.parameters()) < 1.5e6
    assert model.decoder(torch.randn(3, rivals.Z)).shape == (3, 4, 16, 16)
    assert str(model.decoder) == str(rivals.build_decoder())


def test_the_elbo_knows_its_closed_form():
    class Fixed(torch.nn.Module):
        def forward(self, x, noise):
            return x + 0.1, torch.full((len(x),), 1024.0)

    error = rivals.elbo_loss(Fixed(), torch.zeros(2, 4, 16, 16), None)
    assert error.item() == pytest.approx(torch.tensor(0.01).log().item() / 2 + 1)


def test_the_recipe_writes_a_decoder_that_draws(work, no_tiny):
    folder = work / "shelf" / "tiny_vae"
    make = recipes.rivals.tiny_vae
    recipe.produce(make, folder, work / "tiny_vae", steps=2, root=work)
    net = rivals.shipped_decoder(folder)
    assert net(torch.randn(1, rivals.Z)).isfinite().all()
    kinds = {x.dtype for x in load_file(folder / "model.safetensors").values()}
    assert torch.int8 in kinds  # and their scales
    card = (folder / "README.md").read_text()
    assert "2 steps of 32" in card and not re.search(r"\{\w+\}|COST", card)


def test_a_batch_depends_on_nothing_but_its_generator(work, no_tiny):
    net = recipes.rivals.shipped_vae(work)
    draws = [
        recipes.rivals.latent_batch(net, 3, 5)(torch.Generator().manual_seed(4), 0)
        for _ in range(2)
    ]
    torch.testing.assert_close(draws[0], draws[1])
    assert [x.shape for x in draws[0]] == [(3, 4, 16, 16), (3, rivals.Z)]


def test_the_samplers_go_all_the_way_down():
    assert rivals.timesteps_of("DDPM-1000") == [*reversed(range(1000)), -1]
    assert rivals.timesteps_of("DDIM-20")[:2] == [999, 949]
    assert rivals.timesteps_of("DDIM-20")[-2:] == [49, -1]


def test_the_sheets_come_back_as_they_were_drawn(tmp_path, monkeypatch):
    drawn = []

    def sample_plain(pipe, sampler, seed, n, timesteps):
        drawn.append((sampler, seed))
        generator = torch.Generator().manual_seed(seed + len(sampler))
        return torch.rand(n, 3, 64, 64, generator=generator) * 2 - 1

    monkeypatch.setattr(sampler_sheets, "sample_plain", sample_plain)
    pipe = SimpleNamespace(unet=SimpleNamespace(dtype=torch.float16))
    for _ in range(2):  # the second time nothing is left to do
        make, places = sampler_sheets.trilemma, (tmp_path / "out", tmp_path / "work")
        recipe.produce(make, *places, pipe=pipe, n=4)
    seeds = range(rivals.SEEDS)
    assert drawn == [(name, k) for name in rivals.SAMPLERS for k in seeds]
    back = rivals.shipped_sheet("DDIM-20", tmp_path / "out")
    first = sample_plain(None, "DDIM-20", 1, 4, None)
    torch.testing.assert_close(back[1], first, rtol=0, atol=1 / 255)
    facts = json.loads((tmp_path / "out" / "config.json").read_text())
    assert facts["n"] == 4 * rivals.SEEDS and set(rivals.SAMPLERS) <= set(facts)
    assert facts["precision"] == "float16"


def test_half_precision_draws_the_same_pictures(monkeypatch):
    drawn = []
    for half in (False, True):
        monkeypatch.setattr(sampler_sheets, "half_is_faster", lambda _, half=half: half)
        pipe = sampler_sheets.quick_pipeline()
        assert pipe.unet.dtype == (torch.bfloat16 if half else torch.float32)
        drawn.append(
            rivals.sample_plain(pipe, "DPM++-10", 0, 4, rivals.timesteps_of("DPM++-10"))
        )
    assert (drawn[0] - drawn[1]).abs().mean() < 0.02  # of a range of 2


def test_only_the_shipped_numbers_of_steps_are_there():
    assert rivals.DISTILLED == (4, 2, 1)
    with pytest.raises(ValueError, match=r"steps=3 must be one of \(4, 2, 1\)"):
        rivals.distilled(3)


@pytest.mark.parametrize("steps", [4, 1])
def test_distilled_networks_are_walked_as_ddim_walks(steps, monkeypatch):
    known = models.path
    monkeypatch.setattr(  # tiny's own network in the place of one distilled from it
        models,
        "path",
        lambda name: known("tiny") / "unet" if "/" in name else known(name),
    )
    pipe = rivals.distilled(steps)
    asked = [scene.caption for scene in gans.big_toys(2, 0)]
    drawn = draw(pipe, asked, steps, guidance=0.0, seed=5)
    noise = [torch.Generator().manual_seed(5 + k) for k in range(2)]
    x_T = torch.stack([torch.randn(4, 16, 16, generator=rng) for rng in noise])
    options = dict(predicts="x0" if steps == 1 else "v", step=diffusion.ddim_step)
    visits = [*diffusion.timesteps(1000, steps, "trailing"), -1]
    plan = schedules.linear()
    x0 = diffusion.sample(guided(pipe, asked), x_T, plan, timesteps=visits, **options)
    torch.testing.assert_close(drawn, decode(pipe.vae, x0), rtol=0, atol=1e-3)
