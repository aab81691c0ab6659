"""Columns of a split that may be more than memory holds: beyond a size they lie on disk.

A mapped array is an ordinary read-only NumPy array whose pages come from a file when they are
looked at, and which the system gives back when it needs the memory. The files have no name and end
with the last process that maps them; they lie in the temporary folder (`TMPDIR`).
"""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.arrays import spans

LARGEST = 2**29  # bytes of one `Columns` in memory
BLOCK = 2**24  # bytes that are copied at a time

Place = tuple[str, int, str, tuple[int, ...], tuple[int, ...]]


class Columns:
    """Arrays with one element a unit that grow by parts, in memory or beyond `LARGEST` on disk.

    `arrays()` gives them when the last part has been added: as NumPy would concatenate them, or
    mapped. Raises ValueError for a part of other columns, types or shapes than the first one, and
    OSError, with the folder, where the disk is full.
    """

    def __init__(self) -> None:
        self._parts: list[dict[str, NDArray[Any]]] = []
        self._like: dict[str, NDArray[Any]] = {}
        self._files: dict[str, Any] = {}
        self._rows = self._bytes = 0

    def add(self, **part: NDArray[Any]) -> None:
        """Add the same number of units to every column."""
        kinds = {name: (array.dtype, array.shape[1:]) for name, array in part.items()}
        known = {name: (array.dtype, array.shape[1:]) for name, array in self._like.items()}
        counts = {len(array) for array in part.values()}
        if (known and kinds != known) or len(counts) != 1:
            raise ValueError(
                f"a part must have as many rows in all columns, and the columns {known or 'any'}; "
                f"got {kinds} with {sorted(counts)} rows"
            )
        self._like = self._like or {name: array[:0] for name, array in part.items()}
        self._rows += counts.pop()
        self._bytes += sum(array.nbytes for array in part.values())
        self._parts.append(part)
        if self._bytes > LARGEST:
            self._spill()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The columns, each with all units in the order in which they were added."""
        if not self._files:
            names = list(self._like)
            return {name: np.concatenate([p[name] for p in self._parts]) for name in names}
        return {
            name: _mapped(self._files[name], empty.dtype, (self._rows, *empty.shape[1:]))
            for name, empty in self._like.items()
        }

    def _spill(self) -> None:
        """Append the parts in memory to the files and forget them."""
        if not self._files:
            self._files = {name: tempfile.TemporaryFile() for name in self._like}  # noqa: SIM115
        try:
            for part in self._parts:
                for name, array in part.items():
                    self._files[name].write(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}: a split of {self._bytes / 2**30:.1f} GB and more is kept in "
                f"{tempfile.gettempdir()}; set TMPDIR to a folder with room",
            ) from error
        self._parts = []


def _mapped(file: Any, kind: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of all that was written to a file without a name.

    Another process opens it as a descriptor of this one, where the system shows them.
    """
    file.flush()
    path = Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")
    whole = np.memmap(str(path) if path.exists() else file, kind, "r", shape=shape)
    weakref.finalize(whole, file.close)
    return whole.view(np.ndarray)


def _map(array: Any) -> np.memmap[Any, Any] | None:
    """The mapping that an array is a view of, through any number of views."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return array
        array = array.base
    return None


def place(array: Any) -> Place | None:
    """Where another process finds a mapped array: what `opened` takes; None for any other one."""
    whole = _map(array)
    if whole is None or not whole.filename:
        return None
    start = array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    return str(whole.filename), start, array.dtype.str, array.shape, array.strides


def opened(
    path: str, start: int, kind: str, shape: tuple[int, ...], strides: tuple[int, ...]
) -> Any:
    """The array at a `place`."""
    whole = np.memmap(path, np.uint8, "r")
    return np.ndarray(shape, kind, whole, start, strides)


def taken(array: NDArray[Any], index: Any) -> NDArray[Any]:
    """`array[index]` of the first axis; of a mapped array a view, or if it is large mapped too."""
    if isinstance(index, slice) or _map(array) is None:
        return np.asarray(array[index])
    rows = np.arange(len(array))[index]
    if rows.ndim and len(rows) and (np.diff(rows) == 1).all():
        return array[int(rows[0]) : int(rows[-1]) + 1]
    grown = Columns()
    for some in spans(len(rows), BLOCK // max(array[:1].nbytes, 1)):
        grown.add(values=array[rows[some]])
    return grown.arrays()["values"]
