"""DreamBooth: teach a network one subject, and keep what it knew (Ruiz et al. 2023).

A few pictures of the subject are shown under "a sks star": a rare token and the class
noun. Beside them go pictures that the network itself drew before, under "a star", so
that it does not forget the class (prior preservation). LoRA (Hu et al. 2022) leaves the
weights as they are and learns a difference of low rank to each, here through `peft`.

    paper         code                  what it is
    x, c          photos, prompt        the subject, and what it is called
    x_pr, c_pr    prior, class_prompt   the same of the class
    lambda        prior_weight          how much the class counts
"""

import copy
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import diffusion, training
from course_utils.images import check_callable, check_kind, check_tensor, check_whole
from course_utils.models.pipelines import encode, plan_of
from course_utils.schedules import Schedule

# what gets a LoRA: `to_` and `_proj` are attention; convolutions draw the details
UNET = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out"]
UNET += ["ff.net.0.proj", "ff.net.2", "conv1", "conv2", "time_emb_proj"]
TEXT = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
RATES = {"full": (5e-4, 3e-4), "lora": (5e-3, 1.5e-3)}  # of UNet, of text encoder
BETAS = (0.9, 0.99)  # of AdamW: 0.999 would remember longer than a training lasts


class Learner(nn.Module):
    """What learns: copies of a pipeline's UNet and text encoder.

    rank   of a LoRA, which then learns alone; None trains all weights
    seed   of the LoRA's first numbers
    `learner.pipe` is a pipeline of the same kind that draws what was learnt; the one
    given stays as it was.
    """

    def __init__(self, pipe, rank: int | None = None, seed: int = 0):
        super().__init__()
        if pipe.unet.dtype == torch.float16:
            raise ValueError(
                "pipe is in half precision, in which such small steps are lost: load "
                "it with dtype=torch.float32"
            )
        self.unet = copy.deepcopy(pipe.unet)
        self.text_encoder = copy.deepcopy(pipe.text_encoder)
        parts = dict(unet=self.unet, text_encoder=self.text_encoder)
        self.pipe = type(pipe)(**pipe.components | parts, requires_safety_checker=False)
        self.pipe.set_progress_bar_config(disable=True)
        self.kind = "full" if rank is None else "lora"
        self.requires_grad_(rank is None)
        if rank is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                add_lora(self.unet, rank, UNET)
                add_lora(self.text_encoder, rank, TEXT)

    def forward(self, x_t: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        """Answer in the shape of x_t, (B, C, h, w); tokens (B, length)."""
        return self.unet(x_t, t, self.text_encoder(tokens)[0]).sample

    def groups(self, rates: tuple[float, float]) -> list[dict]:
        """What learns, as parameter groups of an optimizer, with these rates."""
        both = zip((self.unet, self.text_encoder), rates, strict=True)
        return [
            dict(params=[p for p in part.parameters() if p.requires_grad], lr=rate)
            for part, rate in both
        ]


def add_lora(network: nn.Module, rank: int, targets: list[str]) -> None:
    """Give layers of a diffusers or transformers network a LoRA; it alone trains.

    A starts random and B at zero, so that at first nothing changes.
    """
    from peft import LoraConfig

    check_whole(rank, "rank")
    config = dict(r=rank, lora_alpha=rank, init_lora_weights="gaussian")
    network.add_adapter(LoraConfig(target_modules=targets, **config))


def save_lora(learner: Learner, folder: str | Path) -> Path:
    """Write what a LoRA learnt as the file that `pipe.load_lora_weights` reads.

    Under the names of peft, lora_A and lora_B. diffusers' older ones, of
    convert_state_dict_to_diffusers, exist for attention only: in a file of both kinds
    its loader passes over one of them, with no more than a warning.
    """
    from peft import get_peft_model_state_dict

    if learner.kind != "lora":
        raise ValueError(
            "learner trains all its weights: save it whole, by "
            "learner.pipe.save_pretrained(folder), or make a Learner with a rank"
        )
    unet, text = map(get_peft_model_state_dict, (learner.unet, learner.text_encoder))
    learner.pipe.save_lora_weights(
        folder, unet_lora_layers=unet, text_encoder_lora_layers=text
    )
    return Path(folder) / "pytorch_lora_weights.safetensors"


def weighted_loss(
    learner: nn.Module,
    x0: Tensor,
    noise: Tensor,
    t: Tensor,
    tokens: Tensor,
    weight: Tensor,
    schedule: Schedule,
    predicts: str = "noise",
) -> Tensor:
    """The mean over all rows of weight times the row's mean square error, a scalar.

    x0, noise (B, C, h, w); t, weight (B,); tokens (B, length). Half of the rows are the
    subject's, with weight 2, half the class's, with 2 prior_weight: so it is the
    paper's loss, the mean of the one plus prior_weight times the mean of the other.
    """
    answer = learner(diffusion.add_noise(x0, noise, t, schedule), t, tokens)
    wanted = diffusion.target(x0, noise, t, schedule, predicts)
    return (weight * (answer - wanted).square().mean((1, 2, 3))).mean()


def dreambooth(
    learner: Learner,
    photos: Tensor,
    prompt: str,
    class_prompt: str,
    prior: Tensor | None = None,
    *,
    prior_weight: float = 1.0,
    steps: int = 160,
    batch: int = 4,
    rates: tuple[float, float] | None = None,
    seed: int = 0,
) -> Iterator[training.State]:
    """Teach it that `prompt` is what the photos show, yielding the State of each step.

    photos        (n, 3, H, W) in [-1, 1], two or more, best four or five
    prompt        such as "a sks star"; class_prompt is the same without the rare token
    prior         pictures (m, 3, H, W) that the pipeline drew of class_prompt; None
                  does without prior preservation
    batch         rows of the subject a step, and as many of the class
    rates         peaks of UNet and text encoder; None takes RATES
    Of the steps t one comes from each of `batch` equal parts of the schedule.
    """
    pipe = learner.pipe
    check_request(pipe.tokenizer, photos, prompt, class_prompt)
    schedule, predicts = plan_of(pipe)
    mine = encode(pipe.vae, photos)
    kept = None if prior is None else encode(pipe.vae, prior)
    tokens = token_ids(pipe.tokenizer, prompt), token_ids(pipe.tokenizer, class_prompt)

    def draw(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        parts = [(mine, tokens[0], 1.0)]
        if kept is not None:
            parts = [(mine, tokens[0], 2.0), (kept, tokens[1], 2.0 * prior_weight)]
        rows = [_some(*part, batch, schedule.T, generator) for part in parts]
        x0, t, told, weight = map(torch.cat, zip(*rows, strict=True))
        noise = torch.randn(x0.shape, generator=generator)
        return x0, noise, t, told, weight

    def loss(model: nn.Module, *rows: Tensor) -> Tensor:
        return weighted_loss(model, *rows, schedule, predicts)

    rates = RATES[learner.kind] if rates is None else rates
    options = dict(betas=BETAS, weight_decay=0.0, fused=True)
    optimizer = torch.optim.AdamW(learner.groups(rates), **options)
    for state in training.train(
        learner, draw, loss, steps=steps, warmup=10, ema=0, seed=seed,
        optimizer=optimizer,
    ):  # fmt: skip
        learner.eval()
        yield state


def _some(x, tokens, weight, n: int, T: int, generator) -> tuple[Tensor, ...]:
    """Draw n rows of x: latents, steps, tokens, weights."""
    which = torch.randint(len(x), (n,), generator=generator)
    t = ((torch.arange(n) + torch.rand(n, generator=generator)) / n * T).long()
    return x.cpu()[which], t, tokens.expand(n, -1), torch.full((n,), weight)


def token_ids(tokenizer, text: str) -> Tensor:
    """What the text encoder is given for a text: (1, length)."""
    check_callable(tokenizer, "tokenizer")
    check_kind(text, "text", str, "'a sks star'")
    options = dict(padding="max_length", truncation=True, return_tensors="pt")
    return tokenizer([text], max_length=tokenizer.model_max_length, **options).input_ids


def check_request(tokenizer, photos: Tensor, prompt: str, class_prompt: str) -> None:
    """Refuse photos and prompts that cannot teach a subject, and say what would."""
    check_tensor(photos, "photos")
    if photos.ndim != 4 or photos.shape[1] != 3:
        raise ValueError(
            f"photos has shape {tuple(photos.shape)}: pass (n, 3, H, W) in [-1, 1]"
        )
    if len(photos) < 2:
        raise ValueError(
            "photos holds one picture: with one, its ground and place are as much the "
            "subject as the subject is; pass four or five, taken in different places"
        )
    for name, text in (("prompt", prompt), ("class_prompt", class_prompt)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f'{name} is {text!r}: name it, such as "a sks star"')
    new = [word for word in prompt.split() if word not in class_prompt.split()]
    if not new:
        raise ValueError(
            f"prompt={prompt!r} has no word that class_prompt={class_prompt!r} has "
            'not: the subject needs a token of its own, as in "a sks star"'
        )
    for word in new:
        if not is_rare(tokenizer, word):
            raise ValueError(
                f"prompt: {word!r} is a word that the model knows, so it would be "
                'unlearnt; take one that means nothing to it, such as "sks"'
            )


def is_rare(tokenizer, word: str) -> bool:
    """Whether a model hardly knows the word.

    It falls into several tokens; or, in a large vocabulary, where tokens come in the
    order of how often they were seen, it is one of the last fifth, as "sks" is.
    """
    check_callable(tokenizer, "tokenizer")
    check_kind(word, "word", str, "'sks'")
    ids = tokenizer(word, add_special_tokens=False).input_ids
    many = len(tokenizer)
    return len(ids) > 1 or (many > 10_000 and ids[0] > 0.8 * many)
