"""Simulated processes: closed forms against quadrature and Monte Carlo, samples, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss
from scipy.stats import norm

from physbench.datasets.common import store
from physbench.datasets.events import (
    GRID,
    Gold,
    Process,
    Simulated,
    _drawn,
    _helicity,
    _interference,
    eft_toy,
    interference_toy,
    log_ratio,
    score,
)

PROCESSES = [_helicity.PROCESS, _interference.PROCESS]
NORMS = _helicity.PROCESS.norms
EVENT = np.array([[0.5, 0.2, 0.6, -0.3]])


def named(process: Process) -> str:
    return process.name


@pytest.fixture(scope="module", params=PROCESSES, ids=named)
def reference(request: Any) -> tuple[Process, Any, Any]:
    """A process with 40,000 events at the reference: latent and observed."""
    process: Process = request.param
    return process, *process.simulate(np.zeros(40_000), np.random.default_rng(5))


def test_worked_example_of_the_joint_ratio() -> None:
    c = _helicity.coefficients(EVENT)
    assert c == pytest.approx(np.array([[0.83015430, 1.26408579]]), abs=1e-8)
    assert log_ratio(c, 0.5, NORMS) == pytest.approx(-0.13248495, abs=1e-8)
    assert score(c, 0.0, NORMS) == pytest.approx(-0.35307131, abs=1e-8)
    assert score(c, 0.5, NORMS) == pytest.approx(-0.16757188, abs=1e-8)
    assert pytest.approx((1.183225610, 1.538865570), abs=1e-9) == NORMS


def test_worked_example_of_the_exact_ratio() -> None:
    c = _helicity.expected(np.column_stack([EVENT, np.zeros((1, 2))]))
    found = log_ratio(c[:, None], np.array([-1, -0.5, 0.5, 1]), NORMS)[0]
    assert found == pytest.approx([0.05661396, 0.12684551, -0.13109316, -0.18259553], abs=1e-8)
    assert score(c, 0.0, NORMS) == pytest.approx(-0.35008022, abs=1e-8)


def test_integrals_of_the_normalisation() -> None:
    found = [_helicity.exponential_mean(k) for k in (3.0, 1.8, 0.6)]
    assert found == pytest.approx([0.31673764, 0.46372284, 0.75198061], abs=1e-8)


def test_smeared_integrals_agree_with_quadrature() -> None:
    node, weight = leggauss(400)
    x = np.linspace(-1.2, 1.8, 50)
    unit = (node + 1) / 2
    for k, sigma in ((3.0, 0.15), (0.6, 0.15), (2.0, 0.25)):
        kernel = norm.pdf(x[:, None], unit, sigma) * np.exp(-k * unit)
        expected = kernel @ weight / 2
        assert _helicity.smeared_exponential(x, k, sigma) == pytest.approx(expected, rel=1e-10)
    for power, found in enumerate(_helicity.smeared_moments(x, 0.25)):
        expected = (norm.pdf(x[:, None], node, 0.25) * node**power) @ weight
        assert found == pytest.approx(expected, rel=1e-10)


def test_tails_keep_their_digits() -> None:
    far = _helicity.smeared_exponential(np.array([2.5]), 3.0, 0.15)[0]
    node, weight = leggauss(400)
    unit = (node + 1) / 2
    expected = (norm.pdf(2.5, unit, 0.15) * np.exp(-3.0 * unit)) @ weight / 2
    assert far == pytest.approx(expected, rel=1e-9)
    assert 0 < far < 1e-20


def test_gaussian_terms_agree_with_their_product() -> None:
    z = np.random.default_rng(0).normal(size=(50, 4))
    b, s, x = _interference.BACKGROUND, _interference.SIGNAL, _interference.CROSSED
    product = np.sqrt(b.density(z) * s.density(z))
    assert _interference.OVERLAP * x.density(z) == pytest.approx(product, rel=1e-10)


def test_ratio_and_score_average_to_one_and_zero(reference: Any) -> None:
    process, z, x = reference
    for c in (process.coefficients(z), process.expected(x)):
        error = c.std(0) / np.sqrt(len(c))
        assert (np.abs(c.mean(0) - process.norms) < 5 * error).all()
        ratio = np.exp(log_ratio(c[:, None], GRID, process.norms))
        away = np.abs(ratio.mean(0) - 1)
        assert (away <= 5 * ratio.std(0) / np.sqrt(len(c)) + 1e-12).all()
        t = score(c, 0.0, process.norms)
        assert abs(t.mean()) < 5 * t.std() / np.sqrt(len(c))


def test_mean_joint_ratio_of_a_cell_is_its_exact_ratio(reference: Any) -> None:
    """E[r(z|theta) | cell of x] = E[r(x|theta) | cell], the identity that all methods use."""
    process, z, x = reference
    joint = np.exp(log_ratio(process.coefficients(z), 0.8, process.norms))
    exact = np.exp(log_ratio(process.expected(x), 0.8, process.norms))
    cell = (x[:, :4] > np.median(x[:, :4], axis=0)) @ (1 << np.arange(4))
    for number in range(16):
        own = cell == number
        difference = joint[own] - exact[own]
        assert abs(difference.mean()) < 5 * difference.std() / np.sqrt(own.sum())


def test_scores_are_derivatives_of_log_ratios(reference: Any) -> None:
    process, z, x = reference
    h = 1e-5
    for c in (process.coefficients(z[:100]), process.expected(x[:100])):
        for theta in (-0.7, 0.0, 0.4):
            ends = [log_ratio(c, theta + side * h, process.norms) for side in (1, -1)]
            slope = (ends[0] - ends[1]) / (2 * h)
            assert score(c, theta, process.norms) == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("process", PROCESSES, ids=named)
@pytest.mark.parametrize("theta", [-1.0, 1.0])
def test_events_at_theta_follow_the_reference_reweighted(process: Process, theta: float) -> None:
    """Latent variables at theta against events at 0 weighted with the joint ratio, chi squared."""
    generator = np.random.default_rng(11)
    moved, _ = process.simulate(np.full(40_000, theta), generator)
    still, _ = process.simulate(np.zeros(40_000), generator)
    weight = np.exp(log_ratio(process.coefficients(still), theta, process.norms))
    for column in range(4):
        edges = np.quantile(still[:, column], np.linspace(0, 1, 21))
        edges[0], edges[-1] = -np.inf, np.inf
        seen = np.histogram(moved[:, column], edges)[0]
        told = np.histogram(still[:, column], edges, weights=weight)[0]
        variance = seen + np.histogram(still[:, column], edges, weights=weight**2)[0]
        assert ((seen - told) ** 2 / variance).sum() < 50  # 20 bins: 6e-5 of all cases


@pytest.mark.parametrize("module", [eft_toy, interference_toy])
def test_embedded_samples_have_their_sizes_and_both_labels(module: Any) -> None:
    splits = module.load()
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [
        100_000,
        20_000,
        6_000,
    ]
    assert splits.train.targets.label.mean() == 0.5
    assert splits.train.targets.exact.shape == (100_000, 0)
    assert np.isnan(splits.train.targets.exact_score).all()
    assert splits.test.targets.exact.shape == (6_000, len(GRID))
    assert np.isnan(splits.test.targets.coefficients).all()
    assert (splits.test.inputs.theta == 0).all()


def test_no_observable_of_eft_toy_keeps_more_than_a_fifth_of_the_information() -> None:
    test = eft_toy.load().test
    t = test.targets.exact_score
    for column in test.inputs.x.T:
        edges = np.quantile(column, np.linspace(0, 1, 21)[1:-1])
        place = np.digitize(column, edges)
        mean = np.bincount(place, t, minlength=20) / np.bincount(place, minlength=20)
        assert (mean[place] ** 2).mean() / (t**2).mean() < 0.21


@pytest.mark.parametrize("module", [eft_toy, interference_toy])
def test_made_twice_from_a_seed_is_the_same_sample(module: Any, tmp_path: Path) -> None:
    sizes = {"events": 200, "validation": 40, "test": 30}
    first = module.make(tmp_path / "a", seed=3, **sizes)
    second = module.make(tmp_path / "b", seed=3, **sizes)
    other = module.make(tmp_path / "c", seed=4, **sizes)
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()
    splits = module.load(folder=str(tmp_path / "a"))
    assert len(splits.train) == 200
    assert splits.test.targets.exact.shape == (30, 21)


def test_make_refuses_empty_splits(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 100"):
        eft_toy.make(tmp_path, seed=1, events=50)
    with pytest.raises(ValueError, match="test at least 1"):
        eft_toy.make(tmp_path, seed=1, test=0)


def test_a_sample_with_one_label_is_refused(tmp_path: Path) -> None:
    path = eft_toy.make(tmp_path, seed=1, events=100, validation=10, test=10)
    arrays = store.load_arrays(path)
    store.save_arrays(path, arrays | {"train.label": np.ones(100, dtype=np.uint8)})
    with pytest.raises(store.DataError, match="label of train"):
        _drawn.load(_helicity.PROCESS, path)


def test_events_refuse_bad_shapes_and_values() -> None:
    x, theta = np.zeros((3, 6), dtype=np.float32), np.zeros(3, dtype=np.float32)
    with pytest.raises(ValueError, match=r"x must have shape \(events, observables\)"):
        Simulated(x[0], theta)
    with pytest.raises(ValueError, match="theta must hold one value an event"):
        Simulated(x, theta[:2])
    x[1, 2] = np.nan
    with pytest.raises(ValueError, match="x of 1 events is NaN or infinite, first of event 1"):
        Simulated(x, theta)


def test_events_are_at_home_in_other_libraries() -> None:
    test = eft_toy.load().test.take(range(4))
    assert test.inputs.to_numpy().shape == (4, 7)
    assert tuple(test.inputs.to_torch().shape) == (4, 7)
    assert list(test.inputs.to_frame()) == ["x0", "x1", "x2", "x3", "x4", "x5", "theta"]
    gold: Gold = test.targets
    assert list(gold.to_frame()) == ["label", "c1", "c2"]
