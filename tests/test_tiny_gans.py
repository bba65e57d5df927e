"""The GAN that lesson 04 edits with, and the one that is told what to draw."""

import copy

import pytest
import torch

from course_utils import toybox
from course_utils.models.pipelines import encode
from course_utils.recipes.rivals import shipped_vae
from course_utils.tiny import gans, judges, text_gans
from course_utils.tiny.text_gans import text_codes


@pytest.fixture(scope="module")
def eye():
    torch.manual_seed(0)
    return judges.LatentEye().eval()


def parts_moved(game, loss):
    """The parts of a game that a loss moves."""
    game.zero_grad()
    loss.backward()
    return {
        name.replace("players.", "").split(".")[0]
        for name, p in game.named_parameters()
        if p.grad is not None and p.grad.abs().sum() > 0
    }


def test_codes_become_latents_and_latents_become_logits_and_codes(eye):
    game = gans.ProjectedGame(eye)
    latents = game.players.generator(torch.randn(3, gans.Z))
    assert latents.shape == (3, 4, 16, 16)
    shapes = [tuple(x.shape) for x in game.projected(latents)]
    assert shapes == [(3, 1, 4, 4), (3, 1, 4, 4), (3, 1, 1, 1), (3, 1, 4, 4)]
    assert [x.shape for x in game.players.encoder(latents)] == [(3, gans.Z)] * 2
    assert sum(p.numel() for p in game.players.generator.parameters()) < 1.6e6


def test_loudness_is_the_excitation_of_the_paper():
    net = gans.ToyGenerator(8).eval()
    z = torch.randn(2, 8)
    small = net.start(z)
    scale = net.loudness(small)
    assert scale.shape == (2, 96, 1, 1) and ((scale > 0) & (scale < 1)).all()
    torch.testing.assert_close(net(z), net.paint(net.grow(small) * scale))


def test_the_hinge_pays_only_who_is_not_sure_enough():
    sure = [torch.full((2, 1, 4, 4), 1.5)], [torch.full((2, 1, 4, 4), -1.5)]
    assert judges.hinge_loss(*sure) == 0
    guess = [torch.zeros(2, 1, 4, 4)] * 2, [torch.zeros(2, 1, 4, 4)] * 2
    assert judges.hinge_loss(*guess) == 4  # two judges, one for each side
    assert judges.hinge_loss(sure[1], sure[0]) == 5  # wrong, and sure
    with pytest.raises(ValueError, match="longer|shorter"):
        judges.hinge_loss([torch.zeros(1)], [])


def test_all_players_learn_but_the_eye_and_it_counts_in_its_own_way(eye):
    game = gans.ProjectedGame(eye).train()
    assert not game.projected.eye.training and game.projected.judges.training
    assert not game.players.encoder.eye.training
    before = {k: x.clone() for k, x in eye.state_dict().items()}
    batch = torch.randn(8, 4, 16, 16), torch.randn(8, gans.Z), torch.randn(4, gans.Z)
    moved = parts_moved(game, game(*batch))
    assert moved == {"generator", "encoder", "plain", "projected"}
    named = {n for n, p in game.named_parameters() if p.grad is not None}
    assert not any(".eye." in name for name in named)
    assert all(torch.equal(x, before[k]) for k, x in eye.state_dict().items())


def test_nobody_learns_from_the_loss_of_another(eye):
    game = gans.ProjectedGame(eye)
    real, fake = torch.randn(2, 8, 4, 16, 16)
    assert parts_moved(game, game.judges(real, fake)) == {"plain", "projected"}
    fake = game.players.generator(torch.randn(8, gans.Z))
    assert parts_moved(game, game.forger(fake)) == {"generator"}


def test_the_plain_game_has_no_eye_and_need_not_give_back(eye):
    game = gans.ProjectedGame(eye, seen_by_eye=False, gives_back=False)
    batch = torch.randn(8, 4, 16, 16), torch.randn(8, gans.Z), torch.randn(4, gans.Z)
    assert parts_moved(game, game(*batch)) == {"plain", "generator"}


def test_unlikeness_is_nothing_of_the_same_and_symmetric(eye):
    x, y = torch.randn(2, 3, 4, 16, 16)
    assert torch.equal(judged := gans.unlikeness(eye, x, x), torch.zeros(3)), judged
    torch.testing.assert_close(gans.unlikeness(eye, x, y), gans.unlikeness(eye, y, x))


def test_true_scenes_that_have_nothing_in_common_are_unlike_by_six():
    vae = shipped_vae(None)
    latents = encode(vae, toybox.render(gans.big_toys(200, 1)))
    apart = gans.unlikeness(judges.shipped_eye(), latents, latents.roll(1, 0))
    assert 5 < apart.mean() < 7


def test_the_price_of_a_code_is_the_divergence_of_two_gaussians(eye):
    encoder = gans.Encoder(eye).eval()
    shown, noise = torch.randn(3, 4, 16, 16), torch.randn(3, gans.Z)
    mean, log_var = encoder(shown)
    code, kl = gans.coded(encoder, shown, noise)
    own = torch.distributions.Normal(mean, (log_var / 2).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(own, prior).sum(1)
    torch.testing.assert_close(kl, expected)
    torch.testing.assert_close(code, mean + own.scale * noise)


def test_judges_held_still_pass_on_a_gradient_and_learn_nothing(eye):
    judge = judges.ProjectedDiscriminator(eye)
    x = torch.randn(2, 4, 16, 16, requires_grad=True)
    sum(y.mean() for y in judges.judged_still(judge)(x)).backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None for p in judge.parameters())


def test_pairs_that_are_held_out_are_in_no_scene_of_train():
    seen, unseen = text_gans.pairs_in("train"), text_gans.pairs_in("unseen")
    assert sorted(seen + unseen) == list(range(64)) and len(unseen) == 8
    shown = {text_gans.pair_shown(s) for s in gans.big_toys(3000, 0, "train")}
    assert shown <= set(seen) and len(shown) > 50
    scene = gans.big_toys(1, 5)[0]
    said = text_gans.said_of_pair(text_gans.pair_shown(scene))
    thing = toybox.parse(said)
    assert thing["colour"] == [scene.things[0].colour]
    assert thing["toy"] == [scene.things[0].toy]


def test_text_codes_are_those_of_tiny_and_differ():
    codes = text_codes()
    assert codes.shape == (64, text_gans.CODE)
    assert codes.mean(0).abs().max() < 1e-5
    torch.testing.assert_close(codes.T @ codes / 64, torch.eye(text_gans.CODE))
    assert (torch.cdist(codes, codes) + 99 * torch.eye(64)).min() > 1
    table = codes.view(8, 8, -1)  # a colour a row, a toy a column
    toy, colour = (table.mean(k) - codes.mean(0) for k in (0, 1))
    apart = table - toy - colour[:, None]
    assert apart.square().mean() < 0.1  # colour and toy are nearly added
    assert 0.7 < toy.square().mean() / colour.square().mean() < 1.4


@pytest.mark.parametrize("variant", text_gans.VARIANTS)
def test_every_variant_moves_ears_and_judges(eye, variant):
    game, codes = text_gans.TextGame(eye, gans.ToyGenerator(), variant), text_codes()
    before = copy.deepcopy(game.generator.generator.train().state_dict())
    z, real = torch.randn(8, gans.Z), torch.randn(8, 4, 16, 16)
    moved = parts_moved(game.train(), game(real, codes[:8], codes[8:16], z))
    assert moved == {"judge", "plain", "generator"}
    learns = [n for n, p in game.generator.named_parameters() if p.grad is not None]
    assert learns and all(name.startswith("ears.") for name in learns)
    after = game.generator.generator.state_dict()  # its running means, too
    assert all(torch.equal(x, after[k]) for k, x in before.items())


def test_untaught_ears_change_nothing():
    generator = gans.ToyGenerator().eval()
    z, codes = torch.randn(4, gans.Z), text_codes()[:4]
    told = text_gans.TextGenerator(generator).eval()
    torch.testing.assert_close(told(z, codes), generator(z))


def test_only_two_judges_hear_the_text(eye):
    judge = judges.ProjectedDiscriminator(eye, text_gans.CODE).eval()
    x, codes = torch.randn(2, 4, 16, 16), text_codes()
    one, two = judge(x, codes[:2]), judge(x, codes[2:4])
    heard = [k for k in range(4) if not torch.allclose(one[k], two[k])]
    assert tuple(heard) == text_gans.READERS


def test_a_wrong_text_takes_half_of_what_forgeries_cost():
    quiet = [torch.full((1, 1), -2.0)] * 4
    loud = [torch.full((1, 1), 1.0)] * 4
    assert text_gans.mismatch_loss(quiet, quiet) == 0  # both are found out
    assert text_gans.mismatch_loss(loud, quiet) == 2  # two judges, 2 too much, halved
    assert text_gans.mismatch_loss(quiet, loud) == -2
