"""The console script `course`: every verb of the Makefile, for those without make."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path

import click

from course_utils.commands.interrupt import kill_is_interrupt

LESSONS = click.argument("lessons", nargs=-1, metavar="[LESSONS]...")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="generative-vision-course")
def main() -> None:
    """Generative AI for vision, from GANs to video, in your own notebooks."""


@main.command("run")
@LESSONS
@click.option("--run", "size", help="quick, laptop (the default) or full")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="parameter"
)
@click.option("--jobs", type=int, help="lessons side by side; 1 is one after the other")
def run_lessons(
    lessons: tuple[str, ...],
    size: str | None,
    settings: tuple[str, ...],
    jobs: int | None,
) -> None:
    """Run LESSONS (such as 05 06; all if none) and leave build/course/index.html.

    As many run side by side as cores and memory allow. --set gives a parameter of the
    lessons another value, as in --set seed=1.
    """

    def run() -> bool:
        from course_utils.commands import choice

        choice.lessons(lessons)  # a slip is refused before the seconds that torch takes
        given = choice.settings(settings, size)
        from course_utils.commands import report

        return report.course(lessons, given, jobs)

    _leave(run)


@main.command("notebooks")
@LESSONS
def save_notebooks(lessons: tuple[str, ...]) -> None:
    """Run LESSONS at laptop size; save those in place that reach their end."""
    from course_utils.commands import report

    _leave(lambda: report.in_place(lessons))


@main.command("lab")
@click.argument("lesson", default="00")
def open_lab(lesson: str) -> None:
    """Open JupyterLab on LESSON (00 if none), for this computer only."""
    from course_utils.commands import lab

    _leave(lambda: lab.serve_lesson(lesson))


@main.command("doctor")
@click.option(
    "--class", "students", type=int, is_flag=False, flag_value=1, metavar="[N]",
    help="before a class: this laptop, or with N a server for N students",
)  # fmt: skip
def see_doctor(students: int | None) -> None:
    """Look at versions, threads, memory, kernel, widgets, weights; say what to do."""
    from course_utils.commands import doctor

    _leave(lambda: doctor.examine(students))


@main.command("bundle")
@click.argument("place", default="build/bundle", type=click.Path(path_type=Path))
def make_bundle(place: Path) -> None:
    """Make one folder, or with NAME.zip an archive, for a room without a network.

    Wheels for machines of this kind, weights, lessons, slides if they are built, and a
    page that says what to type.
    """
    from course_utils.commands import bundle

    _leave(lambda: bundle.gather(place))


@main.command("progress")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--clear", is_flag=True, help="forget what was passed")
@click.option("--on/--off", default=None, help="off: forget it, and note no more")
def see_progress(folder: Path | None, clear: bool, on: bool | None) -> None:
    """Show which exercises you have passed; with FOLDER, what a class has passed.

    Each right answer is noted in a file of your own. FOLDER holds learners' files, such
    as anna.json, or their home folders.
    """

    def show() -> bool:
        if folder and (clear or on is not None):
            raise ValueError("--clear, --on and --off are for your own file: no FOLDER")
        from course_utils.commands import progress

        return progress.group(folder) if folder else progress.own(clear, on)

    _leave(show)


@main.command("train")
@click.argument("name")
@click.option("--small", is_flag=True, help="for two cores; tiny-sd: plain shapes")
@click.option("--without", default="", help="tiny-sd: alignment, weighting or muon")
def train_again(name: str, small: bool, without: str) -> None:
    """Train the shipped weight NAME again, from nothing, as it was trained."""
    from course_utils import recipes

    _leave(lambda: bool(recipes.train(name, small=small, without=without)))


@main.command("bench")
@click.argument("name")
@click.option("--model", metavar="FOLDER", help="any pipeline's folder, in its place")
@click.option("--n", type=int, help="tiny: captions of each kind (500); editing: 105")
@click.option("--seeds", type=int, help="editing: how often, with other noise (3)")
def run_bench(name: str, **options: str | int | None) -> None:
    """Examine at length; rows go to build/bench/NAME.json.

    tiny: attribute accuracy of held-out captions of five kinds, seconds, size.
    editing: every way of changing pictures, on the same edits of seven kinds.
    """
    from course_utils.measure.bench import BENCHES

    def examine() -> bool:
        if name not in BENCHES:
            raise ValueError(f"bench is one of {', '.join(BENCHES)}, not {name!r}")
        given = {key: value for key, value in options.items() if value is not None}
        for option in given.keys() - inspect.signature(BENCHES[name]).parameters:
            raise ValueError(f"bench {name} has no option --{option}")
        return bool(BENCHES[name](**given))

    _leave(examine)


@main.command("slides")
@click.argument("decks", nargs=-1, metavar="[DECKS]...")
def make_slides(decks: tuple[str, ...]) -> None:
    """Build DECKS (such as 05 talk; all if none) as HTML, PDF and PPTX.

    Their pictures and numbers come from the lessons' runs; build/slides holds them.
    Beside it stands INSTRUCTORS.html, the instructors' guide to print.
    """
    from course_utils.commands import guide, slides

    _leave(lambda: bool(slides.typeset(decks) and guide.printed()))


@main.command("site")
def make_site() -> None:
    """Build the website: lessons as they were executed, a gallery, slides.

    build/site holds it; any web server serves it, at any path.
    """
    from course_utils.commands import site

    _leave(lambda: bool(site.website()))


@main.command("address")
@click.argument("url", required=False)
@click.option("--unset", is_flag=True, help="forget the address that is set")
def say_address(url: str | None, unset: bool) -> None:
    """Say where the course can be cloned from; with URL, write it everywhere.

    README, badges, first cells, pyproject, CITATION and workflow change together.
    """
    from course_utils.commands import address

    def write() -> bool:
        if url and unset:
            raise ValueError("give a URL or --unset, not both")
        if url or unset:
            print("\n".join(address.set_address(url or "")) or "nothing to change")
        print(f"address: {address.current() or 'none set; see CONTRIBUTING.md'}")
        return True

    _leave(write)


def _leave(work: Callable[[], bool]) -> None:
    """Exit with 0 if `work` says that all went well; say bad input in one line."""
    try:
        with kill_is_interrupt():
            fine = work()
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        sys.exit(130)  # as a shell says of what was interrupted
    sys.exit(0 if fine else 1)
