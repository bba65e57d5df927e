"""The part of Fashion-MNIST that is shipped: what data.load("fashion") reads.

Nothing is trained here. `course train fashion` packs the first pictures of each half
from the four IDX files in the folder that the environment variable FASHION_MNIST names.
"""

import io
import zipfile
from pathlib import Path

import numpy as np

from course_utils import data

KEPT = {"train": 9000, "test": 1500}


def pack_fashion(
    folder: Path,
    work: Path | None = None,
    *,
    steps: int | None = None,
    seed: int = 0,
    source: str | None = None,
) -> None:
    """Write the first pictures and labels as fashion.npz, the same bytes every time.

    source  the folder of the IDX files, if not that of FASHION_MNIST
    NumPy compresses an .npz by deflate; LZMA makes it a seventh smaller, and np.load
    reads both. The other arguments are those of every recipe, and change nothing.
    """
    place = data.fashion_folder(source)
    if place is None:
        raise ValueError(
            "no source: set FASHION_MNIST to the folder of the four IDX files, such as "
            "/usr/share/datasets/fashion-mnist of Debian's dataset-fashion-mnist"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "fashion.npz", "w", zipfile.ZIP_LZMA) as archive:
        for split, n in KEPT.items():
            names = zip(("images", "labels"), data.FASHION_FILES[split], strict=True)
            for kind, name in names:
                raw = io.BytesIO()
                np.save(raw, data.read_idx(place / name)[:n])
                entry = zipfile.ZipInfo(f"{split}_{kind}.npy")  # dated 1980, always
                entry.external_attr = 0o644 << 16
                entry.create_system = 3  # as on Linux, wherever it is packed
                archive.writestr(entry, raw.getvalue(), zipfile.ZIP_LZMA)
