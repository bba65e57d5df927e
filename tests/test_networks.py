import pytest
import torch
from diffusers.models.embeddings import get_timestep_embedding

from course_utils import networks
from course_utils.networks import Attention, PointDenoiser, ResBlock, UNet

close = torch.testing.assert_close


def noisy(model):
    """Give every weight a value: blocks that start at zero hide mistakes."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return model.eval()


@pytest.mark.parametrize("dim", [4, 32, 128])
def test_timestep_embedding_equals_diffusers(dim):
    t = torch.tensor([0, 1, 17, 999])
    library = get_timestep_embedding(t, dim, downscale_freq_shift=1)
    close(networks.timestep_embedding(t, dim), library)


@pytest.mark.parametrize("dim", [2, 7])
def test_timestep_embedding_says_which_sizes_it_takes(dim):
    with pytest.raises(ValueError, match="dim must be even and at least 4"):
        networks.timestep_embedding(torch.tensor([0]), dim)


def test_a_block_starts_as_the_way_around_it():
    x, embedding = torch.randn(2, 8, 4, 4), torch.randn(2, 16)
    close(ResBlock(8, 8, 16)(x, embedding), x)
    wider = ResBlock(8, 24, 16)
    close(wider(x, embedding), wider.skip(x))


def test_a_block_listens_to_the_time():
    block, x = noisy(ResBlock(8, 8, 16)), torch.randn(1, 8, 4, 4)
    assert not torch.allclose(block(x, torch.zeros(1, 16)), block(x, torch.ones(1, 16)))


def test_attention_is_the_formula():
    layer, x = noisy(Attention(8)), torch.randn(2, 8, 3, 5)
    rows = layer.norm(x).flatten(2).mT  # (B, H*W, C)
    q, k, v = layer.qkv(rows).chunk(3, dim=-1)
    mixed = torch.softmax(q @ k.mT / 8**0.5, dim=-1) @ v
    close(layer(x), x + layer.out(mixed).mT.reshape(x.shape))


def test_attention_does_not_care_where_a_pixel_is():
    layer, x = noisy(Attention(8)), torch.randn(1, 8, 4, 4)
    close(layer(x.flip(3)).flip(3), layer(x))


@pytest.mark.parametrize(
    ("shape", "multipliers"),
    [
        ((1, 1, 8, 8), (1, 2)),
        ((2, 3, 16, 8), (1, 2, 2)),
        ((1, 1, 28, 28), (1, 2, 4)),
        ((3, 1, 5, 7), (1,)),
    ],
)
def test_unet_answers_in_the_shape_of_its_input(shape, multipliers):
    model = noisy(UNet(shape[1], width=8, multipliers=multipliers))
    out = model(torch.randn(shape), torch.zeros(shape[0], dtype=torch.long))
    assert out.shape == shape and out.abs().sum() > 0


def test_unet_starts_by_predicting_zero():
    out = UNet(width=8)(torch.randn(2, 1, 8, 8), torch.tensor([0, 9]))
    assert not out.any()


def test_unet_says_which_sizes_it_takes():
    with pytest.raises(ValueError, match="must divide by 4"):
        UNet(width=8, multipliers=(1, 1, 1))(torch.randn(1, 1, 6, 8), torch.tensor([0]))


def test_pictures_in_a_batch_do_not_see_each_other():
    model, x, t = noisy(UNet(width=8)), torch.randn(4, 1, 8, 8), torch.arange(4) * 99
    apart = torch.cat([model(x[i : i + 1], t[i : i + 1]) for i in range(4)])
    close(model(x, t), apart, rtol=1e-4, atol=1e-5)


def test_every_weight_of_the_unet_learns():
    model = noisy(UNet(width=8, multipliers=(1, 2, 2), classes=3)).train()
    labels = torch.tensor([0, 1, 2, 3])
    model(torch.randn(4, 1, 8, 8), torch.arange(4), labels).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_no_labels_is_the_null_class():
    model, x, t = (
        noisy(UNet(width=8, classes=10)),
        torch.randn(2, 1, 8, 8),
        torch.arange(2),
    )
    close(model(x, t), model(x, t, torch.tensor([10, 10])))
    assert not torch.allclose(model(x, t), model(x, t, torch.tensor([3, 7])))


def test_labels_for_an_unlabelled_unet_are_refused():
    with pytest.raises(ValueError, match="classes"):
        UNet(width=8)(torch.randn(1, 1, 8, 8), torch.tensor([0]), torch.tensor([3]))


def test_unet_saves_and_loads():
    first, second = noisy(UNet(width=8)), UNet(width=8).eval()
    second.load_state_dict(first.state_dict())
    x, t = torch.randn(1, 1, 8, 8), torch.tensor([5])
    close(first(x, t), second(x, t))


@pytest.mark.parametrize("points", [1, 2, 5])
def test_point_denoiser_answers_in_the_shape_of_its_input(points):
    model, t = PointDenoiser(width=16, points=points), torch.tensor([0, 50, 99])
    x = torch.randn(3, points)
    assert model(x, t).shape == x.shape
    assert not torch.allclose(model(x, t), model(x, t + 30))
