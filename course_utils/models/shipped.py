"""The folders of the models that the course ships, and their hashes.

They stand on two shelves, for a wheel on PyPI holds 100 MB: the second one is a
distribution of its own, and a clone has both. What is read from them is compared with
the shelf's SHA256SUMS first; weights are safetensors only, which hold numbers and never
code.
"""

import functools
import hashlib
import json
from pathlib import Path

from course_utils import session
from course_utils.models import difference
from course_utils.models.checkpoints import REGISTRY
from course_utils.training import write_whole

COURSE = Path(__file__).parent.parent
# one folder a model, and SHA256SUMS
SHELVES = (COURSE / "weights", COURSE.parent / "course_weights")


def path(name: str) -> Path:
    """The folder of a shipped model, its files compared with SHA256SUMS (once).

    "tiny" is the miniature Stable Diffusion, tiny-sd; "tiny-animate/pose" is a part of
    tiny-animate. A model that is shipped as its difference to another is put together
    in the user's cache first. Raises ValueError
    for a name that is not shipped, OSError for a missing or damaged file, with what to
    do about it.
    """
    if not isinstance(name, str):
        raise ValueError(f'name must be a text, such as "tiny", not {name!r}')
    name = "tiny-sd" if name == "tiny" else name
    model, _, part = name.partition("/")
    session.uses(model)
    return _whole(model, part)


def _whole(name: str, part: str = "") -> Path:
    return made_whole(_verified(name, shelf(name)) / part)


def shelf(name: str) -> Path:
    """Where a model stands; for a new one there is room on the last shelf only."""
    for place in SHELVES[:-1]:
        if (place / name).is_dir() or name in map(_model, _sums(place)):
            return place
    return SHELVES[-1]


def made_whole(folder: Path) -> Path:
    """The folder itself; one that is kept as a difference is put together elsewhere."""
    if not (folder / difference.MARK).is_file():
        return folder
    base = json.loads((folder / difference.MARK).read_text(encoding="utf-8"))["base"]
    model, _, piece = base.partition("/")
    return _assembled(folder, _whole(model) / piece)


_assembled = functools.cache(difference.assembled)


@functools.cache
def _verified(name: str, weights: Path) -> Path:
    sums = _sums(weights) if weights.is_dir() else {}
    files = {file: digest for file, digest in sums.items() if _model(file) == name}
    if not files:
        known, more = set().union(*map(_models, _standing())), ""
        if len(_standing()) < len(SHELVES):
            more = "; pip install generative-vision-course-weights brings more"
        raise ValueError(
            f"name={name!r} is no model of the course and no folder; there are "
            f"{', '.join(sorted(known))}, and as real checkpoints "
            f"{', '.join(REGISTRY)}{more}"
        )
    for file, digest in files.items():
        if not (weights / file).is_file():
            raise FileNotFoundError(f"{file} is missing: {_cure(weights, file)}")
        if _sha256(weights / file) != digest:
            cure = _cure(weights, file)
            raise OSError(f"{file} is damaged or was changed: {cure}")
    return weights / name


def verify() -> dict[str, str]:
    """The state of every shipped model: name -> "ok", or what is wrong and the cure."""
    states = {}
    for place in _standing():
        for name in _models(place):
            try:
                _verified.__wrapped__(name, place)
                states[name] = "ok"
            except OSError as error:
                states[name] = str(error)
    return dict(sorted(states.items()))


def write_sums(name: str) -> None:
    """Write the lines of one model in its SHA256SUMS; its recipe does this at last.

    The lines of all others stay: a damaged file of theirs is still found out.
    """
    place = shelf(name)
    folder = place / name
    sums = _sums(place) if (place / "SHA256SUMS").exists() else {}
    kept = {file: digest for file, digest in sums.items() if _model(file) != name}
    files = [file for file in folder.glob("**/*") if file.is_file()]
    shown = [file for file in files if not file.name.startswith(".")]
    kept |= {file.relative_to(place).as_posix(): _sha256(file) for file in shown}
    # in the order of their parts, as a listing of the folders has them
    ordered = sorted(kept.items(), key=lambda line: line[0].split("/"))
    text = "".join(f"{digest}  {file}\n" for file, digest in ordered)
    write_whole(place / "SHA256SUMS", text)
    _verified.cache_clear()


def _standing() -> list[Path]:
    """The shelves that are here: the second may not be installed."""
    return [SHELVES[0], *(place for place in SHELVES[1:] if place.is_dir())]


def _models(weights: Path) -> set[str]:
    return set(map(_model, _sums(weights)))


def _sums(weights: Path) -> dict[str, str]:
    """Read SHA256SUMS: file (relative, with slashes) -> hex digest."""
    listing = weights / "SHA256SUMS"
    if not listing.is_file():
        raise FileNotFoundError(
            f"{listing.name} is missing: {_cure(weights, listing.name)}"
        )
    sums = {}
    for k, line in enumerate(listing.read_text(encoding="utf-8").splitlines(), 1):
        digest, _, file = line.partition("  ")
        if len(digest) != 64 or not file:
            raise OSError(
                f"line {k} of {listing.name} is {line!r}, not a digest of 64 letters, "
                f"two spaces and a file: {_cure(weights, listing.name)}"
            )
        sums[file] = digest
    return sums


def _cure(weights: Path, file: str) -> str:
    """What to do about a damaged file: the shipped one back, or else a new one."""
    back = f'git checkout -- "{weights / file}"'
    train = f"; `course train {_model(file)}` makes a new one" if "/" in file else ""
    return f"restore it by `{back}` in a clone, or install the course again{train}"


def _model(file: str) -> str:
    return file.split("/")[0]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
