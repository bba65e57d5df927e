"""One set of libraries: pyproject, constraints, environment.yml and imports agree."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
EVERYDAY = ("lab", "dev")  # what `make setup` and conda install; `room` joins later
OTHERS = [lines for extra, lines in EXTRAS.items() if extra != "weights"]  # our own
ALL = CORE + [Requirement(line) for lines in OTHERS for line in lines]
EXACT = {
    canonical(name): version
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.M
    )
}
COLAB = dict(  # nothing of it may be replaced
    re.findall(
        r"^([\w-]+)==(\S+)$", (ROOT / "tests" / "colab.txt").read_text("utf-8"), re.M
    )
)
IMPORT_NAMES = {  # where the name on the shelf is not the name in the code
    "bs4": "beautifulsoup4",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}


@pytest.mark.parametrize("need", ALL, ids=lambda need: need.name)
def test_the_tested_set_meets_every_floor(need):
    assert EXACT[canonical(need.name)] in need.specifier


@pytest.mark.parametrize("need", CORE, ids=lambda need: need.name)
def test_what_is_installed_meets_every_floor(need):
    assert need.specifier.contains(metadata.version(need.name), prereleases=True)


@pytest.mark.parametrize("need", CORE, ids=lambda need: need.name)
def test_the_floors_admit_what_colab_has(need):
    assert len(COLAB) > 10
    if version := COLAB.get(canonical(need.name)):
        assert version in need.specifier
    assert not any(part.operator in ("==", "~=") for part in need.specifier)


def test_constraints_are_exact_sorted_and_free_of_this_machine():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    assert lines == sorted(lines, key=str.lower)
    assert len(EXACT) == len(lines)
    assert not [line for line in lines if "+" in line or "@" in line or "/" in line]
    assert canonical(PROJECT["name"]) not in EXACT


def test_conda_users_get_the_same_set():
    env = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert env["name"] == PROJECT["name"]
    *conda, pip = env["dependencies"]
    index, *rest = pip["pip"]  # small builds of torch, for Binder
    assert index.startswith("--extra-index-url https://download.pytorch.org/")
    assert rest == ["-c constraints.txt", f"-e .[{','.join(EVERYDAY)}]"]
    assert [line.split("=")[0] for line in conda] == ["python", "pip"]


def test_the_makefile_and_the_citation_agree_with_the_project():
    make = (ROOT / "Makefile").read_text("utf-8")
    assert f'-c constraints.txt -e ".[{",".join(EVERYDAY)}]"' in make
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    import course_utils

    assert course_utils.__version__ == PROJECT["version"]


PIP = """#!/bin/sh
echo "$@" >> {log}
case "$*" in *"{breaks}"*) echo "ERROR: no room on the disk" >&2; exit 1;; esac
"""


@pytest.fixture
def setup(tmp_path):
    """A function that says `make setup` where pip only notes what it is asked."""
    log, python = tmp_path / "log", tmp_path / "python3"
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)

    def run(*words, breaks="nothing"):
        text = PIP.format(log=log, breaks=breaks)
        put = f"mkdir -p $3/bin; cp {tmp_path}/pip $3/bin/python"
        (tmp_path / "pip").write_text(text)
        (tmp_path / "pip").chmod(0o755)
        python.write_text(f"#!/bin/sh\n{put}\n")  # python -m venv .venv
        python.chmod(0o755)
        env = {
            k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "TORCH"))
        }
        done = subprocess.run(
            ["make", "setup", f"PYTHON={python}", *words],
            cwd=tmp_path, env=env, capture_output=True, text=True,
        )  # fmt: skip
        return done, log.read_text().splitlines()

    return run


NO_MAKE = pytest.mark.skipif(not shutil.which("make"), reason="not without make")


@NO_MAKE
def test_the_index_of_torch_is_asked_for_torch_only(setup):
    done, (torch, others) = setup("TORCH_INDEX=https://a.b/cpu")
    install = "-m pip install -q"
    assert torch.split("constraints.txt ")[1] == "--index-url https://a.b/cpu torch"
    assert torch.startswith(f"{install} --no-deps -c")
    assert others == f"{install} -c constraints.txt -e .[lab,dev]"
    assert done.returncode == 0 and "about 2 GB" in done.stdout


@NO_MAKE
@pytest.mark.parametrize("breaks", ["torch", "lab,dev"])
def test_a_setup_that_fails_says_why_and_is_not_ready(setup, tmp_path, breaks):
    done, said = setup(breaks=breaks)
    assert done.returncode and "ERROR: no room on the disk" in done.stderr
    assert not (tmp_path / ".venv" / ".ready").exists()
    assert not any("index" in line for line in said)
    assert setup()[0].returncode == 0 and (tmp_path / ".venv" / ".ready").exists()


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def sources():
    for path in sorted((ROOT / "course_utils").rglob("*.py")):
        yield path.name, path.read_text("utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        code = [cell.source for cell in cells if cell.cell_type == "code"]
        yield path.name, "\n".join(code)


def test_every_import_of_package_and_lessons_is_declared():
    known = {canonical(need.name) for need in CORE}
    known |= {"jupyterlab", "course-utils"}  # `course lab` says what to install
    known |= {"cycler", "pyzmq", "tokenizers"}  # come with what is declared
    for name, source in sources():
        for module in set(imports(ast.parse(source))) - sys.stdlib_module_names:
            wanted = canonical(IMPORT_NAMES.get(module, module))
            if module not in ("google",):
                assert wanted in known, f"{name} imports {module}: declare it"


def test_the_package_carries_what_is_not_python():
    """A lone notebook installs the package, and weights and style come with it."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = patterns["tool"]["setuptools"]["package-data"]["course_utils"]
    home = ROOT / "course_utils"
    carried = {path for pattern in patterns for path in home.glob(f"{pattern}/*")}
    carried |= {path for pattern in patterns for path in home.glob(pattern)}
    for path in home.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            assert path in carried, path


def test_both_shelves_of_weights_are_one_version():
    there = tomllib.loads((ROOT / "course_weights/pyproject.toml").read_text("utf-8"))
    assert there["project"]["version"] == PROJECT["version"]
    assert EXTRAS["weights"] == [there["project"]["name"]]


@pytest.mark.parametrize("verb", ["setup", "course", "test", "lab", "notebooks"])
def test_every_promised_verb_is_in_the_makefile(verb):
    assert re.search(rf"^{verb}:", (ROOT / "Makefile").read_text("utf-8"), re.M)
