"""Which word of a second prompt is which of the first (Hertz et al. 2022, section 3.2).

words = word_map(tokenizer, ["a red cat"], ["a blue cat"])    # blue takes red's map
"""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from course_utils.methods.attention import positions


@dataclasses.dataclass(frozen=True)
class WordMap:
    """What each word of the second prompt takes from the first; one row a pair.

    table  (B, N, N), the map of word j is the sum over i of table[i, j] times that of
           the first prompt's word i; if column j is 0, the word keeps its own
    times  (B, N), what the map of each word is multiplied by
    new    (2, B, N), 1 where a word of the first, or of the second, has no equal
    """

    table: Tensor
    times: Tensor
    new: Tensor

    def __getitem__(self, rows: slice) -> "WordMap":
        return WordMap(self.table[rows], self.times[rows], self.new[:, rows])

    def mixed(self, source: Tensor, target: Tensor) -> Tensor:
        """Both prompts' maps (B, heads, places, N) to the second one's: section 3.2."""
        table = self.table.to(source)[:, None]  # (B, 1, N, N)
        takes = (table != 0).any(-2, keepdim=True)
        times = self.times.to(source)[:, None, None]
        return torch.where(takes, source @ table, target) * times


def word_map(
    tokenizer,
    before: Sequence[str],
    after: Sequence[str],
    how: str = "replace",
    times: Mapping[str, float] | None = None,
) -> WordMap:
    """Align the words of each pair of prompts.

    A word that stays takes its own map from the first prompt. With how="replace" a word
    that is swapped takes the map of the word it replaces (several words share those of
    several), with "refine" it keeps its own; so does a word that was put in. `times`
    says for words of the second prompts what their maps are multiplied by.
    """
    if isinstance(before, str) or isinstance(after, str) or len(before) != len(after):
        raise ValueError(
            "before and after must be two lists of as many prompts, such as "
            '["a red cat"] and ["a blue cat"]'
        )
    if how not in ("replace", "refine"):
        raise ValueError(f'how must be "replace" or "refine", not {how!r}')
    length, B = tokenizer.model_max_length, len(before)
    table, new = torch.zeros(B, length, length), torch.zeros(2, B, length)
    factors = torch.ones(B, length)
    for k, pair in enumerate(zip(before, after, strict=True)):
        _align(*(_tokens(tokenizer, text) for text in pair), how, table[k], new[:, k])
        for word, factor in (times or {}).items():
            factors[k, positions(tokenizer, pair[1], word)] = factor
    return WordMap(table, factors, new)


def _tokens(tokenizer, text: str) -> list[int]:
    return tokenizer(text, truncation=True).input_ids


def _align(
    first: list[int], second: list[int], how: str, table: Tensor, new: Tensor
) -> None:
    """Fill in one pair's table (N, N) and what is new in it (2, N)."""
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for name, i, i_end, j, j_end in matcher.get_opcodes():
        same_length = i_end - i == j_end - j
        if name != "equal":
            new[0, i:i_end] = new[1, j:j_end] = 1
        if name == "equal" or (name == "replace" == how and same_length):
            table[range(i, i_end), range(j, j_end)] = 1
        elif name == "replace" == how:  # each takes its share of all of them
            table[i:i_end, j:j_end] = 1 / (j_end - j)
    end = max(len(first), len(second))  # what fills up both prompts fills its place
    table[range(end, len(table)), range(end, len(table))] = 1
