"""An edit carried back: colours, motion, and what must stay as it is."""

import numpy as np
import pytest
import torch

from course_utils import toybox
from course_utils.methods import igan

close = torch.testing.assert_close


def scene(colour="purple", toy="star", place="middle"):
    thing = toybox.Thing(toy, colour, place=place, size="big")
    return toybox.render([toybox.Scene([thing], "plain cream")])


def test_where_nothing_happens_nothing_changes():
    picture = scene()
    a, t = igan.colour_map(picture, picture)
    close(a, torch.zeros_like(a))
    close(t, torch.zeros_like(t))
    close(igan.carried_back(picture, [picture, picture]), picture, rtol=0, atol=0.01)


def test_a_global_change_of_colour_is_found_where_colours_vary():
    x = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0)) - 0.5
    mix = torch.tensor([[0.2, 0.3, 0.0], [0.0, -0.3, 0.1], [0.1, 0.0, 0.2]])
    y = x + torch.einsum("ij,bjhw->bihw", mix, x) + 0.1
    a, t = igan.colour_map(x, y)
    middle = a[0, :, :, 12, 12]
    close(middle, mix, rtol=0, atol=0.06)  # the ridge draws it a little to 0
    close(igan.recoloured(x, a, t), y, rtol=0, atol=0.06)


def test_the_colour_comes_from_the_frames_and_the_edges_from_the_picture():
    """The frames are as soft as a GAN's, the picture is sharp, and stays so."""
    soft = [igan.blurred(scene(c), 1.0) for c in ("purple", "red")]
    made, true = igan.carried_back(scene(), soft), scene("red")
    assert (made - true).square().mean() < 0.2 * (soft[1] - true).square().mean()


def test_a_toy_of_another_colour_has_not_moved():
    offsets = igan.motion([scene("purple"), scene("red")])
    assert offsets.abs().max() < 0.5


def test_small_shifts_are_followed_and_chained():
    frames = [scene().roll(k, 3) for k in (0, 3, 6)]
    offsets = igan.motion(frames)
    found = (igan.moved(frames[0], offsets) - frames[-1]).square().mean()
    assert found < 0.1 * (frames[0] - frames[-1]).square().mean()
    assert offsets[0, 1].min() < -4 and offsets[0, 0].abs().median() < 0.5


def test_offsets_fetch_down_and_right():
    x = torch.arange(25.0).view(1, 1, 5, 5)
    offsets = torch.zeros(1, 2, 5, 5)
    offsets[:, 0] = 1.0
    close(igan.moved(x, offsets)[0, 0, 0], x[0, 0, 1])
    close(igan.moved(x, offsets.flip(1))[0, 0, :, 0], x[0, 0, :, 1])


def test_the_outstanding_tone_has_mean_0_and_variance_1_and_flat_pictures_none():
    tone = igan.outstanding(torch.cat([scene(), torch.zeros(1, 3, 64, 64)]))
    close(tone[0].mean(), torch.tensor(0.0), rtol=0, atol=1e-4)
    close(tone[0].std(), torch.tensor(1.0))
    assert not tone[1].any()


def test_a_window_is_a_mean():
    close(igan.blurred(torch.full((1, 2, 9, 9), 0.3)), torch.full((1, 2, 9, 9), 0.3))
    dot = torch.zeros(1, 1, 31, 31)
    dot[..., 15, 15] = 1
    bell = igan.blurred(dot, 2.0)[0, 0]
    y = torch.arange(31) - 15.0
    spread = (bell.sum(1) * y**2).sum()
    close(spread, torch.tensor(4.0), rtol=0.15, atol=0)  # cut off at two sigmas
    assert np.isclose(bell.sum().item(), 1)


@pytest.mark.parametrize(
    "frames, said",
    [
        ([torch.zeros(1, 3, 8, 8)], "at least two"),
        (torch.zeros(2, 1, 3, 8, 8), "at least two"),
        ([torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 9, 8)], "of one size"),
        ([torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 200.0)], "frame"),
    ],
)
def test_it_refuses_what_it_cannot_carry(frames, said):
    with pytest.raises(ValueError, match=said):
        igan.carried_back(torch.zeros(1, 3, 8, 8), frames)
