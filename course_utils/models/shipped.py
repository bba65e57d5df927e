"""Models by name: the ones the course ships, real checkpoints, and folders of yours.

Weights are read from safetensors only, which hold numbers and never code. Those of the
course are compared with weights/SHA256SUMS; real ones are those of the REGISTRY.
"""

import functools
import hashlib
import os
from pathlib import Path
from typing import Any

from huggingface_hub import constants as hub

from course_utils import session
from course_utils.models.checkpoints import REGISTRY, card

WEIGHTS = Path(__file__).parent.parent / "weights"  # one folder a model, and SHA256SUMS


# What a folder of the course's or of yours is loaded with: these read its
# model_index.json and choose the pipeline that fits it.
TASKS = {
    "unconditional": "DiffusionPipeline",
    "text-to-image": "AutoPipelineForText2Image",
    "image-to-image": "AutoPipelineForImage2Image",
    "inpainting": "AutoPipelineForInpainting",
    "control": "AutoPipelineForText2Image",
    "controlnet": "ControlNetModel",
    "instruct": "DiffusionPipeline",
    "text-to-video": "DiffusionPipeline",
}


def load(task: str, name: str | os.PathLike, **options: Any) -> Any:
    """A diffusers object for `task`: a shipped model, a folder, or a real checkpoint.

    options go to `from_pretrained`: dtype=torch.float16, controlnet=... Raises
    ValueError for an unknown task or name, OSError with what to do if a real checkpoint
    is not on this computer and downloads are off, as they are by default.
    """
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, not {task!r}")
    if name in REGISTRY:
        return _load_real(task, str(name), options)
    folder = Path(name) if Path(name).is_dir() else path(str(name))
    kind = _class(TASKS[task])
    found = kind.from_pretrained(
        folder, use_safetensors=True, local_files_only=True, **options
    )
    return _channels_last(found)


def _channels_last(loaded: Any) -> Any:
    """Lay a pixel's channels side by side in memory: faster on a CPU.

    For tiny a tenth less time in the UNet, half in the VAE; but not in half precision.
    """
    from torch import channels_last, float32, nn

    for net in getattr(loaded, "components", {"itself": loaded}).values():
        weights = list(net.parameters()) if isinstance(net, nn.Module) else []
        flat = all(p.ndim < 5 for p in weights)  # the format is not for video
        if weights and flat and weights[0].dtype == float32:
            net.to(memory_format=channels_last)
    return loaded


def _class(name: str) -> type:
    import diffusers  # seconds; only those who load a pipeline should wait for it

    return getattr(diffusers, name)


def _load_real(task: str, name: str, options: dict[str, Any]) -> Any:
    checkpoint = REGISTRY[name]
    if task not in checkpoint.tasks:
        able = ", ".join(checkpoint.tasks)
        hint = f" ({checkpoint.note})" if checkpoint.note else ""
        raise ValueError(f"{name!r} cannot do task={task!r}; it is for: {able}{hint}")
    kind = _class(checkpoint.tasks[task])
    options = {"variant": checkpoint.variant} | options
    for online in (False, True):  # what is on this computer needs no network
        if online and hub.HF_HUB_OFFLINE:
            raise FileNotFoundError(_how_to_get(name))
        if online:
            print(f"downloading {card(name)}")
        for repo in (checkpoint.repo, *checkpoint.mirrors):
            revision = checkpoint.revision if repo == checkpoint.repo else "main"
            try:
                return kind.from_pretrained(
                    repo,
                    revision=revision,
                    use_safetensors=True,
                    local_files_only=not online,
                    **options,
                )
            except OSError as error:  # missing, offline, or moved: try the next
                failure = error
    raise OSError(f"{card(name)} could not be downloaded") from failure


def _how_to_get(name: str) -> str:
    return (
        f"{card(name)}. It is not on this computer, and the course downloads "
        "nothing unasked. If size and licence suit you: set the environment variable "
        "HF_HUB_OFFLINE=0 before Python or Jupyter starts, then run this again."
    )


def path(name: str) -> Path:
    """The folder of a shipped model, its files compared with SHA256SUMS (once).

    "tiny" is the miniature Stable Diffusion, tiny-sd. Raises ValueError for a name that
    is not shipped, OSError for a missing or damaged file, with what to do about it.
    """
    name = "tiny-sd" if name == "tiny" else name
    session.uses(name)
    return _verified(name, WEIGHTS)


@functools.cache
def _verified(name: str, weights: Path) -> Path:
    sums = _sums(weights)
    files = {file: digest for file, digest in sums.items() if _model(file) == name}
    if not files:
        raise ValueError(
            f"name={name!r} is no model of the course and no folder; there are "
            f"{', '.join(sorted(set(map(_model, sums))))}, and as real checkpoints "
            f"{', '.join(REGISTRY)}"
        )
    cure = f"run `course train {name}`, or install the course again"
    for file, digest in files.items():
        if not (weights / file).is_file():
            raise FileNotFoundError(f"{weights / file} is missing: {cure}")
        if _sha256(weights / file) != digest:
            raise OSError(f"{weights / file} is damaged or was changed: {cure}")
    return weights / name


def verify() -> dict[str, str]:
    """The state of every shipped model: name -> "ok", or what is wrong and the cure."""
    states = {}
    for name in sorted(set(map(_model, _sums(WEIGHTS)))):
        try:
            _verified.__wrapped__(name, WEIGHTS)
            states[name] = "ok"
        except OSError as error:
            states[name] = str(error)
    return states


def write_sums() -> None:
    """Write weights/SHA256SUMS anew; a recipe does this when its weight is done."""
    lines = [
        f"{_sha256(file)}  {file.relative_to(WEIGHTS).as_posix()}\n"
        for file in sorted(WEIGHTS.glob("*/**/*"))
        if file.is_file() and not file.name.startswith(".")
    ]
    (WEIGHTS / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", newline="\n")
    _verified.cache_clear()


def _sums(weights: Path) -> dict[str, str]:
    """Read SHA256SUMS: file (relative, with slashes) -> hex digest."""
    if not (weights / "SHA256SUMS").is_file():
        raise FileNotFoundError(
            f"{weights / 'SHA256SUMS'} is missing: install the course again"
        )
    lines = (weights / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {file: digest for digest, file in (line.split("  ", 1) for line in lines)}


def _model(file: str) -> str:
    return file.split("/")[0]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
