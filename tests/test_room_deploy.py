"""What stands in deploy/: one set of limits, and files that their readers accept."""

import importlib.util
import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from course_utils.commands import address, costs, room

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
VALUES = yaml.safe_load((DEPLOY / "zero-to-jupyterhub.yaml").read_text("utf-8"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
JUPYTER = DEPLOY / "jupyter" / "jupyter_server_config.json"


class Config(dict):
    """What jupyterhub hands to a configuration file, as far as ours asks."""

    def __getattr__(self, name):
        return self.setdefault(name, Config())

    def __setattr__(self, name, value):
        self[name] = value


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A function that reads jupyterhub_config.py, for an address."""
    monkeypatch.setenv("COURSE_HUB_STATE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "configurable-http-proxy").touch(0o755)

    def read(url="http://127.0.0.1:8000"):
        monkeypatch.setenv("COURSE_HUB", url)
        path, c = DEPLOY / "jupyterhub_config.py", Config()
        code = compile(path.read_text("utf-8"), str(path), "exec")
        exec(code, {"get_config": lambda: c, "__file__": str(path)})
        return c

    return read


def test_a_rehearsal_has_a_password_that_nobody_can_guess(hub, capsys):
    first, second = hub(), hub()
    assert first.JupyterHub.authenticator_class == "shared-password"
    one, two = (c.SharedPasswordAuthenticator.user_password for c in (first, second))
    assert one != two and len(one) >= 12 and one in capsys.readouterr().err


def test_a_class_has_accounts_and_an_encrypted_line(hub, tmp_path):
    with pytest.raises(ValueError, match="must be https"):
        hub("http://0.0.0.0:8000")
    with pytest.raises(ValueError, match="is missing: README.md, step 3"):
        hub("https://0.0.0.0:443")
    (tmp_path / "key.pem").touch(), (tmp_path / "cert.pem").touch()
    c = hub("https://0.0.0.0:443")
    assert c.JupyterHub.authenticator_class == "pam"
    assert c.JupyterHub.spawner_class != "simple", "each in a system account"
    assert "SharedPasswordAuthenticator" not in c and "args" not in c.Spawner
    assert "3. **A certificate**" in (DEPLOY / "README.md").read_text("utf-8")


def test_a_missing_proxy_is_named_with_the_cure(hub, monkeypatch, tmp_path):
    real = Path.exists
    gone = {"configurable-http-proxy"}
    monkeypatch.setattr(Path, "exists", lambda p: p.name not in gone and real(p))
    (tmp_path / "configurable-http-proxy").unlink()
    with pytest.raises(ValueError, match="npm ci --ignore-scripts --prefix deploy"):
        hub()


def test_every_student_has_one_thread_and_no_way_out(hub):
    env = hub().Spawner.environment
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    assert all(env[name] == "1" for name in threads)
    assert env["HF_HUB_OFFLINE"] == "1"
    assert Path(env["JUPYTER_CONFIG_PATH"]) == DEPLOY / "jupyter"


def test_kubernetes_keeps_the_same_limits(hub):
    c, one = hub(), VALUES["singleuser"]
    env = dict(c.Spawner.environment, JUPYTER_CONFIG_PATH="/srv/course/deploy/jupyter")
    assert one["extraEnv"] == env
    assert one["memory"]["limit"] == c.Spawner.mem_limit
    assert one["defaultUrl"] == c.Spawner.default_url
    assert VALUES["hub"]["concurrentSpawnLimit"] == c.JupyterHub.concurrent_spawn_limit
    [culler] = [s for s in c.JupyterHub.services if s["name"] == "idle-culler"]
    assert f"--timeout={VALUES['cull']['timeout']}" in culler["command"]
    kernels = json.loads(JUPYTER.read_text())["MappingKernelManager"]
    assert kernels["cull_idle_timeout"] == VALUES["cull"]["timeout"]
    assert not kernels["cull_busy"]


def test_the_heaviest_lesson_fits_into_what_a_student_may_take(hub):
    limit = int(hub().Spawner.mem_limit.removesuffix("G")) * 1000
    peaks = {path.stem: costs.of(path).peak_mb for path in LESSONS}
    heaviest = max(peaks, key=peaks.get)
    assert peaks[heaviest] + room.SERVER_MB <= limit, heaviest


# The names that the chart has for what we set, as in its values.yaml.
CHART = {
    "hub": {"concurrentSpawnLimit", "activeServerLimit", "config", "extraConfig"},
    "singleuser": {"image", "cmd", "defaultUrl", "startTimeout", "cpu", "memory",
                   "storage", "networkPolicy", "extraEnv"},
    "cull": {"enabled", "timeout", "every"},
}  # fmt: skip


def test_the_values_have_the_names_of_the_chart():
    assert set(VALUES) == set(CHART)
    for part, names in CHART.items():
        assert set(VALUES[part]) <= names
    for kind in ("cpu", "memory"):
        assert set(VALUES["singleuser"][kind]) == {"limit", "guarantee"}
    assert VALUES["hub"]["config"]["JupyterHub"]["authenticator_class"] != "dummy"
    assert all(isinstance(v, str) for v in VALUES["singleuser"]["extraEnv"].values())
    compile(VALUES["hub"]["extraConfig"]["pages-to-sign-up"], "values", "exec")


def test_the_image_follows_the_rules_of_repo2docker():
    lines = re.sub(r"\\\n", " ", DOCKERFILE).splitlines()
    steps = [line.split(None, 1) for line in lines if line and line[0].isupper()]
    words = [step for step, _ in steps]
    [base] = [rest for step, rest in steps if step == "FROM"]
    assert ":" in base and not base.endswith(":latest")
    assert {"ARG NB_USER=jovyan", "ARG NB_UID=1000"} <= set(lines)
    assert "ENTRYPOINT" not in words
    assert [rest for step, rest in steps if step == "USER"] == ["${NB_USER}"]
    after = words[words.index("USER") :]
    assert "RUN" not in after and "COPY" not in after
    assert "chown -R ${NB_UID} ${HOME}" in DOCKERFILE
    assert "jupyterhub==" in DOCKERFILE and '".[lab]"' in DOCKERFILE


def test_the_image_has_what_it_copies_and_the_limits(hub):
    for rest in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.M):
        assert all((ROOT / name).exists() for name in rest.split())
    env = dict(hub().Spawner.environment)
    env["JUPYTER_CONFIG_PATH"] = "/srv/course/deploy/jupyter"
    for name, value in env.items():
        assert f"{name}={value}" in DOCKERFILE
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "build"} <= set(ignored)


def test_binder_builds_the_environment_and_nothing_before_it():
    """repo2docker looks into binder/, then for a Dockerfile, then for this file."""
    for name in ("binder", ".binder", "Dockerfile", "environment.yaml"):
        assert not (ROOT / name).exists()
    env = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert set(env) == {"name", "channels", "dependencies"}
    pip = env["dependencies"][-1]["pip"]
    assert pip[0].startswith("--extra-index-url ") and pip[0].endswith("/cpu")
    assert "-c constraints.txt" in pip  # so the whole folder is there before pip runs


def test_binders_badge_opens_the_lessons_once_there_is_an_address():
    line = address.binder("https://github.com/somebody/their-course")
    assert "/v2/gh/somebody/their-course/main?urlpath=lab/tree/notebooks" in line
    assert address.binder("") == "" == address.binder("https://gitlab.com/a/b")


@pytest.mark.room
@pytest.mark.skipif(
    importlib.util.find_spec("repo2docker") is None, reason="needs jupyter-repo2docker"
)
def test_repo2docker_itself_chooses_the_environment(monkeypatch):
    from repo2docker.app import Repo2Docker

    monkeypatch.chdir(ROOT)
    app = Repo2Docker()
    packs = [pack(app.base_image) for pack in app.buildpacks]
    pack = next(pack for pack in packs if pack.detect())
    assert type(pack).__name__ == "CondaBuildPack"
    pack.platform = "linux/amd64"
    assert pack.python_version == "3.11" and not pack._should_preassemble_env
    assert '--file "environment.yml"' in pack.render({})


def test_a_lesson_is_laid_out_once_and_then_left_alone(tmp_path):
    spec = importlib.util.spec_from_file_location("student", DEPLOY / "student.py")
    student = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(student)
    lessons, home = tmp_path / "lessons", tmp_path / "home"
    lessons.mkdir()
    (lessons / "05_x.ipynb").write_text("ours")
    assert student.lay_out(lessons, home) == ["05_x.ipynb"]
    (home / "notebooks" / "05_x.ipynb").write_text("theirs")
    (lessons / "06_x.ipynb").write_text("new")
    assert student.lay_out(lessons, home) == ["06_x.ipynb"]
    assert (home / "notebooks" / "05_x.ipynb").read_text() == "theirs"
    names = {path.name for path in (home / "notebooks").iterdir()}
    assert names == {"05_x.ipynb", "06_x.ipynb"}


def test_the_documents_links_and_verbs_are_there():
    text = (DEPLOY / "README.md").read_text("utf-8")
    links = re.findall(r"\]\((?!https)([^)#]+)", text)
    assert links and all((DEPLOY / link).exists() for link in links)
    make = (ROOT / "Makefile").read_text("utf-8")
    for verb in re.findall(r"(?:`|^)make ([a-z-]+)", text, re.M):
        assert re.search(rf"^{verb}:", make, re.M), verb


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_badge_points_at_a_path_that_exists(path):
    for known in ("https://github.com/somebody/their-course", address.current(ROOT)):
        line = address.badge(known, path.name)
        [target] = re.findall(r"\]\(([^)]+)\)$", line)
        if "/blob/main/" in target:
            assert (ROOT / target.partition("/blob/main/")[2]) == path
        else:
            file, _, anchor = target.partition("#")
            text = (path.parent / file).read_text("utf-8")
            headings = re.findall(r"^#+ (.+)$", text, re.M)
            assert anchor in [h.lower().replace(" ", "-") for h in headings]
    title = nbformat.read(path, as_version=4).cells[0].source
    assert address.badge(address.current(ROOT), path.name) in title
