"""Entropies by hand, and nearest-neighbour information against analytic values."""

from __future__ import annotations

import numpy as np
import pytest

from physbench.tasks.metrics import information as info

X = np.array([0, 1, 2, 4, 7.0])
Y = np.array([0, 1.5, 2.2, 3.1, 8])


def raw(k: int, variant: int) -> float:
    return info.mutual_information(X, Y, k, variant=variant, scale=False, seed=None)


def test_five_points_by_hand() -> None:
    assert raw(1, 1) == pytest.approx(0.8833333333)
    assert raw(1, 2) == pytest.approx(0.8833333333)
    assert raw(2, 1) == pytest.approx(0.5833333333)
    assert raw(2, 2) == pytest.approx(0.3833333333)
    assert info.differential_entropy(X, 1) == pytest.approx(3.1348324077)


def test_discrete_entropies_by_hand() -> None:
    parity = np.array([[1, 0], [0, 1], [1, 0], [0, 1]])
    assert info.conditional_entropy(parity) == pytest.approx(0, abs=1e-12)
    assert info.entropy(parity.sum(0)) == pytest.approx(0.693147, abs=1e-6)
    flipped = np.array([[0.45, 0.05], [0.05, 0.45]])
    left = info.conditional_entropy(flipped)
    assert left == pytest.approx(0.325083, abs=1e-6)
    assert info.proficiency(np.log(2) - left, np.log(2)) == pytest.approx(0.531004, abs=1e-6)
    assert np.isnan(info.proficiency(0.0, 0.0))


def gaussians(rho: float, seed: int, n: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.random.default_rng(seed).normal(size=(2, n))
    return a, rho * a + np.sqrt(1 - rho**2) * b


@pytest.mark.parametrize(
    ("rho", "tolerance"), [(0, 0.012), (0.3, 0.012), (0.6, 0.012), (0.9, 0.025), (0.99, 0.03)]
)
def test_correlated_gaussians(rho: float, tolerance: float) -> None:
    """20 samples of 2000: the mean of their estimates has an error of 0.003."""
    found = [info.mutual_information(*gaussians(rho, seed)) for seed in range(20)]
    assert np.mean(found) == pytest.approx(-0.5 * np.log(1 - rho**2), abs=tolerance)


def test_gaussian_in_eight_quantile_bins() -> None:
    x, y = gaussians(0.9, 0, 20_000)
    found = info.mutual_information_with_labels(x, info.quantile_bins(y))
    assert np.log(8) == pytest.approx(2.079442, abs=1e-6)
    assert info.proficiency(found, np.log(8)) == pytest.approx(0.356871, abs=0.01)


@pytest.mark.parametrize(("m", "low", "high"), [(1, 0.78, 0.84), (3, 0.74, 0.84), (12, 0.25, 0.5)])
def test_joint_x_of_several_dimensions(m: int, low: float, high: float) -> None:
    """Truth is ln(5)/2 = 0.805 for every m; at m = 12 the estimator loses half of it."""
    generator = np.random.default_rng(m)
    x = generator.normal(size=(4000, m))
    y = x @ np.full(m, m**-0.5) + generator.normal(0, 0.5, 4000)
    assert low < info.mutual_information(x, y) < high


def test_only_the_joint_variables_tell_an_exclusive_or() -> None:
    x = np.random.default_rng(1).normal(size=(4000, 2))
    y = np.sign(x[:, 0] * x[:, 1])
    assert info.mutual_information_with_labels(x, y) == pytest.approx(np.log(2), abs=0.04)
    for column in x.T:
        assert abs(info.mutual_information_with_labels(column, y)) < 0.02


def test_agreement_with_scikit_learn_in_one_dimension() -> None:
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    x, y = gaussians(0.6, 3)
    ours = info.mutual_information(x, y)
    assert ours == pytest.approx(mutual_info_regression(x[:, None], y)[0], abs=2e-3)
    generator = np.random.default_rng(0)
    label = generator.integers(3, size=3000)
    shifted = 2.0 * label + generator.normal(size=3000)
    ours = info.mutual_information_with_labels(shifted, label)
    assert ours == pytest.approx(mutual_info_classif(shifted[:, None], label)[0], abs=2e-3)
    assert ours == pytest.approx(0.6191, abs=0.03)


def test_ties_need_jitter() -> None:
    x = np.repeat(np.arange(4.0), 50)
    assert info.mutual_information(x, x, seed=None) < 0
    assert info.mutual_information(x, x) == pytest.approx(np.log(4), abs=0.05)


def test_what_is_refused_and_dropped() -> None:
    with pytest.raises(ValueError, match="finite"):
        info.mutual_information([0, np.nan, 1], [0, 1, 2.0], 1)
    with pytest.raises(ValueError, match="k must lie between"):
        info.mutual_information(X, Y, 5)
    with pytest.raises(ValueError, match="as many rows"):
        info.mutual_information(X, Y[:3])
    assert info.mutual_information(np.ones(5), Y) == 0
    both = info.mutual_information(np.column_stack([X, np.ones(5)]), Y, 1)
    assert both == pytest.approx(info.mutual_information(X, Y, 1), abs=1e-6)
