"""Is this machine fine? One line each: ok, or look here and what to do about it."""

from collections.abc import Callable, Iterator, Sequence

from course_utils.commands import costs, findings
from course_utils.commands.findings import Finding


def examine(students: int | None = None) -> bool:
    """Print a line a finding and a verdict a lesson; return True if all is well.

    students  look at a class too: 1 for a laptop in the room, more for a server
    """
    of_a_class = []
    if students is not None:
        from course_utils.commands import room

        of_a_class = room.looks(students)
    wrong = _show(findings.LOOKS)
    print()
    for name, verdict in verdicts(wrong):
        print(f"{name:<22} {verdict}")
    if of_a_class:
        print()
        wrong += _show(of_a_class)
    return not wrong


def _show(looks: Sequence[Callable[[], Iterator[Finding]]]) -> list[Finding]:
    """Print what each of them finds; return what is to be mended."""
    wrong = []
    for finding in (found for look in looks for found in _findings(look)):
        state = "look here" if finding.cure else "ok"
        print(f"{finding.what:<10} {state:<10} {finding.said}", flush=True)
        if finding.cure:
            print(f"{'':<21} -> {finding.cure}")
            wrong.append(finding)
    return wrong


def _findings(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    what = getattr(look, "func", look).__name__.removeprefix("see_")
    try:
        return list(look())
    except ImportError as error:
        return [Finding(what, f"unknown: {error}", "mend the packages first")]
    except (OSError, ValueError, RuntimeError) as error:
        return [Finding(what, "unknown", str(error))]


def verdicts(wrong: list[Finding]) -> Iterator[tuple[str, str]]:
    """Say for each lesson here whether it can run, and what it takes."""
    try:
        from course_utils.commands import choice, runner  # noqa: F401  it runs them

        paths, free_mb = choice.lessons(), findings.free_memory()
    except (ImportError, ValueError) as error:
        yield "lessons", f"cannot run yet: {error}"
        return
    for path in paths:
        try:
            choice.read_notebook(path)
            yield path.stem, _verdict(costs.of(path), wrong, free_mb)
        except ValueError as error:
            yield path.stem, f"cannot run yet: {error}"


def _verdict(cost: costs.Cost, wrong: list[Finding], free_mb: float) -> str:
    small = ("memory", "widgets", "disk", "threads", "weights", "fashion")
    blocking = [finding.what for finding in wrong if finding.what not in small]
    damaged = [finding.said for finding in wrong if finding.what == "weights"]
    for name in damaged if cost.weights else ():
        if name in (*cost.weights, "unknown"):
            blocking.append(f"weights {name}")
    if blocking:
        return f"cannot run yet: look at {', '.join(blocking)}"
    said = f"about {cost.seconds:.0f} s and {cost.peak_mb / 1000:.1f} GB"
    if cost.peak_mb > free_mb:
        return f"short of memory: {said}, {free_mb / 1000:.1f} GB free"
    ready = f"ready ({said})" if cost.peak_mb else "ready"
    if damaged and cost.weights is None:
        return f"{ready}, unless it needs the weights {', '.join(damaged)}"
    return ready
