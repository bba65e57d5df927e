"""A kill ends a command as Ctrl-C does: children and temporary folders go with it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kill_is_interrupt() -> Iterator[None]:
    """Let a kill and a closed terminal stop the block as Ctrl-C does.

    What cleans up after a Ctrl-C, and ends children, then does so after these too.
    """

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    kills = [getattr(signal, n) for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n)]
    if threading.current_thread() is not threading.main_thread():
        kills = []  # only there may one listen
    kills = [kill for kill in kills if signal.getsignal(kill) == signal.SIG_DFL]
    for kill in kills:
        signal.signal(kill, stop)
    try:
        yield
    finally:
        for kill in kills:
            signal.signal(kill, signal.SIG_DFL)
