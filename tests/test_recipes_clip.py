import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import normalize

from course_utils import measure, models, recipes, toybox
from course_utils.measure import clip as clips
from course_utils.recipes import clip
from course_utils.tiny import text
from course_utils.tiny.worlds import WHOLE, numpy_rng


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """The recipe, tried for three steps."""
    work = tmp_path_factory.mktemp("clip")
    return recipes.train("clip", into=work / "out", work=work, steps=3)


@pytest.fixture(scope="module")
def tokenizer():
    return text.build_tokenizer()


class Known:
    """Pictures and captions that are placed in the shared space by hand."""

    def __init__(self, seen, heard):
        self.seen, self.heard = seen, heard

    def see(self, images):
        return normalize(self.seen[(-4 * images[:, 0, 0, 0]).long()], dim=1)

    def hear(self, captions):
        return normalize(torch.stack([self.heard[c] for c in captions]), dim=1)


def numbered(*numbers):
    """Pictures that a Known sees by their numbers, 0 to 3: each is a darker grey."""
    greys = torch.tensor(numbers) / -4
    return greys.view(-1, 1, 1, 1).expand(-1, 3, 64, 64)


PLANE = Known(
    torch.tensor([[1.0, 0], [0, 2], [-3, 0], [0, 1]]),
    {"right": torch.tensor([5.0, 0]), "up": torch.tensor([0, 0.1])},
)


# --- scores ------------------------------------------------------------------------


def test_the_score_is_a_hundred_cosines_and_never_negative():
    found = measure.clip_score(numbered(0, 1, 2), ["right"] * 3, PLANE)
    torch.testing.assert_close(found, torch.tensor([100.0, 0, 0]))


def test_a_change_in_the_captions_direction_scores_one_and_in_the_other_minus_one():
    with_it = (numbered(0), numbered(1), ["right"], ["up"])
    against = (numbered(1), numbered(0), ["right"], ["up"])
    sideways = (numbered(0), numbered(2), ["right"], ["up"])
    for pair, value in ((with_it, 1), (against, -1), (sideways, math.sqrt(0.5))):
        found = measure.clip_directional(*pair, PLANE)
        torch.testing.assert_close(found, torch.tensor([float(value)]))


def test_a_picture_that_stays_has_no_direction():
    found = measure.clip_directional(numbered(0), numbered(0), ["right"], ["up"], PLANE)
    assert found.item() == 0


def test_retrieval_counts_both_ways():
    found = measure.clip_retrieval(numbered(0, 2), ["right", "up"], PLANE)
    assert found == {"caption": 1.0, "image": 0.5}  # up: both are at 0, the first wins


@pytest.mark.parametrize("captions", [["right"], "right"])
def test_a_caption_for_each_picture_is_wanted(captions):
    with pytest.raises(ValueError, match="captions: 2 images need as many, not 1"):
        measure.clip_score(numbered(0, 1), captions, PLANE)


def test_wrong_pictures_are_refused(tried):
    with pytest.raises(ValueError, match=r"not in \[-1, 1\]"):
        measure.clip_score(numbered(-8), ["a cat"], clips.load_clip(tried))


# --- the recipe --------------------------------------------------------------------


def test_a_caption_is_tied_to_every_picture_that_it_is_true_of():
    def cat(colour, ground="snow"):
        return toybox.Scene([toybox.Thing("cat", colour)], ground)

    scenes = [cat("red"), cat("blue"), cat("red", "grass"), cat("red")]
    scenes += [toybox.Scene([toybox.Thing("car", "red")], "snow")]
    said = [toybox.parse(x) for x in ("a red cat in the snow", "a cat", "a red cat")]
    said += [scenes[3].attributes, toybox.parse("a car")]
    true = clip.ties(scenes, said).int().tolist()
    assert true == [
        [0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]


def placed(images, texts, scale):
    out = SimpleNamespace(image_embeds=images, text_embeds=texts)

    def model(**_):
        return out

    model.logit_scale = torch.tensor(scale).log()
    return model


def test_the_loss_of_a_model_that_knows_nothing_is_log_n():
    same = normalize(torch.ones(8, 4), dim=1)
    none, own = torch.zeros(8, 8).bool(), torch.arange(8)
    loss = clip.contrastive_loss(placed(same, same, 14.0), None, None, none, own)
    assert loss.item() == pytest.approx(math.log(8), rel=1e-5)


def test_the_loss_is_the_mean_of_both_cross_entropies():
    generator = torch.Generator().manual_seed(0)
    a, b = normalize(torch.randn(2, 5, 3, generator=generator), dim=2)
    none, own = torch.zeros(5, 5).bool(), torch.arange(5)
    logits = 7.0 * a @ b.T
    over_captions = (logits.logsumexp(1) - logits.diag()).mean()
    over_images = (logits.logsumexp(0) - logits.diag()).mean()
    loss = clip.contrastive_loss(placed(a, b, 7.0), None, None, none, own)
    torch.testing.assert_close(loss, (over_captions + over_images) / 2)


def test_ties_are_no_choice():
    same, own = normalize(torch.ones(4, 4), dim=1), torch.arange(4)
    ties = torch.ones(4, 4).bool() ^ torch.eye(4).bool()  # all are true of all
    loss = clip.contrastive_loss(placed(same, same, 14.0), None, None, ties, own)
    assert loss.item() == 0


def test_cosines_are_never_scaled_by_more_than_a_hundred():
    a, own = torch.eye(2), torch.arange(2)
    none = torch.zeros(2, 2).bool()
    images = torch.tensor([[0.0, 1], [1, 0]])  # all wrong: each loss is the scale
    loss = clip.contrastive_loss(placed(images, a, 1e6), None, None, none, own)
    assert loss.item() == pytest.approx(100, rel=1e-3)


def test_a_batch_depends_on_nothing_but_its_generator(tokenizer):
    first, again = (
        clip.pairs_and_ties(8, tokenizer, 0, torch.Generator().manual_seed(5), 0)
        for _ in range(2)
    )
    torch.testing.assert_close(first, again)
    images, tokens, ties, own = first
    assert images.shape == (8, 3, 64, 64) and len(tokens) == len(own) == 8
    assert not ties.diagonal().any() and own.tolist() == list(range(8))


def test_a_share_of_a_batch_finds_its_own_columns(tokenizer):
    images, tokens, ties, own = clip.pairs_and_ties(
        32, tokenizer, 0, torch.Generator().manual_seed(1), 0
    )
    share = ties[1::2][:, own[1::2]]
    assert share.shape == (16, 16) and not share.diagonal().any()


def test_captions_of_held_out_scenes_differ():
    scenes = WHOLE.scenes(64, np.random.default_rng(0), "test")
    assert len({scene.caption for scene in scenes}) == 64


class Deaf(Known):
    """Hears the colour only, and sees it."""

    def __init__(self, scenes):
        self.colours, self.scenes = toybox.ATTRIBUTES["colour"], iter(scenes)

    def see(self, images):
        return self._place([next(self.scenes).things[0].colour for _ in images])

    def hear(self, captions):
        return self._place([toybox.parse(c)["colour"][0] for c in captions])

    def _place(self, colours):
        return torch.eye(8)[[self.colours.index(c) for c in colours]]


def test_only_what_is_seen_is_told_apart():
    rng = numpy_rng(torch.Generator().manual_seed(98))
    found = clip.told_apart(Deaf(WHOLE.scenes(30, rng, "test", things=1)), 30)
    assert found.pop("colour") == 1
    assert set(found) == {"toy", "size", "pattern", "place", "ground"}
    assert set(found.values()) == {0}


# --- the folder --------------------------------------------------------------------


def test_plain_transformers_loads_model_tokenizer_and_processor(
    tried, in_a_fresh_process
):
    in_a_fresh_process(
        "import sys; from PIL import Image\n"
        "from transformers import CLIPModel, CLIPProcessor, CLIPTokenizer\n"
        "model = CLIPModel.from_pretrained(sys.argv[1])\n"
        "assert next(model.parameters()).dtype.itemsize == 4\n"
        "assert CLIPTokenizer.from_pretrained(sys.argv[1]).tokenize('a cat')\n"
        "processor = CLIPProcessor.from_pretrained(sys.argv[1])\n"
        "picture = Image.new('RGB', (64, 64), (255, 0, 0))\n"
        "batch = processor(text=['a cat'], images=picture, return_tensors='pt')\n"
        "assert batch['pixel_values'][0, :, 9, 9].tolist() == [1, -1, -1]\n"
        "assert model(**batch).logits_per_image.shape == (1, 1)",
        tried,
    )


def test_our_embeddings_are_those_of_the_model(tried):
    net = clips.load_clip(tried)
    images, said = toybox.render(WHOLE.scenes(3, np.random.default_rng(0))), ["a cat"]
    tokens = text.tokenise(net.tokenizer, said)  # padded, unlike ours
    with torch.no_grad():
        out = net.model(input_ids=tokens, pixel_values=images)
    torch.testing.assert_close(net.see(images), out.image_embeds)
    torch.testing.assert_close(net.hear(said), out.text_embeds)


def test_the_folder_is_small_and_in_half_precision(tried):
    weights = load_file(tried / "model.safetensors")
    kinds = {x.dtype for x in weights.values()}
    assert kinds <= {torch.float16, torch.int64}
    assert (tried / "model.safetensors").stat().st_size < 5e6
    assert json.loads((tried / "config.json").read_text())["dtype"] == "float32"


def test_the_card_has_no_blanks(tried):
    card = (tried / "README.md").read_text()
    assert "# clip" in card and "3 steps of 64 pairs" in card
    assert not re.search(r"\{\w+\}|COST", card)


def test_the_shipped_one_finds_most_captions_if_it_is_there():
    if "clip" not in models.verify():
        pytest.skip("not trained yet")
    scenes = WHOLE.scenes(64, np.random.default_rng(0), "test")
    images, said = toybox.render(scenes), [scene.caption for scene in scenes]
    assert min(measure.clip_retrieval(images, said).values()) > 0.75
    others = measure.clip_score(images, said[1:] + said[:1])
    assert measure.clip_score(images, said).mean() > 2 * others.mean()


class Chance(Known):
    """Sees nothing and hears nothing."""

    def __init__(self):
        pass

    def see(self, images):
        return normalize(torch.ones(len(images), 4), dim=1)

    def hear(self, captions):
        return normalize(torch.ones(len(captions), 4), dim=1)


def test_held_out_scores_of_who_sees_nothing_are_chance():
    found = clip.held_out_scores(Chance(), rounds=2, choices=8)
    assert found["chance"] == 1 / 8 and found["rounds"] == 2
    assert found["caption"] == found["image"] == 1 / 8  # the first always wins
    assert found["own"] == pytest.approx(found["other"]) == pytest.approx(100)
