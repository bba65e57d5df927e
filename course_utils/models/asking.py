"""What may be asked of diffusers: which task of which class, with which options."""

import inspect
from collections.abc import Iterable
from typing import Any

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
    "motion": "MotionAdapter",
}
# A DiffusionPipeline is whatever its folder says: these are the classes for a task.
# All others make pictures; AutoPipeline finds the right sister, or says it has none.
DOERS = {
    "unconditional": (
        "DDPMPipeline",
        "DDIMPipeline",
        "ConsistencyModelPipeline",
        "ScoreSdeVePipeline",
    ),
    "controlnet": ("ControlNetModel", "SparseControlNetModel"),
    "instruct": (
        "StableDiffusionInstructPix2PixPipeline",
        "StableDiffusionXLInstructPix2PixPipeline",
    ),
    "text-to-video": ("TextToVideoSDPipeline", "AnimateDiffPipeline"),
    "motion": ("MotionAdapter",),
}
# Parts of pipelines, not pipelines.
SINGLE = ("ControlNetModel", "SparseControlNetModel", "MotionAdapter")
PICTURES = [task for task in TASKS if task not in DOERS]
# What from_pretrained may be told beside a pipeline's own parts (unet=, scheduler=).
OPTIONS = ["dtype", "torch_dtype", "variant", "cache_dir", "token", "device_map"]
OPTIONS += ["low_cpu_mem_usage", "quantization_config"]
DTYPES = ("float32", "float16", "bfloat16")


def class_of(name: str) -> type:
    """A class of diffusers by its name."""
    import diffusers  # seconds; only those who load a pipeline should wait for it

    found = getattr(diffusers, name, None)
    if found is None:
        raise ValueError(f"diffusers {diffusers.__version__} has no class {name!r}")
    return found


def tasks_of(kind: str) -> list[str]:
    """The TASKS that a class of diffusers can do."""
    return [t for t, doers in DOERS.items() if kind in doers] or PICTURES


def check_task(task: str, name: str, what: str, able: Iterable[str]) -> None:
    """Refuse a task that a model is not for."""
    if task not in able:
        raise ValueError(
            f"{name!r} cannot do task={task!r}: it is a {what}, for {', '.join(able)}"
        )


def check_control(options: dict[str, Any]) -> None:
    """Refuse to control a picture without a ControlNet: it would be an ordinary one."""
    if "controlnet" not in options:
        raise ValueError(
            "task='control' needs controlnet=models.load('controlnet', NAME)"
        )


def checked_options(options: dict[str, Any], kind: str) -> dict[str, Any]:
    """Options that from_pretrained of `kind` takes; dtype as torch has it."""
    parts = ["controlnet"] if tasks_of(kind) == PICTURES else []
    if kind not in SINGLE:
        parts += [*inspect.signature(class_of(kind).__init__).parameters][1:]
    known = dict.fromkeys([*OPTIONS, *parts])
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ValueError(
            f"unknown option {unknown[0]}=: models.load of a {kind} knows "
            f"{', '.join(known)}"
        )
    asked = [options.get(name) for name in ("torch_dtype", "dtype")]
    dtype = asked[1] if asked[1] is not None else asked[0]
    rest = {k: x for k, x in options.items() if k not in ("torch_dtype", "dtype")}
    return rest if dtype is None else rest | {"dtype": _dtype(dtype)}


def _dtype(dtype: Any) -> Any:
    """A torch.dtype, from its name too: diffusers takes a str for float32."""
    import torch

    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(
            f"dtype must be one of {', '.join(DTYPES)}, or torch's own, not {dtype!r}"
        )
    return getattr(torch, name)


def finished(loaded: Any, options: dict[str, Any]) -> Any:
    """The loaded object in the dtype that was asked for, laid out for speed.

    Some versions of diffusers know dtype by another name, and would pass over ours.
    """
    dtype = options.get("dtype")
    if dtype is not None and loaded.dtype != dtype:
        loaded = loaded.to(dtype)
    return _channels_last(loaded)


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
