"""What drawing costs, and whose seconds they are."""

import json
import time

import pytest
import torch
from torch import nn

from course_utils.measure import pace


def test_seconds_are_those_of_the_modules_and_of_every_call():
    class Sleeper(nn.Module):
        def forward(self, x):
            time.sleep(0.02)
            return x

    nets = {"slow": Sleeper(), "idle": nn.Identity()}
    with pace.seconds_inside(nets) as spent:
        nets["slow"](torch.ones(1))
        nets["slow"](torch.ones(1))
    assert 0.04 <= spent["slow"] < 1 and spent["idle"] == 0
    nets["slow"](torch.ones(1))  # nobody listens any more
    assert 0.04 <= spent["slow"] < 1


def test_every_way_draws_what_it_says(monkeypatch):
    ways = pace.ways_to_draw()
    assert {"tiny, ddim 50", "tiny, dpm 10", "student, 1"} < set(ways)
    one = ways["student, 1"][1](2)
    assert one.shape == (2, 3, 64, 64)
    pipe = ways["student, 2"][0]
    calls = []
    pipe.unet.register_forward_hook(lambda *_: calls.append(1))
    ways["student, 2"][1](1)
    assert len(calls) == 2, "two steps, no guidance: two calls of one row"
    own, theirs = (
        ways[name][1](1) for name in ("our own loop, ddim 20", "tiny, ddim 20")
    )
    torch.testing.assert_close(own.clamp(-1, 1), theirs, atol=1e-3, rtol=0)


def test_the_bench_leaves_rows_and_shares_that_are_parts_of_one(
    tmp_path, monkeypatch, capsys
):
    few = {
        k: v
        for k, v in pace.ways_to_draw().items()
        if k in ("tiny, dpm 20", "student, 1")
    }
    few |= dict.fromkeys((pace.OURS, pace.THEIRS), few["student, 1"])
    monkeypatch.setattr(pace, "ways_to_draw", lambda: few)
    monkeypatch.setattr(
        pace, "seconds_per_image", lambda sample, k, repeats: (sample(1), 0.5)[1]
    )
    rows = pace.sampling_costs(n=2, into=tmp_path / "deep" / "sampling.json")
    assert json.loads((tmp_path / "deep" / "sampling.json").read_text()) == rows
    own = [row for row in rows if row["method"] == "student, 1"]
    shares = [row["value"] for row in own if row["metric"].startswith("share")]
    assert len(shares) == 3 and all(0 < x < 1 for x in shares) and sum(shares) < 1
    [beside] = [row for row in rows if row["metric"] == "times_the_pipeline"]
    assert beside["method"] == pace.OURS and 0.5 < beside["value"] < 2
    assert {"batch_1", "batch_2", "side_64", "side_128"} < {r["metric"] for r in rows}
    assert "unet" in capsys.readouterr().out


def test_one_picture_is_no_batch():
    with pytest.raises(ValueError, match="at least 2"):
        pace.sampling_costs(n=1)
