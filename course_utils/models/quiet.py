"""Loading without bars and notices: a notebook keeps every one."""

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


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide what diffusers' log says inside this block, errors excepted.

    Such as that TextToVideoSDPipeline is deprecated, at each construction: no warning,
    so that Python's filters do not catch it.
    """
    from diffusers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
