"""A kill ends a command as Ctrl-C does: children and temporary folders go with it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

KILLS = ("SIGTERM", "SIGHUP")  # what kill and a closed terminal send


@contextmanager
def kill_is_interrupt() -> Iterator[None]:
    """Let a kill and a closed terminal stop the block as Ctrl-C does.

    What cleans up after a Ctrl-C, and ends children, then does so after these too.
    """

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with _listening(KILLS, stop):
        yield


@contextmanager
def interrupts_noted() -> Iterator[list[int]]:
    """Note Ctrl-C, a kill and a closed terminal in a list, and interrupt nothing.

    For a block with threads: an exception that may come between any two lines leaves a
    lock taken or a thread that nobody knows, and what waits for these never ends. Such
    a block looks at the list where it is safe to stop.
    """
    noted: list[int] = []  # no Event: two signals at once would lock each other out
    with _listening(("SIGINT", *KILLS), lambda number, _: noted.append(number)):
        yield noted


@contextmanager
def _listening(names: tuple[str, ...], heard: Callable) -> Iterator[None]:
    """Call `heard` for these signals; one that is ignored, as under nohup, stays so."""
    there = [getattr(signal, name) for name in names if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        there = []  # only there may one listen
    old = {number: signal.getsignal(number) for number in there}
    old = {n: how for n, how in old.items() if how not in (signal.SIG_IGN, None)}
    for number in old:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number, how in old.items():
            signal.signal(number, how)
