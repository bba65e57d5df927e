"""The console script `course`: every verb of the Makefile, for those without make."""

import sys

import click

LESSONS = click.argument("lessons", nargs=-1, metavar="[LESSONS]...")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Generative AI for vision, from GANs to video, in your own notebooks."""


@main.command("run")
@LESSONS
@click.option(
    "--run", "size", default="laptop", show_default=True, help="quick, laptop or full."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a parameter of every lesson.",
)
def run_lessons(lessons: tuple[str, ...], size: str, settings: tuple[str, ...]) -> None:
    """Run LESSONS (such as 05 06; all if none) and leave build/course/index.html."""
    from course_utils import report

    _exit(lambda: report.course(lessons, size, dict(map(_split, settings))))


@main.command("notebooks")
@LESSONS
def save_notebooks(lessons: tuple[str, ...]) -> None:
    """Run LESSONS at laptop size and save them in place, if they succeed."""
    from course_utils import report

    _exit(lambda: report.in_place(lessons))


def _split(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    if not equals:
        raise click.UsageError(
            f"--set takes name=value, as in --set seed=1; not {setting}"
        )
    return name.strip(), value.strip()


def _exit(work) -> None:
    """Leave with 0 if `work` says that all went well; say bad input in one line."""
    try:
        fine = work()
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(0 if fine else 1)
