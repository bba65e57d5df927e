"""tiny-flow, tiny-ip-adapter and tiny-reflow: their recipes, and what is shipped."""

import pytest
import torch
from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
from safetensors.torch import load_file

from course_utils import diffusion, measure, models, recipes, toybox
from course_utils.measure import shown
from course_utils.methods import ip_adapter
from course_utils.models.pipelines import guided
from course_utils.tiny import flow
from course_utils.tiny.unet import SCHEDULE
from course_utils.tiny.worlds import WHOLE, numpy_rng


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    work = tmp_path_factory.mktemp("train")
    return recipes.train("tiny-flow", into=work / "kept", work=work, steps=2)


def test_only_the_transformer_is_kept_in_bytes(tried):
    assert sum(f.stat().st_size for f in tried.rglob("*") if f.is_file()) < 6e6
    kept = load_file(tried / "transformer" / "diffusion_pytorch_model.safetensors")
    assert kept["proj_out.weight"].dtype == torch.int8
    assert [f for f in tried.rglob("*.safetensors")] == [
        tried / "transformer" / "diffusion_pytorch_model.safetensors"
    ]


def test_the_pipeline_is_put_together_and_draws(tried):
    whole = models.shipped.made_whole(tried)
    pipe = flow.load_flow(whole)
    images = flow.draw_flow(pipe, ["a red cat", "two stars"], steps=2)
    assert images.shape == (2, 3, 64, 64)
    net = SD3Transformer2DModel.from_pretrained(whole, subfolder="transformer")
    for name, x in net.state_dict().items():
        assert_near(x, pipe.transformer.state_dict()[name])


def assert_near(x, y):
    torch.testing.assert_close(x, y.to(x.dtype))


def test_the_adapter_is_kept_and_loaded_by_plain_diffusers(tmp_path):
    folder = recipes.train(
        "tiny-ip-adapter", into=tmp_path / "kept", work=tmp_path, steps=2
    )
    file = folder / ip_adapter.FILE
    assert file.stat().st_size < 2e6
    pipe = ip_adapter.load_seeing()
    pipe.load_ip_adapter(str(folder), subfolder="", weight_name=ip_adapter.FILE)
    for name, x in ip_adapter.adapter_weights(pipe.unet).items():
        assert_near(x, load_file(file)[name])


def test_what_reflow_changed_is_kept(tmp_path):
    folder = recipes.train(
        "tiny-reflow", into=tmp_path / "kept", work=tmp_path, steps=2
    )
    assert sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) < 6e6
    pipe = models.load("text-to-image", models.shipped.made_whole(folder))
    images = flow.draw_as_flow(pipe, ["a red cat", "two stars"], steps=2)
    assert images.shape == (2, 3, 64, 64)


# what is shipped


def test_plain_diffusers_loads_the_shipped_flow_and_it_draws_what_it_is_told():
    folder = models.path("tiny-flow")
    pipe = StableDiffusion3Pipeline.from_pretrained(folder, **flow.NO_OTHERS)
    pipe.set_progress_bar_config(disable=True)
    scenes = shown_scenes(6)
    images = flow.draw_flow(pipe, [scene.caption for scene in scenes], steps=4)
    found = measure.attribute_accuracy(images, scenes)
    assert found["toy"] > 0.8 and found["ground"] > 0.8 and found["colour"] > 0.6


def shown_scenes(n):
    rng = numpy_rng(torch.Generator().manual_seed(1))
    return WHOLE.scenes(n, rng, "test", things=1)


def test_the_shipped_adapter_takes_looks_from_the_picture_and_toys_from_the_words():
    pipe, asked = ip_adapter.load_seeing(), shown.shown_to_ask(8)
    folder = str(models.path("tiny-ip-adapter"))
    pipe.load_ip_adapter(folder, subfolder="", weight_name=ip_adapter.FILE)
    pictures = toybox.render([one.shown for one in asked])
    said = [one.caption for one in asked]
    without, with_it = (
        shown.followed_shown(
            ip_adapter.draw_shown(pipe, said, pictures, scale, steps=6), asked
        )
        for scale in (0.0, 1.0)
    )
    assert with_it["picture"] > without["picture"] + 0.25
    assert with_it["words"] > 0.9


def test_the_shipped_reflow_walks_straighter_and_draws_in_one_step():
    scenes = shown_scenes(8)
    said = [scene.caption for scene in scenes]
    noise = torch.randn(8, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    grid, bent, right = diffusion.flow_grid(4), {}, {}
    for name, guidance in (("tiny", 3.0), ("tiny-reflow", 1.0)):
        pipe = models.load("text-to-image", name)
        velocity = diffusion.as_flow(guided(pipe, said, guidance), SCHEDULE)
        path = diffusion.euler_path(velocity, noise, grid)
        bent[name] = diffusion.straightness(path, grid).mean().item()
        options = dict(steps=1, guidance=guidance, shift=1.0)
        images = flow.draw_as_flow(pipe, said, **options)
        right[name] = measure.attribute_accuracy(images, scenes)["all"]
    assert bent["tiny-reflow"] < 0.5 * bent["tiny"], bent
    assert right["tiny-reflow"] > right["tiny"] + 0.2, right
