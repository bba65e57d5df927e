"""The true sizes of real checkpoints, small doubles of them, and what a call takes."""

import diffusers
import pytest
import torch
from torch import nn

from course_utils import models
from course_utils.measure import scales
from course_utils.models import architectures, doubles, hub, native

# what their authors or repositories say, to the weight
COUNTS = {
    ("sd15", "unet"): 859_520_964,
    ("sd15", "vae"): 83_653_863,
    ("sd15", "text_encoder"): 123_060_480,
    ("sdxl", "unet"): 2_567_463_684,
    ("controlnet-canny", "controlnet"): 361_279_120,
}
TASKS = [(name, task) for name, row in models.REGISTRY.items() for task in row.tasks]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The hub's cache, full of doubles of all that the REGISTRY knows."""
    return doubles.fill_cache(tmp_path_factory.mktemp("hub"))


@pytest.mark.parametrize("name, part", COUNTS)
def test_an_architecture_has_the_published_number_of_weights(name, part):
    net = architectures.build_part(name, part)
    assert architectures.count_weights([net]) == COUNTS[name, part]
    assert {p.device.type for p in net.parameters()} == {"meta"}


def test_every_checkpoint_but_a_lora_has_its_architecture():
    for name, row in models.REGISTRY.items():
        assert row.base or name in architectures.ARCHITECTURES, name


@pytest.mark.parametrize("name", [n for n, r in models.REGISTRY.items() if not r.base])
def test_counted_downloads_are_those_of_the_registry(name):
    listed = models.REGISTRY[name].gigabytes
    assert architectures.download_bytes(name) / 1e9 == pytest.approx(listed, rel=0.08)


@pytest.mark.parametrize("name, task", TASKS)
def test_the_loading_code_of_every_checkpoint_runs_on_a_double(name, task, cache):
    options = {"cache_dir": cache}
    if task == "control":
        control = models.load("controlnet", "controlnet-canny", **options)
        options["controlnet"] = control
    found = models.load(task, name, **options)
    assert type(found).__name__ == models.REGISTRY[name].tasks[task]


def test_a_double_lies_where_the_hub_would_have_it(cache):
    row = models.REGISTRY["sd15"]
    home = cache / "models--stable-diffusion-v1-5--stable-diffusion-v1-5"
    unet = home / "snapshots" / row.revision / "unet"
    assert (unet / "diffusion_pytorch_model.fp16.safetensors").is_file()
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(
        row.repo, variant="fp16", cache_dir=cache, local_files_only=True
    )
    assert type(pipe.safety_checker).__name__ == "StableDiffusionSafetyChecker"
    assert sum(p.numel() for p in pipe.unet.parameters()) < 1e6


def test_doubles_depend_on_their_seed_and_leave_the_learners_alone():
    before = torch.get_rng_state()
    one, again, other = (doubles.double("ddpm-cifar10", s) for s in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    first = [next(x.popitem()[1].unet.parameters()) for x in (one, again, other)]
    assert torch.equal(first[0], first[1]) and not torch.equal(first[0], first[2])


def test_a_missing_double_still_says_what_the_real_one_costs(tmp_path, monkeypatch):
    monkeypatch.setattr(hub.hub, "HF_HUB_OFFLINE", True)
    doubles.fill_cache(tmp_path, ["controlnet-seg"])
    with pytest.raises(FileNotFoundError, match="0.7 GB, licence openrail"):
        models.load("controlnet", "controlnet-canny", cache_dir=tmp_path)


def test_a_part_may_be_built_with_numbers_in_its_dtype():
    net = architectures.build_part("ddpm-cifar10", "unet", "cpu", torch.bfloat16)
    weights = next(net.parameters())
    assert weights.dtype == torch.bfloat16 and 0.01 < weights.float().std() < 0.03
    assert torch.get_default_dtype() == torch.float32


# --- scales ---------------------------------------------------------------------


def test_peaks_are_what_lives_at_once():
    x = torch.zeros(1000)
    assert scales.peak_bytes(lambda: x + 1) == 4000
    assert scales.peak_bytes(lambda: (x + 1) + 1) == 8000
    assert scales.peak_bytes(lambda: [x + 1, x + 1, x + 1]) == 12000
    assert scales.peak_bytes(lambda: [x + 1 for _ in range(9)][0].view(10, 100)) > 4000

    def one_after_another():
        for _ in range(9):
            x + 1  # noqa: B018

    assert scales.peak_bytes(one_after_another) == 4000
    assert scales.peak_bytes(lambda: x.view(10, 100)) == 0


@pytest.mark.parametrize("latents", [(4, 4), (8, 4)])
def test_the_meta_device_weighs_as_numbers_do(latents):
    found = []
    for device in ("cpu", "meta"):
        net = doubles.double("sd15")["stable-diffusion-v1-5/stable-diffusion-v1-5"].vae
        z = torch.zeros(1, 4, *latents, device=device)
        net = net.to(device)
        found.append(scales.peak_bytes(lambda net=net, z=z: net.decode(z).sample))
    assert found[0] == found[1] > 0


def test_fused_attention_writes_no_maps():
    q = torch.zeros(1, 2, 64, 8, device="meta")

    def attend():
        return nn.functional.scaled_dot_product_attention(q, q, q)

    assert scales.peak_bytes(attend) == q.numel() * 4
    assert scales.peak_bytes(attend, fused=False) >= 2 * 64 * 64 * 4


def test_operations_of_a_product_are_two_for_each_multiply_add():
    a, b = torch.zeros(3, 5), torch.zeros(5, 7)
    assert scales.operations(lambda: a @ b) == 2 * 3 * 5 * 7
    assert scales.weight_bytes([nn.Linear(3, 5)]) == 4 * (15 + 5)


@pytest.mark.parametrize("name", ["sd15", "zeroscope", "stable-cascade"])
def test_a_native_call_gives_what_its_part_is_for(name):
    part = "prior" if name == "stable-cascade" else "unet"
    net = architectures.build_part(name, part, dtype=torch.float16)
    with torch.no_grad():
        out = native.native_call(name, part, net)()
    sizes = {"sd15": (2, 4, 64, 64), "zeroscope": (2, 4, 24, 40, 72)}
    assert out.shape == sizes.get(name, (2, 16, 24, 24))


def test_what_is_unknown_is_refused():
    for bad in (
        lambda: architectures.build_part("sd99", "unet"),
        lambda: architectures.build_part("sd15", "soul"),
        lambda: architectures.part_class("Dreamer"),
        lambda: native.native_call("sd15", "soul", nn.Linear(1, 1)),
        lambda: doubles.double("sdxl-lightning"),
        lambda: doubles.double("sd99"),
        lambda: scales.peak_bytes(3),
        lambda: scales.operations(None),
    ):
        with pytest.raises(ValueError, match="must be"):
            bad()
