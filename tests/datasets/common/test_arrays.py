"""Arrays at the door, and distinct numbers."""

from __future__ import annotations

import numpy as np
import pytest

from physbench.datasets.common.arrays import distinct


@pytest.mark.parametrize("size", [0, 1, 2, 1000])
def test_distinct_numbers_are_those_of_numpy(size: int) -> None:
    values = np.random.default_rng(size).integers(-50, 50, size)
    found = distinct(values)
    np.testing.assert_array_equal(found, np.unique(values))
    assert found.dtype == values.dtype
