"""Make course_utils/pictures/fashion.npz, the part of Fashion-MNIST that is shipped.

    python scripts/pack_fashion.py FOLDER

FOLDER holds the four IDX files of Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, MIT
licence), such as /usr/share/datasets/fashion-mnist of Debian's dataset-fashion-mnist.
The first pictures of each half are kept, in their order, so that anybody can compare.
"""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np

from course_utils import data

KEPT = {"train": 9000, "test": 1500}


def pack(folder: Path, file: Path, kept: dict[str, int] = KEPT) -> None:
    """Write the first pictures and labels as an .npz, to the same bytes every time.

    NumPy compresses an .npz by deflate; LZMA makes it a seventh smaller, and np.load
    reads both.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        for split, n in kept.items():
            names = zip(("images", "labels"), data.FASHION_FILES[split], strict=True)
            for kind, name in names:
                raw = io.BytesIO()
                np.save(raw, data.read_idx(folder / name)[:n])
                entry = zipfile.ZipInfo(f"{split}_{kind}.npy")  # dated 1980, always
                archive.writestr(entry, raw.getvalue(), zipfile.ZIP_LZMA)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    pack(data.fashion_folder(sys.argv[1]), data.PICTURES / "fashion.npz")
