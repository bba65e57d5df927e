"""Files that are whole or not there at all, and folders that go with their process.

What is written goes into a hidden file beside the place, which it takes in one step at
the end: whoever reads the place finds the old content or the new one, never half of it.
What a killed process left behind has its number, and goes when the next one comes.
"""

import glob
import json
import os
import platform
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a file to write into, which becomes `path` if the block ends without error.

    The folder is made if missing. Two processes may write the same place: each has its
    own file, and the later one stays. Raises OSError, with the cure, if there is no
    room or no right to write; the old file stays then, as it does after a kill. What
    another process was killed over goes when somebody writes the same place again.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{_mark()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_after_the_dead(path)
        yield part
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        raise OSError(
            f"{path} cannot be written ({getattr(error, 'strerror', '') or error}): "
            "free some space or mend its rights, and say the same command again"
        ) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _clear_after_the_dead(path: Path) -> None:
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if _is_of_the_dead(part, part.suffixes[-2][1:]):
            part.unlink(missing_ok=True)


def _mark() -> str:
    """This process's number, and four digits for this machine or container.

    Others may see the folder, too, and count their processes for themselves.
    """
    return f"{os.getpid()}-{zlib.crc32(platform.node().encode()) & 0xFFFF:04x}"


def _is_of_the_dead(place: Path, mark: str) -> bool:
    """Is it this user's, and the mark that of a process here which is no more?"""
    number, _, machine = mark.partition("-")
    if not number.isdecimal() or machine != _mark().partition("-")[2]:
        return False
    if psutil.pid_exists(int(number)):
        return False
    try:
        return not hasattr(os, "getuid") or place.lstat().st_uid == os.getuid()
    except OSError:  # somebody else was faster
        return False


@contextmanager
def own_folder(kind: str = "course", where: str | Path | None = None) -> Iterator[Path]:
    """Make KIND-PROCESS-MACHINE-x in `where`, which goes at the end of the block.

    where  made if missing; the system's temporary folder, if not given

    A kill leaves it; so those of the same kind and user whose process is dead go now.
    """
    where = Path(where or tempfile.gettempdir())
    where.mkdir(parents=True, exist_ok=True)
    for old in where.glob(f"{glob.escape(kind)}-*-*"):
        if _is_of_the_dead(old, old.name[len(kind) + 1 :].rpartition("-")[0]):
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        prefix=f"{kind}-{_mark()}-", dir=where, ignore_cleanup_errors=True
    ) as place:
        yield Path(place)


def write_whole(path: str | Path, text: str | bytes) -> None:
    """Write a text, as UTF-8 with its own line ends, or bytes: see written_whole.

    Where the system's letters are ASCII, Python escapes others in a path; written they
    are what they were.
    """
    if isinstance(text, str):
        meant = text.encode("utf-8", "surrogateescape")
        text = meant.decode("utf-8", "replace").encode("utf-8")
    with written_whole(path) as part:
        part.write_bytes(text)


def write_json(path: str | Path, what: object) -> None:
    """Write what JSON can hold, as people can read it: see written_whole."""
    write_whole(path, json.dumps(what, indent=1) + "\n")


def save_whole(
    tensors: dict[str, Tensor], path: str | Path, metadata: dict[str, str] | None = None
) -> None:
    """Write a .safetensors file: see written_whole."""
    with written_whole(path) as part:
        save_file(tensors, part, metadata=metadata)
