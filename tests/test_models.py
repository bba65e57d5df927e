import re
import shutil

import diffusers
import pytest
import torch

from course_utils import models
from course_utils.models import shipped
from course_utils.models.checkpoints import Checkpoint


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A copy of the shipped weights that a test may damage."""
    folder = tmp_path / "weights"
    shutil.copytree(shipped.WEIGHTS, folder)
    monkeypatch.setattr(shipped, "WEIGHTS", folder)
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
    listed = set(shipped._sums(shipped.WEIGHTS))
    for folder in shipped.WEIGHTS.iterdir():
        for file in folder.glob("**/*") if folder.is_dir() else ():
            name = file.relative_to(shipped.WEIGHTS).as_posix()
            assert file.is_dir() or name in listed, name


def test_a_shipped_model_has_a_card_a_config_and_a_log():
    for name in models.verify():
        folder = models.path(name)
        card = (folder / "README.md").read_text(encoding="utf-8")
        words = ["Licence", f"course train {name}"]
        if list(folder.glob("**/*.safetensors")):  # others hold pictures or logs
            assert list(folder.glob("*.json")) and (folder / "log.csv").exists(), name
            words += ["Data", "Training", "Cost"]
        for word in words:
            assert word in card, (name, word)


def test_shipped_weights_stay_small():
    for name in ("judge-digits", "judge-fashion"):
        assert (models.path(name) / "model.safetensors").stat().st_size < 200_000


def test_one_flipped_byte_is_noticed(weights):
    file = weights / "judge-digits" / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with pytest.raises(
        OSError, match="model.safetensors is damaged.*`course train judge"
    ):
        models.path("judge-digits")
    states = models.verify()
    assert "damaged" in states.pop("judge-digits")
    assert set(states.values()) <= {"ok"}


def test_a_missing_file_is_named_with_the_cure(weights):
    (weights / "judge-digits" / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="config.json is missing: run `course"):
        models.path("judge-digits")


def test_missing_sums_are_noticed(weights):
    (weights / "SHA256SUMS").unlink()
    with pytest.raises(FileNotFoundError, match="SHA256SUMS is missing: install"):
        models.path("judge-digits")


def test_writing_the_sums_accepts_what_is_there(weights):
    before = (weights / "SHA256SUMS").read_bytes()
    models.write_sums()
    assert (weights / "SHA256SUMS").read_bytes() == before
    (weights / "judge-digits" / "README.md").write_text("changed")
    assert "damaged" in models.verify()["judge-digits"]
    models.write_sums()
    assert models.verify()["judge-digits"] == "ok"


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(
        ValueError, match="'judge-cats' is no model.*judge-digits.*sd15"
    ):
        models.path("judge-cats")


# --- load ---------------------------------------------------------------------


def test_a_folder_in_the_diffusers_layout_loads_as_its_own_pipeline(tiny_ddpm):
    pipe = models.load("unconditional", tiny_ddpm)
    assert type(pipe) is diffusers.DDPMPipeline
    generator = torch.Generator().manual_seed(0)
    pipe.set_progress_bar_config(disable=True)
    images = pipe(num_inference_steps=2, generator=generator, output_type="np").images
    assert images.shape == (1, 8, 8, 1)


def test_a_loaded_network_is_laid_out_for_speed(tiny_ddpm):
    unet = models.load("unconditional", tiny_ddpm).unet
    wide = [p for p in unet.parameters() if p.ndim == 4 and p.shape[-1] > 1]
    assert wide and all(
        p.is_contiguous(memory_format=torch.channels_last) for p in wide
    )
    video = torch.nn.Conv3d(2, 2, 3)  # has no such layout, and is left alone
    assert shipped._channels_last(video) is video and video.weight.is_contiguous()
    half = torch.nn.Conv2d(2, 2, 3).half()  # where it would be slower
    assert shipped._channels_last(half).weight.is_contiguous()


def test_a_folder_with_pickled_weights_only_is_refused(tiny_ddpm):
    file = tiny_ddpm / "unet" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_suffix(".bin"))
    with pytest.raises(OSError, match="safetensors"):
        models.load("unconditional", tiny_ddpm)


def test_a_real_checkpoint_that_is_not_here_says_what_it_costs_and_how_to_get_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(shipped.hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(shipped.hub, "HF_HUB_CACHE", str(tmp_path))
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

    row = Checkpoint(
        "a/gone", "mit", 1.5, 2, {"unconditional": "X"}, mirrors=("b/mirror",)
    )
    monkeypatch.setitem(models.REGISTRY, "gone", row)
    monkeypatch.setattr(shipped, "_class", lambda name: Pipeline)
    monkeypatch.setattr(shipped.hub, "HF_HUB_OFFLINE", False)
    assert models.load("unconditional", "gone") == "the pipeline"
    repos = ["a/gone", "b/mirror"]
    assert asked == [(r, True) for r in repos] + [(r, False) for r in repos]
    assert "1.5 GB, licence mit" in capsys.readouterr().out


def test_a_checkpoint_that_is_nowhere_is_an_os_error(monkeypatch):
    class Pipeline:
        @staticmethod
        def from_pretrained(repo, **options):
            raise OSError("401")

    monkeypatch.setattr(shipped, "_class", lambda name: Pipeline)
    monkeypatch.setattr(shipped.hub, "HF_HUB_OFFLINE", False)
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


# --- the registry -------------------------------------------------------------


@pytest.mark.parametrize("name", models.REGISTRY)
def test_a_registry_row_is_complete_and_its_classes_exist(name):
    row = models.REGISTRY[name]
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", row.repo)
    assert row.revision == "main" or re.fullmatch(r"[0-9a-f]{40}", row.revision)
    assert row.licence and row.gigabytes > 0 and row.vram > 0
    for task, kind in row.tasks.items():
        assert task == "lora" or (task in models.TASKS and hasattr(diffusers, kind))


def test_the_registry_names_no_repository_that_was_taken_down():
    for row in models.REGISTRY.values():
        for repo in (row.repo, *row.mirrors):
            assert not repo.startswith(("runwayml/", "stabilityai/stable-diffusion-2"))


def test_every_task_is_done_by_a_class_of_diffusers():
    assert all(hasattr(diffusers, kind) for kind in models.TASKS.values())
