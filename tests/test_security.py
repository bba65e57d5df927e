"""Nothing that comes with weights or with a lesson's outputs is ever run."""

import ast
import json
import re
import struct
import subprocess
from pathlib import Path

import nbformat
import pytest
import torch
from lab import BROWSER
from nbformat.v4 import new_code_cell, new_notebook, new_output
from safetensors import SafetensorError, safe_open
from torch import nn

from course_utils import models, training
from course_utils.commands import index, page, site

ROOT = Path(__file__).resolve().parent.parent
CODE = [*ROOT.glob("course_utils/**/*.py"), *ROOT.glob("deploy/**/*.py")]
CODE += [*ROOT.glob("slides/*.py"), *ROOT.glob("docs/*.py")]
LESSONS = sorted(ROOT.glob("notebooks/*.ipynb"))
PICKLES = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}


def faults(source):
    """What of a program reads code as if it were data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [getattr(node, "module", None) or ""]
            yield from (x for x in names if x.split(".")[0] in PICKLES)
        if not isinstance(node, ast.Call):
            continue
        given = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
        said = ast.unparse(node.func)
        if said in ("eval", "exec", "os.system") or given.get("shell"):
            yield said
        if said == "torch.load" and given.get("weights_only") is not True:
            yield said
        if given.get("allow_pickle") or given.get("trust_remote_code"):
            yield said


@pytest.mark.parametrize("path", CODE + LESSONS, ids=lambda path: path.name)
def test_no_program_of_the_course_unpickles_or_runs_a_text(path):
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert [*faults(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "torch.load('x')",
        "torch.load('x', weights_only=False)",
        "np.load('x', allow_pickle=True)",
        "AutoModel.from_pretrained('x', trust_remote_code=True)",
        "eval('1')",
        "subprocess.run('x', shell=True)",
    ],
)
def test_a_program_that_does_is_found(text):
    assert [*faults(text)]


def packed(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape, start, end, kind="F32"):
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
HEADERS = {
    "nothing": b"",
    "a length beyond the file": packed({}, length=2**62),
    "a length of all bits": packed({}, length=2**64 - 1),
    "no JSON": packed(b"__import__('os').system('x')"),
    "deep JSON": packed(DEEP),
    "a list": packed([1, 2]),
    "a tensor beyond the file": packed({"x": entry([4], 0, 2**40)}, bytes(16)),
    "a shape of 2^60": packed({"x": entry([2**30, 2**30], 0, 16)}, bytes(16)),
    "a shape that overflows": packed({"x": entry([2**62, 8], 0, 16)}, bytes(16)),
    "two tensors of the same bytes": packed(
        {"x": entry([4], 0, 16), "y": entry([4], 0, 16)}, bytes(16)
    ),
    "from end to start": packed({"x": entry([4], 16, 0)}, bytes(16)),
    "a shape below 0": packed({"x": entry([-4], 0, 16)}, bytes(16)),
    "an unknown kind": packed({"x": entry([4], 0, 16, "PICKLE")}, bytes(16)),
    "a pickle": b"\x80\x04\x95" + bytes(40),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_malicious_header_is_an_error_and_nothing_else(name, tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(HEADERS[name])
    with pytest.raises(SafetensorError):
        with safe_open(file, "pt") as opened:
            [opened.get_tensor(key) for key in opened.keys()]
    with pytest.raises(ValueError, match="delete it to start afresh"):
        training.check_settings(file, {"steps": 1})
    config = {"network": "networks.UNet", "options": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError):
        models.network(tmp_path)


METADATA = [
    {},
    {"state": "[]", "settings": "{}"},
    {"state": '{"step": "9", "loss": 1, "lr": 1}'},
    {"state": '{"step": 1e99, "loss": 1, "lr": 1}'},
    {"state": '{"step": 1}', "settings": "7"},
    {"state": "__import__('os')"},
]


@pytest.mark.parametrize("metadata", METADATA)
def test_a_checkpoint_with_odd_words_is_refused_with_the_cure(metadata, tmp_path):
    def batch(generator, step):
        return (torch.randn(4, 2, generator=generator),)

    def loss(model, x):
        return model(x).square().mean()

    file, model = tmp_path / "run.safetensors", nn.Linear(2, 2)
    weights = {
        f"{whose}.{name}": x.clone()
        for whose in ("model", "ema")
        for name, x in model.state_dict().items()
    }
    training.save_whole(weights, file, metadata | {"x": "y"})
    with pytest.raises(ValueError, match="delete it to start afresh"):
        list(training.train(model, batch, loss, steps=2, save_to=file))


@pytest.mark.parametrize(
    "place", ["os.system", "builtins.eval", "..os.system", "commands.cli.main", 7, None]
)
def test_a_config_names_no_program(place, tmp_path):
    training.save_whole({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    config = {"network": place, "options": {"command": "touch owned"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError):
        models.network(tmp_path)


DID = "document.title='owned'"
ATTACKS = [
    f"<script>{DID}</script>",
    f"<img src=x onerror=\"{DID}\">",
    f"<svg onload=\"{DID}\"><script>{DID}</script></svg>",
    f"<iframe srcdoc=\"<script>parent.{DID}</script>\"></iframe>",
    f"<a id=go href=\"jAva\tscript:{DID}\">x</a>",
    f"<object data=\"data:text/html,<script>{DID}</script>\"></object>",
    "<meta http-equiv=refresh content='0;url=https://example.com/'>",
    "<base href=https://example.com/><link rel=stylesheet href=https://example.com/x>",
    f"<details open ontoggle=\"{DID}\">x</details><body onpageshow=\"{DID}\">",
    f"<form action=\"javascript:{DID}\"><button autofocus>x</button></form>",
]  # fmt: skip


def hostile():
    """A lesson whose outputs, texts and title attack whoever reads its page."""
    outputs = [new_output("display_data", {"text/html": text}) for text in ATTACKS]
    outputs += [new_output("display_data", {"text/markdown": ATTACKS[0]})]
    outputs += [new_output("display_data", {"application/javascript": DID})]
    outputs += [new_output("display_data", {"image/svg+xml": ATTACKS[2]})]
    outputs += [new_output("stream", name="stdout", text=ATTACKS[1])]
    nb = new_notebook(cells=[new_code_cell("1", outputs=outputs)])
    nb.cells.append(nbformat.v4.new_markdown_cell("\n\n".join(ATTACKS)))
    return nb


ROW = dict(title=ATTACKS[0], seconds=1.0, peak_mb=1.0, error=ATTACKS[1], run="quick")
ROW |= dict(warnings=[ATTACKS[2]], machine=ATTACKS[1])
SCORE = dict(metric="x", value=0.5, floor=0, ceiling=1, better="higher", seeds=1, n=1)


def test_a_page_has_nothing_that_acts(tmp_path):
    text = page.lesson(hostile(), dict(ROW), tmp_path / "05_x.ipynb")
    found = page.BeautifulSoup(text, "html.parser")
    assert not found.body.find_all(page.ACTS)
    for tag in found.body.find_all(True):
        assert not [name for name in tag.attrs if name.lower().startswith("on")]
        assert "script:" not in str(tag.get("href", "")).replace("\t", "").lower()
    assert page.POLICY in found.head.decode_contents()


def no_refresh(body):
    """No guard but against what no policy forbids: that a page leads away."""
    for tag in body.find_all("meta"):
        tag.decompose()


@pytest.mark.skipif(not BROWSER, reason="needs chromium")
@pytest.mark.parametrize("guard", ["both", "policy"])
def test_no_script_of_an_output_runs_in_a_browser(guard, tmp_path, monkeypatch):
    """With both guards, and with the policy alone."""
    if guard == "policy":
        monkeypatch.setattr(page, "disarm", no_refresh)
    title = "An honest page"
    text = page.lesson(hostile(), dict(ROW) | {"title": title}, tmp_path / "05_x.ipynb")
    assert shown_title(text, tmp_path) == title
    rows = {"05_x": ROW | {"scores": [SCORE]}}
    assert shown_title(index.index(rows), tmp_path) == "The course, run"


@pytest.mark.skipif(not BROWSER, reason="needs chromium")
def test_without_either_guard_a_script_would_have_run(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "disarm", no_refresh)
    text = page.lesson(hostile(), dict(ROW), tmp_path / "05_x.ipynb")
    assert shown_title(text.replace(page.POLICY, ""), tmp_path) == "owned"


THEME = "document.body.dataset.theme = 'auto';"
SITE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>A site</title><link rel="stylesheet" href="site.css">
<script src="site.js"></script></head>
<body>
    <script>{theme}</script>{body}</body></html>"""


def guarded(folder, body):
    """A page as the website's are, with this in it, and a script and a style beside."""
    (folder / "site.js").write_text("document.title = 'ours runs'")
    (folder / "site.css").write_text("body { color: red }")
    file = folder / "site.html"
    file.write_text(SITE.format(theme=THEME, body=body), "utf-8")
    site.guard(file)
    return file.read_text("utf-8")


def test_a_page_of_the_website_names_its_own_script_and_no_other(tmp_path):
    text = guarded(tmp_path, f"<body><script>{DID}</script>")
    found = page.BeautifulSoup(text, "html.parser")
    [policy] = found.select("meta[http-equiv=Content-Security-Policy]")
    assert policy.find_previous_sibling()["charset"] == "utf-8"  # and nothing before it
    assert policy["content"].count("sha256-") == 1
    assert site._hashed(THEME) in policy["content"]
    for kind in ("script", "object", "frame", "default"):
        assert "unsafe" not in policy["content"].partition(f"{kind}-src")[2][:60]
    other = tmp_path / "other.html"
    other.write_text("<p>no head</p>")
    with pytest.raises(ValueError, match="other.html has no <head>"):
        site.guard(other)


@pytest.mark.skipif(not BROWSER, reason="needs chromium")
def test_on_the_website_its_own_scripts_run_and_no_others(tmp_path):
    viewer = f"<iframe srcdoc='<p>a mesh</p><script>parent.{DID}</script>'></iframe>"
    attacks = "".join(x for x in ATTACKS if "refresh" not in x)
    text = guarded(tmp_path, attacks + viewer)
    shown = seen(text, tmp_path)
    assert shown.title.string == "ours runs"
    assert shown.body["data-theme"] == "auto"
    policy = re.search(r"<meta http-equiv.*?>", text)[0]
    assert seen(text.replace(policy, ""), tmp_path).title.string == "owned"


def shown_title(text, folder):
    """The title of a page after a browser has read it."""
    return seen(text, folder).title.string


def seen(text, folder):
    """What a browser has made of a page."""
    file = folder / "page.html"
    file.write_text(text, "utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--virtual-time-budget=2000", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run([*command, file.as_uri()], capture_output=True, timeout=120)
    return page.BeautifulSoup(done.stdout.decode(), "html.parser")
