"""Stored predictions: one `.npz` packed with LZMA, identified by its content, not by its bytes.

Four shapes are understood, and come back as they went in:

- an array whose first axis is the unit,
- a mapping of such arrays,
- a sequence of arrays of different lengths, one a unit (stored flat, with offsets),
- a sequence of mappings of arrays, one a unit (each key stored flat, with offsets).
"""

from __future__ import annotations

import hashlib
import io
import itertools
import math
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.leaderboard import files

Arrays = dict[str, NDArray[Any]]

MOST_PACKED = 256 << 20  # bytes of a file
MOST = 1 << 30  # bytes of its arrays
FREE, RATIO = 64 << 20, 200  # beyond so many bytes at most so much larger than packed


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
    """The inverse of `pack`; ValueError for arrays that `pack` does not give.

    >>> [p.tolist() for p in unpack(pack([np.array([1, 2]), np.array([3])]))]
    [[1, 2], [3]]
    """
    if "values" in arrays:
        return arrays["values"]
    if any(name.startswith("columns.") for name in arrays):
        return {name.removeprefix("columns."): array for name, array in arrays.items()}
    if "flat" in arrays:
        return _split(arrays, "")
    keys = [name.removesuffix(".flat") for name in arrays if name.endswith(".flat")]
    columns = {key: _split(arrays, f"{key}.") for key in keys}
    if not columns or len({len(parts) for parts in columns.values()}) > 1:
        raise ValueError(f"arrays {sorted(arrays)} are no predictions of units")
    units = len(next(iter(columns.values())))
    return [{key: columns[key][unit] for key in keys} for unit in range(units)]


def _split(arrays: Mapping[str, NDArray[Any]], prefix: str) -> list[NDArray[Any]]:
    flat, offsets = arrays[f"{prefix}flat"], arrays.get(f"{prefix}offsets")
    if (
        offsets is None
        or offsets.ndim != 1
        or offsets.dtype.kind not in "iu"
        or not len(offsets)
        or flat.ndim < 1
        or offsets[0] != 0
        or offsets[-1] != len(flat)
        or (np.diff(offsets.astype(np.int64)) < 0).any()
    ):
        raise ValueError(f"'{prefix}flat' needs growing offsets from 0 to its length")
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
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as archive:
                for key, array in arrays.items():
                    with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(path: Path, expected: str) -> Arrays:
    """Read and check stored predictions.

    Raises ValueError when the file is damaged, no regular file, larger than predictions can be
    (before it is unpacked), or does not have the digest `expected`.
    """
    try:
        packed = files.content(path, MOST_PACKED, follow=False)
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            total = sum(member.file_size for member in archive.infolist())
            if total > min(MOST, max(FREE, RATIO * len(packed))):
                raise ValueError(f"{len(packed)} bytes that unpack to {total}")
            arrays = {
                m.filename.removesuffix(".npy"): _member(archive, m) for m in archive.infolist()
            }
    except FileNotFoundError:
        raise FileNotFoundError(
            f"predictions {path} are missing; they belong beside the record"
        ) from None
    except Exception as error:  # a damaged archive makes its reader raise almost anything
        raise ValueError(
            f"predictions {path} cannot be read ({type(error).__name__}: {str(error)[:200]}); "
            "file damaged. Restore it, or make the record anew with: run ... --again"
        ) from error
    found = digest(arrays)
    if found != expected:
        raise ValueError(f"predictions {path} were altered: digest {found}, expected {expected}")
    return arrays


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """One array of numbers; its header may not promise other bytes than there are."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        reader = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = reader(stream)
        size = math.prod(shape) * dtype.itemsize
        if dtype.kind not in "biufcSU" or stream.tell() + size != member.file_size:
            raise ValueError(f"{member.filename}: {shape} of {dtype} in {member.file_size} bytes")
    with archive.open(member) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
