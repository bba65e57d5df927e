"""How a verb ends: its exit status, and bad input said in one line."""

import sys
from collections.abc import Callable

import click

from course_utils.commands.interrupt import kill_is_interrupt


def leave(work: Callable[[], bool]) -> None:
    """Exit with 0 if `work` says that all went well; say bad input in one line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without ✓ shows a ? for it
            stream.reconfigure(errors="replace")
    try:
        with kill_is_interrupt():
            fine = work()
    except BrokenPipeError:  # `| head` has seen enough: click ends without a word
        raise
    except (ValueError, OSError) as error:
        raise click.ClickException(_in_a_sentence(error)) from None
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        sys.exit(130)  # as a shell says of what was interrupted
    sys.exit(0 if fine else 1)


def _in_a_sentence(error: Exception) -> str:
    """What an error says; the system's own words get a cure."""
    if not (isinstance(error, OSError) and error.strerror):
        return str(error)
    place = (
        f"{error.filename} cannot be used" if error.filename else "the system says no"
    )
    return f"{place} ({error.strerror}): free some space, mend its rights, or move it"
