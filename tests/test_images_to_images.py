"""Networks from picture to picture, and the games that brought them up (lesson 03)."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import models, oracle, toybox
from course_utils.networks import images_to_images as nets
from course_utils.tiny import translators, upscalers
from course_utils.tiny.worlds import WHOLE


@pytest.fixture(scope="module")
def scenes():
    return WHOLE.scenes(4, np.random.default_rng(0), "test")


@pytest.fixture(scope="module")
def pictures(scenes):
    return toybox.render(scenes)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


# The networks


def test_an_untrained_upscaler_is_the_bicubic_enlargement(pictures):
    small = nets.bicubic(pictures, 16)
    torch.testing.assert_close(nets.SRResNet()(small), nets.bicubic(small, 64))


def test_shrinking_keeps_a_flat_picture_and_the_mean_of_a_smooth_one():
    flat = torch.full((1, 3, 64, 64), 0.3)
    torch.testing.assert_close(nets.bicubic(flat, 16), flat[:, :, :16, :16])
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    shrunk = nets.bicubic(ramp, 16)[..., 2:-2]  # the border repeats itself
    torch.testing.assert_close(shrunk, F.avg_pool2d(ramp, 4)[..., 2:-2])


def test_the_upscaler_takes_other_sizes_and_refuses_a_single_picture():
    assert nets.SRResNet(8, 1)(torch.zeros(2, 3, 8, 8)).shape == (2, 3, 32, 32)
    with pytest.raises(ValueError, match=r"x\[None\]"):
        nets.SRResNet(8, 1)(torch.zeros(3, 8, 8))


def test_labels_are_a_1x1_convolution_of_the_one_hot_map():
    labels, maps = nets.Labels(5, 3), torch.randint(5, (2, 4, 4), generator=rng())
    one_hot = F.one_hot(maps, 5).movedim(-1, 1).float()
    by_hand = torch.einsum("blhw,lc->bchw", one_hot, labels.codes.weight)
    torch.testing.assert_close(labels(maps), by_hand)


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(1, 3, 64, 64),  # a picture
        torch.zeros(64, 64, dtype=torch.long),  # one map
        torch.full((1, 64, 64), 5),  # a label too many
        torch.full((1, 64, 64), -1),
    ],
)
def test_a_map_of_labels_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="maps must be whole numbers"):
        nets.Translator(5)(wrong)


def test_dropout_is_the_only_noise_of_the_painter_and_stays_at_test_time():
    painter = nets.Translator(5, (4, 4, 8, 8, 8)).eval()
    maps = torch.randint(5, (2, 64, 64), generator=rng())
    one, other = painter(maps), painter(maps)
    assert one.shape == (2, 3, 64, 64) and one.abs().max() <= 1
    assert not torch.equal(one, other)
    torch.testing.assert_close(painter(maps, noise=False), painter(maps, noise=False))


def test_a_logit_of_the_critic_sees_34_pixels_and_no_more():
    x = torch.zeros(1, 3, 64, 64, requires_grad=True)
    logits = nets.PatchCritic()(x)
    logits[0, 0, 7, 7].backward()
    seen = x.grad[0].abs().sum(0) > 0
    assert logits.shape == (1, 1, 14, 14)
    assert seen.any(0).sum() == seen.any(1).sum() == 34


def test_a_critic_of_labels_looks_at_them(scenes, pictures):
    critic, maps = nets.PatchCritic(35), translators.label_maps(scenes)
    assert not torch.equal(critic(pictures, maps), critic(pictures, maps.flip(0)))
    for one, given in ((critic, ()), (nets.PatchCritic(), (maps,))):
        with pytest.raises(ValueError, match="if, and only if"):
            one(pictures, *given)


# What they look at


def test_perceptual_distance_is_0_for_equal_pictures_and_grows_with_blur(pictures):
    small = nets.bicubic(pictures, 16)
    soft = nets.bicubic(small, 64).clamp(-1, 1)
    assert oracle.perceptual_distance(pictures, pictures).abs().max() == 0
    near, far = oracle.perceptual_distance(soft, pictures), soft.flip(0)
    assert (near > 0).all() and near.shape == (4,)
    assert near.mean() < oracle.perceptual_distance(far, pictures).mean()


def test_perceptual_distance_by_hand(pictures):
    net, other = oracle.reader(), pictures.flip(0)
    total = 0
    for depth in (6, 12, 17):  # after so many layers
        a, b = (nn.Sequential(*net.body[:depth])(x) for x in (pictures, other))
        a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
        total = total + (2 - 2 * (a * b).sum(1)).mean((1, 2))  # |a - b|^2 of units
    ours = oracle.perceptual_distance(pictures, other)
    torch.testing.assert_close(ours, total, rtol=2e-2, atol=1e-3)


def test_perceptual_distance_takes_what_a_network_in_training_overshoots(pictures):
    over = (1.6 * pictures).requires_grad_()
    oracle.perceptual_distance(over, pictures).sum().backward()
    assert over.grad.abs().sum() > 0


def test_perceptual_distance_refuses_what_are_no_pairs(pictures):
    with pytest.raises(ValueError, match="pairs of pictures"):
        oracle.perceptual_distance(pictures, pictures[:2])
    with pytest.raises(ValueError, match="pairs of pictures"):
        oracle.perceptual_distance(pictures[..., :32, :32], pictures[..., :32, :32])


def test_a_snapshot_is_small_and_grainy_and_comes_again(pictures):
    one, same = (upscalers.snapshot(pictures, rng(3)) for _ in range(2))
    assert one.shape == (4, 3, 16, 16) and one.abs().max() <= 1
    assert torch.equal(one, same)
    flat = torch.zeros(40, 3, 64, 64)
    grain = upscalers.snapshot(flat, rng()).std()
    assert abs(grain / upscalers.GRAIN - 1) < 0.05


def test_label_maps_say_ground_and_toy_and_nothing_else():
    cat, dog = (
        toybox.Scene([toybox.Thing("cat", colour, pattern=pattern)], "sea")
        for colour, pattern in (("red", "plain"), ("orange", "dotted"))
    )
    maps = translators.label_maps([cat, dog])
    said = [translators.LABELS[k] for k in maps.unique()]
    assert said == ["sea", "cat"] and torch.equal(maps[0], maps[1])
    inside = toybox.masks([cat])[0, 0]
    assert torch.equal(maps[0] == translators.LABELS.index("cat"), inside)


# The games


def moved_by(loss, game):
    """The names of the players whose weights a loss has a gradient for."""
    grads = torch.autograd.grad(loss, game.parameters(), allow_unused=True)
    pairs = zip(game.named_parameters(), grads, strict=True)
    return {".".join(name.split(".")[:2]) for (name, _), g in pairs if g is not None}


def test_each_loss_of_the_upscalers_moves_one_player_only(pictures):
    game = upscalers.UpscalerGame(nets.SRResNet())
    small = upscalers.snapshot(pictures, rng())
    losses = game(pictures, small, oracle.reader())
    for name in ("mse", "features", "srgan"):
        assert moved_by(losses[name], game) == {f"upscalers.{name}"}
    assert moved_by(losses["critic"], game) == {"critic.layers"}


def test_each_loss_of_the_painters_moves_one_player_only(scenes, pictures):
    game = translators.TranslatorGame()
    losses = game(pictures, translators.label_maps(scenes))
    for name in ("l1", "cgan", "both"):
        assert moved_by(losses[name], game) == {f"translators.{name}"}
    for name in ("cgan", "both"):
        assert moved_by(losses[f"critic of {name}"], game) == {f"critics.{name}"}


def test_a_step_of_the_game_is_that_of_two_optimizers(pictures):
    """The sum of both losses moves the players as each loss alone would."""
    critic = nets.PatchCritic(width=4)
    fake = nn.Parameter(pictures.flip(0).clone())
    together = copy.deepcopy(critic)
    sum(upscalers.critic_losses(together, pictures, fake)).backward()
    both, fake.grad = fake.grad, None
    F.softplus(-critic(fake)).mean().backward()
    torch.testing.assert_close(both, fake.grad)
    critic.zero_grad()
    upscalers.critic_losses(critic, pictures, fake)[0].backward()
    for a, b in zip(together.parameters(), critic.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


# What is shipped


def test_the_shipped_upscalers_stand_where_their_losses_put_them():
    """srgan is nearer to the truth's looks, mse to its pixels, bicubic to neither."""
    truth = toybox.render(WHOLE.scenes(60, np.random.default_rng(8), "test"))
    small = upscalers.snapshot(truth, rng(8))
    nets_of = upscalers.shipped_upscalers()
    made = {name: net(small).clamp(-1, 1) for name, net in nets_of.items()}
    made["bicubic"] = nets.bicubic(small, 64).clamp(-1, 1)
    error = {k: (x - truth).square().mean().item() for k, x in made.items()}
    looks = {k: oracle.perceptual_distance(x, truth).mean() for k, x in made.items()}
    assert error["mse"] < error["srgan"] < error["bicubic"]
    assert looks["srgan"] < looks["mse"] < looks["bicubic"]


def test_both_shipped_weights_fit_into_five_megabytes():
    folders = [models.path(name) for name in ("upscalers", "translators")]
    files = [folder / "model.safetensors" for folder in folders]
    assert sum(file.stat().st_size for file in files) < 5e6
