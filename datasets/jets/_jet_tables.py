"""Jets in the pandas HDF5 tables of the public jet datasets, read without PyTables.

The files hold one table with the columns E_i, PX_i, PY_i, PZ_i (i from 0, GeV, zero padded) and a
label `is_signal_new` of 0 or 1. pandas stores the columns of a type as one block, whose names
stand pickled in an attribute; here only lists of strings are unpickled.
"""

from __future__ import annotations

import contextlib
import importlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import hdf5, restricted_pickle
from physbench.datasets.common.reading import DataError
from physbench.datasets.jets import CONSTITUENTS, Jets, from_constituents
from physbench.datasets.jets import _jet_files as jet_files

CHUNK = 20_000  # rows read at a time
MEMORY = 1 << 28  # bytes of the rows read at a time
EXPECTED = "a pandas table in HDF5 with E_i, PX_i, PY_i, PZ_i and is_signal_new"
LABEL = "is_signal_new"


def read_table(
    path: Path, *, first: int = 0, last: int | None = None, slots: int = CONSTITUENTS
) -> tuple[Jets, NDArray[np.int8]]:
    """Jets and labels of the rows first..last of a table.

    Rows without any constituent raise DataError naming the row, as does a file whose columns are
    not those described above. Files compressed with blosc need the package hdf5plugin.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("hdf5plugin")  # registers the blosc filter
    with hdf5.opened(path, EXPECTED) as archive:
        table = _table(archive, path)
        blocks = _blocks(table, path)
        label = _label_place(blocks, path)
        parts = [
            _jets(rows, blocks, label, slots, path) for rows in _rows(table, first, last, path)
        ]
    if not parts:
        raise DataError(f"{path} has no rows from {first} to {last}")
    return join([jets for jets, _ in parts]), np.concatenate([labels for _, labels in parts])


def length(path: Path) -> int:
    """Rows of a table."""
    with hdf5.opened(path, EXPECTED) as archive:
        return len(_table(archive, path))


def join(parts: list[Jets]) -> Jets:
    """Jets one after the other."""
    return Jets(
        *(
            np.concatenate([getattr(jets, name) for jets in parts])
            for name in ("constituents", "pt", "eta", "mass", "multiplicity")
        )
    )


def _table(archive: Any, path: Path) -> Any:
    """The one pandas table of a file, whatever its key."""
    keys = [key for key in archive if f"{key}/table" in archive]
    if len(keys) != 1:
        raise DataError(
            f"{path} must hold one pandas table (format='table'); it has the keys {list(archive)}"
        )
    table = hdf5.table(archive, f"{keys[0]}/table", path)
    if not table.dtype.names or table.ndim != 1:
        raise DataError(f"{path}: {keys[0]} must be a table; it is {table.shape} {table.dtype}")
    return table


def _blocks(table: Any, path: Path) -> dict[str, list[str]]:
    """Names of the columns of each block of values."""
    names = [name for name in table.dtype.names if name.startswith("values_block_")]
    try:
        return {name: _column_names(table.attrs[f"{name}_kind"]) for name in names}
    except (KeyError, pickle.UnpicklingError) as error:
        raise DataError(f"{path} does not name the columns of its table: {error}") from error


def _column_names(stored: Any) -> list[str]:
    raw = stored.tobytes() if hasattr(stored, "tobytes") else bytes(stored)
    names = restricted_pickle.loads(raw)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise pickle.UnpicklingError(f"names of columns are a list of texts; got {names!r:.80}")
    return names


def _label_place(blocks: dict[str, list[str]], path: Path) -> tuple[str, int]:
    for block, names in blocks.items():
        if LABEL in names:
            return block, names.index(LABEL)
    known = sorted({name.rstrip("0123456789") for names in blocks.values() for name in names})
    raise DataError(f"{path} has no column '{LABEL}'; its columns are {', '.join(known)}")


def _rows(table: Any, first: int, last: int | None, path: Path) -> Iterator[Any]:
    end = len(table) if last is None else min(last, len(table))
    step = max(1, min(CHUNK, MEMORY // table.dtype.itemsize))
    for start in range(first, end, step):
        try:
            yield table[start : min(start + step, end)]
        except OSError as error:
            raise OSError(
                f"{path} cannot be read ({error}); if it is compressed with blosc: "
                "pip install hdf5plugin"
            ) from error


def _jets(
    rows: Any, blocks: dict[str, list[str]], label: tuple[str, int], slots: int, path: Path
) -> tuple[Jets, NDArray[np.int8]]:
    """The jets of some rows: four-momenta to pT, eta, phi."""
    columns = {name: (block, k) for block, names in blocks.items() for k, name in enumerate(names)}
    count = sum(name.startswith("PX_") for name in columns)
    if not count:
        raise DataError(f"{path} has no columns PX_0, PY_0, PZ_0, ...")
    px, py, pz = (
        np.stack([_column(rows, columns, f"{axis}_{i}", path) for i in range(count)], axis=1)
        for axis in ("PX", "PY", "PZ")
    )
    pt = np.hypot(px, py)
    eta = np.arcsinh(np.divide(pz, pt, out=np.zeros_like(pz), where=pt > 0))
    labels = jet_files.labels(rows[label[0]][:, label[1]], len(rows), f"{path}: '{LABEL}'")
    return from_constituents(pt, eta, np.arctan2(py, px), slots), labels


def _column(
    rows: Any, columns: dict[str, tuple[str, int]], name: str, path: Path
) -> NDArray[np.float64]:
    if name not in columns:
        raise DataError(f"{path} has no column {name}")
    block, place = columns[name]
    return np.asarray(rows[block][:, place], dtype=np.float64)
