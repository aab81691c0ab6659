"""The task: protocol, what models may see, and what predictions are refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.running import stages
from physbench.datasets import Splits
from physbench.datasets.events import GRID, eft_toy
from physbench.tasks import likelihood_ratio


@pytest.fixture(scope="module")
def splits() -> Splits:
    return likelihood_ratio.load(eft_toy.DATASET)


def test_budgets_are_the_first_events(splits: Splits) -> None:
    small = likelihood_ratio.load(eft_toy.DATASET, events=10_000)
    assert (len(small.train), len(small.validation), len(small.test)) == (10_000, 2_000, 6_000)
    assert (small.train.inputs.x == splits.train.inputs.x[:10_000]).all()


@pytest.mark.parametrize("events", [0, 1, 100_001])
def test_impossible_budgets_are_refused(events: int) -> None:
    with pytest.raises(ValueError, match="events must lie between 2 and the 100000"):
        likelihood_ratio.load(eft_toy.DATASET, events=events)


def test_gold_can_be_withheld() -> None:
    black_box = likelihood_ratio.load(eft_toy.DATASET, events=1000, gold=False)
    assert np.isnan(black_box.train.targets.coefficients).all()
    assert np.isnan(black_box.validation.targets.coefficients).all()
    assert black_box.train.targets.label.mean() == 0.5


def test_no_split_that_a_model_sees_holds_the_exact_ratio(splits: Splits) -> None:
    for split in (splits.train, splits.validation):
        assert split.targets.exact.size == 0
        assert np.isnan(split.targets.exact_score).all()
    assert not hasattr(splits.test.inputs, "exact")
    assert (splits.test.inputs.theta == 0).all()


def test_metrics_bound_to_validation_tell_nothing() -> None:
    cell = stages.prepare("likelihood_ratio", "no_information", protocol={"events": 1000})
    validation = cell.splits.validation
    zeros = np.zeros((len(validation), len(GRID)))
    assert set(validation.metrics) == {m.name for m in likelihood_ratio.TASK.metrics}
    assert all(math.isnan(metric(zeros)) for metric in validation.metrics.values())
    assert not cell.splits.test.metrics


def test_predictions_are_cut_and_stored_in_half_precision(splits: Splits) -> None:
    inputs = splits.test.inputs.take(range(3))
    stored = likelihood_ratio.prepare(inputs, np.full((3, 21), 1000.0))
    assert stored["log_ratio"].dtype == np.float16
    assert (stored["log_ratio"] == 20).all()
    again = likelihood_ratio.prepare(inputs, stored)
    assert (again["log_ratio"] == stored["log_ratio"]).all()


def test_spread_is_stored_coarsely_and_stays(splits: Splits) -> None:
    inputs = splits.test.inputs.take(range(3))
    spread = np.random.default_rng(0).uniform(0, 0.3, (3, 21))
    stored = likelihood_ratio.prepare(inputs, {"log_ratio": np.zeros((3, 21)), "spread": spread})
    assert stored["spread"] == pytest.approx(spread, rel=0.126)
    again = likelihood_ratio.prepare(inputs, stored)
    assert (again["spread"] == stored["spread"]).all()


def bad(**change: Any) -> Any:
    values = np.zeros((3, 21))
    for (row, column), value in change.get("put", {}).items():
        values[row, column] = value
    return values


@pytest.mark.parametrize(
    ("predictions", "error", "message"),
    [
        (np.zeros((3, 20)), ValueError, r"0 included\), shape \(3, 21\); got shape \(3, 20\)"),
        (np.zeros((2, 21)), ValueError, r"got shape \(2, 21\)"),
        (np.zeros((3, 21), dtype=complex), ValueError, "complex128"),
        (np.full((3, 21), "a"), ValueError, "real numbers"),
        (bad(put={(1, 2): np.nan}), FloatingPointError, "first for event 1 at theta = -0.8"),
        (bad(put={(0, 20): -np.inf}), FloatingPointError, "1 values that are NaN or infinite"),
        ({"ratio": np.zeros((3, 21))}, ValueError, "need 'log_ratio'"),
        ({}, ValueError, "got nothing"),
        (
            {"log_ratio": np.zeros((3, 21)), "spread": np.full((3, 21), -0.1)},
            ValueError,
            "must not be negative",
        ),
    ],
)
def test_bad_predictions_are_refused_in_words(
    predictions: Any, error: type[Exception], message: str, splits: Splits
) -> None:
    with pytest.raises(error, match=message):
        likelihood_ratio.prepare(splits.test.inputs.take(range(3)), predictions)
