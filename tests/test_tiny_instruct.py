"""What an InstructPix2Pix of the toybox learns from, and who thinks of its edits."""

import functools

import numpy as np
import pytest
import torch
from torch import nn
from transformers import CLIPTokenizer

from course_utils import models, toybox
from course_utils.tiny import editor, instruct
from course_utils.tiny.unet import SCHEDULE


@functools.cache
def tokenizer():
    found = CLIPTokenizer.from_pretrained(models.path("tiny") / "tokenizer")
    found.model_max_length = 10_000
    return found


def thoughts(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return [editor.edit_in_words(rng) for _ in range(n)]


# edits in words


def test_what_the_grammar_writes_is_valid_and_of_every_kind():
    found = thoughts(200)
    assert all(editor.is_valid(*triple) for triple in found)
    kinds = {toybox.parse_edit(instruction).attribute for _, instruction, _ in found}
    assert kinds == set(instruct.KINDS)


@pytest.mark.parametrize(
    ("caption", "instruction", "edited", "valid"),
    [
        ("a red cat", "make it blue", "a blue cat", True),
        ("a red cat", "make it blue", "a red cat", False),  # nothing was done
        ("a red cat", "make it blue", "a blue dog", False),  # and something else
        ("a red cat", "make it blue", "a blue cat in the snow", False),  # made up
        ("a big red cat", "make it blue", "a blue cat", False),  # forgotten
        ("a red cat", "make it red", "a red cat", False),  # no change
        ("a red cat", "make the fish blue", "a blue cat", False),  # no fish
        ("a red cat", "", "", False),
        ("a red cat", "add a blue star at the top", "a blue star at the top", False),
        ("cats?", "make it blue", "a blue cat", False),
        ("a red cat and a blue star", "remove the star", "a red cat", True),
        (
            "a red cat on the sand",
            "make the ground snow",
            "a red cat in the snow",
            True,
        ),
    ],
)
def test_an_edit_is_valid_if_the_second_caption_is_what_it_makes_of_the_first(
    caption, instruction, edited, valid
):
    assert editor.is_valid(caption, instruction, edited) is valid


def test_another_edits_ending_is_hardly_ever_valid():
    found = thoughts(100)
    mixed = [(a[0], *b[1:]) for a, b in zip(found, found[1:], strict=False)]
    assert sum(editor.is_valid(*triple) for triple in mixed) < 5


def test_lines_are_filled_up_with_ends_and_the_loss_forgets_those():
    net = editor.build_editor(tokenizer())
    short = editor.as_tokens(tokenizer(), [("a red cat", "make it blue", "a blue cat")])
    long = torch.cat([short, torch.full((1, 7), tokenizer().eos_token_id)], 1)
    with torch.no_grad():
        losses = [editor.next_word_loss(net, tokens) for tokens in (short, long)]
    torch.testing.assert_close(*losses)


def test_what_is_written_depends_on_nothing_but_its_own_caption():
    class Parrot(nn.Module):  # goes on with one answer, wherever the line begins
        def generate(self, tokens, attention_mask, **options):
            assert (attention_mask.sum(1) == torch.tensor([6, 5])).all()  # left-filled
            answer = tokenizer()("make it blue > a blue cat").input_ids[1:]
            return torch.cat([tokens, torch.tensor([answer] * len(tokens))], 1)

    found = editor.write_edits(Parrot(), tokenizer(), ["a big red cat", "a red cat"])
    assert found[0] == ("a big red cat", "make it blue", "a blue cat")
    assert found[1] == ("a red cat", "make it blue", "a blue cat")


# pairs and batches


def test_no_picture_of_an_edit_is_of_the_split_test():
    rng = np.random.default_rng(3)
    for _ in range(100):
        scene, edit, after = instruct.some_edit(rng)
        assert scene.split == after.split == "train"
        assert toybox.apply(scene, edit) == after


def test_each_of_three_cases_is_left_out_in_a_twentieth():
    n, generator = 20_000, torch.Generator().manual_seed(0)
    image, heard = instruct.dropped(torch.ones(n, 1, 1, 1), ["x"] * n, generator)
    deaf = torch.tensor([text == "" for text in heard])
    blind = image.flatten() == 0
    for case in (deaf & ~blind, blind & ~deaf, deaf & blind):
        assert abs(case.float().mean().item() - instruct.DROPPED) < 0.006


def test_a_batch_shows_the_picture_before_and_wants_the_one_after():
    before, after = torch.zeros(8, 4, 16, 16), torch.ones(8, 4, 16, 16)
    album = ["make it blue"] * 8, before + 2, after
    batch = instruct.instruct_batch(lambda number: album, list, 4)
    x0, noise, t, image, words = batch(torch.Generator().manual_seed(0), 0)
    assert (x0 == 1).all() and set(image.unique().tolist()) <= {0.0, 2.0}
    assert noise.shape == x0.shape and t.shape == (4,) and len(words) == 4


def test_the_loss_is_0_for_who_knows_v():
    x0, noise, image = torch.randn(3, 2, 4, 16, 16, generator=torch.Generator())
    t = torch.tensor([10, 800])
    signal, sigma = (x[t].view(-1, 1, 1, 1) for x in (SCHEDULE.signal, SCHEDULE.sigma))
    v = signal * noise - sigma * x0
    found = instruct.instruct_loss(lambda *_: v, x0, noise, t, image, None)
    torch.testing.assert_close(found, torch.tensor(0.0), atol=1e-9, rtol=0)
