"""Runs of equal integers: sorting in linear time, and where each run begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def stable_order(values: NDArray[Any]) -> Integers:
    """Stable order of integers, digit by digit of 16 bits: NumPy sorts those in linear time.

    >>> stable_order(np.array([3, 1, 3, 0])).tolist()
    [3, 1, 0, 2]
    """
    if not len(values) or values.min() < 0:
        return np.argsort(values, kind="stable")
    order: Any = slice(None)
    for digit in _digits(values):
        step = np.argsort(digit[order], kind="stable")
        order = step if isinstance(order, slice) else order[step]
    return np.asarray(order)


def _digits(values: NDArray[Any]) -> Iterator[NDArray[np.uint16]]:
    """16 bits at a time of integers >= 0, the lowest first.

    Bits that all share are left out: a particle id of 60 bits has 27 that differ.
    """
    differ = int(np.bitwise_or.reduce(values)) ^ int(np.bitwise_and.reduce(values))
    bits = differ.bit_length()
    if (differ.bit_count() + 15) // 16 < (bits + 15) // 16:
        values, bits = _gathered(values, differ), differ.bit_count()
    for shift in range(0, bits or 1, 16):
        yield (values >> shift).astype(np.uint16)  # the cast keeps the lowest 16 bits


def _gathered(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """The chosen bits of integers, moved together in their order.

    >>> [bin(v) for v in _gathered(np.array([0b10100]), 0b11100).tolist()]
    ['0b101']
    """
    found, place = np.zeros_like(values), 0
    while bits:
        low = (bits & -bits).bit_length() - 1
        run = (~(bits >> low) & ((bits >> low) + 1)).bit_length() - 1  # ones in a row
        found |= ((values >> low) & ((1 << run) - 1)) << place
        place, bits = place + run, bits >> (low + run) << (low + run)
    return found


def starts_of(*columns: NDArray[Any]) -> Integers:
    """Where runs of equal rows begin.

    >>> starts_of(np.array([5, 5, 7, 5])).tolist()
    [0, 2, 3]
    """
    fresh = np.zeros(len(columns[0]), dtype=bool)
    fresh[:1] = True
    for values in columns:
        fresh[1:] |= values[1:] != values[:-1]
    return np.flatnonzero(fresh)


def among(values: NDArray[Any], known: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each of `values` is one of `known`: `np.isin` for many of both, which hashes.

    >>> among(np.array([3, 1, 4]), np.array([4, 3])).tolist()
    [True, False, True]
    """
    if not len(known):
        return np.zeros(len(values), dtype=bool)
    rising = np.sort(known)
    return np.asarray(rising[np.searchsorted(rising, values).clip(max=len(rising) - 1)] == values)


def distinct(values: NDArray[Any], starts: Integers) -> Integers:
    """How many different integers each run of `values` holds, for few different ones in all.

    A bit for each of 64 at a time.

    >>> distinct(np.array([8, 8, 9, 100]), np.array([0, 2])).tolist()
    [1, 2]
    """
    if not len(starts):
        return np.zeros(0, dtype=np.int64)
    place = values - values.min()
    seen = np.zeros(int(place.max()) + 1, dtype=bool)
    seen[place] = True
    kinds, found = np.flatnonzero(seen), np.zeros(len(starts), dtype=np.int64)
    for some in np.split(kinds, range(64, len(kinds), 64)):
        bit = np.zeros(len(seen), dtype=np.uint64)
        bit[some] = np.uint64(1) << np.arange(len(some), dtype=np.uint64)
        found += np.bitwise_count(np.bitwise_or.reduceat(bit[place], starts))
    return found
