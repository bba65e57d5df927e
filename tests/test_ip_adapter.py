"""IP-Adapter: diffusers loads what the course saves, and the loop is the pipeline's."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.testing import assert_close

from course_utils import toybox
from course_utils.measure import shown as scores
from course_utils.methods import ip_adapter as ip
from course_utils.tiny import shown
from course_utils.tiny.unet import SCHEDULE


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    """tiny, with an untrained adapter loaded by plain diffusers."""
    folder, seeing = tmp_path_factory.mktemp("ip"), ip.load_seeing()
    torch.manual_seed(0)
    save_file(ip.fresh_adapter(seeing.unet), folder / ip.FILE)
    seeing.load_ip_adapter(str(folder), subfolder="", weight_name=ip.FILE)
    return seeing


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return toybox.render([toybox.sample(rng, things=1) for _ in range(3)])


def test_what_is_attached_comes_back(pipe):
    torch.manual_seed(1)
    seeing = ip.load_seeing()
    weights = ip.fresh_adapter(seeing.unet)
    ip.attach_adapter(seeing.unet, weights)
    found = ip.adapter_weights(seeing.unet)
    assert set(found) == set(weights) == set(ip.adapter_weights(pipe.unet))
    for name, x in weights.items():
        assert_close(found[name], x)
    with pytest.raises(ValueError, match="is not of an IP-Adapter's file"):
        ip.attach_adapter(seeing.unet, {"lora.down": torch.zeros(1)})


def test_keys_and_values_begin_as_those_of_the_words(pipe):
    found = ip.adapter_weights(pipe.unet)
    first = pipe.unet.down_blocks[1].attentions[0].transformer_blocks[0].attn2
    assert_close(found["ip_adapter.1.to_k_ip.weight"], first.to_k.weight.detach())
    assert len([name for name in found if name.startswith("ip_adapter")]) == 2 * 7


def test_attention_to_the_picture_is_added_with_its_scale(pipe):
    """The equation of the paper, in a layer of the network."""
    layer = pipe.unet.mid_block.attentions[0].transformer_blocks[0].attn2
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(1, 16, 128, generator=generator)
    words = torch.randn(1, 48, 128, generator=generator)
    tokens = torch.randn(1, 1, 4, 128, generator=generator)

    def attended(keys, values):
        q, k, v = (
            x.unflatten(2, (4, 32)).transpose(1, 2)
            for x in (layer.to_q(z), keys, values)
        )
        weights = (q @ k.mT / 32**0.5).softmax(-1)
        return (weights @ v).transpose(1, 2).flatten(2)

    eye = layer.processor
    own = attended(layer.to_k(words), layer.to_v(words))
    more = attended(eye.to_k_ip[0](tokens[:, 0]), eye.to_v_ip[0](tokens[:, 0]))
    for scale in (0.0, 0.4, 1.0):
        pipe.set_ip_adapter_scale(scale)
        found = layer(z, encoder_hidden_states=(words, [tokens]))
        assert_close(found, layer.to_out[0](own + scale * more), rtol=1e-4, atol=1e-4)


def test_the_loop_is_the_pipelines(pipe, pictures):
    said = ["a big cat", "a star", "a small car"]
    found = ip.draw_shown(pipe, said, pictures, scale=0.7, steps=3, seed=5)
    pixels = ((pictures[1] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    theirs = pipe(
        said[1],
        ip_adapter_image=Image.fromarray(pixels),
        num_inference_steps=3,
        guidance_scale=3.0,
        output_type="pt",
        generator=torch.Generator().manual_seed(6),
    ).images
    assert_close(found[1:2], theirs * 2 - 1, rtol=0, atol=0.02)
    with pytest.raises(ValueError, match="3 captions need one each"):
        ip.draw_shown(pipe, said, pictures[:2])


def test_only_the_adapter_learns(pictures):
    seeing = ip.load_seeing()
    model = ip.Adapter(ip.attach_adapter(seeing.unet, ip.fresh_adapter(seeing.unet)))
    x0, noise = torch.randn(2, 2, 4, 16, 16).unbind()
    shown = ip.image_embeds_of(seeing.image_encoder, pictures[:2])
    told = torch.zeros(2, 48, 128), shown
    loss = ip.adapter_loss(model, x0, noise, torch.tensor([9, 500]), *told, SCHEDULE)
    loss.backward()
    learning = {name for name, p in model.named_parameters() if p.grad is not None}
    assert len(learning) == len(ip.adapter_weights(seeing.unet))
    assert all("_ip" in name or "encoder_hid_proj" in name for name in learning)


# what is shown


def test_what_is_shown_agrees_where_the_words_are_silent():
    pairs = shown.shown_pairs(200, np.random.default_rng(0))
    same = [pair for pair in pairs if pair.scene is pair.shown]
    assert 0.15 < len(same) / len(pairs) < 0.35
    others = [pair for pair in pairs if pair.scene is not pair.shown]
    assert len({pair.shown.attributes["toy"][0] for pair in others}) > 10
    for pair in pairs:
        said = toybox.parse(pair.caption)
        theirs, ours = pair.shown.attributes, pair.scene.attributes
        for name in ("colour", "size", "pattern", "place", "ground"):
            if name not in said:
                assert theirs[name] == ours[name], (pair.caption, name)


def test_a_twentieth_each_is_left_out():
    same = torch.rand(40_000, generator=torch.Generator().manual_seed(0)) < shown.SAME
    generator = torch.Generator().manual_seed(1)
    no_words, no_picture = shown.left_out(len(same), same, generator)
    kinds = no_words & no_picture, no_words & ~no_picture, ~no_words & no_picture
    for kind in kinds:
        assert abs(kind.float().mean().item() - 0.05) < 0.01
    assert same[kinds[1]].all()


# scores


def test_true_pictures_follow_words_and_picture():
    asked = scores.shown_to_ask(24)
    rng = np.random.default_rng(0)
    wanted = [toybox.imagine(toybox.say(one.wanted), rng) for one in asked]
    found = scores.followed_shown(toybox.render(wanted), asked)
    assert found["words"] > 0.97 and found["picture"] > 0.97
    alike = scores.followed_shown(toybox.render([one.shown for one in asked]), asked)
    assert alike["toy"] == 0 and alike["ground"] > 0.95


def test_words_alone_say_nothing_of_the_looks():
    for one in scores.shown_to_ask(10):
        said = toybox.parse(one.caption)
        assert not {"colour", "pattern", "ground"} & set(said)
        assert said["toy"] != one.shown.attributes["toy"]
