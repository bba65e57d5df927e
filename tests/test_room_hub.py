"""A class on one server, for real: JupyterHub, its proxy, and students without people.

They come all at once, each runs lesson 02 cell by cell in a server of their own, and
leave. Run by `make test-room`.
"""

import asyncio
import http.cookiejar
import importlib.util
import os
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
LESSON = ROOT / "notebooks" / "02_gan.ipynb"
NEEDS = ("jupyterhub", "jupyterhub_idle_culler", "jupyterlab")
MISSING = [name for name in NEEDS if importlib.util.find_spec(name) is None]
PROXY = DEPLOY / "node_modules" / ".bin" / "configurable-http-proxy"
if not (PROXY.exists() or shutil.which("configurable-http-proxy")):
    MISSING.append("configurable-http-proxy")
MISSING += [] if shutil.which("node") else ["node"]
pytestmark = [
    pytest.mark.room,
    pytest.mark.skipif(
        bool(MISSING), reason=f"needs {', '.join(MISSING)}: make hub-setup"
    ),
]
STUDENTS = 4
PASSWORD = "only-for-this-test"
IMPATIENT = """
c.JupyterHub.active_server_limit = 1
c.JupyterHub.last_activity_interval = 2
c.Spawner.environment["JUPYTERHUB_ACTIVITY_INTERVAL"] = "2"
c.JupyterHub.services[0]["command"][-1:] = ["--timeout=8", "--cull-every=2"]
"""


@pytest.fixture(scope="module")
def room():
    """The modules of deploy/ that this test leans on."""
    sys.path.insert(0, str(DEPLOY))
    try:
        import capacity
        import rehearsal

        yield rehearsal, capacity
    finally:
        sys.path.remove(str(DEPLOY))


def environment(folder):
    env = os.environ | {"COURSE_HUB_STATE": str(folder)}
    env["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), env.get("PYTHONPATH")])
    )
    return env | {"COURSE_HUB_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def hub(room, tmp_path_factory):
    with room[0].running_hub(environment(tmp_path_factory.mktemp("hub"))) as hub:
        yield hub


def run(room, hub, name, *sources):
    """Run cells as a student whose server stands; an error is a RuntimeError."""
    start = {"name": "python3", "path": "notebooks"}
    kernel = hub.ask("POST", f"user/{name}/api/kernels", start)["id"]
    asyncio.run(room[0].run_cells(hub, name, kernel, list(sources)))
    hub.ask("DELETE", f"user/{name}/api/kernels/{kernel}")


def test_four_students_finish_lesson_02_at_the_same_time(room, hub):
    rehearsal, capacity = room

    async def come():
        names = [f"student{i}" for i in range(STUDENTS)]
        return await asyncio.gather(*(rehearsal.visit(hub, n, LESSON) for n in names))

    meter = capacity.Meter(hub)
    with capacity.looking(meter.look):
        visits = asyncio.run(come())
    assert len(visits) == STUDENTS and all(v.cells > 20 for v in visits)
    users = hub.ask("GET", "hub/api/users")
    assert len(users) >= STUDENTS and not any(user["servers"] for user in users)
    memory = meter.memory()
    print(memory, [round(v.lesson) for v in visits])
    assert 300 < memory.student < 1500, "the plan of jupyterhub_config.py"
    assert memory.base < 500 and memory.server < 300


def test_a_student_has_one_thread_a_home_and_a_copy_that_stays_theirs(room, hub):
    rehearsal, _ = room
    rehearsal.start_server(hub, "ann")
    run(room, hub, "ann",
        "import os, torch\nassert torch.get_num_threads() == 1",
        "from course_utils import session\nassert session.threads() == 1",
        "assert os.environ['HF_HUB_OFFLINE'] == '1'",
        "assert os.environ['HOME'].endswith('ann')",
        "open('02_gan.ipynb', 'w').write('hers')")  # fmt: skip
    rehearsal.stop_server(hub, "ann")
    rehearsal.start_server(hub, "ann")
    run(room, hub, "ann",
        "assert open('02_gan.ipynb').read() == 'hers'",
        "from pathlib import Path\nassert len(list(Path().glob('*.ipynb'))) > 10",
    )  # fmt: skip
    assert hub.ask("GET", "user/ann/api/contents/notebooks")["content"]
    page = hub.read("GET", "user/ann/lab/tree/notebooks").decode()
    assert "JupyterLab" in page
    rehearsal.stop_server(hub, "ann")


def sign_in(hub, password):
    """Fill in the form as a browser does; return where it leads."""
    jar = http.cookiejar.CookieJar()
    web = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    web.open(f"{hub.url}/hub/login?next=/hub/home")
    [token] = [cookie.value for cookie in jar if cookie.name == "_xsrf"][-1:]
    form = {"username": "bea", "password": password, "_xsrf": token}
    data = urllib.parse.urlencode(form).encode()
    return web.open(f"{hub.url}/hub/login?next=/hub/home", data).url


def test_the_right_password_opens_the_door_and_another_does_not(hub):
    assert sign_in(hub, PASSWORD).endswith("/hub/home")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        sign_in(hub, "another")


def test_the_hub_listens_on_this_machine_only(hub):
    import psutil

    processes = [psutil.Process(hub.process.pid)]
    processes += processes[0].children(recursive=True)
    lines = [c for p in processes for c in p.net_connections("inet")]
    heard = {c.laddr.ip for c in lines if c.status == psutil.CONN_LISTEN}
    assert heard and heard <= {"127.0.0.1", "::1"}


def test_who_is_one_too_many_hears_so_and_an_idle_server_makes_room(room, tmp_path):
    rehearsal, _ = room
    with rehearsal.running_hub(environment(tmp_path), IMPATIENT) as hub:
        rehearsal.start_server(hub, "ann")
        hub.ask("POST", "hub/api/users/bo")
        with pytest.raises(RuntimeError, match="429"):
            hub.ask("POST", "hub/api/users/bo/server")
        rehearsal.wait_for(lambda: not rehearsal.stands(hub, "ann"), 90, "the culler")
        rehearsal.wait_for(
            lambda: not hub.ask("GET", "hub/api/users/ann")["servers"], 60, "her end"
        )
        rehearsal.start_server(hub, "bo")
