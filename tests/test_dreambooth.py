"""DreamBooth and LoRA: the loss, the layers and the files, against the libraries."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from safetensors.torch import load_file, save_file

from course_utils import models, schedules, toybox
from course_utils.check.lesson_19 import EXERCISES
from course_utils.methods import dreambooth
from course_utils.models import pipelines

MINE = toybox.Subject("star", "yellow", marks={"hat": "purple"})
PHOTOS = toybox.portray(MINE, toybox.photo_scenes(MINE, 4)[0])
NAMES = "a sks star", "a star"


def fresh():
    pipe = models.load("text-to-image", "tiny")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def drawn(pipe, **options):
    return pipelines.draw(pipe, ["a sks star"] * 2, steps=3, **options)


@pytest.fixture(scope="module")
def pipe():
    return fresh()


@pytest.fixture(scope="module")
def learned(pipe):
    """A LoRA of rank 4 after a few steps."""
    learner = dreambooth.Learner(pipe, rank=4)
    prior = toybox.portray(MINE, toybox.photo_scenes(MINE, 4)[1])
    for _ in dreambooth.dreambooth(learner, PHOTOS, *NAMES, prior, steps=3, batch=2):
        pass
    return learner


@pytest.fixture(scope="module")
def file(learned, tmp_path_factory):
    return dreambooth.save_lora(learned, tmp_path_factory.mktemp("lora"))


def test_the_loss_is_that_of_the_subject_and_that_of_the_class(pipe):
    generator = torch.Generator().manual_seed(1)
    x0, noise = torch.randn(2, 6, 4, 16, 16, generator=generator)
    t = torch.tensor([10, 300, 900, 500, 40, 990])
    tokens = torch.cat([dreambooth.token_ids(pipe.tokenizer, n).expand(3, -1)
                        for n in NAMES])  # fmt: skip
    learner, plan = dreambooth.Learner(pipe), schedules.linear()
    weight = torch.tensor([2.0] * 3 + [2 * 0.7] * 3)
    with torch.no_grad():
        ours = dreambooth.weighted_loss(
            learner, x0, noise, t, tokens, weight, plan, "v"
        )
        theirs = DDPMScheduler.from_config(pipe.scheduler.config)
        x_t = theirs.add_noise(x0, noise, t)
        wanted = theirs.get_velocity(x0, noise, t)
        halves = learner(x_t, t, tokens).chunk(2)
    subject, prior = map(F.mse_loss, halves, wanted.chunk(2))  # as diffusers' script
    torch.testing.assert_close(ours, subject + 0.7 * prior)


def test_the_pipeline_that_is_given_stays_as_it_was(pipe, learned):
    assert not hasattr(pipe.unet, "peft_config")
    learner = dreambooth.Learner(pipe)
    before = [p.clone() for p in pipe.unet.parameters()]
    for _ in dreambooth.dreambooth(learner, PHOTOS, *NAMES, steps=2, batch=2):
        pass
    assert all(map(torch.equal, before, pipe.unet.parameters()))
    for name in ("unet", "text_encoder"):
        both = getattr(learner, name), getattr(pipe, name)
        first, second = (next(network.parameters()) for network in both)
        assert not torch.equal(first, second)


def test_a_training_repeats_to_the_bit(pipe):
    def losses():
        learner = dreambooth.Learner(pipe, 2)
        options = dict(steps=2, batch=2, seed=5)
        return [
            s.loss for s in dreambooth.dreambooth(learner, PHOTOS, *NAMES, **options)
        ]

    first = losses()
    assert first == losses() and first[0] != first[1]


def test_a_fresh_lora_changes_nothing(pipe):
    assert torch.equal(drawn(dreambooth.Learner(pipe, 4).pipe), drawn(pipe))


def test_a_lora_layer_is_w_plus_b_times_a(learned):
    layer = learned.unet.mid_block.attentions[0].transformer_blocks[0].attn2.to_k
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    assert a.shape == (4, 128) and b.shape == (128, 4) and b.abs().sum() > 0
    x = torch.randn(5, 128)
    by_hand = x @ (layer.base_layer.weight + b @ a).T
    torch.testing.assert_close(layer(x), by_hand, atol=1e-4, rtol=1e-5)


def test_a_lora_has_as_many_numbers_as_the_exercise_counts(learned):
    layers = [part for part in learned.modules() if hasattr(part, "base_layer")]
    weights = [layer.base_layer.weight for layer in layers]
    assert any(weight.ndim == 4 for weight in weights)  # convolutions, too
    shapes = [(len(weight), weight[0].numel()) for weight in weights]
    learns = sum(p.numel() for p in learned.parameters() if p.requires_grad)
    assert EXERCISES["19.3"].reference(shapes, 4) == learns


def test_only_the_lora_has_changed(pipe, learned):
    base = dict(pipe.unet.named_parameters())
    for name, p in learned.unet.named_parameters():
        if "lora_" not in name:
            assert not p.requires_grad
            assert torch.equal(p, base[name.replace(".base_layer", "")])


def test_the_file_brings_back_what_was_learnt(learned, file):
    loaded = fresh()
    before = drawn(loaded)
    loaded.load_lora_weights(file.parent, adapter_name="mine")
    assert torch.equal(drawn(loaded), drawn(learned.pipe))
    loaded.set_adapters(["mine"], [0.0])
    assert torch.equal(drawn(loaded), before)
    loaded.set_adapters(["mine"], [1.0])
    loaded.fuse_lora()
    torch.testing.assert_close(drawn(loaded), drawn(learned.pipe), atol=1e-4, rtol=0)
    loaded.unfuse_lora()
    torch.testing.assert_close(drawn(loaded), drawn(learned.pipe), atol=1e-4, rtol=0)


def test_fused_layers_answer_as_the_others(learned, file):
    loaded = fresh()
    loaded.load_lora_weights(file.parent)
    rows = torch.randn(2, 4, 16, 16), torch.tensor([10, 900]), torch.randn(2, 48, 128)
    with torch.no_grad():
        apart = loaded.unet(*rows).sample
        loaded.fuse_lora()
        torch.testing.assert_close(loaded.unet(*rows).sample, apart, atol=1e-4, rtol=0)


PLAIN = """
import sys, torch
from diffusers import StableDiffusionPipeline
pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1], use_safetensors=True)
pipe.load_lora_weights(sys.argv[2])
pipe.set_progress_bar_config(disable=True)
noise = [torch.Generator().manual_seed(k) for k in range(2)]
x = pipe(["a sks star"] * 2, num_inference_steps=3, guidance_scale=3.0,
         generator=noise, output_type="pt").images
torch.save(x, sys.argv[3])
"""


def test_plain_diffusers_in_a_fresh_process_loads_the_file(learned, file, tmp_path):
    into = tmp_path / "drawn.pt"
    words = [sys.executable, "-c", PLAIN, models.path("tiny"), file.parent, into]
    done = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    theirs = torch.load(into, weights_only=True) * 2 - 1
    torch.testing.assert_close(theirs, drawn(learned.pipe), atol=1e-4, rtol=0)


def attention_lora(pipe):
    """What diffusers' script trains: the UNet's attention, of rank 4."""
    from peft import get_peft_model_state_dict

    learner = dreambooth.Learner(pipe)
    dreambooth.add_lora(learner.unet, 4, ["to_k", "to_q", "to_v", "to_out.0"])
    torch.manual_seed(0)
    for name, p in learner.unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.02)
    return learner.pipe, get_peft_model_state_dict(learner.unet)


def test_files_of_diffusers_scripts_load(pipe, tmp_path):
    from diffusers.utils import convert_state_dict_to_diffusers

    tuned, state = attention_lora(pipe)
    for convert in (dict, convert_state_dict_to_diffusers):
        folder = tmp_path / convert.__name__
        tuned.save_lora_weights(folder, unet_lora_layers=convert(state))
        loaded = fresh()
        loaded.load_lora_weights(folder)
        assert torch.equal(drawn(loaded), drawn(tuned))


def test_files_of_kohya_scripts_load(pipe, tmp_path):
    tuned, state = attention_lora(pipe)
    theirs = {}
    for name, x in state.items():
        layer, _, kind = name.removesuffix(".weight").rpartition(".")
        layer = f"lora_unet_{layer.replace('.', '_')}"
        theirs[
            f"{layer}.{ {'lora_A': 'lora_down', 'lora_B': 'lora_up'}[kind] }.weight"
        ] = x
        theirs[f"{layer}.alpha"] = torch.tensor(4.0)
    save_file(theirs, tmp_path / "kohya.safetensors")
    loaded = fresh()
    loaded.load_lora_weights(tmp_path, weight_name="kohya.safetensors")
    torch.testing.assert_close(drawn(loaded), drawn(tuned), atol=1e-4, rtol=0)


def test_our_file_has_one_kind_of_names(file):
    names = load_file(file)
    assert all(".lora_A." in name or ".lora_B." in name for name in names)
    assert {name.partition(".")[0] for name in names} == {"unet", "text_encoder"}


def test_a_folder_that_predicts_noise_learns_as_well(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    local = models.load("text-to-image", tmp_path)
    local.scheduler = type(local.scheduler).from_config(
        local.scheduler.config, prediction_type="epsilon"
    )
    learner = dreambooth.Learner(local, 2)
    found = [s.loss for s in dreambooth.dreambooth(learner, PHOTOS, *NAMES, steps=2)]
    assert all(0 < loss < 100 for loss in found)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(photos=PHOTOS[:1]), "photos holds one picture"),
        (dict(photos=PHOTOS[0]), "photos has shape (3, 64, 64)"),
        (dict(photos=[1]), "photos must be a torch.Tensor"),
        (dict(photos=PHOTOS * 127), "pass pictures (B, 3, H, W) in [-1, 1]"),
        (dict(prompt=" "), "prompt is ' '"),
        (dict(class_prompt=""), "class_prompt is ''"),
        (dict(prompt="a star"), "prompt='a star' has no word that"),
        (dict(prompt="a red star"), "'red' is a word that the model knows"),
        (dict(steps=0), "steps must be a whole number"),
    ],
)
def test_what_cannot_teach_is_refused_with_a_cure(pipe, changes, words):
    asked = dict(photos=PHOTOS, prompt=NAMES[0], class_prompt=NAMES[1]) | changes
    with pytest.raises(ValueError) as error:
        next(dreambooth.dreambooth(dreambooth.Learner(pipe, 2), **asked))
    assert words in str(error.value)


def test_other_refusals(pipe, tmp_path):
    with pytest.raises(ValueError, match="save it whole"):
        dreambooth.save_lora(dreambooth.Learner(pipe), tmp_path)
    with pytest.raises(ValueError, match="rank=0 must be a whole number"):
        dreambooth.Learner(pipe, 0)
    with pytest.raises(ValueError, match="dtype=torch.float32"):
        dreambooth.Learner(models.load("text-to-image", "tiny", dtype=torch.float16))
