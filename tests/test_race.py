import json
from dataclasses import replace

import pytest
import torch

from course_utils import diffusion, measure, oracle, recipes
from course_utils.measure import race as reading
from course_utils.recipes import race, race_bench, race_scores, vae
from course_utils.recipes.components import Components
from course_utils.recipes.tiny_sd import trunk_batches
from course_utils.tiny import text
from course_utils.tiny.unet import SCHEDULE, step_weights

TRACK = replace(race.TRACKS[True], channels=(32, 32, 32), pictures=64)


@pytest.fixture(scope="module")
def parts():
    """Components that have learnt nothing."""
    torch.manual_seed(0)
    tokenizer = text.build_tokenizer()
    eye = oracle.Reader(width=4).eval().requires_grad_(False)
    net = vae.build_vae().requires_grad_(False)
    return Components(net, tokenizer, text.build_text_encoder(tokenizer), eye)


@pytest.fixture
def track(parts, monkeypatch):
    """A race of parts that know nothing, its memory unmeasured."""
    monkeypatch.setattr(oracle.reading, "reader", lambda: parts.alignment_encoder)
    monkeypatch.setattr(race_bench, "race_parts", lambda root: parts)
    monkeypatch.setattr(race_bench, "_peak_apart", lambda *_: 1.0)
    monkeypatch.setitem(race_bench.TRACKS, True, TRACK)


def run_of(entry, seconds, steps, losses, seed=0, **more):
    looks = zip(seconds, steps, losses, strict=True)
    curve = [dict(seconds=s, step=k, loss=x) for s, k, x in looks]
    return dict(entry=entry, seed=seed, pictures=9.0, megabytes=None, curve=curve)


FAST = run_of("fast", [10, 20], [100, 200], [0.5, 0.4])
SLOW = run_of("slow", [10, 20], [50, 100], [0.5, 0.3])


def test_after_equal_seconds_and_after_equal_steps_are_two_answers():
    fast, slow = reading.race_table([FAST, SLOW])
    assert fast["same_seconds"] == 0.4 and slow["same_seconds"] == 0.3
    assert fast["same_steps"] == 0.5 and slow["same_steps"] == 0.3
    assert (fast["steps"], slow["steps"]) == (200, 100)
    assert reading.common_ends([FAST, SLOW]) == (20, 100)


def test_between_two_looks_it_is_a_line_and_outside_nothing():
    assert reading.value_after(FAST, "loss", seconds=15) == pytest.approx(0.45)
    assert reading.value_after(FAST, "loss", steps=150) == pytest.approx(0.45)
    assert reading.value_after(FAST, "loss", steps=99) is None
    assert reading.value_after(FAST, "one_toy", seconds=15) is None
    for wrong in ({}, dict(seconds=1, steps=1)):
        with pytest.raises(ValueError, match="give seconds or steps, one of them"):
            reading.value_after(FAST, "loss", **wrong)


def test_a_share_is_reached_at_the_first_look_that_shows_it():
    curve = [dict(seconds=k, step=k, one_toy=x) for k, x in enumerate((0.1, 0.6, 0.5))]
    assert reading.reached({"curve": curve}, 0.5)["step"] == 1
    assert reading.reached({"curve": curve}, 0.8) is None
    with pytest.raises(ValueError, match="a race needs at least one"):
        reading.common_ends([])


def test_means_and_spread_are_over_the_seeds():
    other = run_of("fast", [10, 20], [100, 200], [0.5, 0.2], seed=1)
    assert reading.race_table([FAST])[0]["spread"] is None
    row = reading.race_table([FAST, other])[0]
    assert row["seeds"] == 2 and row["same_seconds"] == pytest.approx(0.3)
    assert row["spread"] == pytest.approx(0.1) and row["megabytes"] is None


def test_each_entry_differs_in_one_ingredient():
    def apart(a, b):
        return {k for k in vars(a) if getattr(a, k) != getattr(b, k)} - {"rate"}

    for name, entry in race.ENTRIES.items():
        if name not in ("plain", "ours", "plain+rate"):
            base = race.ENTRIES["plain" if "+" in name else "ours"]
            assert len(apart(base, entry)) == 1, name


def test_plain_is_adamw_with_frozen_words_and_ours_is_the_recipe(parts):
    encoder = parts.text_encoder
    for name, kind in (("plain", torch.optim.AdamW), ("ours", race.muon.Muon)):
        trunk, optimizer, loss = race.contestant(race.ENTRIES[name], encoder, 8, TRACK)
        assert type(optimizer) is kind
        learning = {p for group in optimizer.param_groups for p in group["params"]}
        assert learning == {p for p in trunk.parameters() if p.requires_grad}
        assert any(p in learning for p in trunk.text.parameters()) == (name == "ours")
        assert loss.keywords == {"align": 0.0 if name == "plain" else 0.5}
        assert trunk.text is not encoder


def test_x0_that_is_predicted_is_answered_as_v(parts):
    clean = race.ENTRIES["plain+x0"]
    trunk, *_ = race.contestant(clean, parts.text_encoder, 8, TRACK)
    x0, noise = torch.randn(2, 3, 4, 16, 16)
    t = torch.tensor([200, 500, 999])
    x_t = diffusion.add_noise(x0, noise, t, SCHEDULE)
    trunk.unet.forward = lambda x, t, words: _Answer(x0)
    trunk.inside.take = lambda: torch.zeros(3, 96, 8, 8)[:, : trunk.head[0].in_channels]
    v, _ = trunk(x_t, t, text.tokenise(parts.tokenizer, [""] * 3))
    torch.testing.assert_close(v, diffusion.velocity(x0, noise, t, SCHEDULE))
    early, _ = trunk(x_t, t * 0, text.tokenise(parts.tokenizer, [""] * 3))
    assert early.isfinite().all() and early.abs().max() < 100


class _Answer:
    def __init__(self, sample):
        self.sample = sample


def test_redrawn_steps_change_nothing_else(parts):
    batch = trunk_batches(parts, TRACK.world, 64, torch.ones(1000), 0)
    first = torch.zeros(1000)
    first[7] = 1
    again = race.steps_redrawn(batch, first)
    one, other = (f(torch.Generator().manual_seed(3), 0) for f in (batch, again))
    assert set(other[2].tolist()) == {7} and len(set(one[2].tolist())) > 7
    for k in (0, 1, 3, 4):
        assert torch.equal(one[k], other[k])
    assert torch.equal(race.race_step_weights(race.OURS), step_weights(SCHEDULE))


def test_looks_are_free_and_spaced_in_time():
    now = iter(range(0, 10_000, 3))
    states = (race.training.State(k, 0.0, 0.0, None, None) for k in range(1, 100))
    looks = list(race.race_curve(states, lambda net: {}, 30, 5, lambda: next(now)))
    assert [look["seconds"] for look in looks] == sorted(x["seconds"] for x in looks)
    assert len(looks) == 5 and 30 <= looks[-1]["seconds"] < 34


def test_the_exams_error_is_that_of_v(parts):
    exam = race.race_exam(parts, TRACK.world, 4)
    v = diffusion.velocity(exam.x0, exam.noise, exam.t, SCHEDULE)

    def right(x_t, t, words):
        return v, None

    assert exam.error(right) == 0 and len(exam.x0) == 16
    assert list(exam.scenes) == ["one_toy"] and exam.t[0] == 0 and exam.t[-1] == 999
    assert list(race.race_exam(parts, race.SMALL, 2).scenes) == ["one_toy", "two_toys"]


def test_a_race_leaves_rows_and_goes_on_where_it_stopped(track, tmp_path, monkeypatch):
    options = dict(minutes=0.01, seeds=1, n=2, small=True, work=tmp_path)
    into = tmp_path / "out" / "training.json"
    race_bench.race_training(**options, rows="plain", into=into)
    trained, run_entry = [], race_bench.run_entry

    def noted(name, *rest):
        trained.append(name)
        return run_entry(name, *rest)

    monkeypatch.setattr(race_bench, "run_entry", noted)
    rows = race_bench.race_training(**options, rows="plain,ours", into=into)
    assert trained == ["ours"] and json.loads(into.read_text()) == rows
    keys = "lesson metric value floor ceiling seeds n better run method".split()
    assert all(set(row) == set(keys) for row in rows)
    assert {row["method"] for row in rows} == {"plain", "ours"}
    own = {row["metric"]: row for row in rows if row["method"] == "ours"}
    assert own["minutes_to_90"]["value"] is None and own["pictures_a_second"]["value"]
    assert own["error_same_steps"]["value"] > 0 and own["one_toy"]["ceiling"] <= 1
    runs = measure.race.race_runs(into.with_name("training-runs.json"))
    assert [run["entry"] for run in runs] == ["plain", "ours"]
    race_bench.race_training(**options, rows="plain,ours", into=into)
    assert trained == ["ours"]


def test_the_shipped_race_can_be_run_again(track, tmp_path, monkeypatch):
    monkeypatch.setitem(race_scores.SHIPPED, "rows", "plain")
    folder = recipes.train("race-scores", into=tmp_path / "out", work=tmp_path, steps=1)
    assert "plain" in (folder / "README.md").read_text()
    assert reading.race_runs(folder / "race.json")[0]["entry"] == "plain"


def test_memory_is_that_of_the_training():
    found = race_bench._peak_apart("plain", TRACK)
    assert found is None or 10 < found < 3000


@pytest.mark.parametrize(
    "options, cure",
    [
        (dict(rows="fast"), "rows='fast' is none of: plain, plain.muon"),
        (dict(minutes=0), "minutes=0 must be above 0"),
        (dict(seeds=0), "seeds=0 must be a whole number"),
        (dict(n=0), "n=0 must be a whole number"),
    ],
)
def test_bad_options_are_refused(options, cure):
    with pytest.raises(ValueError, match=cure):
        race_bench.race_training(**options)
