"""Bootstraps of metrics that are sums over units: arithmetic on a table with one row a unit.

`drawn` (resamples, units) says how often each unit was drawn, see `Metric.replicates`.
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
