"""Orders and runs of integers beside NumPy's own sorts."""

from __future__ import annotations

import numpy as np
import pytest

from physbench.datasets.common import runs


@pytest.mark.parametrize("high", [1, 2**16, 2**16 + 1, 2**40, 2**62])
def test_sorting_by_digits_is_stable_sorting(high: int) -> None:
    values = np.random.default_rng(0).integers(0, high, 500)
    values[::3] = values[0]
    for given in (values, values - 1, values[:0]):
        np.testing.assert_array_equal(runs.stable_order(given), np.argsort(given, kind="stable"))


@pytest.mark.parametrize("kinds", [1, 10, 64, 65, 300])
def test_distinct_values_of_runs_are_those_of_sets(kinds: int) -> None:
    generator = np.random.default_rng(kinds)
    values = generator.choice(generator.integers(-500, 5000, kinds), 2000)
    owner = np.sort(generator.integers(0, 40, 2000))
    starts = runs.starts_of(owner)
    parts = np.split(values, starts[1:])
    assert runs.distinct(values, starts).tolist() == [len(set(p.tolist())) for p in parts]


def test_nothing_has_no_runs() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert runs.starts_of(none).tolist() == runs.distinct(none, none).tolist() == []
