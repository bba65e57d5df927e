"""instruct-pairs: what InstructPix2Pix learns from when nobody can draw the results.

Brooks et al. 2023, section 3.1: a language model writes the edits, the text-to-image
model draws both captions by Prompt-to-Prompt, and CLIP throws away what went wrong.
Nothing of it knows the toybox's truth; the oracle only judges what came out.
"""

import functools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from course_utils import measure, models, oracle
from course_utils.measure.edits import edit_scores, seen_edit
from course_utils.methods.prompt_to_prompt import draw_pair
from course_utils.models.pipelines import decode, encode
from course_utils.recipes.recipe import Made
from course_utils.tiny.editor import (
    edit_in_words,
    is_valid,
    load_editor,
    write_edits,
)
from course_utils.training import save_whole, write_whole

PAIRS = 3200
CHUNK = 64  # edits whose pairs are drawn, and saved, together
KEPT = dict(image=0.4, text=0.6, direction=0.5)  # cosines in the tiny CLIP's space

CARD = """# instruct-pairs

{drawn} pairs of pictures drawn by tiny from what instruct-lm wrote, of which
{valid:.1%} are valid edits; CLIP kept {kept}. By the oracle, of the kept ones the edit
is right in {success:.1%}, and {preservation:.1%} of all else is the same in both.
"""


def instruct_pairs(*, steps: int | None = None, seed: int = 0) -> Made:
    """Pairs of `steps` edits; what `work` holds already is not drawn again."""
    number = steps or PAIRS
    return Made(
        make=functools.partial(_draw_all, number, seed),
        save=_summary,
        card=CARD,
        choices=dict(steps=number, seed=seed),
    )


def _draw_all(number: int, seed: int, work: Path) -> Path:
    work = drawn_in(work, number, seed)
    work.mkdir(exist_ok=True)
    pipe = models.load("text-to-image", "tiny")
    editor = load_editor(models.path("instruct-lm"))
    for i in tqdm(range(0, number, CHUNK), "pairs"):
        file = work / f"pairs-{i:06d}.safetensors"
        if not file.exists():
            edits = thought_of(editor, min(CHUNK, number - i), seed + i)
            weights, rows = drawn_pairs(pipe, edits, seed + i)
            write_whole(file.with_suffix(".json"), json.dumps(rows))
            save_whole(weights, file)
    return work


def drawn_in(work: Path, number: int, seed: int) -> Path:
    """Where the pairs of a number and a seed are: no two are taken for each other."""
    return work / f"{number}-of-seed-{seed}"


def thought_of(editor: tuple, n: int, seed: int) -> list[tuple[str, str, str]]:
    """n edits that a language model thinks of, for captions of the split "train".

    One with a part missing is thought of again; what is wrong otherwise stays.
    """
    rng, found = np.random.default_rng([seed, 31]), []
    torch.manual_seed(seed)
    while len(found) < n:
        said = [edit_in_words(rng)[0] for _ in range(n)]
        found += [edit for edit in write_edits(*editor, said) if all(edit)]
    return found[:n]


def drawn_pairs(
    pipe, edits: list[tuple[str, str, str]], seed: int
) -> tuple[dict, list]:
    """Both pictures of each edit, as latents, and what CLIP says of them.

    The share of steps with shared attention is drawn for each, in [0.1, 0.9]: how much
    may change depends on the edit, and the paper lets the filter decide.
    """
    before, asked, after = map(list, zip(*edits, strict=True))
    generator = torch.Generator().manual_seed(seed)
    share = 0.1 + 0.8 * torch.rand(len(edits), generator=generator)
    pictures = draw_pair(
        pipe, before, after, cross=share, self_=share, steps=8, seed=seed
    )
    first, second = (encode(pipe.vae, x) for x in pictures)
    scores = clip_says(*pictures, before, after)
    rows = [
        dict(edit=edit, share=s, image=i, text=t, direction=d)
        for edit, s, i, t, d in zip(
            edits, *(x.tolist() for x in (share, *scores)), strict=True
        )
    ]
    halves = (x.half().contiguous() for x in (first, second))
    return dict(zip(("before", "after"), halves, strict=True)), rows


def clip_says(
    first: Tensor, second: Tensor, before: list[str], after: list[str]
) -> tuple[Tensor, Tensor, Tensor]:
    """The paper's three cosines, (B,) each, by which pairs are kept.

    Of the two pictures; of picture and caption, the worse of both; of the two changes.
    """
    net = measure.clip.shipped_clip()
    image = (net.see(first) * net.see(second)).sum(1)
    text = [
        (net.see(x) * net.hear(said)).sum(1)
        for x, said in ((first, before), (second, after))
    ]
    direction = measure.clip_directional(first, second, before, after)
    return image, torch.minimum(*text), direction


def pairs_of(work: Path, keep: dict[str, float] = KEPT) -> Iterator[tuple]:
    """(edit, latents before, latents after) of the pairs that CLIP does not mind."""
    for file in sorted(work.glob("pairs-*.safetensors")):
        weights = load_file(file)
        rows = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        for k, row in enumerate(rows):
            if all(row[name] >= least for name, least in keep.items()):
                yield row["edit"], weights["before"][k], weights["after"][k]


def judged_pairs(pipe, pairs: list[tuple], most: int = 512) -> dict[str, float]:
    """What the oracle says of pairs: is the edit right, and is the rest the same?

    The first picture is taken for what the oracle reads in it. A pair that is no edit
    of that (no such toy there, no valid instruction) is wrong, and keeps nothing.
    """
    some = pairs[:: max(1, len(pairs) // most)]
    first, second = (
        decode(pipe.vae, torch.stack([pair[k] for pair in some]).float())
        for k in (1, 2)
    )
    looks = zip(oracle.read(first), some, strict=True)
    triples = [seen_edit(seen, pair[0][1]) for seen, pair in looks]
    rows = [k for k, triple in enumerate(triples) if triple is not None]
    scores = edit_scores(second[rows], [triples[k] for k in rows]) if rows else {}
    names = ("success", "preservation")
    return {name: scores[name].sum().item() / len(some) for name in names if rows}


def _summary(work: Path, folder: Path) -> dict:
    pipe = models.load("text-to-image", "tiny")
    kept = list(pairs_of(work))
    every = [pair[0] for pair in pairs_of(work, {})]
    valid = sum(is_valid(*edit) for edit in every) / len(every)
    facts = dict(success=0.0, preservation=0.0) | (
        judged_pairs(pipe, kept) if kept else {}
    )
    return facts | dict(drawn=len(every), kept=len(kept), valid=valid)
