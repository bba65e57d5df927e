"""What a server needs for a class, measured on this machine.

    python deploy/capacity.py                 4 students, lesson 02; prints the tables
    python deploy/capacity.py --students 8 --save       and writes capacity.md

First one student comes alone, then all at the same moment, which is the worst case.
Memory is each process's fair share of what it holds (PSS: what thirty processes share
counts once), where the system tells it (Linux); elsewhere what it holds alone.
"""

import argparse
import asyncio
import math
import os
import platform
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
from rehearsal import HERE, Hub, Visit, running_hub, visit

from course_utils.commands import choice, costs, guide
from course_utils.commands.kernel import looking

PAGE = HERE / "capacity.md"
SPARE = 1.15  # room for the system and for what nobody foresaw
CLASSES = (1, 10, 20, 30)


class Memory(NamedTuple):
    """The most that was held at one moment, in MB."""

    base: float  # hub, proxy and culler
    server: float  # a student's server, without kernels
    student: float  # a student's server and kernels


class Day(NamedTuple):
    """One class: how it went for each student, and the memory that it took."""

    visits: list[Visit]
    memory: Memory


class Meter:
    """Reads twice a second what the hub's processes hold."""

    def __init__(self, hub: Hub):
        """Watch the processes that `hub` starts."""
        self.hub = psutil.Process(hub.process.pid)
        self.base, self.peaks = 0.0, defaultdict(float)
        self.servers = defaultdict(float)
        self.owners: dict[int, str] = {}

    def look(self) -> None:
        """Look once, and keep the peaks."""
        base, held = 0.0, defaultdict(float)
        for process in [self.hub, *self.hub.children(recursive=True)]:
            with suppress(psutil.Error):
                owner = self._owner(process)
                info = process.memory_full_info()
                mb = getattr(info, "pss", info.uss) / 1e6
                if owner:
                    held[owner] += mb
                    if "ipykernel" not in " ".join(process.cmdline()):
                        self.servers[owner] = max(self.servers[owner], mb)
                else:
                    base += mb
        self.base = max(self.base, base)
        for owner, mb in held.items():
            self.peaks[owner] = max(self.peaks[owner], mb)

    def _owner(self, process: psutil.Process) -> str:
        if process.pid not in self.owners:
            self.owners[process.pid] = process.environ().get("JUPYTERHUB_USER", "")
        return self.owners[process.pid]

    def memory(self) -> Memory:
        """Return the peaks so far, of the hungriest student."""
        servers, students = self.servers.values(), self.peaks.values()
        return Memory(self.base, max(servers, default=0), max(students, default=0))


def hold(students: int, lesson: Path, size: str) -> Day:
    """Hold a class: that many come at once, run `lesson` at `size`, and leave."""

    async def all_of_them(hub: Hub) -> list[Visit]:
        names = [f"student{i:02d}" for i in range(students)]
        return await asyncio.gather(*(visit(hub, n, lesson, size) for n in names))

    with tempfile.TemporaryDirectory(prefix="course-class-") as folder:
        environment = os.environ | {"COURSE_HUB_STATE": folder}
        with running_hub(environment) as hub:
            meter = Meter(hub)
            with looking(meter.look):
                visits = asyncio.run(all_of_them(hub))
            return Day(visits, meter.memory())


def page(alone: Day, together: Day, lesson: Path, size: str) -> str:
    """Return capacity.md: what was measured, and what follows for a class."""
    import torch

    students, memory = len(together.visits), together.memory
    heavy = max(choice.lessons(), key=lambda path: costs.of(path).peak_mb)
    heaviest = memory.server + costs.of(heavy).peak_mb
    one, all_ = (max(v.lesson for v in day.visits) for day in (alone, together))
    first, last = (max(v.start for v in day.visits) for day in (alone, together))
    number, cores = lesson.stem[:2], psutil.cpu_count()
    crowd = f"the same, {students} at once on {cores} cores"
    measured = [
        ("hub, proxy and culler", f"{memory.base:.0f} MB"),
        ("a student who is there", f"{memory.server:.0f} MB"),
        (f"a student at the peak of lesson {number}", f"{memory.student:.0f} MB"),
        (f"the same in the heaviest lesson, {heavy.stem[:2]}", f"{heaviest:.0f} MB"),
        ("until the server stands, alone", f"{first:.0f} s"),
        (crowd, f"{last:.0f} s"),
        (f"lesson {number}, alone", f"{one:.0f} s"),
        (crowd, f"{all_:.0f} s"),
    ]
    rows = [
        f"| {n} | {_gb(memory.base + n * memory.student)} "
        f"| {_gb(memory.base + n * heaviest)} | {n} | {math.ceil(n / 3)} |"
        for n in CLASSES
    ]
    return "\n".join(
        [
            "# What a server needs",
            "",
            f"Measured {time.strftime('%Y-%m-%d')} by `python deploy/capacity.py "
            f"--students {students} --size {size} --save` on {cores} cores, "
            f"{platform.system()} {platform.machine()}, Python "
            f"{platform.python_version()}, torch {torch.__version__.split('+')[0]}; "
            "one thread a student, all at the same moment.",
            "",
            "| what | measured |",
            "|---|---:|",
            *(f"| {what} | {value} |" for what, value in measured),
            "",
            "What follows, with a seventh to spare:",
            "",
            f"| students | memory, lesson {number} | memory, any lesson "
            "| cores, nobody waits | cores, a third computes |",
            "|---:|---:|---:|---:|---:|",
            *rows,
            "",
            "Memory is for one open lesson each: a second one that stays open takes",
            "as much again, until it has been idle for an hour. Fewer cores than",
            "students only make them wait: if all press Run at once, a lesson takes",
            "students / cores times as long as alone.",
            "",
        ]
    )


def _gb(mb: float) -> str:
    return f"{max(2, math.ceil(SPARE * mb / 1000))} GB"


def main() -> None:
    """Measure, print, and with --save write capacity.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=4)
    parser.add_argument("--lesson", default="02")
    parser.add_argument("--size", default="laptop", choices=choice.SIZES)
    parser.add_argument("--save", action="store_true", help=f"write {PAGE.name}")
    given = parser.parse_args()
    if given.students < 1:
        parser.error("--students must be at least 1")
    try:
        [lesson] = choice.lessons([given.lesson])
    except ValueError as error:
        parser.error(str(error))
    alone = hold(1, lesson, given.size)
    text = page(alone, hold(given.students, lesson, given.size), lesson, given.size)
    print(text)
    if given.save:
        PAGE.write_text(text, encoding="utf-8", newline="\n")
        guide.refresh()


if __name__ == "__main__":
    main()
