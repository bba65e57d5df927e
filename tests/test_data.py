import gzip
import struct

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from course_utils import data, models, recipes
from course_utils.recipes import fashion


def test_digits_are_whole_split_once_and_in_range():
    train, test = data.load("digits"), data.load("digits", "test")
    assert train.images.shape == (1257, 1, 8, 8) and test.images.shape == (540, 1, 8, 8)
    assert train.images.dtype == torch.float32 and train.labels.dtype == torch.int64
    assert train.images.min() == -1 and train.images.max() == 1
    everything = torch.cat([train.images, test.images]).flatten(1)
    pixels = torch.from_numpy(load_digits().data).float() / 8 - 1
    ours, theirs = (np.sort(x.sum(1).numpy()) for x in (everything, pixels))
    assert np.allclose(ours, theirs)


def test_digits_split_is_stratified_and_the_same_every_time():
    counts = data.load("digits", "test").labels.bincount()
    assert counts.min() >= 50 and counts.max() <= 58
    assert torch.equal(*(data.load("digits", "test").images for _ in range(2)))


def write_fashion(folder, n=3, zipped=False):
    for images, labels in data.FASHION_FILES.values():
        pixels = np.arange(n * 28 * 28, dtype=np.uint32).astype(np.uint8)
        files = {
            images: struct.pack(">BBBBiii", 0, 0, 8, 3, n, 28, 28) + pixels.tobytes(),
            labels: struct.pack(">BBBBi", 0, 0, 8, 1, n) + bytes(range(n)),
        }
        for name, raw in files.items():
            path = folder / (f"{name}.gz" if zipped else name)
            path.write_bytes(gzip.compress(raw) if zipped else raw)


def test_the_shipped_garments_are_the_first_of_each_half():
    train, test = data.load("fashion"), data.load("fashion", "test")
    assert train.images.shape == (9000, 1, 28, 28) and test.images.shape[0] == 1500
    assert train.images.dtype == torch.float32 and train.labels.dtype == torch.int64
    assert train.images.min() == -1 and train.images.max() == 1
    assert train.labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert test.labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    assert min(train.labels.bincount()) > 800 and min(test.labels.bincount()) > 100


def test_the_shipped_garments_are_whole_and_small():
    assert data.FASHION.stat().st_size <= 4_000_000
    assert models.path("fashion") == data.FASHION.parent  # the hashes are right
    files = (data.FASHION.parent / name for name in ("README.md", "LICENSE"))
    credit, licence = (file.read_text("utf-8") for file in files)
    assert "Xiao" in credit and "see LICENSE" in credit and "Apache" not in credit
    assert "2017 Zalando SE" in licence and "Permission is hereby granted" in licence


def test_each_call_gets_garments_of_its_own():
    data.load("fashion", "test").images.zero_()
    assert data.load("fashion", "test").images.max() == 1


def test_damaged_garments_say_what_to_do(tmp_path, monkeypatch):
    raw = bytearray(data.FASHION.read_bytes())
    raw[len(raw) // 2] ^= 1
    damaged = tmp_path / "fashion.npz"
    monkeypatch.setattr(data, "FASHION", damaged)
    with pytest.raises(FileNotFoundError, match="missing: restore it"):
        data._shipped.__wrapped__("train_images")
    damaged.write_bytes(raw)
    with pytest.raises(OSError, match="is damaged .*: restore it"):
        data._shipped.__wrapped__("train_images")


def test_packing_keeps_the_first_pictures(tmp_path, monkeypatch):
    write_fashion(tmp_path, n=5)
    monkeypatch.setenv("FASHION_MNIST", str(tmp_path))
    monkeypatch.setattr(fashion, "KEPT", {"train": 4, "test": 2})
    files = [recipes.train("fashion", into=tmp_path / k) / "fashion.npz" for k in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    with np.load(files[0], allow_pickle=False) as arrays:
        assert arrays["test_labels"].tolist() == [0, 1]
        whole = data.load("fashion").images  # all five: the folder is named
        kept = torch.from_numpy(arrays["train_images"])[:, None] / 127.5 - 1
    assert torch.equal(kept, whole[:4]) and len(whole) == 5


def test_packing_needs_a_folder(tmp_path):
    with pytest.raises(ValueError, match="set FASHION_MNIST"):
        recipes.train("fashion", into=tmp_path)


@pytest.mark.parametrize("zipped", [True, False])
def test_fashion_is_read_and_scaled(tmp_path, zipped):
    write_fashion(tmp_path, zipped=zipped)
    images, labels = data.load("fashion", "train", folder=str(tmp_path))
    assert images.shape == (3, 1, 28, 28) and labels.tolist() == [0, 1, 2]
    torch.testing.assert_close(images[0, 0, 0], torch.arange(28) / 127.5 - 1)


def test_fashion_is_found_through_the_environment(tmp_path, monkeypatch):
    write_fashion(tmp_path)
    monkeypatch.setenv("FASHION_MNIST", str(tmp_path))
    assert len(data.load("fashion", "test").labels) == 3


def test_missing_fashion_says_how_to_get_it(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="apt-get install dataset-fashion-mnist"
    ):
        data.load("fashion", folder=str(tmp_path))


def test_a_damaged_idx_file_is_refused(tmp_path):
    write_fashion(tmp_path)
    path = tmp_path / data.FASHION_FILES["train"][0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="no whole IDX file"):
        data.load("fashion", folder=str(tmp_path))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match='name must be "digits" or "fashion"'):
        data.load("mnist")
    with pytest.raises(ValueError, match='split must be "train" or "test"'):
        data.load("digits", "valid")


def test_every_class_has_a_name():
    assert [len(names) for names in data.NAMES.values()] == [10, 10]


@pytest.mark.parametrize("size", [32, 64])
def test_photographs_are_square_colour_and_in_range(size):
    pictures = data.photographs(size)
    assert len(pictures) >= 3
    for picture in pictures.values():
        assert picture.shape == (1, 3, size, size) and picture.dtype == torch.float32
        assert -1 <= picture.min() < -0.5 and 0.5 < picture.max() <= 1


@pytest.mark.parametrize("modes", [4, 8, 25])
def test_the_ring_has_as_many_distinct_modes_as_it_says(modes):
    centres = data.ring_centres(modes)
    gaps = torch.cdist(centres, centres) + 9 * torch.eye(modes)
    assert gaps.min() > 0.2  # with the endpoint included two centres would coincide
    points = data.ring(4000, torch.Generator().manual_seed(0), modes)
    distance, nearest = torch.cdist(points, centres).min(1)
    assert set(nearest.tolist()) == set(range(modes))
    assert distance.square().mean().item() == pytest.approx(2 * 0.02**2, rel=0.1)


def test_the_swiss_roll_lies_in_the_unit_square_and_repeats():
    rolls = [data.swiss_roll(5000, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*rolls) and rolls[0].abs().max() < 1.15


def test_draw_takes_rows_with_the_generator():
    images = data.load("digits").images
    batch = data.draw(images, 16, torch.Generator().manual_seed(0))
    assert batch.shape == (16, 1, 8, 8)
    known = {row.numpy().tobytes() for row in images}
    assert all(row.numpy().tobytes() in known for row in batch)
