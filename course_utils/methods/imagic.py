"""Imagic: words may move and bend what a picture shows (Kawar et al. 2023).

Find words for the picture, near those that are wanted; teach the network the picture
under the words found; then say something between the two. The paper's section 3.2:

    paper     code      what it is
    x         x0        the picture's latents, (1, C, h, w)
    e_tgt     target    the embedding of what is wanted, (1, tokens, D)
    e_opt     own       the embedding that was found for the picture, the same shape
    eta       eta       how far to go from own (0) to target (1)
"""

import copy
import math
from collections.abc import Callable, Sequence
from numbers import Real

import torch
from torch import Tensor, nn

from course_utils import diffusion
from course_utils.diffusion.forward import check_same, whole
from course_utils.diffusion.solvers import invert
from course_utils.images import check_tensor
from course_utils.models.pipelines import check_pipe, check_texts, plan_of
from course_utils.schedules import Schedule

Loss = Callable[[nn.Module, Tensor], Tensor]  # of a network and an embedding


def denoising_loss(
    unet: nn.Module,
    x0: Tensor,
    words: Tensor,
    noise: Tensor,
    t: Tensor,
    schedule: Schedule,
    predicts: str = "noise",
) -> Tensor:
    """How badly a network knows one picture under some words: the mean square error.

    unet       a UNet of diffusers, which predicts the "noise", "x0" or "v"
    x0, words  one picture (1, C, h, w) and one embedding (1, tokens, D)
    noise, t   (B, C, h, w) and (B,): the picture is asked for B times
    """
    check_one(x0, "x0", 4)
    check_one(words, "words", 3)
    check_tensor(noise, "noise")
    x = x0.expand(len(noise), -1, -1, -1)
    x_t = diffusion.add_noise(x, noise, t, schedule)
    told = words.expand(len(x), -1, -1)
    answer = unet(x_t.to(unet.dtype), t, told.to(unet.dtype)).sample.float()
    wanted = diffusion.target(x, noise, t, schedule, predicts)
    return (answer - wanted).square().mean()


def picture_loss(
    x0: Tensor,
    schedule: Schedule,
    predicts: str = "noise",
    batch: int = 4,
    generator: torch.Generator | None = None,
) -> Loss:
    """What both stages make small: a loss(unet, words) that draws noise at each call.

    Of the steps t, one comes from each of `batch` equal parts of the schedule: they are
    uniform as in the paper, and the loss jumps about less.
    """
    check_one(x0, "x0", 4)
    if whole(batch, "batch") < 1:
        raise ValueError(f"batch={batch} must be at least 1")

    def loss(unet: nn.Module, words: Tensor) -> Tensor:
        part = (torch.arange(batch) + torch.rand(batch, generator=generator)) / batch
        t = (part * schedule.T).long().clamp(max=schedule.T - 1).to(x0.device)
        noise = torch.randn(batch, *x0.shape[1:], generator=generator).to(x0)
        return denoising_loss(unet, x0, words, noise, t, schedule, predicts)

    return loss


def optimise_embedding(
    unet: nn.Module, target: Tensor, loss: Loss, num_steps: int, rate: float
) -> Tensor:
    """Stage A: from the target's embedding to the picture's own, (1, tokens, D).

    The network stays as it is. Few steps, so that what is found stays near the target.
    """
    own = target.detach().clone().requires_grad_()
    _descend(lambda: loss(unet, own), [own], num_steps, rate)
    return own.detach()


def fine_tune(
    unet: nn.Module, own: Tensor, loss: Loss, num_steps: int, rate: float
) -> nn.Module:
    """Stage B: a copy of the network, which draws the picture when told its embedding.

    The embedding stays as it is, and so does the network that is given.
    """
    if unet.dtype == torch.float16:
        raise ValueError(
            "unet is in half precision, in which such small steps are lost: load it "
            "with dtype=torch.float32"
        )
    tuned = copy.deepcopy(unet)
    _descend(lambda: loss(tuned, own), list(tuned.parameters()), num_steps, rate)
    return tuned


def interpolate(target: Tensor, own: Tensor, eta: float) -> Tensor:
    """Stage C: say eta target + (1 - eta) own; above 1 it exaggerates the edit."""
    check_same("target", target, "own", own)
    if not (isinstance(eta, Real) and math.isfinite(eta)):
        raise ValueError(f"eta must be a finite number, 0 for the picture, not {eta!r}")
    return eta * target + (1 - eta) * own


def told(unet: nn.Module, words: Tensor, nothing: Tensor, scale: float = 1.0):
    """A network as a diffusion.Model that is told embeddings (B, tokens, D).

    nothing  the embedding of no words, (1, tokens, D), for a guidance scale other than
             1; row i of x_t belongs to words[i]
    """
    precision = unet.dtype

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        x = x_t.to(precision)
        if scale == 1:
            return unet(x, t, words).sample.to(x_t)
        both = torch.cat([words, nothing.expand(len(words), -1, -1)])
        answers = unet(torch.cat([x, x]), torch.cat([t, t]), both).sample
        return diffusion.guidance(*answers.to(x_t).chunk(2), scale)

    return model


def imagic(
    pipe,
    x0: Tensor,
    caption: str,
    etas: Sequence[float] = (0.8,),
    *,
    embedding: tuple[int, float] = (20, 0.1),
    tuning: tuple[int, float] = (16, 1e-4),
    batch: int = 4,
    scale: float = 3.0,
    num_steps: int = 20,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Edit one picture by a Stable Diffusion pipeline, as a caption says: all stages.

    x0          the picture's latents, (1, C, h, w)
    caption     what the whole picture should show
    etas        for each of them, one edit is drawn, all from the same noise
    embedding   stage A's steps and learning rate of Adam
    tuning      stage B's
    scale       guidance, as in pipelines.guided; num_steps of DDIM
    noise       where the walk begins, like x0. The paper's is new noise; if none is
                given it is what the tuned network finds in the picture (DDIM
                backwards), told nothing: what own words say, noise need not hold, and
                it would go when the words change
    generator   of the noise that the stages train with

    Returns latents (len(etas), C, h, w). The pipeline stays as it was.
    """
    schedule, predicts = plan_of(pipe)
    _check_request(caption, etas)
    check_one(x0, "x0", 4)
    if noise is not None:
        check_same("x0", x0, "noise", noise)
    loss = picture_loss(x0, schedule, predicts, batch, generator)
    target, nothing = (embed(pipe, [text]) for text in (caption, ""))
    own = optimise_embedding(pipe.unet, target, loss, *embedding)
    tuned = fine_tune(pipe.unet, own, loss, *tuning)
    if noise is None:
        found = dict(num_steps=num_steps, predicts=predicts)
        noise = invert(told(tuned, nothing, nothing), x0, schedule, **found)
    words = torch.cat([interpolate(target, own, eta) for eta in etas])
    with torch.no_grad():
        return diffusion.sample(
            told(tuned, words, nothing, scale),
            noise.expand(len(words), -1, -1, -1),
            schedule,
            num_steps=num_steps,
            predicts=predicts,
            step=diffusion.ddim_step,
        )


@torch.no_grad()
def embed(pipe, texts: Sequence[str]) -> Tensor:
    """The pipeline's embeddings of some texts, (B, tokens, D)."""
    check_pipe(pipe)
    check_texts(texts, "texts")
    return pipe.encode_prompt(list(texts), pipe.device, 1, False)[0]


def check_one(x: Tensor, name: str, dimensions: int) -> None:
    """Refuse what is not one picture (1, C, h, w) or one embedding (1, tokens, D)."""
    check_tensor(x, name)
    if x.ndim != dimensions or len(x) != 1:
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}: Imagic learns one picture at a time, "
            f"so pass {name}[i : i + 1], with {dimensions} dimensions"
        )


def _check_request(caption: str, etas: Sequence[float]) -> None:
    """Refuse what would fail only after the training."""
    if not isinstance(caption, str):
        raise ValueError(f"caption must be one text, not {caption!r}")
    if isinstance(etas, Real | str):
        raise ValueError(f"etas must be a list of numbers, such as [{etas}]")
    if not len(etas):
        raise ValueError("etas must hold at least one number, such as 0.8")
    for eta in etas:
        interpolate(torch.zeros(1), torch.zeros(1), eta)


@torch.enable_grad()
def _descend(
    loss: Callable[[], Tensor], parameters: list[Tensor], num_steps: int, rate: float
) -> None:
    """Adam on the parameters, and on nothing else that the loss depends on."""
    if whole(num_steps, "num_steps") < 0:
        raise ValueError(f"num_steps={num_steps} must be 0 or more")
    optimizer = torch.optim.Adam(parameters, rate, fused=True)
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss().backward(inputs=parameters)
        optimizer.step()
