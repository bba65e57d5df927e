"""Models kept as what differs from another one."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from course_utils.models import difference


@pytest.fixture
def folders(tmp_path):
    """A base, and a whole model that has learnt on and sees two more columns."""
    base, whole = tmp_path / "tiny", tmp_path / "whole"
    torch.manual_seed(0)
    weights = {
        "unet.weight": torch.randn(6, 4, 3, 3).half(),
        "unet.bias": torch.randn(6).half(),
        "still.weight": torch.randn(5, 5).half(),
        "conv.weight": torch.randn(8, 8, 1, 1).half(),
    }
    wide = torch.cat([weights["unet.weight"], torch.zeros(6, 2, 3, 3).half()], 1)
    change = 0.02 * torch.randn(6, 6, 3, 3)
    learnt = weights | {
        "unet.weight": (wide + change).half(),
        "unet.bias": weights["unet.bias"] + 1,
        "new.weight": torch.ones(2, 2).half(),
        "large.weight": 0.04 * torch.rand(40, 40).half(),
        "conv.weight": weights["conv.weight"].view(8, 8) + 0.01,
    }
    for folder, values, config in ((base, weights, 4), (whole, learnt, 6)):
        (folder / "unet").mkdir(parents=True)
        save_file(values, folder / "unet" / "model.safetensors")
        (folder / "unet" / "config.json").write_text(json.dumps({"channels": config}))
        (folder / "model_index.json").write_text('{"unet": ["diffusers", "UNet"]}')
    return base, whole, tmp_path / "kept"


def read(folder):
    return load_file(folder / "unet" / "model.safetensors")


def test_what_was_kept_is_put_together_again(folders, tmp_path):
    base, whole, kept = folders
    difference.keep_difference(whole, base, kept)
    difference.put_together(kept, base, tmp_path / "again")
    ours, theirs = read(tmp_path / "again"), read(whole)
    assert ours.keys() == theirs.keys()
    for name, x in theirs.items():
        torch.testing.assert_close(ours[name], x, atol=0.08 / 254 + 1e-3, rtol=0)
        assert ours[name].dtype == x.dtype
    assert torch.equal(ours["unet.bias"], theirs["unet.bias"])
    assert torch.equal(ours["still.weight"], theirs["still.weight"])
    assert json.loads((tmp_path / "again/unet/config.json").read_text()) == {
        "channels": 6
    }


def test_a_weight_that_has_nothing_in_common_with_the_base_is_new(folders, tmp_path):
    base, whole, kept = folders
    names = {
        "other.weight": (40, 40, 3, 3),
        "wider.weight": (40, 30),
        "less.weight": (40, 40),
    }
    shapes = names | {"wider.weight": (40, 30), "less.weight": (30, 40)}
    for folder, sizes, scale in ((base, names, 1.0), (whole, shapes, 0.01)):
        file = folder / "unet" / "model.safetensors"
        more = {
            name: (scale * torch.randn(size)).half() for name, size in sizes.items()
        }
        more["wider.weight"] = more["wider.weight"][:, : 20 if folder == base else 30]
        save_file(
            {k: v.contiguous() for k, v in (load_file(file) | more).items()}, file
        )
    difference.keep_difference(whole, base, kept)
    difference.put_together(kept, base, tmp_path / "again")
    ours, theirs = read(tmp_path / "again"), read(whole)
    assert ours.keys() == theirs.keys()
    for name in shapes:  # a base of a hundred times their size would have cost them all
        assert f"{name}.new" in read(kept)
        torch.testing.assert_close(ours[name], theirs[name], atol=3e-4, rtol=0)


def test_where_a_config_was_loaded_from_is_no_difference(folders):
    base, whole, kept = folders
    parts = json.loads((base / "model_index.json").read_text())
    said = json.dumps(parts | {"_name_or_path": "/somewhere/of/mine"})
    (whole / "model_index.json").write_text(said)
    config = json.dumps({"channels": 6, "_name_or_path": "/somewhere/of/mine"})
    (whole / "unet" / "config.json").write_text(config)
    difference.keep_difference(whole, base, kept)
    assert not (kept / "model_index.json").exists()
    assert json.loads((kept / "unet" / "config.json").read_text()) == {"channels": 6}


def test_only_what_differs_is_kept(folders):
    base, whole, kept = folders
    difference.keep_difference(whole, base, kept)
    files = {f.relative_to(kept).as_posix() for f in kept.rglob("*") if f.is_file()}
    assert files == {"difference.json", "unet/config.json", "unet/model.safetensors"}
    assert read(kept)["unet.weight"].dtype == torch.int8
    assert read(kept)["large.weight"].dtype == torch.int8  # new, and worth it
    assert "still.weight" not in read(kept)
    assert read(kept)["still.weight.same"].numel() == 0


def test_of_the_base_only_what_its_index_names_is_taken(folders, tmp_path):
    base, whole, kept = folders
    for name in ("eye/model.safetensors", "README.md", "unet/more.json"):
        (base / name).parent.mkdir(exist_ok=True)
        (base / name).write_text("{}")
    difference.keep_difference(whole, base, kept)
    (kept / "README.md").write_text("Its own card.")
    difference.put_together(kept, base, tmp_path / "again")
    made = {
        f.relative_to(tmp_path / "again").as_posix(): f
        for f in (tmp_path / "again").rglob("*.*")
    }
    assert set(made) == {
        "README.md",
        "model_index.json",
        "unet/config.json",
        "unet/more.json",
        "unet/model.safetensors",
    }
    assert made["README.md"].read_text() == "Its own card."


def test_the_whole_is_made_once_and_again_if_it_was_damaged(
    folders, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    base, whole, kept = folders
    difference.keep_difference(whole, base, kept)
    made = difference.assembled(kept, base)
    assert made == difference.assembled(kept, base)
    good = {name: x.clone() for name, x in read(made).items()}  # the file is mapped
    (made / "unet" / "model.safetensors").write_bytes(b"torn")
    assert difference.assembled(kept, base) == made
    assert torch.equal(read(made)["unet.weight"], good["unet.weight"])
    (base / "model_index.json").write_text('{"unet": [], "new": 1}')
    assert difference.assembled(kept, base) != made  # another base, another whole


def test_without_a_cache_to_write_to_a_temporary_folder_serves(
    folders, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    base, whole, kept = folders
    difference.keep_difference(whole, base, kept)
    assert read(difference.assembled(kept, base)).keys() == read(whole).keys()


def test_twins_are_kept_once_and_new_files_become_bytes(folders, tmp_path):
    base, whole, kept = folders
    for name, seed in (("new", 0), ("unet_again", None)):
        (whole / name).mkdir()
        file = whole / name / "model.safetensors"
        torch.manual_seed(0)
        file.write_bytes((whole / "unet" / "model.safetensors").read_bytes())
        if seed is not None:
            save_file({"large.weight": torch.randn(50, 50).half()}, file)
    index = {name: ["diffusers", "UNet"] for name in ("unet", "new", "unet_again")}
    (whole / "model_index.json").write_text(json.dumps(index))
    difference.keep_difference(
        whole, base, kept, "tiny", new_in_bytes=True, twins={"unet_again": "unet"}
    )
    assert not (kept / "unet_again").exists()
    assert load_file(kept / "new/model.safetensors")["large.weight"].dtype == torch.int8
    again = tmp_path / "again"
    difference.put_together(kept, base, again)
    twin = load_file(again / "unet_again" / "model.safetensors")
    assert all(torch.equal(x, twin[name]) for name, x in read(again).items())
    ours, theirs = (load_file(f / "new/model.safetensors") for f in (again, whole))
    for name, x in theirs.items():
        torch.testing.assert_close(ours[name], x, atol=0.02, rtol=0)


def test_a_network_that_the_base_lacks_is_kept_in_bytes_if_asked(folders, tmp_path):
    base, whole, _ = folders
    (whole / "more").mkdir()
    torch.manual_seed(1)
    weights = {"a.weight": torch.randn(40, 50).half(), "a.bias": torch.randn(40).half()}
    save_file(weights, whole / "more" / "model.safetensors")
    for in_bytes in (False, True):
        kept, again = tmp_path / f"kept {in_bytes}", tmp_path / f"again {in_bytes}"
        difference.keep_difference(whole, base, kept, new_in_bytes=in_bytes)
        file = kept / "more" / "model.safetensors"
        assert (load_file(file)["a.weight"].dtype == torch.int8) is in_bytes
        difference.put_together(kept, base, again)
        index = json.loads((again / "model_index.json").read_text())
        assert index == {"unet": ["diffusers", "UNet"]}
        found = load_file(again / "more" / "model.safetensors")
        assert found.keys() == weights.keys()
        for name, x in weights.items():
            torch.testing.assert_close(found[name], x, atol=5 / 254 + 1e-3, rtol=0)
