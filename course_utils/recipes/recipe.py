"""What a recipe is, and how a weight is made from one: the same way for all.

A recipe function, `oracle(steps, seed) -> Recipe`, has the name of its weight. It says
what is trained, from which batches and which loss, and what is worth keeping;
`produce` owns the folders, the lock, the log and the card.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from course_utils import session, training
from course_utils.recipes import artifacts
from course_utils.training import State

PROBE = 64 * 2**20  # bytes; about what the largest training saves at once
LICENCE = "Apache-2.0, as the course"


@dataclass(kw_only=True)
class Recipe:
    """A weight that `training.train` makes.

    model      builds the network with fresh weights, once torch's seed is set
    batch      batch(generator, step), and loss(model, *batch): see training.train
    save       save(model, folder) writes the averaged weights, and returns what the
               card says of them
    card       its text; the blanks are `facts` and what `save` returns
    seed       of the weights and of the batches
    optimizer  makes it for the model; AdamW at `lr` if not given
    choices    what else it was made with, such as small=True
    watch      watch(states, work) passes the states on and shows what was learnt
    then       a second training, of the averaged weights of this one
    share      of the cores, see session.threads
    licence    the last line of its card
    """

    model: Callable[[], nn.Module]
    batch: training.Batch
    loss: training.Loss
    save: Callable[[nn.Module, Path], dict]
    card: str
    steps: int
    batch_size: int
    seed: int
    lr: float = 1e-3
    ema: float = 0.999
    decay: float = 1.0
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] | None = None
    choices: dict = field(default_factory=dict)
    log_every: int = 50
    watch: Callable[[Iterator[State], Path], Iterator[State]] | None = None
    then: Callable[[nn.Module], "Recipe"] | None = None
    share: float = 0.5
    licence: str = LICENCE

    @property
    def settings(self) -> dict:
        """What a training that was stopped must share with the one that goes on."""
        own = dict(steps=self.steps, seed=self.seed, batch_size=self.batch_size)
        return own | self.choices

    @property
    def facts(self) -> dict:
        """What the card says whatever was learnt."""
        return self.settings | dict(lr=self.lr)

    def make(self, work: Path) -> nn.Module:
        """Train, or go on where `work` says; return the averaged weights."""
        torch.set_num_threads(session.threads(self.share))
        torch.manual_seed(self.seed)
        model = self.model()
        states = training.train(
            model,
            self.batch,
            self.loss,
            steps=self.steps,
            lr=self.lr,
            ema=self.ema,
            decay=self.decay,
            seed=self.seed,
            optimizer=self.optimizer(model) if self.optimizer else None,
            save_to=work / "state.safetensors",
            settings=self.settings,
        )
        states = self.watch(states, work) if self.watch else states
        trained = artifacts.follow(states, work, self.log_every).cpu()
        return self.then(trained).make(work / "then") if self.then else trained


@dataclass(kw_only=True)
class Made:
    """A weight that no single training makes: drawn, packed, or put together.

    make(work) goes on where `work` says; save(what it returns, folder) as a Recipe's.
    """

    make: Callable[[Path], Any]
    save: Callable[[Any, Path], dict]
    card: str
    facts: dict = field(default_factory=dict)
    choices: dict = field(default_factory=dict)
    licence: str = LICENCE


def produce(
    function: Callable[..., Recipe | Made], folder: Path, work: Path, **options: object
) -> None:
    """Make the weight of a recipe function, with its card and its log, in `folder`.

    Of many processes all train, and the first one writes.
    """
    if not Accelerator().is_main_process:
        function(**options).make(work)
        return
    name = name_of(function)
    compiled = str((work / "compiled").resolve())  # else the temporary folder keeps it
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", compiled)
    with session.lock(work, f"course train {name}"), _resumable(work):
        for place in (work, folder):
            _check_writable(place)
        recipe = function(**options)
        made = recipe.make(work)
        small, without = map(recipe.choices.get, ("small", "without"))
        command = name + (" --small" if small else "")
        command += f" --without {without}" if without else ""
        file = function.__module__.split(".")[-1]
        foot = artifacts.foot_of_card(work, command, file, recipe.licence)
        with artifacts.moved_when_whole(folder) as fresh:
            facts = recipe.facts | recipe.save(made, fresh)
            artifacts.write_card(fresh, work, recipe.card.format(**facts) + foot)


def _check_writable(folder: Path) -> None:
    """Refuse a folder that is read-only or full: now, not after hours of training."""
    probe = folder / ".probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(bytes(PROBE))
    except OSError as error:
        raise ValueError(
            f"{PROBE >> 20} MB cannot be written into {folder} ({error.strerror}): "
            "free some space, mend its rights, or choose another"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


@contextlib.contextmanager
def _resumable(work: Path) -> Iterator[None]:
    """Say after a Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        print(
            f"\nstopped: the same command goes on from what {work} has saved, and "
            "starts afresh if you delete that folder",
            flush=True,
        )
        raise


def name_of(function: Callable) -> str:
    """The name of a recipe's weight: judge_digits makes "judge-digits"."""
    return function.__name__.replace("_", "-")


def is_made(folder: Path, work: Path, settings: dict) -> bool:
    """Has `produce` ended here? ValueError if it had other settings than these."""
    if not (folder / "README.md").exists():  # the card is written last
        return False
    if (work / "state.safetensors").exists():
        training.check_settings(work / "state.safetensors", settings)
    return True
