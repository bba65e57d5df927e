"""Right and wrong answers to exercises of lesson 04, and what to try them on."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.methods import gan

# 04.3, for a text that nobody wrote: GAN-INT


def games() -> list[tuple]:
    """(generator, judge, z, text, other): small ones that listen to both inputs."""
    rng = torch.Generator().manual_seed(3)
    mix, ear = torch.randn(2, 5, 4, generator=rng)

    def generator(z: Tensor, text: Tensor) -> Tensor:
        return torch.tanh(z + text @ mix)

    def judge(latents: Tensor, text: Tensor) -> Tensor:
        return (latents * (text @ ear)).sum(1, keepdim=True)

    shapes = [((n, 4), (n, 5), (n, 5)) for n in (1, 3, 8)]
    made = [[torch.randn(s, generator=rng) for s in three] for three in shapes]
    return [(generator, judge, *three) for three in made]


def felt(loss, generator, judge, z: Tensor, *texts: Tensor):
    """The value of a loss, and what reaches the codes z through the generator."""
    z.requires_grad_()
    value = loss(generator, judge, z, *texts)
    if isinstance(value, Tensor) and value.requires_grad:
        value.sum().backward()
    return None if value is None else [value, z.grad if z.grad is not None else 0 * z]


def between_loss(generator, judge, z, text, other):
    middle = (text + other) / 2
    return gan.generator_loss(judge(generator(z, middle), middle))


def judged_by_one(generator, judge, z, text, other):
    return gan.generator_loss(judge(generator(z, (text + other) / 2), text))


def mixed_pictures(generator, judge, z, text, other):
    drawn = (generator(z, text) + generator(z, other)) / 2
    return gan.generator_loss(judge(drawn, (text + other) / 2))


def two_losses(generator, judge, z, text, other):
    both = [judge(generator(z, said), said) for said in (text, other)]
    return sum(map(gan.generator_loss, both)) / 2


def sum_of_texts(generator, judge, z, text, other):
    return between_loss(generator, judge, z, 2 * text, 2 * other)


def difference_of_texts(generator, judge, z, text, other):
    return between_loss(generator, judge, z, text, -other)


def caught(generator, judge, z, text, other):
    middle = (text + other) / 2
    return F.softplus(judge(generator(z, middle), middle)).mean()


def boundless(generator, judge, z, text, other):
    middle = (text + other) / 2
    return -judge(generator(z, middle), middle).mean()


def cut_off(generator, judge, z, text, other):
    middle = (text + other) / 2
    return gan.generator_loss(judge(generator(z, middle).detach(), middle))


# 04.4, every style with every text


def tables() -> list[tuple]:
    """(style, generator, pictures, texts): P pictures and T texts, P = T once."""
    rng = torch.Generator().manual_seed(4)

    def style(latents: Tensor) -> Tensor:
        return latents.flatten(1)[:, :3]

    def generator(z: Tensor, text: Tensor) -> Tensor:
        return (z[:, :, None] * text[:, None] + z[:, :, None])[:, None]

    sizes = (2, 3), (4, 2), (3, 3), (1, 4)
    return [
        (
            style,
            generator,
            torch.randn(p, 4, 2, 2, generator=rng),
            torch.randn(t, 5, generator=rng),
        )
        for p, t in sizes
    ]


def restyle(style, generator, pictures, texts):
    z = style(pictures)
    drawn = generator(z.repeat_interleave(len(texts), 0), texts.repeat(len(z), 1))
    return drawn.unflatten(0, (len(z), len(texts)))


def column_by_column(style, generator, pictures, texts):
    z = style(pictures)
    drawn = generator(z.repeat(len(texts), 1), texts.repeat_interleave(len(z), 0))
    return drawn.unflatten(0, (len(z), len(texts)))


def side_by_side(style, generator, pictures, texts):
    z = style(pictures)
    drawn = generator(z.repeat(len(texts), 1), texts.repeat(len(z), 1))
    return drawn.unflatten(0, (len(z), len(texts)))


def texts_as_rows(style, generator, pictures, texts):
    return restyle(style, generator, pictures, texts).transpose(0, 1)


def new_noise(style, generator, pictures, texts):
    def drawn(latents):
        return torch.randn_like(style(latents))

    return restyle(drawn, generator, pictures, texts)


def one_style(style, generator, pictures, texts):
    return restyle(
        lambda x: style(x)[:1].expand(len(x), -1), generator, pictures, texts
    )


def one_text(style, generator, pictures, texts):
    return restyle(style, generator, pictures, texts[:1].expand(len(texts), -1))
