"""The part of Fashion-MNIST that is shipped: what data.load("fashion") reads.

Nothing is trained here. `course train fashion` packs the first pictures of each half
from the four IDX files in the folder that the environment variable FASHION_MNIST names.
"""

import io
import zipfile
from pathlib import Path

import numpy as np

from course_utils import data
from course_utils.recipes.recipe import Made
from course_utils.training import write_whole

KEPT = {"train": 9000, "test": 1500}
CARD = """# fashion

`fashion.npz` holds the first {train} training and the first {test} test pictures of
Fashion-MNIST, 28x28, with their labels, in their order. `data.load("fashion")` reads
it, and so does `numpy.load`: `train_images`, `train_labels`, `test_images` and
`test_labels`, all uint8.

- **Source** Fashion-MNIST by Han Xiao, Kashif Rasul and Roland Vollgraf,
  "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
  2017, arXiv:1708.07747; https://github.com/zalandoresearch/fashion-mnist.
- **Before you repeat it** set FASHION_MNIST to the folder of the four IDX files, as
  the package dataset-fashion-mnist of Debian and Ubuntu has them in
  /usr/share/datasets/fashion-mnist.
"""
LICENCE = """The MIT License (MIT)

Copyright © 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of this
software and associated documentation files (the "Software"), to deal in the Software
without restriction, including without limitation the rights to use, copy, modify,
merge, publish, distribute, sublicense, and/or sell copies of the Software, and to
permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies
or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED,
INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A
PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT
HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR
THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def fashion(*, steps: int | None = None, seed: int = 0) -> Made:
    """Pack the pictures; steps and seed, which every recipe has, change nothing."""
    return Made(
        make=first_pictures,
        save=write_pack,
        card=CARD,
        facts=KEPT,
        licence="MIT, of the pictures: see LICENSE beside this file",
    )


def first_pictures(work: Path | None = None) -> dict[str, np.ndarray]:
    """The first pictures and labels of each half, uint8, by the names of the .npz."""
    place = data.fashion_folder()
    if place is None:
        raise ValueError(
            "no source: set FASHION_MNIST to the folder of the four IDX files, such as "
            "/usr/share/datasets/fashion-mnist of Debian's dataset-fashion-mnist"
        )
    return {
        f"{split}_{kind}": data.read_idx(place / file)[:n]
        for split, n in KEPT.items()
        for kind, file in zip(
            ("images", "labels"), data.FASHION_FILES[split], strict=True
        )
    }


def write_pack(arrays: dict[str, np.ndarray], folder: Path) -> dict:
    """Write fashion.npz, the same bytes every time, and the licence.

    NumPy compresses an .npz by deflate; LZMA makes it a seventh smaller, and np.load
    reads both.
    """
    with zipfile.ZipFile(folder / "fashion.npz", "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            raw = io.BytesIO()
            np.save(raw, array)
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, always
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # as on Linux, wherever it is packed
            archive.writestr(entry, raw.getvalue(), zipfile.ZIP_LZMA)
    write_whole(folder / "LICENSE", LICENCE)
    return {}
