"""What all tests share: sober threads, and notebooks that stay in one worker."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

import pytest  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep a notebook's cells together and in order, and start the longest work first.

    With `--dist loadgroup` a group runs in one worker; without it, this changes nothing
    but the order.
    """
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: (not _is_long(item), item.path.suffix != ".ipynb"))


def _is_long(item) -> bool:
    return item.path.suffix == ".ipynb" or item.path.stem == "test_notebooks_run"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Let nbval's kernels, and nothing else, run at size quick."""
    if item.path.suffix == ".ipynb":
        os.environ["COURSE_RUN"] = "quick"
    else:
        os.environ.pop("COURSE_RUN", None)


@pytest.fixture
def notebook(tmp_path):
    """A function that writes a small lesson into a course of its own."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    def write(name, *sources, kernel="python3", tagged=1):
        cells = [new_markdown_cell(f"# {name[:2]} · A lesson about ${{x_t}}$")]
        for _ in range(tagged):
            cells.append(new_code_cell('run: str = "laptop"\nseed: int = 0'))
            cells[-1].metadata["tags"] = ["parameters"]
        cells += [new_code_cell(source) for source in sources]
        nb = new_notebook(cells=cells)
        nb.metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
        nb.metadata["language_info"] = {"name": "python"}
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(nb, path)
        return path

    return write
