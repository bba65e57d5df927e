"""Which models there are: the ones the course ships, and real checkpoints by name."""

import functools
import hashlib
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"  # one folder a model, and SHA256SUMS


def path(name: str) -> Path:
    """The folder of a shipped model, its files compared with SHA256SUMS (once).

    Raises ValueError for a name that is not shipped, OSError for a missing or damaged
    file, with what to do about it.
    """
    return _verified(name, WEIGHTS)


@functools.cache
def _verified(name: str, weights: Path) -> Path:
    sums = _sums(weights)
    files = {
        file: digest for file, digest in sums.items() if file.split("/")[0] == name
    }
    if not files:
        shipped = ", ".join(sorted({file.split("/")[0] for file in sums}))
        raise ValueError(f"name={name!r} is no shipped model; there are: {shipped}")
    cure = f"run `course train {name}`, or install the course again"
    for file, digest in files.items():
        if not (weights / file).is_file():
            raise FileNotFoundError(f"{weights / file} is missing: {cure}")
        if _sha256(weights / file) != digest:
            raise OSError(f"{weights / file} is damaged or was changed: {cure}")
    return weights / name


def verify() -> dict[str, str]:
    """The state of every shipped model: name -> "ok", or what is wrong and the cure."""
    states = {}
    for name in sorted({file.split("/")[0] for file in _sums(WEIGHTS)}):
        try:
            _verified.__wrapped__(name, WEIGHTS)
            states[name] = "ok"
        except OSError as error:
            states[name] = str(error)
    return states


def write_sums() -> None:
    """Write weights/SHA256SUMS anew; a recipe does this when its weight is done."""
    lines = [
        f"{_sha256(file)}  {file.relative_to(WEIGHTS).as_posix()}\n"
        for file in sorted(WEIGHTS.glob("*/**/*"))
        if file.is_file() and not file.name.startswith(".")
    ]
    (WEIGHTS / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", newline="\n")
    _verified.cache_clear()


def _sums(weights: Path) -> dict[str, str]:
    """Read SHA256SUMS: file (relative, with slashes) -> hex digest."""
    if not (weights / "SHA256SUMS").is_file():
        raise FileNotFoundError(
            f"{weights / 'SHA256SUMS'} is missing: install the course again"
        )
    lines = (weights / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {file: digest for digest, file in (line.split("  ", 1) for line in lines)}


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
