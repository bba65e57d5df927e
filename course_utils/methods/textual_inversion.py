"""Textual Inversion: what a few pictures share becomes one new word (Gal et al. 2022).

The model stays as it is. All that is learnt is the vector of a word that it did not
know: of all vectors the one with which it denoises the pictures best (the paper's
eq. 2):

    paper        code          what it is
    S*           {} in a text  the place of the new word
    v*           vectors       its embedding, (n, D); the paper's n is 1
    z            latents       the pictures in the model's latent space, (N, C, h, w)
    y            texts         sentences with the new word that are true of a picture
    c_theta(y)   spoken        the text encoder, told the vectors
    eps_theta    pipe.unet

    vectors = initial_vectors(pipe, "bunny")
    for state in learn_word(pipe, latents, texts, vectors):
        ...
    teach(pipe, "<mine>", state.vectors)  # from now on prompts may say it
"""

import copy
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.func import functional_call

from course_utils import diffusion
from course_utils.images import check_tensor, check_whole
from course_utils.models.pipelines import plan_of

FILE = "learned_embeds.safetensors"  # the name that the field's script gives it


class Learnt(NamedTuple):
    """Where `learn_word` stands: the steps taken, the last loss, the vectors (n, D)."""

    step: int
    loss: float
    vectors: Tensor


def token_names(token: str, number: int = 1) -> list[str]:
    """What the library calls the vectors of a word: "<t>", "<t>_1", "<t>_2" ..."""
    check_whole(number, "number")
    return [token, *(f"{token}_{k}" for k in range(1, number))]


def initial_vectors(pipe, word: str, number: int = 1) -> Tensor:
    """Where to begin: `number` copies of the embedding of a word that it knows, (n, D).

    ValueError where the tokenizer cuts the word into pieces: it has no such word.
    """
    check_whole(number, "number")
    pieces = pipe.tokenizer.tokenize(word) if isinstance(word, str) else []
    if len(pieces) != 1:
        raise ValueError(
            f"word={word!r} must be one word that the tokenizer knows, such as 'star'; "
            f"it makes {len(pieces)} tokens of it"
        )
    row = pipe.tokenizer.convert_tokens_to_ids(pieces[0])
    weight = pipe.text_encoder.get_input_embeddings().weight
    return weight[row].detach().clone().repeat(number, 1)


def spoken(encoder, ids: Tensor, vectors: Tensor) -> Tensor:
    """c_theta: the embeddings (B, tokens, D) of texts that may have new words in them.

    ids      (B, tokens); those beyond the encoder's vocabulary are rows of `vectors`
    vectors  (n, D), the only numbers that this depends on and that may want a gradient

    The encoder is asked as if the vectors stood below its own table, which is left as
    it is: not a row of it can move.
    """
    table = encoder.get_input_embeddings().weight
    names = (name for name, x in encoder.named_parameters() if x is table)
    longer = torch.cat([table.detach(), vectors.to(table)])
    return functional_call(encoder, {next(names): longer}, (ids,)).last_hidden_state


def inversion_loss(
    pipe, vectors: Tensor, ids: Tensor, latents: Tensor, noise: Tensor, t: Tensor
) -> Tensor:
    """Eq. 2: how badly the model denoises pictures under texts with the new word.

    ids (B, tokens), latents and noise (B, C, h, w), t (B,); the mean square error of
    the noise, or of v where the network predicts v.
    """
    schedule, predicts = plan_of(pipe)
    x_t = diffusion.add_noise(latents, noise, t, schedule)
    words = spoken(pipe.text_encoder, ids, vectors)
    answer = pipe.unet(x_t, t, words).sample
    if predicts == "v":
        return F.mse_loss(answer, diffusion.velocity(latents, noise, t, schedule))
    return F.mse_loss(answer, noise)


def shorten(vectors: Tensor, longest: float) -> Tensor:
    """Rows (n, D) that are longer than `longest` cut to that length; others as given.

    The encoder adds a word's place to its vector and divides by the length of the sum:
    what a vector gains in length, its place loses.
    """
    return vectors * (longest / vectors.norm(dim=1, keepdim=True)).clamp(max=1)


def learn_word(
    pipe,
    latents: Tensor,
    texts: Sequence[Sequence[str]],
    vectors: Tensor,
    *,
    num_steps: int = 150,
    rate: float = 1e-2,
    batch: int = 8,
    longest: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Learnt]:
    """Find v*, step by step; the pipeline stays as it is, to the bit.

    latents    the pictures, encoded once, (N, C, h, w), at least two
    texts      for each picture the sentences to choose from, {} for the new word
    vectors    where to begin, (n, D): see `initial_vectors`
    rate       of Adam, which has nothing but the vectors: no decay, no other rows
    batch      rows a step; each has a picture, a text, a noise and a step t anew
    longest    the norm that no vector may exceed: if None, the longest it begins with;
               math.inf lets them grow, until they drown out the word's place in the text

    Of the steps t, one comes from each of `batch` equal parts of the schedule: they are
    uniform as in the paper, and the loss jumps about less.
    """
    _check_training(pipe, latents, texts, vectors)
    for name, value in (("num_steps", num_steps), ("batch", batch)):
        check_whole(value, name)
    ids = _tokenised(pipe.tokenizer, texts, len(vectors)).to(latents.device)
    found = vectors.detach().clone().to(latents.device).requires_grad_()
    adam = torch.optim.Adam([found], rate)
    longest = vectors.norm(dim=1).max().item() if longest is None else longest
    steps = len(pipe.scheduler.betas)
    for step in range(1, num_steps + 1):
        which = torch.randint(len(latents), (batch,), generator=generator)
        said = torch.randint(ids.shape[1], (batch,), generator=generator)
        part = (torch.arange(batch) + torch.rand(batch, generator=generator)) / batch
        t = (part * steps).long().clamp(max=steps - 1).to(latents.device)
        noise = torch.randn(batch, *latents.shape[1:], generator=generator).to(latents)
        with torch.enable_grad():
            loss = inversion_loss(
                pipe, found, ids[which, said], latents[which], noise, t
            )
            found.grad = torch.autograd.grad(loss, found)[0]
        adam.step()
        found.data = shorten(found.data, longest)
        yield Learnt(step, loss.item(), found.detach().clone())


def teach(pipe, token: str, vectors: Tensor) -> None:
    """Give a pipeline the new word: tokens for its tokenizer, rows for its encoder.

    What `pipe.load_textual_inversion` does with a file of `save_word`; prompts then
    say `token` alone, also where it has several vectors.
    """
    check_new(pipe.tokenizer, token)
    table = pipe.text_encoder.get_input_embeddings().weight
    _check_vectors(vectors, table.shape[1])
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
    check_whole(number, "number")
    table = pipe.text_encoder.get_input_embeddings().weight.detach()
    _check_vectors(vectors, table.shape[1])
    words = {k.removesuffix("</w>"): row for k, row in pipe.tokenizer.get_vocab().items()
             if k.endswith("</w>")}  # fmt: skip
    words = {word: row for word, row in words.items() if word.isalpha()}
    known = F.normalize(table[list(words.values())], dim=1)
    cosine = F.normalize(vectors.detach().to(known), dim=1) @ known.T  # (n, words)
    best = cosine.topk(min(number, len(words)))
    rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    names = list(words)
    return [{names[k]: c for k, c in zip(*row, strict=True)} for row in rows]


def save_word(folder: str | os.PathLike, token: str, vectors: Tensor) -> Path:
    """Write folder/learned_embeds.safetensors, {token: (n, D)}, and return its path."""
    _check_vectors(vectors, vectors.shape[-1] if isinstance(vectors, Tensor) else 0)
    file = Path(folder) / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({token: vectors.detach().float().cpu().contiguous()}, file)
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


def _tokenised(tokenizer, texts: Sequence[Sequence[str]], number: int) -> Tensor:
    """Ids (N, M, tokens), with rows beyond the vocabulary for the new word.

    Pictures with fewer texts than others say them more often: M is the smallest number
    in which each list goes up.
    """
    longer = copy.deepcopy(tokenizer)
    names = token_names("<the-new-word>", number)
    longer.add_tokens(names)
    most = max(len(some) for some in texts)
    word = " ".join(names)
    said = [some[k % len(some)].replace("{}", word) for some in texts
            for k in range(most)]  # fmt: skip
    options = dict(padding="max_length", truncation=True, return_tensors="pt")
    return longer(said, **options).input_ids.view(len(texts), most, -1)


def _check_vectors(vectors: Tensor, width: int) -> None:
    check_tensor(vectors, "vectors")
    if vectors.ndim != 2 or not len(vectors) or vectors.shape[1] != width:
        raise ValueError(
            f"vectors has shape {tuple(vectors.shape)}, not (n, {width}): one row for "
            "each vector of the word, as wide as the encoder's"
        )


def _check_training(pipe, latents, texts, vectors) -> None:
    check_tensor(latents, "latents")
    if latents.ndim != 4 or latents.shape[1] != pipe.unet.config.in_channels:
        raise ValueError(
            f"latents has shape {tuple(latents.shape)}, not (N, "
            f"{pipe.unet.config.in_channels}, h, w): encode the pictures first"
        )
    if len(latents) < 2:
        raise ValueError(
            f"latents holds {len(latents)} picture: what the word should not mean, the "
            "ground or the place, must change from one to another; give 3 to 5"
        )
    if isinstance(texts, str) or len(texts) != len(latents):
        raise ValueError(
            f"texts must be a list of {len(latents)} lists, one for each picture"
        )
    for some in texts:
        if isinstance(some, str) or not some or not all("{}" in str(x) for x in some):
            raise ValueError(
                "texts: each picture needs a list of at least one sentence with {} in "
                f"the new word's place, such as ['a picture of a {{}}'], not {some!r}"
            )
    _check_vectors(vectors, pipe.text_encoder.get_input_embeddings().weight.shape[1])
    if torch.float16 in (pipe.unet.dtype, pipe.text_encoder.dtype):
        raise ValueError(
            "pipe is in half precision, in which such small steps are lost: load it "
            "with dtype=torch.float32"
        )
