"""The miniature Stable Cascade: its equations, stages, and how it is loaded."""

import diffusers
import pytest
import torch
from diffusers import DDPMWuerstchenScheduler

from course_utils import measure, models
from course_utils.diffusion.ratios import noised_to, ratio_alpha_bar, ratio_weights
from course_utils.measure import bench
from course_utils.models import cascade as mended
from course_utils.models import difference
from course_utils.recipes.cascade_parts import Parts, keep_cascade, tiny_words
from course_utils.tiny import cascade

R = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cascade of fresh weights, kept as bytes and put together again."""
    torch.manual_seed(0)
    nets = cascade.build_vqgan(), cascade.Effnet(), cascade.build_stage_b()
    parts = Parts(*(n.eval() for n in nets), cascade.build_stage_c(), *tiny_words())
    place = tmp_path_factory.mktemp("cascade")
    keep_cascade(parts, place / "kept")
    base = models.path("tiny")
    difference.put_together(place / "kept", base, place / "whole")
    return place / "whole"


@pytest.fixture(scope="module")
def pipe(folder):
    pipe = models.load("text-to-image", folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_ratios_are_those_of_the_library():
    scheduler = DDPMWuerstchenScheduler()
    theirs = scheduler._alpha_cumprod(R, R.device)
    torch.testing.assert_close(ratio_alpha_bar(R), theirs, atol=1e-6, rtol=1e-5)
    x0, noise = torch.randn(2, 5, 3, 4, 4)
    expected = scheduler.add_noise(x0, noise, R)
    torch.testing.assert_close(noised_to(x0, noise, R), expected)


def test_a_ratio_of_one_leaves_a_little_and_counts_most():
    assert ratio_alpha_bar(R)[-1] == pytest.approx(1e-4)
    assert ratio_weights(R).diff().gt(0).all()
    with pytest.raises(ValueError, match="ratios from 0 to 1"):
        ratio_alpha_bar(torch.tensor([3]))


def test_the_nearest_code_is_what_the_library_takes():
    torch.manual_seed(0)
    net, latents = cascade.build_vqgan(), torch.randn(2, 4, 5, 5)
    theirs, apart, (_, _, which) = net.vquantizer(latents)
    ours, codes = cascade.nearest_codes(net, latents)
    assert torch.equal(ours.flatten(), which)
    torch.testing.assert_close(codes, theirs)
    torch.testing.assert_close(cascade.quantised(net, latents)[1], apart)


def test_the_gradient_passes_straight_through_the_codes():
    net, latents = cascade.build_vqgan(), torch.randn(1, 4, 3, 3).requires_grad_()
    cascade.quantised(net, latents)[0].mul(3).sum().backward()
    assert torch.equal(latents.grad, torch.full_like(latents, 3.0))


def test_without_mending_a_saved_cascade_does_not_load(folder, monkeypatch):
    monkeypatch.delattr(diffusers.pipelines, "wuerstchen", raising=False)
    with pytest.raises((ValueError, AttributeError)):
        diffusers.StableCascadeCombinedPipeline.from_pretrained(folder)
    mended.mend_stable_cascade()
    pipe = diffusers.StableCascadeCombinedPipeline.from_pretrained(folder)
    assert type(pipe.vqgan).__name__ == "PaellaVQModel"


def test_a_loaded_cascade_knows_its_sizes_and_draws(pipe):
    assert pipe.prior_pipe.config.resolution_multiple == mended.PIXELS
    images = mended.draw_cascade(pipe, ["a red cat", "a blue car"], steps=(2, 2))
    assert images.shape == (2, 3, 64, 64) and images.abs().max() <= 1
    alone = mended.draw_cascade(pipe, ["a blue car"], steps=(2, 2), seed=1)
    torch.testing.assert_close(alone[0], images[1], atol=1e-4, rtol=1e-3)
    with pytest.raises(ValueError, match="a list of at least one text"):
        mended.draw_cascade(pipe, "a red cat")


def test_the_text_encoder_is_tinys(pipe):
    tiny = models.load("text-to-image", "tiny")
    tokens = tiny.tokenizer(["a red cat on the grass"], return_tensors="pt")
    with torch.no_grad():
        theirs = tiny.text_encoder(**tokens).pooler_output
        _, pooled = cascade.heard_states(pipe.prior_text_encoder, tokens)
    torch.testing.assert_close(pooled[:, 0], theirs, atol=2e-2, rtol=1e-2)


def test_the_effnet_lies_beside_the_pipeline(folder):
    effnet = models.network(folder / "effnet")
    assert effnet(torch.zeros(2, 3, 64, 64)).shape == (2, cascade.SEMANTIC, 4, 4)
    learning = cascade.Semantics()
    images, noise = torch.rand(3, 3, 64, 64), torch.zeros(3, cascade.SEMANTIC, 4, 4)
    sketch, logits = learning(images, noise)
    assert sketch.shape == images.shape and logits["toy"].shape[2] == 9
    assert logits["ground"].ndim == 2


def test_the_shipped_cascade_draws_what_captions_say():
    pipe = models.load("text-to-image", "tiny-cascade")
    pipe.set_progress_bar_config(disable=True)
    scenes = bench.scenes_for("two_toys", 8, seed=3)
    images = mended.draw_cascade(pipe, [scene.caption for scene in scenes])
    found = measure.attribute_accuracy(images, scenes)
    assert min(x for name, x in found.items() if name != "all") >= 0.85
