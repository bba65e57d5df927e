"""Feelings, metaphors and the language model that writes prompts for them."""

import functools

import numpy as np
import pytest
import torch

from course_utils import models, recipes, toybox
from course_utils.tiny import feelings, language


@functools.cache
def shipped():
    return language.load_writer("tiny-lm")


def some(n=50, kind="train", seed=0):
    return feelings.sayings(np.random.default_rng(seed), n, kind)


# the lexicon


def test_eight_feelings_stand_at_the_eight_corners_and_opposites_pair_up():
    assert len({f.corner for f in feelings.FEELINGS}) == 8
    for feeling in feelings.FEELINGS:
        other = feelings.opposite(feeling)
        assert feelings.opposite(other) is feeling
        assert not any(
            a == b for a, b in zip(feeling.corner, other.corner, strict=True)
        )


def test_looks_tell_all_feelings_apart():
    looks = {(f.place, f.ground, f.strong, f.wild) for f in feelings.FEELINGS}
    assert len(looks) == 8
    assert len({(f.place, f.ground) for f in feelings.FEELINGS}) == 8


@pytest.mark.parametrize("kind", feelings.KINDS)
def test_every_prompt_is_of_the_toybox_and_says_what_is_wanted(kind):
    for one in some(200, kind):
        assert one.kind == kind
        assert toybox.parse(one.prompt) == one.attributes
        scene = toybox.imagine(one.prompt, np.random.default_rng(0))
        assert scene.split != "unseen"  # tiny has seen such a toy in such a colour


def test_no_longer_means_the_opposite():
    plain, turned = (feelings.saying("my heart", "a volcano", x) for x in (False, True))
    assert plain.text == "my heart is a volcano"
    assert plain.meaning == "a heart, furious: hurt, wild, strong"
    assert turned.text == "my heart is no longer a volcano"
    assert turned.meaning == "a heart, not furious but tender: glad, still, weak"
    assert (
        feelings.saying("she", "homesick", True).text == "she no longer feels homesick"
    )


def test_what_is_judged_is_never_trained_on():
    trained = some(3000)
    phrases = {one.phrase.words for one in trained}
    assert not phrases & {one.phrase.words for one in some(500, "new phrases")}
    assert {one.phrase.verb for one in trained if one.turned} == {"feels"}
    assert {one.phrase.verb for one in some(500, "new turns")} == {"is"}
    words = {word for phrase in phrases for word in phrase.split()}
    for kind in feelings.KINDS[1:]:  # but each word of it is
        for one in some(300, kind):
            assert set(one.phrase.words.split()) <= words


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: feelings.saying("my dog", "a volcano"), "tenor='my dog'"),
        (lambda: feelings.saying("she", "a hedgehog"), "no phrase of PHRASES"),
        (lambda: some(3, "old"), "kind='old'"),
        (lambda: some(0), "n=0"),
    ],
)
def test_what_the_lexicon_has_not_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


# tokens and loss


def test_the_tokenizer_knows_every_word_and_gives_the_line_back():
    tokenizer = language.word_tokenizer()
    for kind in feelings.KINDS:
        for one in some(100, kind):
            ids = tokenizer(language.line(one)).input_ids
            assert tokenizer.unk_token_id not in ids and len(ids) < language.LENGTH
            back = language.answer_parts(tokenizer.decode(ids))
            assert back == language.Written(one.meaning, one.prompt)


def test_only_the_answer_counts_and_filling_does_not():
    tokenizer = language.word_tokenizer()
    net = language.build_language_model(tokenizer).eval()
    [one, two] = some(2)
    short = language.line_tokens(tokenizer, [language.line(one, meaning=False)])
    kept = tokenizer.decode(short[0][short[1]])
    assert kept == f"{one.prompt} {language.END}".replace(",", " ,")
    both = language.line_tokens(
        tokenizer, [language.line(one, False), language.line(two)]
    )
    row = both[0][:1], both[1][:1]
    with torch.no_grad():
        torch.testing.assert_close(
            language.answer_loss(net, *short), language.answer_loss(net, *row)
        )
        tokens, answer = short
        logits = net(tokens).logits[0, :-1].log_softmax(-1)
        each = -logits.gather(1, tokens[0, 1:, None])[:, 0]
        torch.testing.assert_close(
            language.answer_loss(net, *short), each[answer[0, 1:]].mean()
        )


# writing


def test_the_shipped_model_is_one_of_transformers_and_small():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = models.path("tiny-lm")
    net = AutoModelForCausalLM.from_pretrained(folder)
    assert type(net).__name__ == "LlamaForCausalLM"
    assert AutoTokenizer.from_pretrained(folder).unk_token == language.UNKNOWN
    assert sum(f.stat().st_size for f in folder.iterdir()) < 2e6


def test_it_writes_what_the_lexicon_says_and_alone_as_in_a_batch():
    asked = some(20)
    texts = [one.text for one in asked]
    found = language.write(shipped(), texts)
    right = [a.prompt == one.prompt for a, one in zip(found, asked, strict=True)]
    assert sum(right) >= 18
    assert [language.write(shipped(), [text])[0] for text in texts[:4]] == found[:4]


def test_thinking_helps_where_a_turn_is_new():
    asked = some(60, "new turns", seed=1)
    right = []
    for meaning in (True, False):
        found = language.write(shipped(), [one.text for one in asked], meaning)
        assert all(bool(answer.meaning) == meaning for answer in found)
        pairs = zip(found, asked, strict=True)
        right.append(sum(a.prompt == one.prompt for a, one in pairs))
    assert right[0] > right[1] + 6


def test_heat_makes_it_vary_and_none_does_not():
    texts = ["my heart is a volcano"] * 8
    torch.manual_seed(0)
    assert len(set(language.write(shipped(), texts, temperature=3.0))) > 1
    assert len(set(language.write(shipped(), texts))) == 1


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("meaning: a cat , calm prompt: a red cat", ("a cat, calm", "a red cat")),
        ("meaning: a cat.\nprompt: a red cat.\n\nshe is", ("a cat.", "a red cat")),
        ("prompt: a red cat\nand more", ("", "a red cat")),
        ("meaning: nothing else", ("nothing else", "")),
        ("", ("", "")),
    ],
)  # fmt: skip
def test_answers_are_taken_apart(text, parts):
    assert language.answer_parts(text) == language.Written(*parts)


def test_valid_is_what_the_toybox_reads():
    assert language.Written("", "a small red cat").valid
    assert not language.Written("", "a storm").valid
    assert not language.Written("", "").valid
    assert not language.Written("", "a happy car").valid


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((["my heart is a hedgehog"],), "unknown word 'hedgehog'"),
        ((["my heart is a vulcano"],), "did you mean volcano"),
        (("one text",), "list of at least one text"),
        (([],), "list of at least one text"),
        ((["she is a nest"], True, -1.0), "temperature=-1"),
    ],
)
def test_what_it_cannot_answer_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        language.write(shipped(), *arguments)


# a real language model, by one word


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A folder of another family, GPT-2 with bytes as tokens, as a download has it."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(BPE({x: i for i, x in enumerate([*letters, "<|end|>"])}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    folder = tmp_path_factory.mktemp("stranger")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=257, n_positions=2048, n_embd=32, n_layer=1, n_head=2,
        bos_token_id=256, eos_token_id=256,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def test_any_causal_model_of_transformers_writes_after_examples(stranger):
    writer = language.load_writer(str(stranger), some(3))
    begun = writer.begin("my heart is a hedgehog", meaning=True)
    assert begun.count(language.MEANING) == 4 and begun.count(language.PROMPT) == 3
    assert begun.endswith(f"my heart is a hedgehog\n{language.MEANING}")
    found = language.write(writer, ["my heart is a hedgehog", "she is blue"])
    assert len(found) == 2 and all(isinstance(x, language.Written) for x in found)


def test_what_is_no_language_model_says_what_to_do(tmp_path):
    for name in ("nobody/no-such-model", tmp_path):
        with pytest.raises(OSError, match="no language model on this computer"):
            language.load_writer(name)
    with pytest.raises(ValueError, match="must be a text"):
        language.load_writer(None)


# the recipe


def test_the_recipe_saves_a_model_that_writes(tmp_path):
    folder = recipes.train("tiny-lm", into=tmp_path, work=tmp_path / "w", steps=2)
    writer = language.load_writer(folder)
    [found] = language.write(writer, ["she feels homesick"])
    assert isinstance(found, language.Written)
    assert "LlamaForCausalLM" in (folder / "README.md").read_text("utf-8")
