"""A small lesson to try things on, and a process that does not know the course."""

import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_utils.recipes import monitor


@pytest.fixture(scope="session", autouse=True)
def few_pictures():
    """A training that is only tried need not be watched with 160 pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitor, "SHOWN", 4)
        patch.setattr(monitor, "READ", 2)
        yield


@pytest.fixture
def notebook(tmp_path):
    """A function that writes a small lesson into a course of its own."""

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


@pytest.fixture(scope="session")
def in_a_fresh_process():
    """A function that runs code, with arguments, where nobody imports course_utils."""

    def run(code: str, *arguments) -> None:
        code += "\nimport sys; assert 'course_utils' not in sys.modules"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()[-800:]

    return run
