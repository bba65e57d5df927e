"""New words for a pipeline: tokens for its tokenizer, vectors for its text encoder.

A word may have several vectors. Its name is then that of the first, and the library
says the others after it: "<me>" is read as "<me> <me>_1 <me>_2". A file of a word is
what the field's scripts write, {"<me>": vectors (n, D)}.
"""

import os
from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from course_utils.images import check_tensor, check_whole
from course_utils.models.pipelines import check_pipe
from course_utils.training import save_whole

FILE = "learned_embeds.safetensors"  # the name that the field's script gives it


def token_names(token: str, number: int = 1) -> list[str]:
    """What the library calls the vectors of a word: "<t>", "<t>_1", "<t>_2" ..."""
    check_whole(number, "number")
    return [token, *(f"{token}_{k}" for k in range(1, number))]


def add_word(pipe, token: str, vectors: Tensor) -> None:
    """Give a pipeline the new word: tokens for its tokenizer, rows for its encoder.

    What `pipe.load_textual_inversion` does with a file of `save_word`; prompts then
    say `token` alone, also where it has several vectors.
    """
    check_new(pipe.tokenizer, token)
    table = pipe.text_encoder.get_input_embeddings().weight
    check_vectors(vectors, table.shape[1])
    names = token_names(token, len(vectors))
    before = len(pipe.tokenizer)
    pipe.tokenizer.add_tokens(names)
    pipe.text_encoder.resize_token_embeddings(len(pipe.tokenizer), mean_resizing=False)
    table = pipe.text_encoder.get_input_embeddings().weight
    table.data[before:] = vectors.detach().to(table)


def nearest_words(pipe, vectors: Tensor, number: int = 5) -> list[dict[str, float]]:
    """For each vector the known words that are nearest: {word: cosine}, nearest first.

    Whole words only, of letters: most tokens are pieces of words.
    """
    check_pipe(pipe)
    check_whole(number, "number")
    table = pipe.text_encoder.get_input_embeddings().weight.detach()
    check_vectors(vectors, table.shape[1])
    tokens = [x for x in pipe.tokenizer.get_vocab() if x.endswith("</w>")]
    words = [x for x in tokens if x.removesuffix("</w>").isalpha()]
    rows = pipe.tokenizer.convert_tokens_to_ids(words)
    known = F.normalize(table[rows], dim=1)
    cosine = F.normalize(vectors.detach().to(known), dim=1) @ known.T  # (n, words)
    best, at = cosine.topk(min(number, len(words)))
    names = [[words[k].removesuffix("</w>") for k in some] for some in at.tolist()]
    pairs = zip(names, best.tolist(), strict=True)
    return [dict(zip(*pair, strict=True)) for pair in pairs]


def save_word(folder: str | os.PathLike, token: str, vectors: Tensor) -> Path:
    """Write folder/learned_embeds.safetensors, {token: (n, D)}, and return its path."""
    check_vectors(vectors, vectors.shape[-1] if isinstance(vectors, Tensor) else 0)
    file = Path(folder) / FILE
    save_whole({token: vectors.detach().float().cpu().contiguous()}, file)
    return file


def load_word(file: str | os.PathLike) -> tuple[str, Tensor]:
    """The token and its vectors (n, D) of such a file, whoever wrote it."""
    path = Path(file)
    found = load_file(path / FILE if path.is_dir() else path)
    if len(found) != 1:
        raise ValueError(
            f"{path.name} holds {len(found)} tensors: the file of a word has one, "
            "{token: vectors}"
        )
    [(token, vectors)] = found.items()
    return token, vectors.reshape(-1, vectors.shape[-1])


def check_new(tokenizer, token: str) -> None:
    """Refuse a token that is empty, has blanks or capitals, or is known already."""
    if not isinstance(token, str) or not token or token != "".join(token.split()):
        raise ValueError(f"token={token!r} must be a text without blanks, as in '<me>'")
    if token != token.lower():
        raise ValueError(
            f"token={token!r}: the tokenizer reads small letters only; use "
            f"{token.lower()!r}"
        )
    known = tokenizer.get_vocab()
    if {token, f"{token}</w>", f"{token}_1"} & set(known):
        raise ValueError(
            f"token={token!r} is already a word of the tokenizer, and would lose its "
            "meaning in every prompt: take a new one, as in '<me>'"
        )


def check_vectors(vectors: Tensor, width: int) -> None:
    """Refuse what are no vectors (n, width) of a word."""
    check_tensor(vectors, "vectors")
    if vectors.ndim != 2 or not len(vectors) or vectors.shape[1] != width:
        raise ValueError(
            f"vectors has shape {tuple(vectors.shape)}, not (n, {width}): one row for "
            "each vector of the word, as wide as the encoder's"
        )
