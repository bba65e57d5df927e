"""The verbs of those who pass the course on: slides, site, address, bundle."""

from collections.abc import Callable
from pathlib import Path

import click

from course_utils.commands.leaving import leave


@click.command("slides")
@click.argument("decks", nargs=-1, metavar="[DECKS]...")
def make_slides(decks: tuple[str, ...]) -> None:
    """Build DECKS (such as 05 talk; all if none) as HTML, PDF and PPTX.

    Their pictures and numbers come from the lessons' runs; build/slides holds them.
    Beside it stands INSTRUCTORS.html, the instructors' guide to print.
    """
    from course_utils.commands import guide, slides

    _alone("course slides", lambda: slides.typeset(decks) and guide.printed())


@click.command("site")
def make_site() -> None:
    """Build the website: lessons as they were executed, a gallery, slides.

    build/site holds it; any web server serves it, at any path.
    """
    from course_utils.commands import site

    _alone("course site", site.website)


@click.command("address")
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

    leave(write)


@click.command("bundle")
@click.argument("place", default="build/bundle", type=click.Path(path_type=Path))
def make_bundle(place: Path) -> None:
    """Make one folder, or with NAME.zip an archive, for a room without a network.

    Wheels for machines of this kind, weights, lessons, slides if they are built, and a
    page that says what to type.
    """
    from course_utils.commands import bundle

    _alone("course bundle", lambda: bundle.gather(place))


def _alone(doing: str, work: Callable[[], object]) -> None:
    """Leave with `work`, one at a time in build: site and bundle take the slides."""

    def run() -> bool:
        from course_utils import session
        from course_utils.commands import choice

        with session.lock(choice.root() / "build", doing):
            return bool(work())

    leave(run)
