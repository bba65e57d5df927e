import dataclasses
import json
import re
import shutil
import subprocess
import sys

import diffusers
import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from course_utils import models, networks, oracle
from course_utils.models import asking, hub, shipped
from course_utils.models.checkpoints import Checkpoint


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A copy of the shipped weights that a test may damage."""
    folder = tmp_path / "weights"
    shutil.copytree(shipped.SHELVES[0], folder)
    monkeypatch.setattr(shipped, "SHELVES", (folder,))
    return folder


@pytest.fixture
def tiny_ddpm(tmp_path):
    """The folder of a real diffusers pipeline, as small as can be."""
    unet = diffusers.UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    pipe = diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler(10))
    pipe.save_pretrained(tmp_path / "tiny-ddpm")
    return tmp_path / "tiny-ddpm"


def test_every_shipped_weight_is_whole():
    states = models.verify()
    assert {"judge-digits", "judge-fashion"} <= set(states)
    assert set(states.values()) == {"ok"}


def test_every_file_of_a_shipped_model_is_in_the_sums():
    for shelf in shipped.SHELVES:
        listed = set(shipped._sums(shelf))
        for folder in (x for x in shelf.iterdir() if x.is_dir() and x.name[0] != "_"):
            for file in (x for x in folder.glob("**/*") if x.is_file()):
                assert file.relative_to(shelf).as_posix() in listed, file


def test_a_shipped_model_has_a_card_a_config_and_a_log():
    for name in models.verify():
        folder = models.path(name)
        card = (folder / "README.md").read_text(encoding="utf-8")
        words = ["Licence", f"course train {name}"]
        if list(folder.glob("**/*.safetensors")):  # others hold pictures or logs
            assert list(folder.glob("**/*.json")), name
            assert (folder / "log.csv").exists(), name
            words += ["Data", "Training", "Cost"]
        for word in words:
            assert word in card, (name, word)


def test_shipped_weights_stay_small():
    for name in ("judge-digits", "judge-fashion"):
        assert (models.path(name) / "model.safetensors").stat().st_size < 300_000


def test_each_shelf_fits_a_wheel():
    for shelf in shipped.SHELVES:
        size = sum(x.stat().st_size for x in shelf.glob("**/*") if x.is_file())
        assert size < 95e6, shelf.name


def test_no_model_stands_on_two_shelves():
    first, second = map(shipped._models, shipped.SHELVES)
    assert not first & second


def test_a_new_model_goes_to_the_last_shelf(weights, tmp_path, monkeypatch):
    more = tmp_path / "more"
    shutil.copytree(weights / "judge-digits", more / "judge-more")
    (more / "SHA256SUMS").write_text("")
    monkeypatch.setattr(shipped, "SHELVES", (weights, more))
    models.write_sums("judge-more")
    assert models.path("judge-more") == more / "judge-more"
    assert models.path("judge-digits") == weights / "judge-digits"
    assert {"judge-digits", "judge-more"} <= set(models.verify())
    assert "judge-more" not in shipped._models(weights)


def test_a_shelf_that_is_not_installed_is_named(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "SHELVES", (weights, tmp_path / "not-installed"))
    with pytest.raises(ValueError, match="pip install generative-vision-course-wei"):
        models.path("judge-cats")
    assert set(models.verify().values()) == {"ok"}


def test_one_flipped_byte_is_noticed(weights):
    file = weights / "judge-digits" / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    cure = "is damaged.*restore it by `git checkout -- .*install.*`course train judge"
    with pytest.raises(OSError, match=f"judge-digits/model.safetensors {cure}"):
        models.path("judge-digits")
    states = models.verify()
    assert "damaged" in states.pop("judge-digits")
    assert set(states.values()) <= {"ok"}


def test_a_missing_file_is_named_with_the_cure(weights):
    (weights / "judge-digits" / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="config.json is missing: restore it"):
        models.path("judge-digits")


def test_missing_sums_are_noticed(weights):
    (weights / "SHA256SUMS").unlink()
    with pytest.raises(FileNotFoundError, match="SHA256SUMS is missing: restore it"):
        models.path("judge-digits")


@pytest.mark.parametrize("line", ["no digest", "0123  short/README.md", ""])
def test_a_malformed_line_of_the_sums_is_named(weights, line):
    sums = weights / "SHA256SUMS"
    lines = sums.read_text().splitlines()
    sums.write_text("\n".join([*lines[:2], line, *lines[2:]]) + "\n")
    with pytest.raises(OSError, match=f"line 3 of SHA256SUMS is '{line}', not a dig"):
        models.path("judge-digits")


def test_writing_the_sums_accepts_what_is_there(weights):
    before = (weights / "SHA256SUMS").read_bytes()
    for name in models.verify():
        models.write_sums(name)
    assert (weights / "SHA256SUMS").read_bytes() == before
    (weights / "judge-digits" / "README.md").write_text("changed")
    assert "damaged" in models.verify()["judge-digits"]
    models.write_sums("judge-digits")
    assert models.verify()["judge-digits"] == "ok"


def test_writing_the_sums_of_one_model_hides_no_damage_of_another(weights):
    (weights / "oracle" / "config.json").write_text("{}")
    models.write_sums("judge-digits")
    assert "damaged" in models.verify()["oracle"]


def test_writing_the_sums_forgets_a_file_that_is_gone(weights):
    (weights / "judge-digits" / "log.csv").unlink()
    models.write_sums("judge-digits")
    assert "judge-digits/log.csv" not in shipped._sums(weights)


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(
        ValueError, match="'judge-cats' is no model.*judge-digits.*sd15"
    ):
        models.path("judge-cats")


# --- plain networks -----------------------------------------------------------


@pytest.fixture
def points(tmp_path):
    """A folder of a plain network, its weights in half precision."""
    net = networks.PointDenoiser(width=8)
    weights = {k: x.half() for k, x in net.state_dict().items()}
    save_file(weights, tmp_path / "model.safetensors")
    config = {"network": "networks.PointDenoiser", "options": {"width": 8}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_a_plain_network_comes_frozen_and_in_single_precision(points):
    net = models.network(points)
    assert type(net) is networks.PointDenoiser and not net.training
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in net.parameters())
    assert net.facts["options"] == {"width": 8}
    stored = load_file(points / "model.safetensors")
    assert all(torch.equal(x, stored[k].float()) for k, x in net.state_dict().items())


def test_a_plain_network_may_be_built_by_a_function(points):
    (points / "config.json").write_text('{"net": {"width": 8}}')
    built = []

    def build(**options):
        built.append(options)
        return networks.PointDenoiser(**options)

    models.network(points, build)
    assert built == [{"width": 8}]
    with pytest.raises(ValueError, match="does not say its class: pass build="):
        models.network(points)


def test_a_shipped_network_is_read_once_and_yours_each_time(points):
    first, again = (models.network("oracle", oracle.Reader) for _ in range(2))
    assert first is again and first is oracle.reader()
    assert models.network(points) is not models.network(points)


def test_what_is_no_plain_network_or_does_not_fit_is_refused(points):
    with pytest.raises(ValueError, match="'tiny-sd' is no plain network.*models.load"):
        models.network("tiny")
    with pytest.raises(ValueError, match="'nobody' is no model of the course"):
        models.network("nobody")
    with pytest.raises(ValueError, match="build=Reader does not fit the network"):
        models.network("segmenter", oracle.Reader)
    with pytest.raises(ValueError, match="build=Linear does not fit"):
        models.network(points, torch.nn.Linear)


# --- load ---------------------------------------------------------------------


def test_a_folder_in_the_diffusers_layout_loads_as_its_own_pipeline(tiny_ddpm):
    pipe = models.load("unconditional", tiny_ddpm)
    assert type(pipe) is diffusers.DDPMPipeline
    generator = torch.Generator().manual_seed(0)
    pipe.set_progress_bar_config(disable=True)
    images = pipe(num_inference_steps=2, generator=generator, output_type="np").images
    assert images.shape == (1, 8, 8, 1)


def test_a_folder_with_the_ve_pipeline_of_score_sde_loads_too(tmp_path):
    unet = diffusers.UNet2DModel(
        sample_size=8, block_out_channels=(8, 8), norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"), time_embedding_type="fourier",
    )  # fmt: skip
    made = diffusers.ScoreSdeVePipeline(unet, diffusers.ScoreSdeVeScheduler())
    made.save_pretrained(tmp_path)
    pipe = models.load("unconditional", tmp_path)
    assert type(pipe) is diffusers.ScoreSdeVePipeline
    pipe.set_progress_bar_config(disable=True)
    assert pipe(1, 2, output_type="np").images.shape == (1, 8, 8, 3)


def test_a_loaded_network_is_laid_out_for_speed(tiny_ddpm):
    unet = models.load("unconditional", tiny_ddpm).unet
    wide = [p for p in unet.parameters() if p.ndim == 4 and p.shape[-1] > 1]
    assert wide and all(
        p.is_contiguous(memory_format=torch.channels_last) for p in wide
    )
    video = torch.nn.Conv3d(2, 2, 3)  # has no such layout, and is left alone
    assert asking.finished(video, {}) is video and video.weight.is_contiguous()
    half = torch.nn.Conv2d(2, 2, 3).half()  # where it would be slower
    assert asking.finished(half, {}).weight.is_contiguous()


def test_a_folder_with_pickled_weights_only_is_refused(tiny_ddpm):
    file = tiny_ddpm / "unet" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_suffix(".bin"))
    with pytest.raises(OSError, match="safetensors"):
        models.load("unconditional", tiny_ddpm)


def test_a_real_checkpoint_that_is_not_here_says_what_it_costs_and_how_to_get_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(hub.hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub.hub, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        models.load("text-to-image", "sd15", cache_dir=tmp_path)
    for part in ("stable-diffusion-v1-5", "2.8 GB", "openrail-m", "HF_HUB_OFFLINE=0"):
        assert part in str(error.value)


def test_mirrors_are_tried_in_turn_after_size_and_licence_were_shown(
    monkeypatch, capsys
):
    asked = []

    class Pipeline:
        @staticmethod
        def from_pretrained(repo, **options):
            asked.append((repo, options["local_files_only"]))
            assert options["use_safetensors"] is True
            if repo == "b/mirror" and not options["local_files_only"]:
                return "the pipeline"
            raise OSError("not here")

        def __init__(self, unet=None):
            pass

    row = Checkpoint(
        "a/gone", "mit", 1.5, 2, {"unconditional": "X"}, mirrors=("b/mirror",)
    )
    monkeypatch.setitem(models.REGISTRY, "gone", row)
    for module in (asking, hub):
        monkeypatch.setattr(module, "class_of", lambda name: Pipeline)
    monkeypatch.setattr(hub.hub, "HF_HUB_OFFLINE", False)
    assert models.load("unconditional", "gone") == "the pipeline"
    repos = ["a/gone", "b/mirror"]
    assert asked == [(r, True) for r in repos] + [(r, False) for r in repos]
    assert "1.5 GB, licence mit" in capsys.readouterr().out


def test_a_checkpoint_that_is_nowhere_is_an_os_error(monkeypatch):
    class Pipeline:
        @staticmethod
        def from_pretrained(repo, **options):
            raise OSError("401")

    monkeypatch.setattr(hub, "class_of", lambda name: Pipeline)
    monkeypatch.setattr(hub.hub, "HF_HUB_OFFLINE", False)
    with pytest.raises(OSError, match="could not be downloaded"):
        models.load("unconditional", "ddpm-cifar10")


def test_bad_tasks_and_names_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match="task must be one of unconditional.*'poetry'"):
        models.load("poetry", "sd15")
    with pytest.raises(
        ValueError, match="'zeroscope' cannot do task='inpainting'.*video"
    ):
        models.load("inpainting", "zeroscope")
    with pytest.raises(ValueError, match="'no-such-model' is no model.*judge-digits"):
        models.load("text-to-image", "no-such-model")
    for name in (None, ["tiny"]):
        with pytest.raises(ValueError, match="name must be a text, such as .tiny."):
            models.load("text-to-image", name)
        with pytest.raises(ValueError, match="name must be a text, such as .tiny."):
            models.path(name)


@pytest.mark.parametrize("task", ["instruct", "text-to-video", "unconditional"])
def test_a_folder_is_refused_a_task_that_it_cannot_do(task):
    able = "StableDiffusionPipeline, for text-to-image, image-to-image, inpainting"
    with pytest.raises(ValueError, match=f"'tiny-sd' cannot do task='{task}'.*{able}"):
        models.load(task, "tiny")


def test_a_folder_of_no_pipeline_and_an_unknown_class_are_refused(tiny_ddpm):
    with pytest.raises(ValueError, match="'oracle' is no pipeline.*models.network"):
        models.load("text-to-image", "oracle")
    with pytest.raises(ValueError, match="'tiny-ddpm' cannot do task='inpainting'"):
        models.load("inpainting", tiny_ddpm)
    (tiny_ddpm / "model_index.json").write_text('{"_class_name": "Dreamer"}')
    with pytest.raises(ValueError, match="diffusers .* has no class 'Dreamer'"):
        models.load("text-to-image", tiny_ddpm)


def test_control_without_a_controlnet_is_refused():
    for name in ("tiny", "sd15"):  # tiny alone would draw what nobody controls
        with pytest.raises(ValueError, match="needs controlnet=models.load"):
            models.load("control", name)


@pytest.mark.parametrize("dtype", ["float16", torch.float16, "torch.float16"])
def test_a_dtype_may_be_given_by_its_name(tiny_ddpm, dtype):
    for name in ("dtype", "torch_dtype"):
        pipe = models.load("unconditional", tiny_ddpm, **{name: dtype})
        assert pipe.unet.dtype == torch.float16
    with pytest.raises(ValueError, match="dtype must be one of float32, .*'fp16'"):
        models.load("unconditional", tiny_ddpm, dtype="fp16")


@pytest.mark.parametrize("name", ["safety", "trust_remote_code", "use_safetensors"])
def test_an_unknown_option_is_refused_with_the_known_ones(tiny_ddpm, name):
    for model in (tiny_ddpm, "ddpm-cifar10"):
        with pytest.raises(ValueError, match=f"option {name}=.*dtype, .*, unet, sched"):
            models.load("unconditional", model, **{name: True})


# --- what is said while loading -----------------------------------------------


def test_loading_says_nothing():
    code = (
        "from course_utils import measure, models\n"
        "for name in ('tiny', 'tiny-pixel'): models.load('text-to-image', name)\n"
        "measure.clip.shipped_clip()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_truncated_prompt_is_not_passed_over_in_silence():
    code = (
        "from course_utils import models\n"
        "pipe = models.load('text-to-image', 'tiny')\n"
        "pipe.encode_prompt('a red star ' * 30, 'cpu', 1, False)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "truncated because CLIP can only handle sequences up to 48" in done.stderr


def test_importing_the_course_imports_neither_library():
    code = (
        "import sys, course_utils\n"
        "assert not {'diffusers', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_bars_of_others_stay():
    from diffusers.utils import logging as theirs

    with models.no_loading_bars():
        assert not theirs.is_progress_bar_enabled()
    assert theirs.is_progress_bar_enabled()


# --- a LoRA of few steps ------------------------------------------------------


@pytest.fixture
def lightning(monkeypatch):
    """A function that puts a LoRA and its base, from folders here, in the registry."""

    def put(base, lora):
        sdxl = dataclasses.replace(
            models.REGISTRY["sdxl"], repo=str(base), variant=None
        )
        row = models.REGISTRY["sdxl-lightning"]
        monkeypatch.setitem(models.REGISTRY, "sdxl", sdxl)
        row = dataclasses.replace(row, repo=str(lora.parent), lora=lora.name)
        monkeypatch.setitem(models.REGISTRY, "sdxl-lightning", row)

    return put


def test_lightning_is_its_base_with_a_lora_fused_and_trailing_steps(
    lightning, monkeypatch, tmp_path, capsys
):
    calls = []

    class Pipeline:
        scheduler = diffusers.DDIMScheduler()

        @staticmethod
        def from_pretrained(repo, **options):
            calls.append(repo)
            return Pipeline()

        def load_lora_weights(self, repo, weight_name, local_files_only, **options):
            assert local_files_only and options["use_safetensors"]
            calls.append(f"{repo}/{weight_name}")

        def fuse_lora(self):
            calls.append("fused")

    monkeypatch.setattr(diffusers, "StableDiffusionXLPipeline", Pipeline)
    lightning("base", tmp_path / "four.safetensors")
    pipe = models.load("text-to-image", "sdxl-lightning")
    assert calls == ["base", f"{tmp_path}/four.safetensors", "fused"]
    pipe.scheduler.set_timesteps(4)
    assert type(pipe.scheduler) is diffusers.EulerDiscreteScheduler
    assert pipe.scheduler.timesteps.tolist() == [999, 749, 499, 249]
    assert "num_inference_steps=4, guidance_scale=0" in capsys.readouterr().out


def test_a_real_lora_changes_a_real_pipeline(lightning, tmp_path):
    pipe = small_sdxl()
    pipe.save_pretrained(tmp_path / "base")
    place = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    before = pipe.unet.get_submodule(place).weight.clone()
    config = peft.LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False)
    pipe.unet.add_adapter(config)
    layers = peft.get_peft_model_state_dict(pipe.unet)
    pipe.save_lora_weights(
        tmp_path, unet_lora_layers=layers, weight_name="x.safetensors"
    )
    lightning(tmp_path / "base", tmp_path / "x.safetensors")
    found = models.load("text-to-image", "sdxl-lightning")
    after = found.unet.get_submodule(place).base_layer.weight  # the LoRA is in it
    assert not torch.allclose(after, before)
    options = dict(num_inference_steps=4, guidance_scale=0, output_type="pt")
    assert found("a red star", **options).images.isfinite().all()


def small_sdxl():
    """A StableDiffusionXLPipeline with fresh weights, as small as can be."""
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTextModelWithProjection,
        CLIPTokenizer,
    )

    tokenizer = CLIPTokenizer.from_pretrained(models.path("tiny") / "tokenizer")
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=16,
        eos_token_id=tokenizer.eos_token_id,
    )
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2,
        cross_attention_dim=32,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=6 * 4 + 16,
    )
    return diffusers.StableDiffusionXLPipeline(
        vae=diffusers.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4),
        text_encoder=CLIPTextModel(text),
        text_encoder_2=CLIPTextModelWithProjection(text),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=diffusers.DDIMScheduler(),
    )


# --- the registry -------------------------------------------------------------


@pytest.mark.parametrize("name", models.REGISTRY)
def test_a_registry_row_is_complete_and_its_classes_exist(name):
    row = models.REGISTRY[name]
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", row.repo)
    assert row.revision == "main" or re.fullmatch(r"[0-9a-f]{40}", row.revision)
    assert row.licence and row.gigabytes > 0 and row.vram > 0
    for task, kind in row.tasks.items():
        assert task in models.TASKS and hasattr(diffusers, kind)
        assert task in asking.tasks_of(kind)
    assert bool(row.base) == bool(row.lora)
    assert not row.base or row.tasks.items() <= models.REGISTRY[row.base].tasks.items()


def test_the_registry_names_no_repository_that_was_taken_down():
    for row in models.REGISTRY.values():
        for repo in (row.repo, *row.mirrors):
            assert not repo.startswith(("runwayml/", "stabilityai/stable-diffusion-2"))


def test_every_task_is_done_by_a_class_of_diffusers():
    assert all(hasattr(diffusers, kind) for kind in models.TASKS.values())
