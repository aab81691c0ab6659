"""Metrics of generated showers: hand-computed values, properties, slow twins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from physbench.datasets.showers import (
    PARAMETRISED,
    Sample,
    Showers,
    encode,
    parametrised_showers,
)
from physbench.tasks import calo_showers
from physbench.tasks.metrics import shower_formulas, shower_table, showers
from physbench.tasks.metrics.shower_table import Table

PAIRS = 1200


@pytest.fixture(scope="module")
def sample() -> Sample:
    return parametrised_showers.load()


@pytest.fixture(scope="module")
def test(sample: Sample) -> Showers:
    training = sample.train.take(np.arange(4000))
    return replace(sample.test.take(np.arange(PAIRS)), training=training)


@pytest.fixture(scope="module")
def truth(test: Showers) -> Table:
    assert test.second is not None
    return shower_table.judged(test, encode(test.second, PARAMETRISED))


def hand() -> tuple[Any, Any]:
    """One shower of 2 GeV: 100 and 300 MeV in rings 0 and 1 of layer 0, 600 in ring 4 of 2."""
    voxels = np.zeros((1, 50))
    voxels[0, [0, 1, 14]] = 100, 300, 600
    return voxels, np.array([2000.0])


def test_features_of_a_shower_by_hand() -> None:
    (found,) = shower_table.features(*hand(), PARAMETRISED)
    assert len(found) == 44
    assert found[:2] == pytest.approx([np.log(2), 0.5])
    assert found[2:5] == pytest.approx(np.log10([400.1, 0.1, 600.1]))
    # centre of layer 0: (100 * 0.15 + 300 * 0.5)/400 = 0.4125; width^2: 0.193125 - 0.4125^2
    assert found[12:15] == pytest.approx([0.4125, 0, 3.0])
    assert found[22:25] == pytest.approx([np.sqrt(0.193125 - 0.17015625), 0, 0], abs=1e-7)
    assert found[32:35] == pytest.approx([0.4, 0, 0.2])
    # layers in the middle at 1.2 and 6.0 X0: centre 0.4 * 1.2 + 0.6 * 6, width sqrt(.24) * 4.8
    assert found[42:] == pytest.approx([4.08, 2.351510])


def test_an_empty_shower_has_finite_features() -> None:
    found = shower_table.features(np.zeros((1, 50)), np.array([2000.0]), PARAMETRISED)
    assert np.isfinite(found).all()


def test_divergence_of_the_judge_by_hand() -> None:
    # mean of ln p is -0.5: 1 - 0.5/ln 2
    right = np.full((3, 2), -0.5 / np.log(2))
    assert shower_formulas.jensen_shannon(right, np.ones(3)) == pytest.approx(0.27865, abs=1e-5)
    one = np.log2([[0.5, 0.8]])
    assert shower_formulas.jensen_shannon(one, np.ones(1)) == pytest.approx(0.33904, abs=1e-5)
    both = np.vstack([one, right[:1]])
    assert shower_formulas.jensen_shannon(both, np.array([2.0, 0.0])) == pytest.approx(
        0.33904, abs=1e-5
    )


def test_frechet_distance_by_hand() -> None:
    # samples with exactly these moments: N(0, 1) and N(1, 4) -> 1 + 1 + 4 - 2 * 2
    base = np.sqrt(0.5) * np.array([[-1.0], [1.0]])
    ones = np.ones(2)
    assert shower_formulas.frechet(base, 1 + 2 * base, ones) == pytest.approx(2.0)
    assert shower_formulas.frechet(base, base, ones) == pytest.approx(0.0, abs=1e-12)
    a, b = np.diag([1.0, 4.0]), np.array([[1, 0.6], [0.6, 1]])
    assert shower_formulas.covariance_distance(a, b) == pytest.approx(1.272872, abs=1e-6)


def test_kernel_distance_by_hand_and_by_loops() -> None:
    x, y = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    assert shower_formulas.kernel_distance(x, y) == pytest.approx(32.5)
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 7, 3))

    def slow(p: Any, q: Any, same: bool) -> float:
        terms = [
            (a @ b / 3 + 1) ** 4
            for i, a in enumerate(p)
            for j, b in enumerate(q)
            if not (same and i == j)
        ]
        return float(np.mean(terms))

    expected = slow(x, x, True) + slow(y, y, True) - 2 * slow(x, y, False)
    assert shower_formulas.kernel_distance(x, y) == pytest.approx(expected)


def test_separation_by_hand() -> None:
    first, second = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.4, 0.2])
    assert shower_formulas.separation(first, second) == pytest.approx(0.012698, abs=1e-6)
    assert shower_formulas.separation(np.array([1.0, 0]), np.array([0, 1.0])) == pytest.approx(1)


def test_bins_hold_equal_shares_and_overflow_is_counted() -> None:
    reference = np.arange(1000.0)[:, None]
    bins = shower_table.binned(reference, reference)
    assert np.unique(bins, return_counts=True)[1] == pytest.approx(20, abs=1)
    outside = shower_table.binned(np.array([[-5.0], [1e9]]), reference)
    assert outside.ravel().tolist() == [0, 49]
    atoms = np.zeros((100, 1))
    assert shower_table.binned(atoms, atoms).max() <= 1


def test_response_and_resolution_by_hand() -> None:
    # simulated 0.9, 1.1: mean 1, width 0.1; generated 1.0, 1.4: mean 1.2, width 0.2
    response = np.array([[0.9, 1.0], [1.1, 1.4]])
    assert showers.response_difference(response, np.ones(2)) == pytest.approx(0.2)
    assert showers.width_difference(response, np.ones(2)) == pytest.approx(0.1)


def test_identical_samples_are_not_told_apart(test: Showers) -> None:
    table = shower_table.judged(test, encode(test.voxels, PARAMETRISED))
    assert table.score[:, 0] == pytest.approx(table.score[:, 1])
    assert showers.fpd(test, table) == pytest.approx(0, abs=1e-9)
    assert showers.separation_total(test, table) == 0
    assert showers.response_bias(test, table) == 0
    assert showers.judge_auc(test, table) == 0.5


def test_a_fresh_draw_is_not_told_apart(test: Showers, truth: Table) -> None:
    assert -0.12 < showers.judge_jsd(test, truth) < 0.02
    assert 0.4 < showers.judge_auc(test, truth) < 0.55
    assert showers.copied_fraction(test, truth) < 0.03
    assert abs(showers.kpd(test, truth)) < 1
    assert abs(showers.response_bias(test, truth)) < 0.01


def test_exchanging_the_samples_mirrors_the_verdict(test: Showers, truth: Table) -> None:
    assert test.second is not None
    other = replace(test, voxels=test.second, second=test.voxels)
    mirrored = shower_table.judged(other, encode(test.voxels, PARAMETRISED))
    assert mirrored.score[:, ::-1] == pytest.approx(1 - truth.score, abs=0.05)
    assert showers.judge_jsd(other, mirrored) == pytest.approx(
        showers.judge_jsd(test, truth), abs=0.01
    )


def test_more_energy_is_seen(test: Showers) -> None:
    assert test.second is not None
    table = shower_table.judged(test, encode(1.05 * test.second, PARAMETRISED))
    assert showers.judge_jsd(test, table) > 0.02
    assert showers.response_bias(test, table) == pytest.approx(0.05, abs=0.01)


def test_a_model_that_ignores_the_condition_is_seen(test: Showers) -> None:
    assert test.second is not None
    table = shower_table.judged(test, encode(test.second[::-1], PARAMETRISED))
    slices = showers.response_bias_slices(test, table)
    assert next(iter(slices)).startswith("E 1.0-")
    assert max(abs(v) for v in slices.values()) > 1
    assert showers.judge_jsd(test, table) > 0.5


def test_copies_are_found(test: Showers) -> None:
    assert test.training is not None
    copied = test.training.voxels[:PAIRS].copy()
    like = replace(test, energy=test.training.energy[:PAIRS])
    assert shower_table.copies(like, encode(copied, PARAMETRISED)).mean() == 1
    alone = replace(test, training=None)
    assert np.isnan(shower_table.copies(alone, encode(copied, PARAMETRISED))).all()


def test_nearest_distance_against_all_distances() -> None:
    generator = np.random.default_rng(0)
    points, sample = generator.normal(size=(2, 60, 5)).astype(np.float32)
    slow = np.sqrt(((points[:, None] - sample) ** 2).sum(2)).min(1)
    assert shower_table.nearest(points, sample) == pytest.approx(slow, abs=1e-5)


@pytest.mark.parametrize(
    "metric", [m for m in calo_showers.TASK.metrics if m.replicates], ids=lambda m: m.name
)
def test_fast_resamples_equal_slow_ones(metric: Any, test: Showers, truth: Table) -> None:
    draws = np.random.default_rng(0).integers(0, PAIRS, (5, PAIRS))
    counts = np.array([np.bincount(draw, minlength=PAIRS) for draw in draws])
    slow = [metric.function(test.take(draw), truth.take(draw)) for draw in draws]
    assert metric.replicates(test, truth, counts) == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize(
    "metric", [m for m in calo_showers.TASK.metrics if callable(m.interval)], ids=lambda m: m.name
)
def test_intervals_hold_their_value(metric: Any, test: Showers, truth: Table) -> None:
    low, high = metric.interval(test, truth)
    assert low <= metric.function(test, truth) <= high
    assert metric.interval(test, truth) == (low, high)


def test_moved_interval_has_the_spread_of_fresh_samples() -> None:
    """Separation of two normal samples of 500: 40 fresh ones against the interval of each."""
    generator = np.random.default_rng(0)
    values, widths = [], []
    for _ in range(40):
        first, second = generator.normal(size=(2, 500, 1))
        bins = np.stack([shower_table.binned(s, first) for s in (first, second)], axis=1)

        def separation(truth: Any, pairs: Any, weights: Any = None, bins: Any = bins) -> float:
            each = np.ones(500) if weights is None else weights.astype(float)
            return float(showers.separations(bins, each)[0])

        low, high = showers.recentred(separation)(None, first)
        values.append(separation(None, None))
        widths.append((high - low) / 3.92)
    assert 0.9 < np.mean(widths) / np.std(values) < 2.2  # wide where the samples agree


def test_interval_of_kpd_holds_its_value(test: Showers, truth: Table) -> None:
    twice = truth.take(np.arange(2 * PAIRS) % PAIRS)
    low, high = showers.kpd_interval(test, twice)
    assert low <= showers.kpd(test, twice) <= high


def test_predictions_are_checked_and_coded(test: Showers) -> None:
    inputs = test.conditions()
    voxels = np.array(test.voxels)
    codes = calo_showers.prepare(inputs, voxels)
    assert codes.dtype == np.uint8
    assert np.array_equal(calo_showers.prepare(inputs, codes), codes)
    with pytest.raises(ValueError, match=r"one shower a condition.*got shape \(3, 50\)"):
        calo_showers.prepare(inputs, voxels[:3])
    with pytest.raises(ValueError, match="of complex128"):
        calo_showers.prepare(inputs, voxels.astype(complex))
    with pytest.raises(ValueError, match="looks like GeV"):
        calo_showers.prepare(inputs, voxels / 1e3)
    for bad, error, words in (
        (np.nan, FloatingPointError, "1 of 60000 voxels are NaN"),
        (-1.0, ValueError, "got -1 in voxel 7 of shower 2"),
    ):
        broken = voxels.copy()
        broken[2, 7] = bad
        with pytest.raises(error, match=words):
            calo_showers.prepare(inputs, broken)


def test_a_copier_is_refused() -> None:
    assert calo_showers.admit({"copied_fraction": 0.02}) is None
    assert "100% of the showers are copies" in str(calo_showers.admit({"copied_fraction": 1.0}))
