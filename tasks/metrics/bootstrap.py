"""Bootstraps of metrics that are sums over units: arithmetic on a table with one row a unit.

`drawn` (resamples, units) says how often each unit was drawn, see `Metric.replicates`. What needs
running sums in the order of some value takes the transpose, see `by_unit`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def ratio_of_sums(table: ArrayLike, drawn: NDArray[Any]) -> Floats:
    """Sum of the first column over sum of the second, (resamples,); table (units, 2).

    NaN where nothing was counted below.

    >>> ratio_of_sums([[1, 2], [3, 3]], np.array([[1, 1], [2, 0], [0, 0]]))
    array([0.8, 0.5, nan])
    """
    above, below = (drawn @ np.reshape(table, (-1, 2))).astype(float).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, above / below, math.nan)


def mean(values: ArrayLike, drawn: NDArray[Any]) -> Floats:
    """Mean of the finite values (units,), (resamples,); NaN where none was drawn.

    >>> mean([1.0, math.nan, 3.0], np.array([[2, 1, 0], [1, 5, 1], [0, 3, 0]]))
    array([ 1.,  2., nan])
    """
    each = np.asarray(values, float)
    known = np.isfinite(each)
    taken = drawn[:, known]
    with np.errstate(invalid="ignore"):
        found: Floats = taken @ each[known] / taken.sum(axis=1)
    return found


def by_unit(drawn: NDArray[Any]) -> NDArray[Any]:
    """Counts (resamples, units) with those of one unit side by side in memory.

    >>> by_unit(np.array([[1, 2], [3, 4]])).tolist()
    [[1, 3], [2, 4]]
    """
    return np.ascontiguousarray(drawn.T)


def first_reaching(running: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.int64]:
    """The first row in which each column of `running` (rows, columns) is at least `wanted`.

    The number of rows where none is.

    >>> first_reaching(np.array([[1, 2], [4, 6]]), np.array([2, 7])).tolist()
    [1, 2]
    """
    columns = np.arange(running.shape[1])
    low, high = np.zeros_like(columns), np.full_like(columns, len(running))
    for _ in range(len(running).bit_length()):
        middle = np.minimum((low + high) // 2, len(running) - 1)
        there = running[middle, columns] >= wanted
        low, high = (
            np.where(there, low, middle + 1),
            np.where(there, np.minimum(high, middle), high),
        )
    return np.minimum(low, high)
