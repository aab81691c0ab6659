"""Scores of likelihood ratios: worked examples, fast against slow bootstrap, intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from physbench.datasets.events import GRID, Gold, eft_toy
from physbench.tasks import likelihood_ratio
from physbench.tasks.metrics import likelihood, likelihood_figures


@pytest.fixture(scope="module")
def truth() -> Gold:
    """Gold of the test events."""
    gold: Gold = eft_toy.load().test.targets
    return gold


def derived(truth: Gold, log_ratio: Any, **columns: Any) -> likelihood.Derived:
    return likelihood.derive(truth, {"log_ratio": log_ratio, **columns})


def few(truth: Gold, events: int = 60) -> tuple[Gold, likelihood.Derived]:
    part = truth.take(np.arange(events))
    noise = 0.1 * np.random.default_rng(0).normal(size=part.exact.shape)
    return part, derived(part, part.exact + noise, spread=np.full(part.exact.shape, 0.1))


NOT_NEEDED: Any = None  # truth, of metrics that read the error alone


def test_mean_squared_error_by_hand() -> None:
    example = {"error": np.array([[0.1, -0.3]])}
    assert likelihood.mse_log_ratio(NOT_NEEDED, example) == pytest.approx(0.05)


def test_trimming_by_hand() -> None:
    example = {"error": np.sqrt(np.arange(1.0, 21.0))[None]}
    assert likelihood.trimmed_mse(NOT_NEEDED, example) == pytest.approx(10.5)


def test_normalisation_of_a_constant(truth: Gold) -> None:
    found = likelihood.normalisation(
        truth, derived(truth, np.full(truth.exact.shape, math.log(1.1)))
    )
    assert found == pytest.approx(0.1)
    low, high = likelihood.normalisation_interval(truth, derived(truth, truth.exact))
    assert low <= likelihood.normalisation(truth, derived(truth, truth.exact)) <= high < 0.04


def test_information_ignores_the_scale_and_the_error_does_not(truth: Gold) -> None:
    once, twice = derived(truth, truth.exact), derived(truth, 2 * truth.exact)
    kept = likelihood.information_kept(truth, once)
    assert kept == pytest.approx(1, abs=1e-3)
    assert likelihood.information_kept(truth, twice) == pytest.approx(kept, abs=1e-12)
    assert likelihood.mse_log_ratio(truth, twice) > 0.1


def test_information_agrees_with_the_correlation(truth: Gold) -> None:
    part, values = few(truth)
    expected = np.corrcoef(likelihood.estimated_score(values), part.exact_score)[0, 1] ** 2
    assert likelihood.information_kept(part, values) == pytest.approx(expected, rel=1e-9)


def test_a_constant_answer_is_defined(truth: Gold) -> None:
    nothing = derived(truth, np.zeros(truth.exact.shape))
    assert likelihood.information_kept(truth, nothing) == 0
    assert likelihood.normalisation(truth, nothing) == 0
    assert likelihood.coverage_excess(truth, nothing)["coverage"] == 1
    assert likelihood.interval_width(truth, nothing) == 2
    assert 0.10 < likelihood.mse_log_ratio(truth, nothing) < 0.12


def test_the_exact_ratio_is_perfect_after_rounding(truth: Gold) -> None:
    best = derived(truth, truth.exact.astype(np.float16))
    assert likelihood.mse_log_ratio(truth, best) < 1e-7
    assert likelihood.information_kept(truth, best) > 0.999
    excess = likelihood.coverage_excess(truth, best)
    assert abs(excess["all"]) < 3 * math.sqrt(0.683 * 0.317 / 1200)
    low, high = likelihood.coverage_interval(truth, best)
    assert low < excess["all"] < high
    assert likelihood.interval_width(truth, best) == pytest.approx(0.31, abs=0.01)


def test_overconfidence_costs_coverage(truth: Gold) -> None:
    """Doubling ln r halves the variance that is claimed: intervals shrink by sqrt(2)."""
    twice = derived(truth, 2 * truth.exact)
    assert likelihood.coverage_excess(truth, twice)["coverage"] == pytest.approx(0.52, abs=0.05)
    best = likelihood.interval_width(truth, derived(truth, truth.exact))
    assert likelihood.interval_width(truth, twice) == pytest.approx(best / math.sqrt(2), rel=0.03)


@pytest.mark.parametrize(
    ("slow", "fast"),
    [
        (likelihood.mse_log_ratio, likelihood.mse_replicates),
        (likelihood.trimmed_mse, likelihood.trimmed_replicates),
        (likelihood.information_kept, likelihood.information_replicates),
        (likelihood.spread_excess, likelihood.spread_replicates),
    ],
)
def test_fast_bootstrap_gives_the_digits_of_the_slow_one(
    slow: Any, fast: Any, truth: Gold
) -> None:
    part, values = few(truth)
    draws = np.random.default_rng(1).integers(0, len(part), (20, len(part)))
    draws[0] = 7  # one event alone
    counts = np.stack([np.bincount(row, minlength=len(part)) for row in draws])
    expected = [
        slow(part.take(row), {name: column[row] for name, column in values.items()})
        for row in draws
    ]
    assert fast(part, values, counts)[1:] == pytest.approx(expected[1:], rel=1e-9, abs=1e-12)
    if slow is not likelihood.information_kept:  # one event has no correlation
        assert fast(part, values, counts)[0] == pytest.approx(expected[0], rel=1e-9)


def test_intervals_agree_with_one_experiment_at_a_time(truth: Gold) -> None:
    events = likelihood.drawn(truth.exact, 0.5)[:3]
    held = likelihood.inside(truth.exact, truth.exact)[2, :3]
    for row, found in zip(events, held, strict=True):
        curve = CubicSpline(GRID, truth.exact[row].sum(0))(likelihood.FINE)
        assert (found == (2 * (curve.max() - curve) < 1)).all()


def test_pseudo_experiments_follow_the_exact_ratio(truth: Gold) -> None:
    """The mean score at theta* of 40,000 drawn events is 0 where it should be."""
    h = 1
    column = int(np.abs(GRID - 0.5).argmin())
    slope = (truth.exact[:, column + h] - truth.exact[:, column - h]) / 0.2
    drawn = slope[likelihood.drawn(truth.exact, 0.5).ravel()]
    assert abs(drawn.mean()) < 0.03 < abs(slope.mean())


def test_pseudo_experiments_do_not_depend_on_the_last_digit(truth: Gold) -> None:
    moved = np.nextafter(truth.exact, np.inf)
    assert (likelihood.drawn(truth.exact, 0.5) == likelihood.drawn(moved, 0.5)).all()


def test_a_grid_without_the_reference_is_refused() -> None:
    without = np.delete(GRID, 10)
    with pytest.raises(ValueError, match="must hold the reference 0 once"):
        likelihood.deviance(np.zeros((1, 20)), without)


def test_a_kink_at_the_reference_shows_in_coverage(truth: Gold) -> None:
    """Trap: a 0 put by hand at theta = 0 beside values that are off by a constant."""
    off = truth.exact + 0.05
    kinked = off.copy()
    kinked[:, 10] = 0
    smooth = likelihood.coverage_excess(truth, derived(truth, off))["coverage"]
    assert likelihood.coverage_excess(truth, derived(truth, kinked))["coverage"] < smooth - 0.2


def test_wilson_by_hand() -> None:
    assert likelihood.wilson(1.0, 1200) == pytest.approx((0.9968, 1.0), abs=1e-4)
    assert likelihood.wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_spread_of_gaussian_errors_covers(truth: Gold) -> None:
    generator = np.random.default_rng(2)
    noise = 0.1 * generator.normal(size=truth.exact.shape)
    values = derived(truth, truth.exact + noise, spread=np.full(truth.exact.shape, 0.1))
    assert abs(likelihood.spread_excess(truth, values)) < 0.005
    assert math.isnan(likelihood.spread_excess(truth, derived(truth, truth.exact)))


def test_slices_average_to_the_score(truth: Gold) -> None:
    part, values = few(truth)
    slices = likelihood.mse_slices(part, values)
    assert next(iter(slices)) == "theta=-1.0"
    assert np.mean(list(slices.values())) == pytest.approx(likelihood.mse_log_ratio(part, values))


def test_without_the_exact_ratio_every_metric_is_nan() -> None:
    validation = eft_toy.load().validation
    values = likelihood.derive(
        validation.targets, {"log_ratio": np.zeros((len(validation), len(GRID)))}
    )
    for metric in likelihood_ratio.TASK.metrics:
        found = metric.function(validation.targets, values)
        found = found["all"] if isinstance(found, dict) else found
        assert math.isnan(found), metric.name


def test_figures_are_drawn(truth: Gold) -> None:
    part, _ = few(truth, 500)
    noise = 0.1 * np.random.default_rng(0).normal(size=part.exact.shape)
    curves = {
        "oracle": {"log_ratio": part.exact.astype(np.float16)},
        "noisy": {"log_ratio": (part.exact + noise).astype(np.float16)},
    }
    errors = likelihood_figures.error_figure(part, curves)
    assert [line.get_label() for line in errors.axes[0].lines] == ["noisy"]
    scan = likelihood_figures.scan_figure(part, curves)
    assert {line.get_label() for line in scan.axes[0].lines} >= {"exact", "noisy"}
    coverage = likelihood_figures.coverage_figure(part, curves)
    assert [c.get_label() for c in coverage.axes[0].containers] == ["exact", "noisy"]
