"""The console script `course`: every verb of the Makefile, for those without make."""

import inspect
from pathlib import Path

import click

from course_utils.commands import publishing
from course_utils.commands.leaving import leave

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

    leave(run)


@main.command("claims")
@LESSONS
@click.option("--seeds", type=int, default=5, help="how many runs of each lesson (5)")
@click.option("--run", "size", default="laptop", help="quick, laptop or full")
@click.option("--jobs", type=int, help="lessons side by side")
def count_claims(
    lessons: tuple[str, ...], seeds: int, size: str, jobs: int | None
) -> None:
    """Run LESSONS with other seeds; count how often each of their claims holds.

    build/claims/claims.md is the table. What ran before is not run again, unless its
    lesson changed. Fails if a claim holds in less than four of five runs.
    """

    def run() -> bool:
        from course_utils.commands import choice

        choice.lessons(lessons)
        from course_utils.commands import claims

        return claims.try_again(lessons, seeds, size, jobs)

    leave(run)


@main.command("notebooks")
@LESSONS
def save_notebooks(lessons: tuple[str, ...]) -> None:
    """Run LESSONS at laptop size; save those in place that reach their end."""
    from course_utils.commands import report

    leave(lambda: report.in_place(lessons))


@main.command("lab")
@click.argument("lesson", default="00")
def open_lab(lesson: str) -> None:
    """Open JupyterLab on LESSON (00 if none), for this computer only."""
    from course_utils.commands import lab

    leave(lambda: lab.serve_lesson(lesson))


@main.command("doctor")
@click.option(
    "--class", "students", type=int, is_flag=False, flag_value=1, metavar="[N]",
    help="before a class: this laptop, or with N a server for N students",
)  # fmt: skip
def see_doctor(students: int | None) -> None:
    """Look at versions, threads, memory, kernel, widgets, weights; say what to do."""
    from course_utils.commands import doctor

    leave(lambda: doctor.examine(students))


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

    leave(show)


@main.command("train")
@click.argument("name")
@click.option("--small", is_flag=True, help="for two cores; tiny-sd: plain shapes")
@click.option("--without", default="", help="tiny-sd: alignment, weighting or muon")
def train_again(name: str, small: bool, without: str) -> None:
    """Train the shipped weight NAME again, from nothing, as it was trained."""
    from course_utils import recipes

    leave(lambda: bool(recipes.train(name, small=small, without=without)))


@main.command("bench")
@click.argument("name")
@click.option("--model", metavar="FOLDER", help="any pipeline's folder, in its place")
@click.option(
    "--n",
    type=int,
    help="tiny: captions of each kind (500); editing: 105; sampling: batch, 16",
)
@click.option("--seeds", type=int, help="editing, training: how often (3)")
@click.option("--minutes", type=float, help="training: of each row (15)")
@click.option("--rows", help="training: some of them, such as plain,ours")
@click.option("--small", is_flag=True, default=None, help="training: a thin UNet")
def run_bench(name: str, **options: str | int | None) -> None:
    """Examine at length; rows go to build/bench/NAME.json.

    tiny: attribute accuracy of held-out captions of five kinds, seconds, size.
    editing: every way of changing pictures, on the same edits of seven kinds.
    sampling: seconds a picture in 50 steps to one, and where they go.
    training: our recipe beside the plain loop, and what each ingredient buys.
    """
    from course_utils import session
    from course_utils.recipes import BENCHES

    def examine() -> bool:
        if name not in BENCHES:
            raise ValueError(f"bench is one of {', '.join(BENCHES)}, not {name!r}")
        given = {key: value for key, value in options.items() if value is not None}
        for option in given.keys() - inspect.signature(BENCHES[name]).parameters:
            raise ValueError(f"bench {name} has no option --{option}")
        with session.lock("build/bench", f"course bench {name}"):  # before the work
            return bool(BENCHES[name](**given))

    leave(examine)


@main.command("soak")
@LESSONS
@click.option("--times", type=int, default=50, help="runs of lessons (50)")
@click.option("--kill", type=int, default=0, help="kills of a training, at last (0)")
@click.option("--seed", type=int, default=0, help="of order, seeds and moments (0)")
def soak_lessons(lessons: tuple[str, ...], times: int, kill: int, seed: int) -> None:
    """Run LESSONS (all if none) in random order with random seeds, on and on.

    Says what fails, grows or is left behind. --kill N kills a small training and runs
    of a small lesson N times, at random moments, and compares what they end with.
    """

    def run() -> bool:
        from course_utils.commands import killed, soak

        fine = soak.soak(lessons, times, seed) if times else True
        return (killed.kills(kill, seed) if kill else True) and fine

    leave(run)


for verb in (
    publishing.make_slides,
    publishing.make_site,
    publishing.say_address,
    publishing.make_bundle,
):
    main.add_command(verb)
