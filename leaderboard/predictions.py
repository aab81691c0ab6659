"""Stored predictions: one compressed `.npz`, identified by its content, not by its bytes.

Four shapes are understood, and come back as they went in:

- an array whose first axis is the unit,
- a mapping of such arrays,
- a sequence of arrays of different lengths, one a unit (stored flat, with offsets),
- a sequence of mappings of arrays, one a unit (each key stored flat, with offsets).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def pack(predictions: Any) -> Arrays:
    """Predictions as named arrays ready for `.npz`; raises TypeError for anything else.

    >>> sorted(pack([np.array([1, 2]), np.array([3])]))
    ['flat', 'offsets']
    """
    if isinstance(predictions, np.ndarray):
        return {"values": _plain(predictions)}
    if isinstance(predictions, Mapping):
        return {f"columns.{key}": _plain(np.asarray(v)) for key, v in predictions.items()}
    if not isinstance(predictions, Sequence):
        raise TypeError(
            "predictions must be an array, a mapping of arrays or a sequence with one array or "
            f"mapping a unit; got {type(predictions).__name__}"
        )
    if predictions and isinstance(predictions[0], Mapping):
        return _pack_mappings(predictions)
    return _flat("", [np.asarray(p) for p in predictions])


def _pack_mappings(predictions: Sequence[Mapping[str, Any]]) -> Arrays:
    keys = list(predictions[0])
    packed: Arrays = {}
    for key in keys:
        parts = []
        for number, unit in enumerate(predictions):
            if list(unit) != keys:
                raise TypeError(f"unit {number} has keys {list(unit)}, unit 0 has {keys}")
            parts.append(np.asarray(unit[key]))
        packed |= _flat(f"{key}.", parts)
    return packed


def _flat(prefix: str, parts: list[NDArray[Any]]) -> Arrays:
    offsets = np.cumsum([0, *(len(p) for p in parts)], dtype=np.int64)
    flat = np.concatenate(parts) if parts else np.zeros(0)
    return {f"{prefix}flat": _plain(flat), f"{prefix}offsets": offsets}


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.hasobject:
        raise TypeError("predictions hold Python objects; return numbers")
    return array


def unpack(arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The inverse of `pack`.

    >>> [p.tolist() for p in unpack(pack([np.array([1, 2]), np.array([3])]))]
    [[1, 2], [3]]
    """
    if "values" in arrays:
        return arrays["values"]
    if any(name.startswith("columns.") for name in arrays):
        return {name.removeprefix("columns."): array for name, array in arrays.items()}
    if "flat" in arrays:
        return _split(arrays["flat"], arrays["offsets"])
    keys = [name.removesuffix(".flat") for name in arrays if name.endswith(".flat")]
    columns = {key: _split(arrays[f"{key}.flat"], arrays[f"{key}.offsets"]) for key in keys}
    units = len(next(iter(columns.values()))) if columns else 0
    return [{key: columns[key][unit] for key in keys} for unit in range(units)]


def _split(flat: NDArray[Any], offsets: NDArray[Any]) -> list[NDArray[Any]]:
    return [flat[a:b] for a, b in itertools.pairwise(offsets)]


def digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """sha256 of names, types, shapes and values; independent of compression and time stamps."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def write(path: Path, arrays: Arrays) -> None:
    """Write atomically: the file is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".npz")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(path: Path, expected: str) -> Arrays:
    """Read and check stored predictions; raises ValueError when their digest does not match."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays: Arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise FileNotFoundError(
            f"predictions {path} are missing; they belong beside the record"
        ) from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"predictions {path} cannot be read ({error}); file damaged") from error
    found = digest(arrays)
    if found != expected:
        raise ValueError(f"predictions {path} were altered: digest {found}, expected {expected}")
    return arrays
