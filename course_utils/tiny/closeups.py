"""What draws close-ups, and what it and its readers learn from.

A text-to-image model in 48x48 pixels, for illusions: pixels can be turned, flipped and
multiplied, latents cannot. All that a caption can say fits in a table of CAPTIONS.
"""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import toybox, training
from course_utils.oracle.closeups import SIDE
from course_utils.tiny.unet import draw_steps
from course_utils.tiny.worlds import numpy_rng
from course_utils.toybox.words import article

WORDINGS = 4  # captions that each picture gets
SHOWN = 0.65  # of a reader's pictures show a toy that can be read
CHAPTER = 2000  # steps, after which all pictures are replaced by new ones
_NONE = ("",)


def _captions() -> list[str]:
    found = [""]
    for toy in toybox.DRAWN:
        for mood in ("", "happy", "sad") if toy in toybox.FACES else _NONE:
            for colour in ("", *toybox.COLOURS):
                found.append(article(" ".join(filter(None, (mood, colour, toy)))))
    return found


CAPTIONS = _captions()  # the first one says nothing, for guidance


@torch.no_grad()
def closeup_album(
    n: int, generator: torch.Generator, eye: nn.Module | None, device: str = "cpu"
) -> tuple[Tensor, ...]:
    """n close-ups on the device: pictures, maps, captions, toys.

    (n, 3, 48, 48) in half precision; what `eye` sees, (n, C, 12, 12), or None; numbers
    in CAPTIONS (n, WORDINGS); numbers in DRAWN (n,).
    """
    drawn = toybox.sample_closeups(n, generator)
    parts = [drawn.of(slice(i, i + 2000)) for i in range(0, n, 2000)]
    x0 = torch.cat([toybox.render_closeups(p, SIDE, device).half() for p in parts])
    maps = None
    if eye is not None:
        maps = torch.cat([eye.maps(x.float()).half() for x in x0.split(2000)])
    rng = numpy_rng(generator)
    said = [toybox.closeup_captions(drawn, rng) for _ in range(WORDINGS)]
    number = {caption: k for k, caption in enumerate(CAPTIONS)}
    numbers = torch.tensor([[number[s] for s in some] for some in said]).T
    return x0, maps, numbers.contiguous().to(device), drawn.toy.to(device)


def closeup_batch(
    eye: nn.Module,
    table: Tensor,
    n: int,
    pictures: int,
    weights: Tensor,
    seed: int = 0,
) -> training.Batch:
    """The function that draws x0, noise, t, words and the maps of x0.

    table    what the model hears of each of CAPTIONS, (len(CAPTIONS), tokens, 128)
    weights  how much each step counts, (T,)
    One caption in ten says nothing, for guidance.
    """

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple:
        return closeup_album(pictures, torch.Generator().manual_seed(number), eye)

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        x0, maps, said, _ = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(x0), (n,), generator=generator)
        words = wording_of(said[rows], table, generator)
        t = draw_steps(n, weights, generator)
        noise = torch.randn(n, *x0.shape[1:], generator=generator)
        return x0[rows].float(), noise, t, words, maps[rows].float()

    return batch


def wording_of(said: Tensor, table: Tensor, generator: torch.Generator) -> Tensor:
    """One of each row's captions, or in one of ten nothing: (n, tokens, 128).

    said (n, WORDINGS), numbers in `table`; the generator is of their device.
    """
    n, where = len(said), said.device
    which = torch.randint(WORDINGS, (n, 1), generator=generator, device=where)
    kept = torch.rand(n, generator=generator, device=where) >= 0.1
    return table[said.gather(1, which).flatten() * kept]


def puzzles(
    x0: Tensor, toy: Tensor, n: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Pictures (n, 3, 48, 48) to learn reading from, and numbers in ANSWERS (n,).

    x0 (N, 3, 48, 48), toy (N,) and the generator are of one device. Two thirds show
    their toy, many with another one, turned, shining through. In the others there is
    nothing to read: a toy on its head or side, a double exposure with one, or smooth
    noise. All are worn: paler, tinted, blurred, noisy.
    """
    where = x0.device
    draw = functools.partial(torch.rand, generator=generator, device=where)
    rows = torch.randint(len(x0), (2, n), generator=generator, device=where)
    x, z = x0[rows].float()
    turn = torch.randint(1, 5, (n,), generator=generator, device=where)
    turned = torch.stack([*(z.rot90(k, (2, 3)) for k in (1, 2, 3)), z.flip(2)])
    z = turned[turn - 1, torch.arange(n, device=where)]
    kind = draw(n, 1, 1, 1)
    some, most = 0.35 * draw(n, 1, 1, 1), 0.45 + 0.4 * draw(n, 1, 1, 1)
    share = torch.where(kind < SHOWN, some * (kind > 0.25), 1.0)  # of the other one
    share = torch.where(kind > 0.84, most, share)
    hills = F.interpolate(draw(n, 1, 4, 4), x.shape[-1], mode="bicubic")
    islands = torch.sigmoid(20 * (hills - 1 + share)) * (share > 0)
    in_islands = (draw(n, 1, 1, 1) < 0.5) & (kind < SHOWN)
    x = torch.lerp(x, z, torch.where(in_islands, islands, share))
    fog = F.interpolate(2 * draw(n, 3, 6, 6) - 1, x.shape[-1], mode="bicubic")
    nothing, kind = (kind > SHOWN) & (kind < 0.72), kind.flatten()
    x = torch.where(nothing, 1.4 * fog, x)
    fish = toybox.DRAWN.index("fish")  # on its head it still looks like one
    still = (toy[rows[1]] == fish) & ((turn == 2) | (turn == 4))
    still = still & (kind >= 0.72) & (share.flatten() > 0.6)
    told = torch.where(kind < SHOWN, toy[rows[0]] + 1, 0)
    return _worn(x, draw), torch.where(still, fish + 1, told)


def _worn(x: Tensor, draw: Callable) -> Tensor:
    """Pictures as careless printers have them: a third stays nearly as it is."""
    n = len(x)
    blur, pale, grain = (draw(3, n, 1, 1, 1) * 1.5 - 0.5).clamp(min=0)
    soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    x = torch.lerp(x, soft, 0.8 * blur) * (1 - 0.5 * pale)
    x = x + 0.25 * (2 * draw(n, 3, 1, 1) - 1) * pale
    noise = (draw(4, *x.shape).sum(0) - 2) * 3**0.5  # nearly normal
    return (x + 0.15 * grain * noise).clamp(-1, 1)


def reading_error(model: nn.Module, x: Tensor, answers: Tensor) -> Tensor:
    """Cross-entropy of a CloseupReader, smoothed: it learns to doubt."""
    return F.cross_entropy(model(x), answers, label_smoothing=0.05)
