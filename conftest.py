"""What all tests share, those in tests/ and the notebooks as nbval reads them."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch
os.environ["COURSE_PROGRESS"] = "off"  # whoever runs the tests has passed nothing

import pytest  # noqa: E402

import course_utils  # noqa: E402, F401  before diffusers: it switches downloads off


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep together what shares something: a notebook's kernel, a file's fixtures.

    Only the runs of whole lessons are spread one by one. (`--dist loadgroup` would be
    the ordinary way; pytest-xdist 3.8 ignores its groups under pytest 9.2.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if "test_notebooks_run" in nodeid else nodeid.split("::")[0]

    return Together(config, log)


# What takes longest starts first, so that no worker is left alone with it at the end:
# whole lessons, and of the second stage these files.
FIRST = ("test_notebooks_run", "test_room_lab", "test_room_colab", "test_room_bundle",
         "test_room_hub", "test_site_page")  # fmt: skip


def pytest_collection_modifyitems(items):
    """Start the longest work first: FIRST, then nbval, then the rest."""
    order = {stem: place for place, stem in enumerate(FIRST)}
    items.sort(
        key=lambda item: (
            order.get(item.path.stem, len(FIRST)),
            item.path.suffix != ".ipynb",
        )
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Let nbval's kernels, and nothing else, run at size quick."""
    if item.path.suffix == ".ipynb":
        os.environ["COURSE_RUN"] = "quick"
    else:
        os.environ.pop("COURSE_RUN", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Where everything must be there (.ci/run), what is skipped for want of it fails.

    A GPU is the one thing that a test may need and not find.
    """
    report = yield
    why = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
    if os.environ.get("COURSE_NEEDS") == "all" and "needs" in why and "GPU" not in why:
        report.outcome, report.longrepr = "failed", f"skipped: {why}"
    return report
