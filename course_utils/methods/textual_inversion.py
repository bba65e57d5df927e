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
    new_words.add_word(pipe, "<mine>", state.vectors)  # from now on prompts may say it
"""

import copy
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from course_utils import diffusion
from course_utils.images import check_floats, check_tensor, check_whole
from course_utils.methods.new_words import check_vectors, token_names
from course_utils.models.pipelines import plan_of


class Learnt(NamedTuple):
    """Where `learn_word` stands: the steps taken, the last loss, the vectors (n, D)."""

    step: int
    loss: float
    vectors: Tensor


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
    return F.mse_loss(answer, diffusion.target(latents, noise, t, schedule, predicts))


def shorten(vectors: Tensor, longest: float) -> Tensor:
    """Rows (n, D) that are longer than `longest` cut to that length; others as given.

    The encoder adds a word's place to its vector, and its layers read the sum through a
    LayerNorm: a long vector outweighs its place. The paper does not cut.
    """
    check_floats(vectors, "vectors", 2)
    if not isinstance(longest, Real) or not longest > 0:
        raise ValueError(f"longest={longest!r} must be above 0, such as 0.4")
    return vectors * (longest / vectors.norm(dim=1, keepdim=True)).clamp(max=1)


def learn_word(
    pipe,
    latents: Tensor,
    texts: Sequence[Sequence[str]],
    vectors: Tensor,
    *,
    num_steps: int = 150,
    rate: float = 5e-3,
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
    longest    the norm that no vector may exceed; None is the longest at the beginning,
               math.inf lets them grow

    Of the steps t, one comes from each of `batch` equal parts of the schedule: they are
    uniform as in the paper, and the loss jumps about less.
    """
    _check_training(pipe, latents, texts, vectors)
    check_whole(num_steps, "num_steps")
    check_whole(batch, "batch")
    ids = _tokenised(pipe.tokenizer, texts, len(vectors)).to(latents.device)
    found = vectors.detach().clone().to(latents.device).requires_grad_()
    adam = torch.optim.Adam([found], rate)
    longest = vectors.norm(dim=1).max().item() if longest is None else longest
    for name, value in (("rate", rate), ("longest", longest)):
        if not (isinstance(value, Real) and value > 0):
            raise ValueError(f"{name}={value!r} must be a number above 0")
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


def _tokenised(tokenizer, texts: Sequence[Sequence[str]], number: int) -> Tensor:
    """Ids (N, M, tokens), with rows beyond the vocabulary for the new word.

    M is the length of the longest list; shorter ones begin again up to there.
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


def _check_training(pipe, latents, texts, vectors) -> None:
    check_tensor(latents, "latents")
    channels = pipe.unet.config.in_channels
    if latents.ndim != 4 or latents.shape[1] != channels:
        raise ValueError(
            f"latents has shape {tuple(latents.shape)}, not (N, {channels}, h, w): "
            "encode the pictures first"
        )
    if len(latents) < 2:
        raise ValueError(
            f"latents holds {len(latents)} picture: what the word should not mean, the "
            "ground or the place, must change from one to another; give 3 to 5"
        )
    if isinstance(texts, str) or len(texts) != len(latents):
        raise ValueError(f"texts must be {len(latents)} lists, one for each picture")
    for some in texts:
        if isinstance(some, str) or not some or not all("{}" in str(x) for x in some):
            raise ValueError(
                "texts: each picture needs a list of at least one sentence with {} in "
                f"the new word's place, such as ['a picture of a {{}}'], not {some!r}"
            )
    check_vectors(vectors, pipe.text_encoder.get_input_embeddings().weight.shape[1])
    if torch.float16 in (pipe.unet.dtype, pipe.text_encoder.dtype):
        raise ValueError(
            "pipe is in half precision, in which such small steps are lost: load it "
            "with dtype=torch.float32"
        )
