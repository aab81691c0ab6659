"""HDF5 files that others wrote: nothing outside them is followed, nothing huge is unpacked."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from physbench.datasets.common.reading import DataError, reading, regular

CHUNK = 1 << 28  # bytes of one chunk, which is unpacked as a whole
ROW = 1 << 20  # bytes
ROWS = 20_000_000


@contextlib.contextmanager
def opened(path: Path, expected: str) -> Iterator[Any]:
    """The open file; any failure in the block is one DataError about `path`."""
    import h5py

    with reading(path, expected), h5py.File(regular(path), "r") as file:
        yield file


def table(group: Any, name: str, path: Path) -> Any:
    """The dataset `name` (it may have slashes) of a file or group.

    Raises DataError where it is missing, lies in another file (external links, external or
    virtual storage), or has rows or chunks that no published file has.
    """
    import h5py

    found = group
    for part in name.split("/"):
        if not isinstance(found, h5py.Group) or part not in found:
            raise DataError(f"{path} has no {name}; it holds {sorted(group)[:20]}")
        if not isinstance(found.get(part, getlink=True), h5py.HardLink):
            raise DataError(f"{path}: {name} lies in another file; its rows must be in this one")
        found = found[part]
    if not isinstance(found, h5py.Dataset) or found.ndim < 1:
        raise DataError(f"{path}: {name} must be an array with rows")
    if found.external or found.is_virtual:
        raise DataError(f"{path}: {name} lies in other files; its rows must be in this one")
    size = found.dtype.itemsize
    row = math.prod(found.shape[1:]) * size
    chunk = math.prod(found.chunks or (1,)) * size
    if row > ROW or chunk > CHUNK or len(found) > ROWS:
        raise DataError(
            f"{path}: {name} has {len(found)} rows of {row} bytes in chunks of {chunk}; at most "
            f"{ROWS} rows of {ROW} bytes in chunks of {CHUNK} are admitted"
        )
    return found
