"""Jagged tables of jets in ROOT files, read with uproot (extra `[root]`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.reading import DataError, reading

STEP = 5_000  # jets read at a time: 0.1 GB of 128 slots in double precision


def rows(path: Path, names: Sequence[str], *, last: int | None = None) -> dict[str, Any]:
    """Branches of the file's only table, the first `last` rows, as awkward arrays.

    Raises DataError, with what the file holds, unless it has one table with all those branches.
    """
    with _table(path, names) as table:
        found = table.arrays(list(names), entry_stop=last, library="ak")
    return {name: found[name] for name in names}


def parts(
    path: Path, names: Sequence[str], *, last: int | None = None
) -> Iterator[dict[str, Any]]:
    """`rows` in parts of at most `STEP` jets, read one after the other."""
    with _table(path, names) as table:
        for found in table.iterate(list(names), entry_stop=last, step_size=STEP, library="ak"):
            yield {name: found[name] for name in names}


@contextlib.contextmanager
def _table(path: Path, names: Sequence[str]) -> Iterator[Any]:
    """The file's only table, which has rows and all those branches."""
    with reading(path, "a ROOT file with a table of jets"), _library().open(path) as file:
        table = _only_table(file, path)
        missing = [name for name in names if name not in table]
        if missing:
            raise DataError(
                f"{path} has no branch {', '.join(missing)}; its branches: "
                f"{', '.join(sorted(table.keys()))}"
            )
        if not table.num_entries:
            raise DataError(f"{path} has no jets")
        yield table


def branches(path: Path) -> list[str]:
    """Names of the branches of the file's only table."""
    with reading(path, "a ROOT file with a table of jets"), _library().open(path) as file:
        return sorted(_only_table(file, path).keys())


def _library() -> Any:
    try:
        import uproot
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "ROOT files need uproot: pip install 'physbench[root]'"
        ) from None
    return uproot


def _only_table(file: Any, path: Path) -> Any:
    """The file's table; cycles of one name count once."""
    names = {
        name.partition(";")[0]
        for name, kind in file.classnames().items()
        if kind in ("TTree", "ROOT::RNTuple")
    }
    if len(names) != 1:
        found = ", ".join(sorted(names)) or "none"
        raise DataError(f"{path} must hold one table of jets; found {found}")
    return file[names.pop()]


def flat(column: Any, path: Path, name: str) -> NDArray[np.float64]:
    """One number a jet (n,); raises DataError for NaN or infinity."""
    values = np.asarray(column, dtype=np.float64)
    if not np.isfinite(values).all():
        raise DataError(
            f"{path}: {name} of jet {int(np.argmin(np.isfinite(values)))} is not finite"
        )
    return values


def padded(
    columns: dict[str, Any], order_by: str, slots: int, path: Path
) -> dict[str, NDArray[np.float64]]:
    """Jagged columns as (n, slots), each jet falling in `order_by`, empty slots zero.

    Raises DataError where columns differ in length or hold NaN or infinity.
    """
    import awkward

    count = awkward.num(columns[order_by])
    for name, column in columns.items():
        if not awkward.all(awkward.num(column) == count):
            raise DataError(f"{path}: {name} and {order_by} differ in length in some jet")
        if not np.isfinite(np.asarray(awkward.flatten(column), dtype=np.float64)).all():
            raise DataError(f"{path}: {name} holds NaN or infinity")
    order = awkward.argsort(columns[order_by], ascending=False, stable=True)
    return {
        name: np.asarray(
            awkward.fill_none(awkward.pad_none(column[order], slots, clip=True), 0.0),
            dtype=np.float64,
        )
        for name, column in columns.items()
    }
