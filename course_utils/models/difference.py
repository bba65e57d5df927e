"""A model kept as what differs from another one: a byte a weight, and a scale a row.

A branch of the family shares most with its trunk, and none of it is shipped twice. The
ordinary folder is put together when it is first asked for, in the user's cache.
"""

import atexit
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from course_utils.models.low_rank import unfolded
from course_utils.training import own_folder, save_whole, write_whole

MARK = "difference.json"  # of a folder that is kept so: {"base": "tiny-sd"}, or a part
LISTING = "SHA256SUMS"
INDEX = "model_index.json"  # names a pipeline's parts, each a folder


def keep_difference(
    whole: Path,
    base: Path,
    folder: Path,
    named: str | None = None,
    new_in_bytes: bool = False,
    twins: dict[str, str] | None = None,
) -> None:
    """Write into `folder` what `whole` has and `base` has not.

    Both are pipelines, or parts of such, as a ControlNet and a pipeline's UNet are.
    Weights of the same name become bytes, rounded to within a 254th of the largest
    change in their row; where `whole` has more columns, those are new. New is all of
    a weight that `base` lacks, or has of another shape, or has nothing in common with.
    All other files are taken as they are, if they differ; of a JSON file not where it
    was loaded from. A base that is itself put together must be `named`. A network that
    `base` lacks is taken as it is, or `new_in_bytes`. `twins` are parts that equal
    another one and are not kept at all: {"prior_tokenizer": "tokenizer"}.
    """
    for file in sorted(f for f in whole.rglob("*") if f.is_file()):
        name = file.relative_to(whole)
        if name.parts[0] in (twins or {}):
            continue
        theirs, ours = base / name, folder / name
        if theirs.is_file() and _content(theirs) == _content(file):
            continue
        ours.parent.mkdir(parents=True, exist_ok=True)
        if name.suffix == ".safetensors" and (new_in_bytes or theirs.is_file()):
            known = load_file(theirs) if theirs.is_file() else {}
            save_whole(_shrunk(load_file(file), known), ours)
        else:
            write_whole(ours, _content(file))
    part = "" if (base / INDEX).is_file() else f"{base.parent.name}/"
    said = {"base": named or f"{part}{base.name}"} | ({"twins": twins} if twins else {})
    mark = json.dumps(said) + "\n"
    write_whole(folder / MARK, mark)


def _content(file: Path) -> bytes:
    """What a file holds, without the folder that diffusers notes in its configs."""
    if file.suffix != ".json":
        return file.read_bytes()
    said = json.loads(file.read_text(encoding="utf-8"))
    if isinstance(said, dict):
        said.pop("_name_or_path", None)
    return (json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode()


def put_together(folder: Path, base: Path, into: Path) -> None:
    """Write the whole model: the inverse of keep_difference, but for rounding.

    Of a base that is a pipeline it takes only what the index says that it is made of.
    """
    mark = folder / MARK
    told = json.loads(mark.read_text(encoding="utf-8")) if mark.is_file() else {}
    indices = [f for f in (folder / INDEX, base / INDEX) if f.is_file()]
    said = [json.loads(f.read_text(encoding="utf-8")) for f in indices[:1]]
    for place in (base, folder):
        for file in sorted(f for f in place.rglob("*") if f.is_file()):
            name = file.relative_to(place)
            if place == base and said and name.parts[0] not in {INDEX, *said[0]}:
                continue
            ours, theirs = into / name, base / name
            ours.parent.mkdir(parents=True, exist_ok=True)
            kept = load_file(file) if place == folder and _holds_weights(file) else {}
            if kept and (theirs.is_file() or any(k.endswith(".scale") for k in kept)):
                known = load_file(theirs) if theirs.is_file() else {}
                weights = _grown(kept, known)
                save_file(weights, ours, metadata={"format": "pt"})
            elif name.name != MARK:
                shutil.copyfile(file, ours)
    for twin, part in told.get("twins", {}).items():
        shutil.copytree(into / part, into / twin)


def _holds_weights(file: Path) -> bool:
    return file.suffix == ".safetensors"


def assembled(folder: Path, base: Path) -> Path:
    """The whole model's folder in the cache, made if it is not there or was damaged."""
    print_of_both = hashlib.sha256(
        b"".join(_digest(place).encode() for place in (base, folder))
    )
    name = f"{folder.name}-{print_of_both.hexdigest()[:12]}"
    into = _cache() / name
    if (into / LISTING).is_file() and (into / LISTING).read_text() == _digest(into):
        return into
    with own_folder("unfinished", into.parent) as place:
        made = place / name
        put_together(folder, base, made)
        write_whole(made / LISTING, _digest(made))
        shutil.rmtree(into, ignore_errors=True)
        try:
            os.replace(made, into)
        except OSError:  # another process was faster
            if not (into / LISTING).is_file():
                raise
    return into


def _cache() -> Path:
    """The course's folder in the user's cache; a temporary one if that is read-only."""
    where = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(where) / "generative-vision-course"
    try:
        if not folder.is_absolute():
            raise OSError("there is no home folder")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="generative-vision-course-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder


def _digest(folder: Path) -> str:
    """Hash and name of each file in it, a line each."""
    files = sorted(f for f in folder.rglob("*") if f.is_file() and f.name != LISTING)
    hashes = (hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    names = (file.relative_to(folder).as_posix() for file in files)
    return "".join(f"{h}  {n}\n" for h, n in zip(hashes, names, strict=True))


def _shrunk(whole: dict[str, Tensor], base: dict[str, Tensor]) -> dict[str, Tensor]:
    """Bytes and scales of weights that changed or are new; small ones as they are."""
    kept = {}
    for name, x in whole.items():
        old = base.get(name)
        if old is not None and torch.equal(old, x.to(old.dtype)):
            kept[f"{name}.same"] = torch.zeros(0)
            continue
        if x.ndim < 2 or (old is None and x.numel() < 1000):
            kept[name] = x
            continue
        if old is not None and not _helps(old, x):
            kept[f"{name}.new"], old = torch.zeros(0), None
        change = x.float() - _widened(old, x.shape)
        rows = change.flatten(1)
        scale = rows.abs().amax(1, keepdim=True) / 127
        steps = (rows / scale.clamp(min=1e-20)).round()
        kept[name] = steps.to(torch.int8).view(x.shape)
        kept[f"{name}.scale"] = scale
    return kept


def _grown(kept: dict[str, Tensor], base: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of _shrunk, in half precision."""
    whole, kept = {}, unfolded(kept)
    for name, x in kept.items():
        if f"{name}.scale" in kept:
            change = (x.float().flatten(1) * kept[f"{name}.scale"]).view(x.shape)
            known = None if f"{name}.new" in kept else base.get(name)
            whole[name] = (_widened(known, x.shape) + change).half()
        elif name.endswith(".same"):
            name = name.removesuffix(".same")
            whole[name] = base[name]
        elif not name.endswith((".scale", ".new")):
            whole[name] = x
    return whole


def _helps(old: Tensor, x: Tensor) -> bool:
    """Is the way from old to x shorter than x itself?"""
    more_columns = old.shape[:1] + old.shape[2:] == x.shape[:1] + x.shape[2:]
    if old.numel() != x.numel() and not (more_columns and old.numel() < x.numel()):
        return False
    return (x.float() - _widened(old, x.shape)).norm().item() < x.float().norm().item()


def _widened(x: Tensor | None, shape: torch.Size) -> Tensor:
    """x with zeros in the columns (dimension 1) that it lacks; None lacks all.

    A 1x1 convolution may have become a linear layer: the same numbers.
    """
    wide = torch.zeros(shape)
    if x is not None and x.numel() == wide.numel():
        return x.float().view(shape)
    if x is not None:
        wide[:, : x.shape[1]] = x
    return wide
