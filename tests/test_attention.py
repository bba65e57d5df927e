import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor

from course_utils.methods import attention
from course_utils.tiny import text, unet


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return unet.build_unet().eval().requires_grad_(False)


def drawn(net, batch=2):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 4, 16, 16, generator=generator)
    words = torch.randn(batch, 48, 128, generator=generator)
    return net(x, 500, words).sample


def test_equals_torch():
    q, k, v = torch.randn(3, 2, 5, 7, 4).unbind()
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(attention.attend(q, k, v)[0], expected)


def test_weights_are_probabilities():
    _, weights = attention.attend(*torch.randn(3, 2, 6, 4))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 6))


def test_one_loud_key_takes_all():
    key = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    out, weights = attention.attend(torch.ones(1, 2), key, torch.tensor([[1.0], [7.0]]))
    assert weights[0, 1] > 0.999 and abs(out.item() - 7) < 1e-3


def test_equals_diffusers_processor():
    layer = Attention(query_dim=12, cross_attention_dim=6, heads=3, dim_head=4)
    x, words = torch.randn(2, 16, 12), torch.randn(2, 5, 6)
    layer.set_processor(AttnProcessor())
    expected = layer(x, words)
    layer.set_processor(attention.Watching(lambda weights: None))
    torch.testing.assert_close(layer(x, words), expected)


def test_watching_changes_nothing_and_is_undone(net):
    before, processors = drawn(net), net.attn_processors
    with attention.watched(net) as maps:
        torch.testing.assert_close(drawn(net), before, atol=1e-5, rtol=1e-5)
    assert net.attn_processors == processors
    assert {side: tuple(x.shape) for side, x in maps.items()} == {
        8: (2, 8, 8, 48),
        4: (2, 4, 4, 48),
    }


def test_weights_can_be_changed_before_they_are_used():
    layer = Attention(query_dim=12, heads=3, dim_head=4)
    layer.set_processor(attention.Changing(lambda weights: torch.zeros_like(weights)))
    heard = layer(torch.randn(2, 16, 12))  # nobody listens: the bias is left
    torch.testing.assert_close(heard, layer.to_out[0].bias.expand_as(heard))


def test_each_layer_may_get_its_own_processor(net):
    own, asked = net.attn_processors, {}

    def make(name, before):
        assert before is own[name]
        asked[name] = attention.Watching(lambda weights: None)
        return asked[name]

    with attention.processors(net, make):
        assert net.attn_processors == asked and set(asked) == set(own)
    assert net.attn_processors == own
    crosses = [name for name in asked if attention.is_cross(name)]
    assert len(crosses) == len(asked) / 2 and all("attn2" in x for x in crosses)


def test_maps_are_means_over_calls(net):
    with attention.watched(net) as once:
        drawn(net)
    with attention.watched(net) as twice:
        drawn(net), drawn(net)
    torch.testing.assert_close(once[8], twice[8])
    torch.testing.assert_close(once[8].sum(-1), torch.ones(2, 8, 8))


def test_is_undone_after_an_error(net):
    processors = net.attn_processors
    with pytest.raises(RuntimeError), attention.watched(net):
        raise RuntimeError
    assert net.attn_processors == processors


def test_nothing_to_watch_is_an_error(net):
    class Plain:
        attn_processors: dict = {}

    with (
        pytest.raises(ValueError, match="no cross-attention"),
        attention.watched(Plain()),
    ):
        pass


def test_positions_count_from_the_start_token():
    tokenizer = text.build_tokenizer()
    prompt = "a red cat on the grass"
    assert attention.positions(tokenizer, prompt, "red") == [2]
    assert attention.positions(tokenizer, prompt, "red cat") == [2, 3]
    with pytest.raises(ValueError, match="'blue' is not in the prompt"):
        attention.positions(tokenizer, prompt, "blue")


def test_heat_is_where_the_token_is():
    maps = {4: torch.zeros(1, 4, 4, 3)}
    maps[4][0, 0, 0, 2] = 0.5
    hot = attention.heat(maps, [2], 8, 4)
    assert hot.shape == (1, 1, 8, 8)
    torch.testing.assert_close(hot.sum(), torch.tensor(1.0))
    assert hot[0, 0, :3, :3].sum() > 0.99
    with pytest.raises(ValueError, match=r"side must be one of \[4\], not 16"):
        attention.heat(maps, [2], 8, 16)


@pytest.mark.parametrize("place", range(3))
def test_attention_is_paid_by_tensors(place):
    parts = [torch.ones(2, 3)] * 3
    parts[place] = None
    name = ("query", "key", "value")[place]
    with pytest.raises(ValueError, match=f"{name} must be a torch.Tensor, not None"):
        attention.attend(*parts)
