import pytest
import torch
from safetensors.torch import load_file, save_file

from course_utils.models import difference, low_rank

FILE = "diffusion_pytorch_model.safetensors"


def written(folder, weights):
    folder.mkdir()
    save_file(weights, folder / FILE)
    return folder


@pytest.fixture
def three(tmp_path):
    """A base, a whole that differs by a change of rank 2, and the change kept."""
    torch.manual_seed(0)
    old = {"conv": torch.randn(32, 16, 3, 3), "bias": torch.randn(32)}
    change = torch.randn(32, 2) @ torch.randn(2, 144) / 100
    new = {"conv": old["conv"] + change.view(32, 16, 3, 3), "bias": old["bias"] + 1}
    base, whole = written(tmp_path / "base", old), written(tmp_path / "whole", new)
    difference.keep_difference(whole, base, tmp_path / "kept", "base")
    return base, whole, tmp_path / "kept"


def back(base, kept, into):
    difference.put_together(kept, base, into)
    return load_file(into / FILE)


def test_a_change_of_low_rank_comes_back(three, tmp_path):
    base, whole, kept = three
    low_rank.fold(kept / FILE, whole / FILE, base / FILE, 2)
    found, new = back(base, kept, tmp_path / "again"), load_file(whole / FILE)
    torch.testing.assert_close(found["conv"].float(), new["conv"], atol=3e-3, rtol=0)
    torch.testing.assert_close(found["bias"].float(), new["bias"], atol=3e-3, rtol=0)


def test_it_takes_less_room(three):
    base, whole, kept = three
    before = (kept / FILE).stat().st_size
    low_rank.fold(kept / FILE, whole / FILE, base / FILE, 2)
    assert (kept / FILE).stat().st_size < before / 2


def test_too_low_a_rank_keeps_the_greater_part(three, tmp_path):
    base, whole, kept = three
    low_rank.fold(kept / FILE, whole / FILE, base / FILE, 1)
    found, new = back(base, kept, tmp_path / "again"), load_file(whole / FILE)
    old = load_file(base / FILE)["conv"]
    missed = (found["conv"].float() - new["conv"]).norm()
    assert 0.1 < missed / (new["conv"] - old).norm() < 0.75


def test_where_factors_would_be_no_smaller_bytes_stay(three):
    base, whole, kept = three
    before = load_file(kept / FILE)
    low_rank.fold(kept / FILE, whole / FILE, base / FILE, 32)
    after = load_file(kept / FILE)
    assert before.keys() == after.keys()


def test_a_rank_that_cannot_be_is_refused(three):
    base, whole, kept = three
    with pytest.raises(ValueError, match="rank must be 1 or more, not 0"):
        low_rank.fold(kept / FILE, whole / FILE, base / FILE, 0)
