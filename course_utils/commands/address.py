"""Where the course can be cloned from: one address, written into every place at once.

Until a maintainer says `course address URL`, none is set, and nothing is installed from
anywhere: an address that nobody here owns could be registered by a stranger, whose code
would then run on every learner's machine.
"""

import re
import tomllib
from pathlib import Path

import nbformat

from course_utils.commands import choice, tidy

BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
BINDER = "https://mybinder.org"
HELP = "../README.md#on-colab"  # where a badge leads while there is no address
BLOCK = "<!-- `course address URL` writes the lines up to the next comment -->"
END = "<!-- address -->"


def current(root: Path | None = None) -> str:
    """The address that is set, or "" if there is none: pyproject.toml keeps it."""
    text = ((root or choice.root()) / "pyproject.toml").read_text("utf-8")
    return tomllib.loads(text)["project"].get("urls", {}).get("Repository", "")


def checked(address: str) -> str:
    """The address in its plain form; ValueError if it is not one."""
    plain = address.strip().removesuffix("/").removesuffix(".git")
    if not re.fullmatch(r"https://[\w.-]+(:\d+)?(/[\w.-]+){2,}", plain):
        raise ValueError(
            f"the address must be like https://github.com/OWNER/NAME, not {address!r}"
        )
    return plain


def set_address(address: str, root: Path | None = None) -> list[str]:
    """Write an address ("" for none) into every place; return the files that changed.

    README, pyproject, CITATION, the workflow, and each notebook's badge and first code
    cell. Raises ValueError, before anything is written, for what is no address and for
    a file that has lost its place for it.
    """
    from course_utils.training import write_whole  # late: it imports torch

    root = root or choice.root()
    changed = []
    for path, text in texts(checked(address) if address else "", root).items():
        if path.read_text("utf-8") != text:
            write_whole(path, text)
            changed.append(path.relative_to(root).as_posix())
    return changed


def texts(address: str, root: Path) -> dict[Path, str]:
    """What every file that knows the address says if it is this one."""
    found = {}
    for name, write in WRITERS.items():
        path = root / name
        found[path] = write(path.read_text("utf-8"), address, name)
    for path in sorted(root.glob("notebooks/[0-9][0-9]_*.ipynb")):
        found[path] = _notebook(path, address)
    return found


def bootstrap(address: str) -> str:
    """The first code cell of every lesson: the course, installed if it is missing."""
    known = f'"git+{address}"' if address else '""  # see the README, On Colab'
    return f"""try:
    import course_utils
except ImportError:  # Colab, or this notebook alone in a folder: install the course
    import os, subprocess, sys
    address = {known}
    course = os.environ.get("COURSE_INSTALL") or address
    if not course:
        raise ImportError("run this in the course's folder or set COURSE_INSTALL to it")
    subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", course])
    import course_utils"""


def badge(address: str, notebook: str) -> str:
    """The line under a lesson's title that opens it in Colab, or says how to."""
    where = HELP
    if address.startswith("https://github.com/"):
        owner_and_name = address.removeprefix("https://github.com/")
        where = f"https://colab.research.google.com/github/{owner_and_name}"
        where += f"/blob/main/notebooks/{notebook}"
    return f"[![Open in Colab]({BADGE})]({where})"


def binder(address: str) -> str:
    """The line that opens the course on Binder; "" where there is no such address."""
    if not address.startswith("https://github.com/"):
        return ""
    where = address.removeprefix("https://github.com/")
    where = f"{BINDER}/v2/gh/{where}/main?urlpath=lab/tree/notebooks"
    picture = f"[![Binder]({BINDER}/badge_logo.svg)]({where})"
    return f"Or look around first, with nothing installed: {picture}"


def _notebook(path: Path, address: str) -> str:
    nb = nbformat.read(path, as_version=4)
    title, [first, *_] = nb.cells[0], [c for c in nb.cells if c.cell_type == "code"]
    line = badge(address, path.name)
    if f"]({BADGE})](" not in title.source or "import course_utils" not in first.source:
        raise ValueError(f"{path.name} has no badge, or no first cell to install with")
    title.source = re.sub(r"\[!\[Open in Colab\]\(.*?\)\]\(.*?\)", line, title.source)
    first.source = bootstrap(address)
    return nbformat.writes(tidy.strip_notebook(nb), version=4) + "\n"


def _readme(text: str, address: str, name: str) -> str:
    known = f"git clone --depth 1 {address} course\ncd course\n" if address else ""
    lines = f"\n\n```bash\n{known}make lab\n```\n\n"
    lines += f"{line}\n\n" if (line := binder(address)) else ""
    return _replaced(rf"(?<={re.escape(BLOCK)}).*?(?={END})", lines, text, name)


def _pyproject(text: str, address: str, name: str) -> str:
    text = re.sub(r'\[project\.urls\]\nRepository = ".*"\n\n', "", text)
    section = f'[project.urls]\nRepository = "{address}"\n\n' if address else ""
    pattern = r"(?=\[tool\.setuptools\.packages\.find\])"
    return _replaced(pattern, section, text, name)


def _citation(text: str, address: str, name: str) -> str:
    text = re.sub(r"repository-code: .*\n", "", text)
    line = f"repository-code: {address}\n" if address else ""
    return _replaced(r"(?=^keywords:)", line, text, name)


def _workflow(text: str, address: str, name: str) -> str:
    return _replaced(r'(?<=COURSE_ADDRESS: )"[^"]*"', f'"{address}"', text, name)


def _replaced(pattern: str, new: str, text: str, name: str) -> str:
    text, times = re.subn(
        pattern, lambda _: new, text, count=1, flags=re.DOTALL | re.MULTILINE
    )
    if not times:
        raise ValueError(f"{name} has lost the place of the address: git checkout it")
    return text


WRITERS = {
    "README.md": _readme,
    "pyproject.toml": _pyproject,
    "CITATION.cff": _citation,
    ".github/workflows/test.yml": _workflow,
}
