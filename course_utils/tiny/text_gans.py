"""GAN-INT-CLS in miniature: a GAN that is told what to draw (lesson 04).

Reed et al. 2016. The text says which toy in which colour; noise z decides the rest:
size, place and ground. A text code, (B, CODE), is made of what the miniature Stable
Diffusion's text encoder says of a caption.
"""

import copy
import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import models, toybox
from course_utils.images import check_whole
from course_utils.methods import gan
from course_utils.tiny.gans import ToyGenerator, Z, shipped_gan
from course_utils.tiny.judges import (
    LatentEye,
    ProjectedDiscriminator,
    hinge_loss,
    judged_still,
    plain_loss,
)
from course_utils.tiny.text import tokenise
from course_utils.toybox.scene import check_scene

CODE, TOLD = 14, 48  # numbers of a text code, and of what is heard of it
READERS = 1, 2  # the two judges of a ProjectedDiscriminator that read the text
HEED = 1, 3, 3, 1  # how much the generator minds each: it draws well before it listens
VARIANTS = {  # a matching-aware discriminator? interpolated texts?
    "gan": (False, False),
    "cls": (True, False),
    "int": (False, True),
    "int-cls": (True, True),
}
PAIRS = [
    (colour, toy) for colour in toybox.ATTRIBUTES["colour"] for toy in toybox.SHAPES
]


def said_of_pair(k: int) -> str:
    """What the text says of PAIRS[k]: "a red star"."""
    check_whole(k, "k", 0)
    if k >= len(PAIRS):
        raise ValueError(f"k={k} must be below {len(PAIRS)}: so many are PAIRS")
    return f"a {' '.join(PAIRS[k])}"


def pair_shown(scene: toybox.Scene) -> int:
    """Which of PAIRS a scene of one toy shows."""
    check_scene(scene)
    return PAIRS.index((scene.things[0].colour, scene.things[0].toy))


def pairs_in(split: str) -> list[int]:
    """Which of PAIRS the scenes of "train" show, or only those of "unseen"."""
    held = [toybox.HELD_OUT[toy] == colour for colour, toy in PAIRS]
    return [k for k, out in enumerate(held) if out == (split == "unseen")]


@functools.cache
def text_codes() -> Tensor:
    """The code of each of PAIRS, (64, CODE), by tiny's text encoder, whitened.

    The encoder's 128 numbers say the colour seven times as loudly as the toy, so a
    judge would listen to colours only. In the CODE directions in which texts differ
    most, seven colours' and seven toys' worth, each here has the variance 1.
    """
    pipe = models.load("text-to-image", "tiny")
    texts = [said_of_pair(k) for k in range(len(PAIRS))]
    with torch.no_grad():
        tokens = tokenise(pipe.tokenizer, texts)
        codes = pipe.text_encoder(tokens).pooler_output.float()
    directions = torch.linalg.svd(codes - codes.mean(0), full_matrices=False)[0]
    return directions[:, :CODE] * len(PAIRS) ** 0.5


class Ears(nn.Module):
    """Noise z (B, Z) and text codes (B, CODE) -> the maps a generator starts from.

    The generator can draw already: what it lacks is ears. Reed et al. train one
    generator of [z, text]; here only its first layers are learnt anew, and the others
    stay as they are, so that it learns in minutes. 0.5 M.
    """

    def __init__(self):
        """Of random weights; a TextGenerator begins where its generator is."""
        super().__init__()
        self.hear = nn.Sequential(nn.Linear(CODE, TOLD), nn.LeakyReLU(0.2))
        self.start = ToyGenerator(Z + TOLD).start

    def forward(self, z: Tensor, text: Tensor) -> Tensor:
        """What the text says; z decides the rest (figure 2)."""
        return self.start(torch.cat([z, self.hear(text)], 1))


class TextGenerator(nn.Module):
    """Noise z (B, Z) and text codes (B, CODE) -> latents (B, 4, 16, 16)."""

    def __init__(self, generator: ToyGenerator, ears: Ears | None = None):
        """The generator stays as it is. New `ears` pass on z as it does, at first."""
        super().__init__()
        self.generator = copy.deepcopy(generator).requires_grad_(False)
        self.ears = ears or Ears()
        if not ears:
            told = self.ears.start[0].weight.data
            known = generator.start.state_dict()
            known["0.weight"] = torch.cat([known["0.weight"], told[:, Z:] * 0], 1)
            self.ears.start.load_state_dict(known)

    def train(self, mode: bool = True):
        """All but the generator."""
        super().train(mode)
        self.generator.eval()
        return self

    def forward(self, z: Tensor, text: Tensor) -> Tensor:
        """Draw what the text says."""
        return self.generator.from_start(self.ears(z, text))


def shipped_text_gan(variant: str = "int-cls") -> TextGenerator:
    """One of VARIANTS that the course ships, frozen."""
    if variant not in VARIANTS:
        raise ValueError(f"variant={variant!r} is not one of: {', '.join(VARIANTS)}")
    ears = models.network(f"text-gan/{variant}", Ears)
    return TextGenerator(shipped_gan().generator, ears).eval()


class TextGame(nn.Module):
    """One of VARIANTS: ears for a generator, and judges who read."""

    def __init__(self, eye: LatentEye, generator: ToyGenerator, variant: str):
        """The eye and the generator stay as they are."""
        super().__init__()
        self.matching, self.between = VARIANTS[variant]
        self.generator = TextGenerator(generator)
        self.judge = ProjectedDiscriminator(eye, CODE)
        self.plain = gan.Discriminator(16, width=32, channels=4)
        self.plain.to(memory_format=torch.channels_last)

    def forward(self, real: Tensor, text: Tensor, other: Tensor, z: Tensor) -> Tensor:
        """What all players pay, each for its own.

        real (B, 4, 16, 16) shows what `text` (B, CODE) says, and not what `other` says.
        """
        fake = self.generator(z, text)
        judged = self.judges(real, fake.detach(), text, other)
        return judged + self.forger(fake, text, other, z)

    def judges(self, real: Tensor, fake: Tensor, text: Tensor, other: Tensor) -> Tensor:
        """What the discriminators pay."""
        judged = self.judge(real, text), self.judge(fake, text)
        loss = plain_loss(self.plain, real, fake) + hinge_loss(*judged)
        if self.matching:
            loss = loss + mismatch_loss(self.judge(real, other), judged[1])
        return loss

    def forger(self, fake: Tensor, text: Tensor, other: Tensor, z: Tensor) -> Tensor:
        """What the ears pay."""
        judge = judged_still(self.judge)
        loss = 2 * gan.generator_loss(judged_still(self.plain)(fake))
        judged = zip(HEED, judge(fake, text), strict=True)
        loss = loss - sum(weight * logits.mean() for weight, logits in judged)
        if self.between:  # texts that nobody wrote (eq. 5, beta = 1/2)
            middle = (text + other) / 2
            judged = judge(self.generator(z, middle), middle)
            # bounded: the judges never see these, and could be pleased without end
            loss = loss + sum(gan.generator_loss(judged[k]) for k in READERS)
        return loss


def mismatch_loss(wrong: list[Tensor], fake: list[Tensor]) -> Tensor:
    """What makes the judges matching-aware: a true picture under a wrong text is false.

    Reed et al. 2016, Algorithm 1, line 10: half of what is false are forgeries, half
    are such pairs. `hinge_loss` has counted the forgeries in full, so half of theirs
    comes off. Only READERS can know.
    """
    pairs = [(wrong[k], fake[k]) for k in READERS]
    terms = [F.relu(1 + w).mean() - F.relu(1 + f).mean() for w, f in pairs]
    return sum(terms) / 2
