"""What was asked for: which lessons, which parameters; what cannot be meant is refused.

Everything here looks and refuses before anything runs.
"""

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat

SIZES = ("quick", "laptop", "full")


def root(start: Path | None = None) -> Path:
    """Return the course's folder: the nearest parent of `start` (or else of this
    package) that has a folder `notebooks`.
    """
    start = Path(start or Path.cwd()).resolve()
    here = Path(__file__).resolve().parent
    for folder in (start, *start.parents, *here.parents):
        if (folder / "notebooks").is_dir():
            return folder
    raise ValueError(
        f"no folder `notebooks` in {start} or above it: change into your clone of the "
        "course, as in `cd course`, or put lessons into a folder `notebooks` here"
    )


def lessons(chosen: Sequence[str] = ()) -> list[Path]:
    """Return the notebooks of the chosen lessons, each once, or of all if none.

    A lesson is its number ("05" or "5"), its name or its file; a text may hold several,
    as in "05 06" or "05,06". Raises ValueError for what is no lesson here.
    """
    there = {p.stem[:2]: p for p in sorted(root().glob("notebooks/[0-9][0-9]_*.ipynb"))}
    if not there:
        raise ValueError(f"no lessons like 05_name.ipynb in {root() / 'notebooks'}")
    names = [name for text in chosen for name in re.split(r"[,\s]+", str(text)) if name]
    if chosen and not names:
        raise ValueError(
            f"no lesson is named; there are {' '.join(there)}, and all of them run if "
            "none is asked for"
        )
    found = {}
    for name in names or there:
        plain = Path(name).name.removesuffix(".ipynb")
        number = plain.zfill(2) if plain.isdecimal() else plain[:2]
        if number not in there or not (
            plain.isdecimal() or plain == there[number].stem
        ):
            raise ValueError(f"lesson {name} is not here; there are {' '.join(there)}")
        found[number] = there[number]
    return list(found.values())


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Read a notebook; ValueError with its name if it is damaged."""
    try:
        nb = nbformat.read(path, as_version=4)
        nbformat.validate(nb)
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from None
    except Exception as error:  # not JSON, not UTF-8, JSON but no notebook: many kinds
        reason = " ".join(str(error).split())[:80]
        raise ValueError(
            f"{path.name} is damaged ({reason}): restore it, as in "
            f"`git checkout notebooks/{path.name}`"
        ) from None
    return nb


def parameters(nb: nbformat.NotebookNode, name: str = "notebook") -> dict[str, str]:
    """Return {parameter: type name}; refuse a notebook that cannot take parameters."""
    tagged = [c for c in nb.cells if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(
            f"{name} has {len(tagged)} cells tagged `parameters` and needs exactly "
            "one: (un)tag it in JupyterLab's property inspector (the two cogs)"
        )
    tree = ast.parse(tagged[0].source)
    annotated = [node for node in tree.body if isinstance(node, ast.AnnAssign)]
    return {node.target.id: ast.unparse(node.annotation) for node in annotated}


def refuse(nb: nbformat.NotebookNode, values: dict[str, Any], name: str) -> None:
    """Refuse unknown parameters, unknown run sizes and foreign kernels."""
    kernel = nb.metadata.get("kernelspec", {}).get("name", "python3")
    if kernel != "python3":
        raise ValueError(
            f"{name} asks for the kernel {kernel!r}, which exists only where it was "
            "saved: choose the kernel `Python 3 (ipykernel)` (python3) and save again"
        )
    known = parameters(nb, name)
    for key in values:
        if key not in known:
            raise ValueError(
                f"{name} has no parameter {key!r}; it has {', '.join(known)}"
            )
    if values.get("run", "laptop") not in SIZES:
        raise ValueError(f"run must be quick, laptop or full, not {values['run']!r}")


def settings(texts: Sequence[str], size: str | None = None) -> dict[str, str]:
    """Return {parameter: text} of NAME=VALUE texts and the size of `--run`.

    The size is "laptop" if neither names one. Two values for one name are refused.
    """
    given = {} if size is None else {"run": size}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise ValueError(
                f"--set takes NAME=VALUE, as in --set seed=1, not {text!r}"
            )
        if given.get(name, value) != value:
            raise ValueError(
                f"{name} is asked to be {given[name]!r} and {value!r}: say it once"
            )
        given[name] = value
    return {"run": "laptop"} | given


def typed(path: Path, given: dict[str, str]) -> dict[str, Any]:
    """Return the parameters for one lesson, each of the type that it is annotated with.

    Raises ValueError for a lesson, parameter, size or kernel that cannot be meant.
    """
    nb = read_notebook(path)
    refuse(nb, given, path.name)
    kinds = parameters(nb, path.name)
    return {name: from_text(text, kinds[name], name) for name, text in given.items()}


def from_text(text: str, kind: str, name: str) -> Any:
    """Turn the text of `--set name=text` into the type the parameter is annotated with.

    papermill alone would keep "false" as a string, and a string is true.
    """
    try:
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
        return {"int": int, "float": float}.get(kind, str)(text)
    except (KeyError, ValueError):
        raise ValueError(f"parameter {name} is of type {kind}, not {text!r}") from None
