"""Illusions: views, overlays, primes, dream targets, and what judges them."""

import pytest
import torch
from torch import nn

from course_utils import diffusion, schedules
from course_utils.measure import illusions as measured
from course_utils.methods import anagrams, illusions
from course_utils.methods.sds import sds_gradient, sds_loss
from course_utils.oracle import ANSWERS, CloseupReader, read_closeups
from course_utils.tiny.closeups import (
    CAPTIONS,
    closeup_album,
    puzzles,
    wording_of,
)
from course_utils.tiny.unet import build_pixel_unet

SCHEDULE = schedules.linear()
X = torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def pipe():
    from course_utils.recipes.tiny_closeup import closeup_voice, voiced

    torch.manual_seed(0)
    return voiced(build_pixel_unet(48), closeup_voice())


@pytest.mark.parametrize("name", anagrams.VIEWS)
def test_views_are_orthogonal(name):
    assert anagrams.is_orthogonal(anagrams.VIEWS[name], X)


@pytest.mark.parametrize(
    "see",
    [
        lambda x: nn.functional.avg_pool2d(x, 3, 1, 1),  # blur
        lambda x: 0.5 * x,  # paler
        lambda x: x[:, :, :24],  # cut off
    ],
)
def test_what_is_not_orthogonal_is_found_out(see):
    assert not anagrams.is_orthogonal(anagrams.View("no", see, lambda x: x), X)


def test_pieces_must_divide_the_picture():
    with pytest.raises(ValueError, match="tiles=5"):
        anagrams.shuffled(5).see(X)


def test_averaging_v_is_averaging_noise():
    """The two are linear in each other, and orthogonal views keep that so."""
    t, views = torch.tensor([300] * 3), list(anagrams.VIEWS.values())
    model = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Tanh())
    by_v = anagrams.through_views(lambda x, t: model(x), views)(X, t)
    steps = torch.tensor([300] * 3 * len(views))

    def noise_of(x, t):
        return diffusion.x0_and_noise(model(x), x, steps, SCHEDULE, "v")[1]

    by_noise = anagrams.through_views(noise_of, views)(X, t)
    expected = diffusion.x0_and_noise(by_v, X, t, SCHEDULE, "v")[1]
    torch.testing.assert_close(by_noise, expected, atol=1e-5, rtol=1e-5)


def test_one_view_is_plain_drawing_and_equals_the_pipeline(pipe):
    """Of diffusers: IFPipeline by DDIM, from the same noise."""
    from diffusers import DDIMScheduler

    ours = anagrams.draw_anagrams(
        pipe, [["a cat"]], [anagrams.AS_IT_IS], steps=3, guidance=4.0
    )
    ddim = DDIMScheduler.from_config(pipe.scheduler.config)
    ddim.register_to_config(variance_type="fixed_small", steps_offset=0)
    usual, pipe.scheduler = pipe.scheduler, ddim
    drawn = pipe(
        "a cat",
        num_inference_steps=3,
        guidance_scale=4.0,
        output_type="pt",
        clean_caption=False,
        generator=torch.Generator().manual_seed(0),
    ).images
    pipe.scheduler = usual
    torch.testing.assert_close(ours, drawn.clamp(-1, 1), atol=2e-3, rtol=0)


def test_the_same_prompt_twice_gives_what_is_its_own_half_turn(pipe):
    """A network that both views ask alike draws a picture that is symmetrical."""
    views = [anagrams.AS_IT_IS, anagrams.VIEWS["half turn"]]
    prompts = [["a cat", "a cat"]]
    model = anagrams.through_views(
        anagrams.guided(pipe, ["a cat", "a cat"], 3.0), views
    )
    x = X[:1] + X[:1].rot90(2, (2, 3))
    said = model(x, torch.tensor([500]))
    torch.testing.assert_close(said, said.rot90(2, (2, 3)), atol=1e-4, rtol=1e-4)
    assert anagrams.draw_anagrams(pipe, prompts, views, 2).shape == (1, 3, 48, 48)


def test_anagrams_refuse_latents_and_missing_prompts(pipe):
    class Latent:
        vae = None

    with pytest.raises(ValueError, match="latents"):
        anagrams.draw_anagrams(Latent(), [["a cat"]], [anagrams.AS_IT_IS])
    with pytest.raises(ValueError, match="one for each"):
        anagrams.draw_anagrams(pipe, [["a cat", "a fish"]], [anagrams.AS_IT_IS])


def test_overlay_is_the_law_of_transparencies():
    a, b = torch.rand(2, 1, 3, 4, 4)
    torch.testing.assert_close(illusions.overlay(a, b), torch.tanh(3 * a * b))
    torch.testing.assert_close(illusions.overlay(a, b), illusions.overlay(b, a))
    assert illusions.overlay(a, torch.zeros_like(a)).abs().max() == 0


def test_arrangements_derive_what_they_say():
    for arrangement in illusions.ARRANGEMENTS.values():
        primes = torch.rand(arrangement.primes, 3, 6, 6)
        derived = arrangement.derive(primes)
        assert derived.shape == (arrangement.views, 3, 6, 6)
        assert len(arrangement.weights) == arrangement.views
    p = torch.rand(2, 3, 6, 6)
    derived = illusions.ARRANGEMENTS["rotation overlay"].derive(p)
    upside = illusions.overlay(p[0], p[1].rot90(2, (1, 2)))
    torch.testing.assert_close(derived[2], upside)


def test_a_flip_shares_its_noise_and_an_overlay_cannot():
    flip = illusions.ARRANGEMENTS["flip"]
    derived = torch.rand(6, 3, 8, 8)  # of three flips
    noise = illusions.shared_noise(flip, derived, 0)
    assert noise.shape == derived.shape and 0.9 < noise.std() < 1.1
    for k in (0, 2, 4):
        torch.testing.assert_close(noise[k], noise[k + 1].rot90(2, (1, 2)))
    overlay = illusions.ARRANGEMENTS["rotation overlay"]
    assert illusions.shared_noise(overlay, torch.rand(4, 3, 8, 8), 0) is None


def test_primes_are_pictures_of_their_own():
    net = illusions.Primes(2, 12)
    drawn = net()
    assert drawn.shape == (2, 3, 12, 12) and 0 <= drawn.min() and drawn.max() <= 1
    gradient = torch.autograd.grad(drawn[0].sum(), net.layers[0])[0]
    assert gradient[0].abs().max() > 0 and gradient[1].abs().max() == 0


def test_mismatch_is_zero_for_equals_and_knows_structure():
    x = torch.rand(2, 3, 24, 24)
    torch.testing.assert_close(illusions.mismatch(x, x), torch.zeros(2))
    bright = illusions.mismatch(x, (x + 0.05).clamp(0, 1))
    other = illusions.mismatch(x, x.flip(3))
    assert (bright < other).all()


def test_fitting_comes_near_a_target_that_can_be_reached():
    arrangement = illusions.ARRANGEMENTS["flip"]
    smooth = torch.linspace(0.2, 0.8, 24).expand(1, 3, 24, 24)
    target = arrangement.derive(smooth)
    net = illusions.Primes(1, 24, scale=1.0, width=16)
    before = illusions.mismatch(arrangement.derive(net()), target).sum().item()
    illusions.fit_primes(net, arrangement, target, steps=150, lr=1e-2)
    after = illusions.mismatch(arrangement.derive(net()), target).sum().item()
    assert after < 0.2 * before


def test_sds_gradient_is_the_closed_form():
    """Its weight is 1 - alpha_bar, and no derivative of the network is in it."""
    t, noise = torch.tensor([100, 400, 900]), torch.randn_like(X)
    model = nn.Conv2d(3, 3, 1)
    images = X.clone().requires_grad_()
    loss = sds_loss(lambda x, t: model(x), images, t, noise, SCHEDULE)
    loss.backward()
    x_t = diffusion.add_noise(X, noise, t, SCHEDULE)
    weight = (1 - SCHEDULE.alpha_bar[t]).view(-1, 1, 1, 1)
    expected = weight * (model(x_t).detach() - noise) / 3
    torch.testing.assert_close(images.grad, expected.float(), atol=1e-5, rtol=1e-4)
    assert model.weight.grad is None


def test_sds_is_zero_where_the_model_is_right():
    t, noise = torch.tensor([500] * 3), torch.randn_like(X)
    found = sds_gradient(lambda x, t: noise, X, t, noise, SCHEDULE)
    torch.testing.assert_close(found, torch.zeros_like(X))


def test_illusions_go_through_their_phases(pipe):
    arrangement = illusions.ARRANGEMENTS["rotation overlay"]
    sets = measured.prompt_sets(2, 4)
    stages = list(
        illusions.make_illusions(
            pipe, arrangement, sets, strengths=(1.0, 0.5), sds_steps=1, fit_steps=1,
            num_steps=2,
        )
    )  # fmt: skip
    assert [s.name for s in stages][1:] == ["strength 1", "strength 0.5"]
    last = stages[-1]
    assert last.primes.shape == (2, 2, 3, 48, 48)
    torch.testing.assert_close(last.derived[1], arrangement.derive(last.primes[1]))
    with pytest.raises(ValueError, match="4 views"):
        next(illusions.make_illusions(pipe, arrangement, [["a cat"]]))


def test_scores_of_matrices_known_by_hand():
    perfect, blind = torch.eye(4), torch.full((4, 4), 0.25)
    assert measured.alignment(perfect) == 1 and measured.alignment(blind) == 0.25
    assert measured.concealment(perfect) == pytest.approx(1, abs=1e-4)
    assert measured.concealment(blind) == pytest.approx(0.25)
    both = torch.tensor([[0.5, 0.5], [0.0, 1.0]])  # the first view shows both
    assert 0.5 < measured.concealment(both) < 1


def test_prompts_are_sets_of_different_toys():
    for some in measured.prompt_sets(5, 5, seed=3):
        assert len({measured.toy_of(prompt) for prompt in some}) == 5
    assert measured.toy_of("a sad red cat") == "cat"
    with pytest.raises(ValueError, match="star.*no close-up"):
        measured.toy_of("a star")


def test_the_reader_refuses_other_sizes():
    net = CloseupReader(4).eval()
    assert set(read_closeups(X, net)) <= set(ANSWERS)
    with pytest.raises(ValueError, match="48"):
        read_closeups(torch.zeros(1, 3, 64, 64), net)


def test_albums_and_puzzles_are_of_one_piece():
    generator = torch.Generator().manual_seed(0)
    x0, maps, said, toy = closeup_album(20, generator, CloseupReader(4).eval())
    assert maps.shape == (20, 8, 12, 12) and x0.shape == (20, 3, 48, 48)
    from course_utils import toybox

    for row, k in zip(said.tolist(), toy.tolist(), strict=True):
        assert all(CAPTIONS[c].split()[-1] == toybox.DRAWN[k] for c in row)
    images, answers = puzzles(x0, toy, 64, generator)
    assert images.shape == (64, 3, 48, 48) and images.abs().max() <= 1
    assert answers.min() == 0 and answers.max() < len(ANSWERS)


def test_one_caption_in_ten_says_nothing():
    table = torch.arange(len(CAPTIONS)).float().view(-1, 1, 1)
    said = torch.full((5000, 4), 7)
    told = wording_of(said, table, torch.Generator().manual_seed(0)).flatten()
    assert 0.07 < (told == 0).float().mean() < 0.13 and set(told.tolist()) == {0, 7}
