import pytest
import torch
from diffusers import IFPipeline

from course_utils import measure, models, oracle, recipes, toybox
from course_utils.measure import bench
from course_utils.models import difference
from course_utils.models.pipelines import draw, to_64
from course_utils.recipes import recipe, tiny_pixel
from course_utils.tiny import text, unet
from course_utils.tiny.worlds import WHOLE, numpy_rng


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """The whole recipe, tried for two steps on a trunk of three."""
    work = tmp_path_factory.mktemp("train")
    tiny = recipes.train("tiny-sd", work=work, steps=3, small=True)
    make = tiny_pixel.tiny_pixel
    recipe.produce(make, work / "kept", work / "work", steps=2, tiny=tiny)
    difference.put_together(work / "kept", tiny, work / "pixel")
    return work / "pixel"


def test_plain_diffusers_draws_with_it(tried):
    pipe = IFPipeline.from_pretrained(tried)
    pipe.set_progress_bar_config(disable=True)
    options = dict(num_inference_steps=2, output_type="np", clean_caption=False)
    assert pipe("a red star", **options).images.shape == (1, 32, 32, 3)


def test_captions_draw_pictures_that_the_oracle_can_read(tried):
    pipe = IFPipeline.from_pretrained(tried)
    pipe.set_progress_bar_config(disable=True)
    images = to_64(draw(pipe, ["a red star", "a blue cat"], steps=2))
    assert images.shape == (2, 3, 64, 64) and images.abs().max() <= 1
    again = to_64(draw(pipe, ["a blue cat"], steps=2, seed=1))
    torch.testing.assert_close(again, images[1:], atol=1e-4, rtol=0)


def test_it_fits_on_the_shelf(tried):
    assert sum(f.stat().st_size for f in tried.rglob("*") if f.is_file()) < 16e6
    assert "COST" not in (tried / "README.md").read_text(encoding="utf-8")


def test_more_places_for_words_change_nothing_that_is_said():
    tokenizer = text.build_tokenizer()
    encoder = text.build_text_encoder(tokenizer).eval()
    tokens = text.tokenise(tokenizer, ["a red cat on the grass"])
    longer, tokenizer = text.for_more_words(encoder, tokenizer)
    more = text.tokenise(tokenizer, ["a red cat on the grass"])
    assert more.shape == (1, text.WORDS)
    with torch.no_grad():
        few, many = (net(x)[0] for net, x in ((encoder, tokens), (longer, more)))
    torch.testing.assert_close(many[:, : tokens.shape[1]], few)


def test_the_trunk_can_be_told_vectors():
    model = unet.Trunk(unet.build_pixel_unet(), None, 6, floor=2)
    x_t, t = torch.randn(2, 3, 32, 32), torch.tensor([3, 700])
    v, seen = model(x_t, t, torch.randn(2, text.WORDS, 128))
    assert v.shape == x_t.shape and seen.shape == (2, 6, 8, 8)


def test_true_pictures_survive_the_change_of_size():
    if "oracle" not in models.verify():
        pytest.skip("not trained yet")
    rng = numpy_rng(torch.Generator().manual_seed(4))
    scenes = WHOLE.scenes(60, rng, "test", things=1)
    images = toybox.render(scenes)
    small = torch.nn.functional.interpolate(images, unet.SIDE, mode="area")
    readings = oracle.read(to_64(small))
    pairs = zip(readings, scenes, strict=True)
    assert sum(r["toy"] == s.attributes["toy"] for r, s in pairs) >= 59


def test_the_shipped_one_draws_what_captions_say():
    pipe = models.load("text-to-image", "tiny-pixel")
    pipe.set_progress_bar_config(disable=True)
    scenes = bench.scenes_for("one_toy", 16, seed=5)
    captions = [scene.caption for scene in scenes]
    images = to_64(draw(pipe, captions, steps=10))
    found = measure.grades(images, scenes)
    assert found["toy"] > 0.8 and found["colour"] > 0.8, found
    assert measure.grades(images.roll(1, 0), scenes)["all"] < 0.2
