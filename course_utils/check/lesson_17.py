"""Exercises of lesson 17: Prompt-to-Prompt."""

import difflib

import torch

from course_utils.check import Exercise

# 17.1: whose rows


def _inject(weights, pairs):
    return torch.cat([weights[: 3 * pairs], weights[2 * pairs : 3 * pairs]])


def _rows(*order):
    """Put whole blocks of rows in another order."""

    def wrong(weights, pairs):
        blocks = weights.split(pairs)
        return torch.cat([blocks[i] for i in order])

    return wrong


def _pair_by_pair(weights, pairs):
    found = weights.clone()
    found[2 * pairs + 1 :: 2] = found[2 * pairs :: 2]
    return found


def _mean(weights, pairs):
    found = weights.clone()
    found[3 * pairs :] = (weights[2 * pairs : 3 * pairs] + weights[3 * pairs :]) / 2
    return found


def _inject_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(17)
    return [
        (torch.rand(4 * pairs, 2, 16, 6, generator=generator).softmax(-1), pairs)
        for pairs in (1, 2, 3)
    ]


# 17.2: which word is which


def _origin(first, second):
    found = [-1] * len(second)
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for block in matcher.get_matching_blocks():
        for k in range(block.size):
            found[block.b + k] = block.a + k
    return found


def _by_place(first, second):
    return [i if first[i : i + 1] == [word] else -1 for i, word in enumerate(second)]


def _by_spelling(pick):
    def wrong(first, second):
        places = [[i for i, w in enumerate(first) if w == word] for word in second]
        return [pick(found) if found else -1 for found in places]

    return wrong


def _counting_the_start(first, second):
    return [i + 1 if i >= 0 else -1 for i in _origin(first, second)]


def _swaps_too(first, second):
    found = _origin(first, second)
    return [
        i if i >= 0 or k >= len(first) or k in found else k for k, i in enumerate(found)
    ]


def _backwards(first, second):
    return _origin(second, first)


def _origin_cases() -> list[tuple]:
    pairs = [
        ("a red cat on the grass", "a blue cat on the grass"),
        ("a cat and a boat", "a big dotted cat and a boat"),
        ("a small cat and a small boat", "a small boat"),
        ("a cat on the sea", "a cat and a small cat on the sea"),
    ]
    return [(first.split(), second.split()) for first, second in pairs]


# 17.3: where the second picture counts


def _blend(first, second, light, threshold):
    inside = light / light.amax((2, 3), keepdim=True) > threshold
    return torch.where(inside, second, first)


def _blends(inside):
    def wrong(first, second, light, threshold):
        return torch.where(inside(light, threshold), second, first)

    return wrong


def _softly(first, second, light, threshold):
    share = light / light.amax((2, 3), keepdim=True)
    return share * second + (1 - share) * first


def _inside_out(first, second, light, threshold):
    return _blend(second, first, light, threshold)


def _blend_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(18)
    cases = []
    for b, threshold in ((2, 0.3), (3, 0.6)):
        first, second = torch.randn(2, b, 4, 8, 8, generator=generator)
        light = torch.rand(b, 1, 8, 8, generator=generator)
        scale = torch.tensor([0.05, 0.5, 1.3])[:b].view(-1, 1, 1, 1)
        cases.append((first, second, light * scale, threshold))
    return cases


EXERCISES = {
    "17.1": Exercise(
        reference=_inject,
        cases=_inject_cases,
        mistakes={
            "You change the rows without a prompt as well. What they say is the zero "
            "from which guidance measures; only the half with prompts is "
            "edited.": _rows(0, 0, 2, 2),
            "You change only the rows without a prompt, the first half. The half with "
            "prompts comes second.": _rows(0, 0, 2, 3),
            "The wrong way round: the first picture now listens as the second "
            "does.": _rows(0, 1, 3, 3),
            "You exchange the two. The first keeps its weights.": _rows(0, 1, 3, 2),
            "The rows do not lie pair by pair: first all first prompts, then all "
            "second ones.": _pair_by_pair,
            "You take the mean of both. The second picture is to listen exactly as "
            "the first.": _mean,
        },
        hint="weights.split(pairs) gives four blocks: no words twice, first prompts, "
        "second prompts. Which of them is replaced, and by which?",
        praise="Three blocks stay, and the last becomes the third.",
    ),
    "17.2": Exercise(
        reference=_origin,
        cases=_origin_cases,
        mistakes={
            "You compare words at the same place. After a word that was put in, all "
            "places are shifted.": _by_place,
            "You take the first word that is spelled like it. Words come twice, such "
            "as a: the order decides.": _by_spelling(lambda found: found[0]),
            "You take the last word that is spelled like it. Words come twice, such "
            "as a: the order decides.": _by_spelling(lambda found: found[-1]),
            "All are one too high: the first word has the index 0 here, there is no "
            "start token.": _counting_the_start,
            "A word that was swapped is new here: -1.": _swaps_too,
            "You answer for the words of the first. One number for each word of the "
            "second is wanted.": _backwards,
        },
        hint="difflib.SequenceMatcher(None, first, second, autojunk=False) has "
        "get_matching_blocks(): places a in the first, b in the second, and a size.",
        praise="Each word has found where it comes from.",
    ),
    "17.3": Exercise(
        reference=_blend,
        cases=_blend_cases,
        mistakes={
            "The threshold is a share of the largest light of each picture: divide "
            "by light.amax((2, 3), keepdim=True) first.": _blends(
                lambda light, threshold: light > threshold
            ),
            "You divide by the largest light of the whole batch. Each picture has its "
            "own.": _blends(lambda light, threshold: light / light.max() > threshold),
            "Inside out: where the light is, the second picture counts.": _inside_out,
            "You mix by light. The mask is hard: one or the other.": _softly,
            "You divide by the mean, not by the largest.": _blends(
                lambda light, threshold: (
                    light / light.mean((2, 3), keepdim=True) > threshold
                )
            ),
        },
        hint="light / light.amax((2, 3), keepdim=True) lies in 0..1. torch.where "
        "chooses between second and first.",
        praise="Where nobody listens to the new words, the first picture stays.",
    ),
}
