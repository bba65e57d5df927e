"""The first page of a run: every lesson, what it took, its scores as bars."""

import html
import math
import re

from course_utils.commands.page import cost, document
from course_utils.session import duration

HEAD = """<main class="index">
<h1>Generative AI for vision, from GANs to video</h1>
<p class="summary">{summary}</p>
<p>Every lesson as it ran. Each score stands on a bar between its floor (no skill:
chance, untouched input) and its ceiling (the best possible). The bar of seconds, and of
whatever spans three powers of ten, is logarithmic.</p>
"""
CARD = """<section id="{name}">
<h2><a href="{name}.html">{title}</a> <span class="pill {state}">{state}</span></h2>
<p class="cost">{cost} · size {size}</p>
{notes}{scores}</section>
"""
SCHEDULE = """<section class="schedule" aria-label="When each lesson ran">
<h2>When each ran <span class="cost">{whole}</span></h2>
{lanes}</section>
"""
RAN = """<a href="#{name}" class="{state}" style="left:{left:.2f}%;width:{wide:.2f}%"
title="{name}: {took}, from {at} on">{number}</a>
"""
LABELS = """<div class="score labels"><b>score</b><strong>here</strong>
<span>floor</span><i></i><span>ceiling</span></div>
"""
BAR = """<div class="score" title="{told}"><b>{metric}</b>
<strong class="{kind}">{value}</strong>
<span>{floor}</span><div class="bar" role="img" aria-label="{share:.0f} % of the way">
<i style="width:{share:.1f}%"></i></div><span>{ceiling}</span></div>
"""


def index(done: dict[str, dict]) -> str:
    """Return the page of a run, {lesson name: row}, as one HTML text."""
    summary = [html.escape(part) for part in _summary(done)]
    body = HEAD.format(summary=" · ".join(summary))
    if len(done) > 3:
        links = "".join(_link(name, row) for name, row in done.items())
        body += f'<nav class="contents" aria-label="Lessons">{links}</nav>'
        body += _schedule(done)
    body += "".join(_card(name, row) for name, row in done.items())
    return document("The course, run", f"{body}</main>")


def count(n: int, what: str) -> str:
    """Return how many as one says it: 1 lesson, 2 lessons."""
    return f"{n} {what}{'s' * (n != 1)}"


def rounded(value: float) -> str:
    """Return a score with three digits that matter: 0.0374, 12.1, 1000, 1.48e-05."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def share(score: dict) -> float:
    """Return where a score stands from its floor, 0, to its ceiling, 1, and beyond.

    Of seconds, and of what spans three powers of ten, the logarithm counts: whether a
    picture takes 0.17 s or 0.31 s shows even where the floor is a minute.
    """
    floor, ceiling, value = (score[key] for key in ("floor", "ceiling", "value"))
    low, high = sorted((floor, ceiling))
    if min(low, value) > 0 and ("seconds" in score["metric"] or high >= 1000 * low):
        floor, ceiling, value = map(math.log, (floor, ceiling, value))
    return (value - floor) / (ceiling - floor) if floor != ceiling else 0.0


def _summary(done: dict[str, dict]) -> list[str]:
    failed = sum(bool(row["error"]) for row in done.values())
    warned = sum(bool(row.get("warnings")) for row in done.values())
    peak = max((row["peak_mb"] for row in done.values()), default=0)
    said = [count(len(done), "lesson")]
    said += [f"{duration(sum(row['seconds'] for row in done.values()))} of work"]
    said += [f"peak {peak / 1000:.1f} GB"]
    said += [f"{failed} failed" if failed else "all ran to the end"]
    said += [f"{warned} with warnings"] if warned else []
    return said + sorted({row["machine"] for row in done.values()})


def _link(name: str, row: dict) -> str:
    mark = "failed" if row["error"] else "warned" if row.get("warnings") else "ok"
    title = re.sub(r"^\d\d\W+", "", row["title"])
    return (
        f'<a href="#{name}" class="{mark}"><b>{name[:2]}</b> {html.escape(title)} '
        f"<span>{duration(row['seconds'])}</span></a>"
    )


def in_lanes(spans: dict[str, tuple[float, float]]) -> list[list[str]]:
    """Lay spans {name: (begin, end)} on as few lanes as hold them; names by begin."""
    lanes: list[list[str]] = []
    for name in sorted(spans, key=spans.get):
        free = (x for x in lanes if spans[x[-1]][1] <= spans[name][0])
        lane = next(free, None)
        if lane is None:
            lanes.append(lane := [])
        lane.append(name)
    return lanes


def _schedule(done: dict[str, dict]) -> str:
    """When each lesson of the last run ran: a lane for each that ran at a time."""
    nth = max(row.get("nth", 0) for row in done.values())
    last = {k: row for k, row in done.items() if nth and row.get("nth") == nth}
    if len(last) < 2:
        return ""
    at = {name: max(0.0, row["began"]) for name, row in last.items()}
    spans = {name: (at[name], at[name] + last[name]["seconds"]) for name in last}
    whole = max(end for _, end in spans.values())
    lanes = [
        "".join(
            RAN.format(
                name=name,
                number=name[:2],
                state="failed" if last[name]["error"] else "ok",
                left=100 * at[name] / whole,
                wide=100 * last[name]["seconds"] / whole,
                took=duration(last[name]["seconds"]),
                at=duration(at[name]),
            )
            for name in lane
        )
        for lane in in_lanes(spans)
    ]
    drawn = "".join(f'<div class="lane">{lane}</div>\n' for lane in lanes)
    return SCHEDULE.format(whole=duration(whole), lanes=drawn)


def _card(name: str, row: dict) -> str:
    notes = [("failed", row["error"])] if row["error"] else []
    notes += [("warned", f"stderr, {said}") for said in row.get("warnings", ())]
    texts = [f'<p class="{kind}">{html.escape(said)}</p>' for kind, said in notes]
    scores = "".join(map(bar, row["scores"]))
    return CARD.format(
        name=name,
        title=html.escape(row["title"]),
        state="failed" if row["error"] else "ok",
        cost=cost(row),
        size=row["run"],
        notes="".join(texts),
        scores=f'<div class="scores">{LABELS}{scores}</div>' if scores else "",
    )


def bar(score: dict) -> str:
    """Return one score as a line: its name, its value, and a bar between its ends."""
    number = f", n={score['n']}" if score.get("n") else ""
    better = "higher" if score["ceiling"] >= score["floor"] else "lower"
    part = share(score)
    return BAR.format(
        told=f"seeds={score['seeds']}{number}, {better} is better",
        metric=html.escape(score["metric"].replace("_", " ")),
        kind="below" if part < 0 else "",
        share=100 * min(1.0, max(0.0, part)),
        **{key: _number(score[key]) for key in ("floor", "value", "ceiling")},
    )


def _number(value: float) -> str:
    """Return a score as HTML: what needs a power of ten gets a real one."""
    digits, e, power = rounded(value).partition("e")
    return f"{digits}·10<sup>{int(power)}</sup>".replace("-", "−") if e else digits
