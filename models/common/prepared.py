"""Arrays that take long to prepare, kept on disk by the digest of all that decides them.

Seeds of a cell run in processes of their own: what they share (graphs, descriptors) is computed by
the first. The folder is bounded, a file is whole or absent, a damaged one is computed again, and
nothing in it is needed: removing it costs time alone.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2 * 2**30  # bytes of all files together; the oldest go first


def folder() -> Path:
    """Where the files lie: the user's cache folder of the operating system."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("physbench")) / "prepared"


def kept(key: str, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """The array of `key`, a hex digest of all that decides it: read, or made and written."""
    path = folder() / f"{key}.npz"
    found = _read(path)
    if found is None:
        found = make()
        with contextlib.suppress(OSError):  # a full or read-only disk: it is only a cache
            _write(path, found)
    return found


def _read(path: Path) -> NDArray[Any] | None:
    try:
        with np.load(path, allow_pickle=False) as archive:  # the archive has a CRC of each part
            values: NDArray[Any] = archive["values"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return values


def _write(path: Path, values: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".part-", suffix=".npz")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            np.savez(stream, values=values)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _bound(path.parent)


def _bound(place: Path) -> None:
    """Remove the files that were used least recently, until the rest fits."""
    sizes: list[tuple[float, int, Path]] = []
    for path in place.glob("*.npz"):
        with contextlib.suppress(OSError):  # another process may have removed it
            status = path.stat()
            sizes.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in sizes)
    for _, size, path in sorted(sizes):
        if total <= LARGEST:
            break
        path.unlink(missing_ok=True)
        total -= size
