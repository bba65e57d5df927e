import json

import pytest
import torch

from course_utils.measure import editing, editors, edits

KEYS = "method success preservation psnr_outside psnr_target mask_iou seconds calls"
KEYS = {*KEYS.split(), "seeds", "n", "by_kind", "success_std", "preservation_std"}
CHEAP = ["untouched", "sdedit", "diffedit", "vae_round_trip"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """What a short run leaves: rows by method, and the file that it wrote."""
    file = tmp_path_factory.mktemp("bench") / "deep" / "editing.json"
    rows = editing.edit_pictures(n=7, seeds=1, methods=CHEAP, into=file)
    return {row["method"]: row for row in rows}, file


@pytest.fixture(scope="module")
def pipe():
    return editing.pipe_for("sdedit", "tiny")


def test_a_bench_leaves_a_row_for_each_method(bench):
    rows, file = bench
    assert json.loads(file.read_text("utf-8")) == list(rows.values())
    assert list(rows) == CHEAP and all(set(row) == KEYS for row in rows.values())
    assert all(list(row["by_kind"]) == list(edits.KINDS) for row in rows.values())
    assert all((row["n"], row["seeds"]) == (7, 1) for row in rows.values())
    assert [p.name for p in file.parent.iterdir()] == ["editing.json"]


def test_the_floor_and_the_ceiling_are_where_they_should_be(bench):
    floor, ceiling = bench[0]["untouched"], bench[0]["vae_round_trip"]
    assert (floor["success"], floor["preservation"], floor["calls"]) == (0, 1, 0)
    assert ceiling["success"] == 1 and ceiling["preservation"] > 0.97
    assert floor["psnr_outside"] > 90 and ceiling["psnr_target"] > 30
    assert floor["mask_iou"] is None and floor["success_std"] is None


def test_only_a_method_with_a_mask_has_an_overlap(bench):
    assert 0 < bench[0]["diffedit"]["mask_iou"] < 1
    assert bench[0]["sdedit"]["mask_iou"] is None


@pytest.mark.parametrize("name", editors.METHODS)
def test_every_method_gives_a_picture_for_each_edit(name):
    pipe = editing.pipe_for(name, "tiny")
    images, masks = editors.METHODS[name](pipe, edits.triples(1), 0)
    assert images.shape == (1, 3, 64, 64) and images.abs().max() <= 1
    assert masks is None or masks.dtype == torch.bool


def test_calls_are_the_rows_that_the_network_was_given(bench):
    row = bench[0]["sdedit"]
    walked = int(editors.STEPS * editors.SDEDIT["strength"])
    assert row["calls"] == 2 * walked and row["seconds"] > 0


def test_the_mean_over_kinds_is_the_mean(bench):
    row = bench[0]["sdedit"]
    for key in ("success", "preservation"):
        kinds = [kind[key] for kind in row["by_kind"].values()]
        assert sum(kinds) / 7 == pytest.approx(row[key], abs=1e-4)


def test_an_edits_noise_does_not_depend_on_the_others(pipe):
    some = edits.triples(3)
    whole = editors.METHODS["new_prompt"](pipe, some, 5).images
    alone = editors.METHODS["new_prompt"](pipe, some[2:], 7).images
    torch.testing.assert_close(alone, whole[2:], atol=1e-3, rtol=0)
    latents = torch.zeros(3, 4, 16, 16)
    noise = editors.noise_like(latents, 5)
    assert torch.equal(noise[2:], editors.noise_like(latents[2:], 7))
    assert not torch.equal(noise[0], noise[1])


def test_seeds_are_so_far_apart_that_no_two_edits_share_noise():
    assert editing.SEED >= 10_000


def test_inpainting_keeps_what_lies_outside_the_exact_mask(pipe):
    some = edits.triples(3, kinds=["add", "remove", "place"])
    images, masks = editors.METHODS["inpaint_exact_mask"](pipe, some, 0)
    assert torch.equal(masks, edits.changed(some))
    found = edits.edit_scores(images, some)
    assert found["psnr_outside"].min() > 24 and found["preservation"].mean() > 0.9


def test_a_mask_covers_all_that_changes():
    where = edits.changed(edits.triples(7))
    small = editors.at_grain(where, (16, 16))
    large = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert small.dtype == torch.bool and not (where & ~large).any()


def test_a_planted_mask_is_scored_at_its_own_grain(monkeypatch, pipe):
    def half_right(pipe, some, seed):
        exact = editors.at_grain(edits.changed(some), (16, 16))
        twice = torch.cat([exact, torch.zeros_like(exact)], 2)  # below, nothing
        return editors.Edited(editors.before(some), twice[:, :, :16])

    monkeypatch.setitem(editors.METHODS, "half_right", half_right)
    row = editing.row_of("half_right", edits.triples(3), 2, pipe)
    assert row["mask_iou"] == 1 and row["success_std"] == 0


def test_a_bench_that_was_stopped_goes_on(tmp_path, capsys):
    file = tmp_path / "editing.json"
    some = dict(n=1, seeds=1, into=file)
    [row] = editing.edit_pictures(methods=["untouched"], **some)
    known = dict(model="tiny", n=1, seeds=1, rows=[row | dict(success=0.5)])
    part = tmp_path / "editing.part.json"
    part.write_text(json.dumps(known), "utf-8")
    rows = editing.edit_pictures(methods=["untouched", "vae_round_trip"], **some)
    assert [row["success"] for row in rows] == [0.5, 1] and not part.exists()
    assert f"going on from {part}: untouched" in capsys.readouterr().out
    part.write_text(json.dumps(known | dict(n=2)), "utf-8")  # of another bench
    [row] = editing.edit_pictures(methods=["untouched"], **some)
    assert row["success"] == 0


def test_the_tables_say_what_the_rows_say(bench):
    rows = list(bench[0].values())
    for table in (editing.overview(rows), editing.by_kind(rows)):
        text = editing.as_text(table).splitlines()
        assert len({len(line) for line in text}) == 1 and len(text) == 5
        marked = editing.as_markdown(table).splitlines()
        assert marked[1].startswith("| --- | ---:") and len(marked) == 6
        assert marked[2].startswith("| `untouched` |")
    assert editing.overview(rows)[1][:3] == ["untouched", "0", "100"]
    assert editing.by_kind(rows)[1][1] == "0 / 100"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(n=0), "n=0 must be a whole number of at least 1"),
        (dict(seeds=0), "seeds=0 must be a whole number of at least 1"),
        (dict(methods=["sdedit", "photoshop"]), "methods: no 'photoshop'; there are"),
        (dict(methods=["new_prompt"], model="nothing"), "'nothing' is no model"),
    ],
)
def test_what_cannot_be_is_refused(wrong, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        editing.edit_pictures(**dict(n=1, into=tmp_path / "x.json") | wrong)
    assert not list(tmp_path.iterdir())
