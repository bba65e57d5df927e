"""Real checkpoints: from this computer, or, if it was allowed, from the hub."""

import contextlib
from collections.abc import Callable
from typing import Any

from huggingface_hub import constants as hub

from course_utils.models.asking import (
    check_control,
    check_task,
    checked_options,
    class_of,
    finished,
)
from course_utils.models.cascade import KIND, mend_stable_cascade
from course_utils.models.checkpoints import REGISTRY, card
from course_utils.models.quiet import no_loading_bars


def load_real(task: str, name: str, options: dict[str, Any]) -> Any:
    """What `name` of the REGISTRY is for `task`, once size and licence were shown."""
    checkpoint = REGISTRY[name]
    note = f" ({checkpoint.note})" if checkpoint.note else ""
    check_task(task, name, checkpoint.repo + note, checkpoint.tasks)
    if task == "control":
        check_control(options)
    options = checked_options(options, checkpoint.tasks[task])
    if checkpoint.base:
        return _with_lora(task, name, options)
    if checkpoint.tasks[task] == KIND:
        mend_stable_cascade()
    kind = class_of(checkpoint.tasks[task])
    options = {"variant": checkpoint.variant} | options

    def fetch(repo: str, **where: Any) -> Any:
        return kind.from_pretrained(repo, use_safetensors=True, **where, **options)

    return finished(_fetched(name, fetch), options)


def _with_lora(task: str, name: str, options: dict[str, Any]) -> Any:
    """A checkpoint that is a LoRA (Hu et al. 2021) of few steps on top of another."""
    checkpoint = REGISTRY[name]
    pipe = load_real(task, checkpoint.base, options)

    def fetch(repo: str, **where: Any) -> None:
        where |= {k: options[k] for k in ("cache_dir", "token") if k in options}
        pipe.load_lora_weights(
            repo, weight_name=checkpoint.lora, use_safetensors=True, **where
        )

    _fetched(name, fetch)
    pipe.fuse_lora()
    euler, plan = class_of("EulerDiscreteScheduler"), pipe.scheduler.config
    # the steps that it was taught begin at pure noise
    pipe.scheduler = euler.from_config(plan, timestep_spacing="trailing")
    print(f"{name}: {checkpoint.note}")
    return pipe


def _fetched(name: str, fetch: Callable[..., Any]) -> Any:
    """fetch(repo, revision=, local_files_only=) of what is here, else of the hub."""
    checkpoint = REGISTRY[name]
    for online in (False, True):  # what is on this computer needs no network
        if online and hub.HF_HUB_OFFLINE:
            raise FileNotFoundError(_how_to_get(name))
        if online:
            print(f"downloading {card(name)}")
        for repo in (checkpoint.repo, *checkpoint.mirrors):
            revision = checkpoint.revision if repo == checkpoint.repo else "main"
            try:
                with contextlib.nullcontext() if online else no_loading_bars():
                    return fetch(repo, revision=revision, local_files_only=not online)
            except OSError as error:  # missing, offline, or moved: try the next
                failure = error
    raise OSError(f"{card(name)} could not be downloaded") from failure


def _how_to_get(name: str) -> str:
    return (
        f"{card(name)}. It is not on this computer, and the course downloads "
        "nothing unasked. If size and licence suit you: set the environment variable "
        "HF_HUB_OFFLINE=0 before Python or Jupyter starts, then run this again."
    )
