"""The difference of two rows without a unit: by hand, and as `compare --units` prints it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.trust import units
from physbench.tasks import Metric


def mean(targets: np.ndarray, derived: np.ndarray) -> float:
    """Mean of what was predicted."""
    return float(derived.mean())


def weighted(targets: np.ndarray, derived: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return counts @ derived / counts.sum(axis=1)


def test_left_out_by_hand_slow_and_fast() -> None:
    values = np.array([1.0, 2.0, 6.0])
    for metric in (Metric(mean, "1", "max"), Metric(mean, "1", "max", replicates=weighted)):
        found = units.left_out(metric, values, values, 3, np.arange(3))
        assert found.tolist() == [4.0, 3.5, 1.5]
        few = units.left_out(metric, values, values, 3, np.array([2, 0]))
        assert few.tolist() == [1.5, 4.0]


def test_compare_names_the_units_that_matter(capsys: pytest.CaptureFixture[str]) -> None:
    sides = ["local_density", "potential_energy"]
    board = ["--task", "glass_mobility", "--dataset", "kob_andersen"]
    assert main(["compare", *sides, *board, "--units", "3"]) == 0
    told = capsys.readouterr().out
    whole = float(re.findall(r"seeds \d+ and \d+: ([+-][\d.]+) on all", told)[0])
    rest = [float(v) for v in re.findall(r": ([+-][\d.e-]+) without it", told)]
    assert len(rest) == 3
    away = [abs(v - whole) for v in rest]
    assert away[0] > 0
    assert away == sorted(away, reverse=True)


def test_of_many_units_some_are_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert units.spaced(5).tolist() == [0, 1, 2, 3, 4]
    assert len(set(units.spaced(10800))) == units.MOST_UNITS
    assert main(["compare", "impact_parameter", "flavour_trees", "--units", "3"]) == 0
    assert "on all 30000 units, 2000 of them tried" in capsys.readouterr().out
