"""Loading without bars and notices: a notebook keeps every one."""

import contextlib
from collections.abc import Iterator
from logging import ERROR, getLogger


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
    so that Python's filters do not catch it. A cascade also looks in its card for other
    pipelines, and the hub's log complains that it names none.
    """
    from diffusers.utils import logging

    level, cards = logging.get_verbosity(), getLogger("huggingface_hub.repocard")
    logging.set_verbosity_error()
    before = cards.level
    cards.setLevel(ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(level)
        cards.setLevel(before)
