"""The CSV files of the TrackML challenge: columns, types, and one checked reader.

Columns and units are those of the challenge (arXiv:1904.06778): positions in mm, momenta in
GeV/c, charge in e; `particle_id` is a 64-bit integer with 0 for noise.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.store import DataError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "hits": {
        "hit_id": "int64",
        "x": "float64",
        "y": "float64",
        "z": "float64",
        "volume_id": "int64",
        "layer_id": "int64",
        "module_id": "int64",
    },
    "truth": {
        "hit_id": "int64",
        "particle_id": "int64",
        "tx": "float64",
        "ty": "float64",
        "tz": "float64",
        "weight": "float64",
    },
    "particles": {
        "particle_id": "int64",
        "vx": "float64",
        "vy": "float64",
        "vz": "float64",
        "px": "float64",
        "py": "float64",
        "pz": "float64",
        "q": "float64",
    },
}


def read_csv(path: Path, kind: str) -> pd.DataFrame:
    """One CSV file (`hits`, `truth` or `particles`), checked.

    Raises DataError naming the file and what is wrong: a missing column, NaN, a float where an
    identifier belongs, a truncated archive, a duplicate identifier.
    """
    import pandas as pd

    columns = COLUMNS[kind]
    try:
        # Identifiers without a dtype: pandas would round a float id to an integer in silence.
        # Without the search for missing values reading is faster; an empty field then fails.
        table = pd.read_csv(
            io.BytesIO(_content(path)),
            usecols=list(columns),
            dtype={name: type_ for name, type_ in columns.items() if type_ == "float64"},
            na_filter=False,
            low_memory=False,
        )
    except FileNotFoundError:
        raise
    except (ValueError, EOFError, OSError, zlib.error, pd.errors.ParserError) as error:
        raise DataError(f"{path}: {_explain(path, columns, error)}") from error
    for name, type_ in columns.items():
        values = table[name].to_numpy()
        if type_ == "float64" and not np.isfinite(values).all():
            raise DataError(f"{path}: column '{name}' holds NaN or infinity")
        if type_ == "int64" and len(table) and values.dtype != np.int64:
            reason = ValueError(f"column '{name}' must hold whole numbers (64-bit)")
            raise DataError(f"{path}: {_explain(path, columns, reason)}")
    _check_unique(path, table[next(iter(columns))].to_numpy(), next(iter(columns)))
    return table


def _content(path: Path) -> bytes:
    """Bytes of a file, unpacked where it is an archive."""
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def _check_unique(path: Path, values: NDArray[Any], name: str) -> None:
    """Raise DataError where an identifier comes twice; files are mostly sorted by it."""
    if (values[1:] > values[:-1]).all():
        return
    ordered = np.sort(values)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        raise DataError(f"{path}: {name} {twice[0]} appears twice; identifiers must be unique")


def _explain(path: Path, columns: Mapping[str, str], error: Exception) -> str:
    """What is wrong with a file that pandas could not read, in the user's words."""
    import pandas as pd

    if isinstance(error, EOFError | OSError | zlib.error):
        return f"file is truncated or damaged ({error})"
    try:
        raw = pd.read_csv(io.BytesIO(_content(path)), dtype=str, na_filter=False)
    except (ValueError, pd.errors.ParserError) as again:
        return f"file is truncated or not a CSV file ({again})"
    missing = [name for name in columns if name not in raw.columns]
    if missing:
        return f"column '{missing[0]}' is missing; found {', '.join(map(str, raw.columns))}"
    for name, type_ in columns.items():
        if type_ == "int64":
            whole = raw[name].str.fullmatch(r"\s*[+-]?\d+\s*")
            if not whole.all():
                value = raw.loc[~whole, name].iloc[0]
                return f"column '{name}' must hold whole numbers (64-bit); found '{value}'"
        elif (wrong := raw[name][pd.to_numeric(raw[name], errors="coerce").isna()]).size:
            return f"column '{name}' holds NaN or infinity; found '{wrong.iloc[0]}'"
    return str(error)
