"""Splits that nobody can change: read-only arrays, targets that own their data, one digest of all.

The digest covers the numbers themselves (names, types, shapes and bytes of every array), so that a
changed file, loader or option is another cell although the units bear the same names. It costs one
pass of sha256 over the data, 0.5 to 2 GB/s on one core, once a run.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split, Splits
from physbench.datasets.common.streaming import Deferred, Streamed

PARTS = ("train", "validation", "test")
PLAIN = (str, bytes, int, float, complex, type(None))


def arrays(value: Any) -> Iterator[NDArray[Any]]:
    """All NumPy arrays in arrays, dataclasses, mappings, sequences, pandas and other objects."""
    seen: set[int] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, np.ndarray) and item.dtype != object:
            yield item
        elif not isinstance(item, PLAIN) and id(item) not in seen:
            seen.add(id(item))
            stack.extend(part for _, part in _parts(item))


def _parts(item: Any) -> list[tuple[str, Any]]:
    """Named parts of a container or an object, in an order that its content decides."""
    if isinstance(item, np.ndarray):
        return [("", part) for part in item.ravel().tolist()]
    if isinstance(item, Streamed):
        return [("digest", item.digest)]
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return [(f.name, getattr(item, f.name)) for f in dataclasses.fields(item)]
    if isinstance(item, Mapping):
        return [(repr(key), item[key]) for key in sorted(item, key=repr)]
    if isinstance(item, list | tuple):
        return [("", part) for part in item]
    if isinstance(item, set | frozenset):
        return [("", part) for part in sorted(item, key=repr)]
    if hasattr(item, "iloc"):
        return _of_pandas(item)
    if isinstance(item, type) or callable(item):
        return []
    return sorted(getattr(item, "__dict__", {}).items())


def _of_pandas(item: Any) -> list[tuple[str, Any]]:
    if hasattr(item, "columns"):
        return [(str(name), item[name].to_numpy()) for name in item.columns]
    return [("", item.to_numpy())]


def read_only(value: Any) -> Any:
    """The same value, none of whose arrays can be assigned to any more."""
    for array in arrays(value):
        array.flags.writeable = False
    return value


def separate(split: Split) -> Split:
    """The split with targets that share no memory with its inputs; copied where they did."""
    spans = [[_span(array) for array in arrays(side)] for side in (split.inputs, split.targets)]
    if not _overlap(*spans):
        return split
    return replace(split, targets=copy.deepcopy(split.targets))


def _span(array: NDArray[Any]) -> tuple[int, int]:
    low, high = np.lib.array_utils.byte_bounds(array)
    return int(low), int(high)


def _overlap(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> bool:
    """Whether an address range of one list meets one of the other."""
    marked = sorted([(*span, 0) for span in first] + [(*span, 1) for span in second])
    ends = [0, 0]
    for low, high, side in marked:
        if low < ends[1 - side] and high > low:
            return True
        ends[side] = max(ends[side], high)
    return False


def _positional(values: Any) -> Any:
    """A pandas Series as an array: metrics and resamples mean positions, a Series means labels.

    What was to be made later is made now.
    """
    if isinstance(values, Deferred):
        return list(values)
    return values.to_numpy() if hasattr(values, "iloc") and values.ndim == 1 else values


def guarded(splits: Splits) -> Splits:
    """Read-only splits whose targets own their data."""
    found: dict[str, Any] = {}
    for name in PARTS:
        given = getattr(splits, name)
        split = separate(
            replace(given, inputs=_positional(given.inputs), targets=_positional(given.targets))
        )
        read_only(split.inputs)
        read_only(split.targets)
        found[name] = split
    return replace(splits, **found)


def content(splits: Splits) -> str:
    """sha256 of all inputs and targets of the three splits."""
    total = hashlib.sha256()
    for name in PARTS:
        split = getattr(splits, name)
        for side in ("inputs", "targets"):
            total.update(f"[{name}.{side}]".encode())
            _digest(total, getattr(split, side))
    return total.hexdigest()


def _digest(total: Any, value: Any) -> None:
    """Feed a value to a hash, without recursion over arrays."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        total.update(f"{value.dtype.str}{value.shape}".encode())
        if value.size:
            total.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        return
    if value is None or isinstance(value, str | bytes | int | float | complex | np.generic):
        total.update(f"{type(value).__name__}:{value!r};".encode())
        return
    parts = _parts(value)
    if not parts and not isinstance(value, list | tuple | Mapping | set | frozenset):
        parts = [("pickled", pickle.dumps(value, 5))] if not callable(value) else []
    total.update(f"{type(value).__qualname__}({len(parts)}".encode())
    for name, part in parts:
        total.update(f"{name}=".encode())
        _digest(total, part)
    total.update(b")")
