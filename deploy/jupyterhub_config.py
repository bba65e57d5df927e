"""A class on one server: `jupyterhub -f deploy/jupyterhub_config.py`.

What each choice is for stands in README.md beside this file. The limits are these; the
values for Kubernetes (zero-to-jupyterhub.yaml) are held to the same by a test.
"""

import os
import secrets
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlparse

import psutil

MEMORY_GB = 3  # no more for one student: the server and the lessons that are open
PLAN_GB = 1.5  # what most take at the peak of a lesson (capacity.md)
THREADS = "1"  # thirty students who each take every core wait for each other
IDLE = 3600  # seconds without a sign of life until a server is stopped
SPAWNS = 10  # servers that may start at the same time

HERE = Path(__file__).resolve().parent
STATE = Path(os.environ.get("COURSE_HUB_STATE") or HERE.parent / "build" / "hub")
ADDRESS = os.environ.get("COURSE_HUB", "http://127.0.0.1:8000")
LOOPBACK = urlparse(ADDRESS).hostname in ("127.0.0.1", "localhost", "::1")

c = get_config()  # noqa: F821  jupyterhub hands it to this file
STATE.mkdir(parents=True, exist_ok=True)
STATE.chmod(0o700)  # its database and keys are nobody else's

# The server itself.
c.JupyterHub.bind_url = ADDRESS
c.JupyterHub.db_url = f"sqlite:///{STATE / 'hub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(STATE / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(STATE / "proxy.pid")
_proxy = HERE / "node_modules" / ".bin" / "configurable-http-proxy"
if _proxy.exists():
    c.ConfigurableHTTPProxy.command = [str(_proxy)]
elif not shutil.which("configurable-http-proxy"):
    raise ValueError("the proxy is missing: npm ci --ignore-scripts --prefix deploy")

# Who may come in.
if LOOPBACK:  # a rehearsal: any name, one password, all homes of one account
    password = os.environ.get("COURSE_HUB_PASSWORD") or secrets.token_urlsafe(9)
    print(f"any name may come in, with the password {password}", file=sys.stderr)
    c.JupyterHub.authenticator_class = "shared-password"
    c.SharedPasswordAuthenticator.user_password = password
    c.Authenticator.allow_all = True
    c.JupyterHub.spawner_class = "simple"
    c.SimpleLocalProcessSpawner.home_dir_template = str(STATE / "home" / "{username}")
    if os.geteuid() == 0:
        c.Spawner.args = ["--allow-root"]  # in a container, where else to be root
else:  # a class: accounts of this system, over an encrypted line
    key, certificate = STATE / "key.pem", STATE / "cert.pem"
    if not ADDRESS.startswith("https://"):
        raise ValueError("COURSE_HUB must be https://...: passwords travel over it")
    if not (key.exists() and certificate.exists()):
        raise ValueError(f"{key} or {certificate} is missing: README.md, step 3")
    c.JupyterHub.ssl_key, c.JupyterHub.ssl_cert = str(key), str(certificate)
    c.JupyterHub.authenticator_class = "pam"
    c.LocalAuthenticator.allowed_groups = {"students"}
    c.PAMAuthenticator.admin_groups = {"instructors"}
    enforced = find_spec("systemdspawner")  # then the kernel holds the memory limit
    spawner = "systemdspawner.SystemdSpawner" if enforced else "localprocess"
    c.JupyterHub.spawner_class = spawner

# What one student gets.
c.Spawner.cmd = [sys.executable, str(HERE / "student.py")]
c.Spawner.default_url = "/lab/tree/notebooks"
c.Spawner.mem_limit = f"{MEMORY_GB}G"
c.Spawner.start_timeout = c.Spawner.http_timeout = 120  # thirty starts at once are slow
c.Spawner.environment = {
    "OMP_NUM_THREADS": THREADS,
    "MKL_NUM_THREADS": THREADS,
    "OPENBLAS_NUM_THREADS": THREADS,
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "JUPYTER_CONFIG_PATH": str(HERE / "jupyter"),
}

# How many at once. One more than memory holds would slow down all the others.
_total_gb = psutil.virtual_memory().total / 2**30
c.JupyterHub.active_server_limit = max(1, int((_total_gb - 1) / PLAN_GB))
c.JupyterHub.concurrent_spawn_limit = SPAWNS
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "scopes": ["list:users", "read:users:activity", "read:servers",
                   "delete:servers"],
        "services": ["idle-culler"],
    }
]  # fmt: skip
c.JupyterHub.services = [
    {
        "name": "idle-culler",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler",
                    f"--timeout={IDLE}"],
    }
]  # fmt: skip
