"""Is this machine fine? One line each: ok, or look here and what to do about it."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from course_utils.commands import findings
from course_utils.commands.findings import Finding


def examine() -> bool:
    """Print a line a finding and a verdict a lesson; return True if all is well."""
    wrong = []
    for look in findings.LOOKS:
        for finding in _findings(look):
            state = "look here" if finding.cure else "ok"
            print(f"{finding.what:<10} {state:<10} {finding.said}", flush=True)
            if finding.cure:
                print(f"{'':<21} -> {finding.cure}")
                wrong.append(finding)
    print()
    for name, verdict in verdicts(wrong):
        print(f"{name:<22} {verdict}")
    return not wrong


def _findings(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(look())
    except ImportError as error:
        what = look.__name__.removeprefix("see_")
        return [Finding(what, f"unknown: {error}", "mend the packages first")]


def verdicts(wrong: list[Finding]) -> Iterator[tuple[str, str]]:
    """Say for each lesson here whether it can run, and what it takes."""
    try:
        from course_utils.commands import runner

        paths, free_mb = runner.lessons(), findings.free_memory()
    except (ImportError, ValueError) as error:
        yield "lessons", f"cannot run yet: {error}"
        return
    small = ("memory", "widgets", "disk", "threads", "weights")
    blocking = [finding.what for finding in wrong if finding.what not in small]
    for path in paths:
        seconds, peak = _needs(path)
        cost = f"about {seconds:.0f} s and {peak / 1000:.1f} GB" if peak else ""
        if blocking:
            yield path.stem, f"cannot run yet: look at {', '.join(blocking)}"
        elif peak > free_mb:
            yield path.stem, f"short of memory: {cost}, {free_mb / 1000:.1f} GB free"
        else:
            yield path.stem, f"ready {f'({cost})' if cost else ''}".strip()


def _needs(path: Path) -> tuple[float, float]:
    """Return seconds and MB of a lesson: its last run here, else what its text says."""
    last = path.parent.parent / "build" / "course" / "lessons.json"
    if last.exists():
        row = json.loads(last.read_text("utf-8")).get(path.stem, {})
        if row.get("run") == "laptop" and not row["error"]:
            return row["seconds"], row["peak_mb"]
    cells = json.loads(path.read_text("utf-8"))["cells"][:3]
    text = "".join("".join(cell["source"]) for cell in cells)
    said = re.search(r"Needs\W+(?:about )?([\d.]+) (s|min)\w*\W.*?([\d.]+) GB", text)
    if not said:
        return 0, 0
    return float(said[1]) * (60 if said[2] == "min" else 1), float(said[3]) * 1000
