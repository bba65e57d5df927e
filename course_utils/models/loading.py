"""Pipelines by task and name: shipped ones, folders of yours, real checkpoints.

Weights are read from safetensors only, which hold numbers and never code, and no code
that comes with a model is ever run. Nothing is downloaded unasked.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from course_utils.models.asking import (
    TASKS,
    check_control,
    check_task,
    checked_options,
    class_of,
    finished,
    tasks_of,
)
from course_utils.models.cascade import (
    KIND,
    fit_to_64,
    is_miniature,
    mend_stable_cascade,
)
from course_utils.models.checkpoints import REGISTRY
from course_utils.models.hub import load_real
from course_utils.models.quiet import no_loading_bars, quiet
from course_utils.models.shipped import path


def load(task: str, name: str | os.PathLike, **options: Any) -> Any:
    """A diffusers object for `task`: a shipped model, a folder, or a real checkpoint.

    options go to `from_pretrained`: dtype=torch.float16 (or "float16"), controlnet=...
    Raises ValueError for an unknown task, name or option, and for a model that cannot
    do the task; OSError with what to do if a real checkpoint is not on this computer
    and downloads are off, as they are by default.
    """
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, not {task!r}")
    if not isinstance(name, str | os.PathLike):
        raise ValueError(
            f'name must be a text, such as "tiny", or a Path, not {name!r}'
        )
    if name in REGISTRY:
        return load_real(task, str(name), options)
    folder = Path(name) if Path(name).is_dir() else path(str(name))
    kind = _kind(folder)
    check_task(task, folder.name, kind, tasks_of(kind))
    if task == "control" and not (folder / "controlnet").is_dir():
        check_control(options)
    options = checked_options(options, kind)
    hush = contextlib.nullcontext()
    if kind == KIND:
        mend_stable_cascade()
        hush = quiet()  # it says that it is deprecated
    with no_loading_bars(), hush:
        found = class_of(TASKS[task]).from_pretrained(
            folder, use_safetensors=True, local_files_only=True, **options
        )
    if kind == KIND and is_miniature(folder):
        found = fit_to_64(found)
    return finished(found, options)


def _kind(folder: Path) -> str:
    """The diffusers class that the folder says it is of."""
    files = folder / "model_index.json", folder / "config.json"
    said = [json.loads(f.read_text(encoding="utf-8")) for f in files if f.is_file()]
    kind = said[0].get("_class_name") if said else None
    if isinstance(kind, str):
        return kind
    raise ValueError(
        f"{folder.name!r} is no pipeline of diffusers (no model_index.json says its "
        "class); a plain network is loaded by models.network(name)"
    )
