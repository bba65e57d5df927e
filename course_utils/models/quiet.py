"""Loading without bars: half a second needs none, and a notebook keeps every one."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def no_loading_bars() -> Iterator[None]:
    """Switch off the loading bars of diffusers and transformers inside this block.

    Yours stay: those of a pipeline at work, and those of a download.
    """
    from diffusers.utils import logging as diffusers
    from transformers.utils import logging as transformers

    shown = [log for log in (diffusers, transformers) if log.is_progress_bar_enabled()]
    for log in shown:
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log in shown:
            log.enable_progress_bar()
