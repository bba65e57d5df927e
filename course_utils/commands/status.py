"""What runs now: a live line on a terminal, plain lines now and then in a log."""

import shutil
import sys
import time
from typing import TextIO

from course_utils.commands.kernel import Watch
from course_utils.session import duration


class Status:
    """The lines of a run of `total` lessons: one for each that ended, one for now.

    On a terminal the line for now is written over again and again, and leaves nothing
    behind. Anywhere else it is a plain line every `pause` seconds, so that a log holds
    whole lines only and still says that there is life.
    """

    def __init__(self, total: int, stream: TextIO | None = None, pause: float = 60):
        """Write to `stream`, standard output if not given."""
        self.total, self.stream, self.pause = total, stream or sys.stdout, pause
        self.live = self.stream.isatty()
        self.began = self.told = time.monotonic()
        self.ended = self.width = 0

    def now(self, running: dict[str, Watch]) -> None:
        """Say which lessons run, and which of their cells."""
        moment = time.monotonic()
        if self.live:
            line = self._line(running, moment)[: shutil.get_terminal_size().columns - 1]
            self._write("\r" + line.ljust(self.width))
            self.width = len(line)
        elif running and moment - self.told >= self.pause:
            self.told = moment
            self._write(self._line(running, moment) + "\n")

    def end(self, line: str) -> None:
        """Say how a lesson ended."""
        self.ended += 1
        self.clear()
        self._write(line + "\n")

    def clear(self) -> None:
        """Take the live line away, if there is one."""
        if self.width:
            self._write("\r" + " " * self.width + "\r")
            self.width = 0

    def _line(self, running: dict[str, Watch], moment: float) -> str:
        each = (
            f"{name[:2]} {f'cell {w.cell}/{w.cells}' if w.cell else 'starts'}"
            for name, w in running.items()
        )
        took = duration(moment - self.began)
        return f"{self.ended} of {self.total} ended, {took}; now {', '.join(each)}"

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
