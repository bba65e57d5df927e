import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from diffusers.training_utils import EMAModel
from torch import nn

from course_utils import training


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.SiLU(), nn.Linear(16, 2))


def batch(generator, step):
    x = torch.randn(32, 2, generator=generator)
    return x, torch.stack([x[:, 0] * x[:, 1], x.sum(1)], dim=1)


def loss(model, x, y):
    return (model(x) - y).square().mean()


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def run(steps, **options):
    return list(training.train(network(), batch, loss, steps=steps, **options))


def test_the_loss_falls_and_every_step_is_reported():
    states = run(400, lr=1e-2)
    losses = [state.loss for state in states]
    assert [state.step for state in states] == list(range(1, 401))
    assert sum(losses[-20:]) < 0.2 * sum(losses[:20])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, again, other = (run(30, seed=seed)[-1].model for seed in (0, 0, 1))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


def test_the_learning_rate_warms_up_and_falls_to_zero():
    rates = [state.lr for state in run(100, lr=1.0, warmup=10)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1, abs=0.03)
    assert rates[-1] < 1e-3
    assert run(20, lr=0.5, warmup=0, decay=0)[-1].lr == 0.5
    late = [state.lr for state in run(100, lr=1.0, warmup=0, decay=0.25)]
    assert late[:76] == [1.0] * 76 and late[88] == pytest.approx(0.46, abs=0.05)
    assert late[-1] < 1e-2


def test_one_step_is_adams_own_step():
    """The gradient is the loss's gradient: scaling it by the loss would show in SGD."""
    model, reference = network(), network()
    step = training.train(
        model,
        batch,
        loss,
        steps=1,
        warmup=0,
        decay=0,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
    )
    next(step)
    drawn = batch(torch.Generator().manual_seed(0), 0)
    loss(reference, *drawn).backward()
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs - 0.1 * theirs.grad)


def test_the_average_equals_diffusers():
    model, average = network(), network()
    library = EMAModel(model.parameters(), decay=0.9)
    library.step(model.parameters())  # its first step only copies
    for step in range(1, 40):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        training.update_ema(average, model, min(0.9, (1 + step) / (10 + step)))
        library.step(model.parameters())
    for ours, theirs in zip(average.parameters(), library.shadow_params, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_average_follows_buffers_and_needs_no_gradient():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    states = list(training.train(model, batch, loss, steps=5))
    assert torch.equal(states[-1].ema[1].running_mean, model[1].running_mean)
    assert not any(p.requires_grad for p in states[-1].ema.parameters())


@pytest.mark.parametrize("stop", [1, 7, 10, 13, 19])
def test_a_run_that_stopped_goes_on_to_the_same_weights(tmp_path, stop):
    whole = run(20)[-1]
    saved = dict(steps=20, save_to=tmp_path / "run.safetensors", save_every=5)
    for state in training.train(network(), batch, loss, **saved):
        if state.step == stop:
            break
    *_, resumed = training.train(network(), batch, loss, **saved)
    assert torch.equal(weights(resumed.model), weights(whole.model))
    assert torch.equal(weights(resumed.ema), weights(whole.ema))


def test_a_finished_run_is_loaded_not_repeated(tmp_path):
    saved = dict(steps=10, save_to=tmp_path / "run.safetensors")
    *_, whole = training.train(network(), batch, loss, **saved)
    (state,) = training.train(network(), batch, loss, **saved)
    assert state.step == 10
    assert torch.equal(weights(state.ema), weights(whole.ema))


RECIPE = """
import json, sys, torch
sys.path.insert(0, {tests!r})
from test_training import batch, loss, network, weights
from course_utils import training
states = training.train(
    network(), batch, loss, steps={steps}, save_to={path!r}, save_every=3
)
losses = []
for state in states:
    losses.append(state.loss)
    print(state.step, flush=True)
torch.distributed.is_initialized() and torch.distributed.barrier()
print("LOSSES " + json.dumps(losses) + chr(10), end="", flush=True)
"""


def script(folder, steps, path):
    file = folder / "recipe.py"
    tests = os.path.dirname(__file__)
    text = textwrap.dedent(RECIPE).format(tests=tests, steps=steps, path=str(path))
    file.write_text(text)
    return str(file)


def test_a_killed_process_loses_nothing(tmp_path):
    """SIGKILL at an arbitrary moment, then a second start: the same weights."""
    path = tmp_path / "run.safetensors"
    command = [sys.executable, script(tmp_path, 20_000, path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) >= 50:
            break
    process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    process.wait()
    saved = dict(steps=20_000, save_to=path, save_every=3)
    state = next(iter(training.train(network(), batch, loss, **saved)))
    assert state.step > 48
    for whole in training.train(network(), batch, loss, steps=20_000):
        if whole.step == state.step:
            break
    assert torch.equal(weights(state.model), weights(whole.model))


def test_two_processes_take_the_same_steps_as_one(tmp_path):
    path = tmp_path / "two.safetensors"
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, "-m", *launch, script(tmp_path, 12, path)],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
    )
    lines = [x for x in done.stdout.splitlines() if x.startswith("LOSSES")]
    assert len(lines) == 2, done.stderr[-2000:]
    states = run(12)
    alone = [state.loss for state in states]
    for line in lines:
        together = json.loads(line.removeprefix("LOSSES "))
        assert together == pytest.approx(alone, rel=1e-4)
    saved = dict(steps=12, save_to=path)
    (state,) = training.train(network(), batch, loss, **saved)
    torch.testing.assert_close(weights(state.ema), weights(states[-1].ema))


def test_a_foreign_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    list(training.train(network(), batch, loss, steps=2, save_to=path))
    with pytest.raises(ValueError, match="no checkpoint of this model"):
        list(training.train(nn.Linear(2, 2), batch, loss, steps=2, save_to=path))
    path.write_bytes(b"half a file")
    with pytest.raises(ValueError, match="delete it to start afresh"):
        list(training.train(network(), batch, loss, steps=2, save_to=path))


OTHERS = dict(steps=9, seed=1, lr=0.1, ema=0.5, warmup=3, settings={"small": True})


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_of_other_settings_is_not_gone_on_with(tmp_path, name):
    saved = dict(steps=4, save_to=tmp_path / "run.safetensors")
    list(training.train(network(), batch, loss, **saved))
    other = saved | {name: OTHERS[name]}
    with pytest.raises(ValueError, match="was made with .* delete it to start afresh"):
        list(training.train(network(), batch, loss, **other))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", -5),
        ("steps", 2.5),
        ("ema", 2),
        ("ema", -0.1),
        ("save_every", 0),
        ("warmup", -1),
        ("decay", 2),
        ("lr", 0.0),
        ("lr", float("nan")),
    ],
)
def test_a_number_out_of_range_is_refused_at_the_call(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        training.train(network(), batch, loss, **{"steps": 3} | {name: value})


def test_a_batch_is_told_the_step():
    told = []

    def remember(generator, step):
        told.append(step)
        return batch(generator, step)

    list(training.train(network(), remember, loss, steps=4))
    assert told == [0, 1, 2, 3]


def test_steps_in_a_row_share_a_chapter_and_seeds_share_none():
    chapters = [training.chapter(0, step, 32) for step in range(96)]
    assert [chapters.count(k) for k in (0, 1, 2)] == [32, 32, 32]
    others = {training.chapter(1, step, 32) for step in range(1000)}
    assert not others & {training.chapter(0, step, 32) for step in range(1000)}


def test_a_diverging_run_says_what_to_change():
    with pytest.raises(FloatingPointError, match="lower lr"):
        list(training.train(network(), batch, lambda m, x, y: m(x).sum() / 0, steps=1))
