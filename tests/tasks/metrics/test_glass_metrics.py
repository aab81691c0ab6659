"""Metrics of `glass_mobility` against numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from physbench.datasets.liquids import Mobility
from physbench.tasks import Variant
from physbench.tasks.glass_mobility import TASK, admit, prepare
from physbench.tasks.metrics import propensity


def mobility(values: list[list[float]], types: list[int], **more: object) -> Mobility:
    """Propensities (t, n) at times 1, 2, ...; the last one is tau_alpha."""
    table = np.array(values, dtype=np.float32)
    times = np.arange(1.0, len(table) + 1)
    return Mobility(np.array(types), times, len(table) - 1, table, **more)  # type: ignore[arg-type]


TWO = [
    mobility([[1, 2, 3, 4]], [0, 0, 0, 0]),
    mobility([[11, 12, 13, 14]], [0, 0, 0, 0]),
]


def test_propensity_is_the_mean_of_lengths() -> None:
    ends = [[[1.0, 0, 0]], [[0, 2.0, 0]], [[0, 0, 2.0]]]
    assert propensity.propensity(ends) == pytest.approx([5 / 3])


def test_bonds_kept() -> None:
    far = np.full((14, 14), 3.0)
    initial, final = far.copy(), far.copy()
    initial[0, 1:13] = 1.1  # twelve neighbours
    final[0, 1:10] = 1.3  # nine of them stayed
    final[0, 13] = 1.0  # a newcomer does not count
    kept = propensity.bonds_kept(initial, final, inner=1.4, outer=1.8)
    assert kept[0] == pytest.approx(0.75)
    assert math.isnan(kept[5])


def test_cage_without_neighbours_is_undefined() -> None:
    found = propensity.cage_relative([[1.0], [2.0]], [np.array([1]), np.array([], dtype=int)])
    assert found[0] == pytest.approx(1.0)
    assert math.isnan(found[1])


def test_bessel_function_in_two_dimensions() -> None:
    assert propensity.self_scattering([1.0], 2.404825557695773, dimension=2) == pytest.approx(0)
    with pytest.raises(ValueError, match="2 or 3"):
        propensity.self_scattering([1.0], 1.0, dimension=4)


def test_correlations_of_edge_cases() -> None:
    assert math.isnan(propensity.correlation([1, 2], [1, 2]))
    assert math.isnan(propensity.correlation([1, 2, 3], [5, 5, 5]))
    assert propensity.correlation([7, 7, 7], [1, 2, 3]) == 0
    assert propensity.rank_correlation([7, 7, 7], [1, 2, 3]) == 0
    assert propensity.rank_correlation([1, 2, 3, 4], [2, 1, 4, 3]) == pytest.approx(0.6)
    with pytest.raises(ValueError, match="same shape"):
        propensity.correlation([1, 2, 3], [1, 2])


def test_pooled_and_per_configuration_differ() -> None:
    predictions = [np.array([[1.0], [2], [3], [4]]), np.array([[14.0], [13], [12], [11]])]
    assert propensity.pearson(TWO, predictions) == pytest.approx(0)  # +1 and -1
    # Between the configurations the prediction is right; by hand: cov 25, variances 26.25.
    assert propensity.pooled_pearson(TWO, predictions) == pytest.approx(25 / 26.25)


def test_types_are_never_mixed() -> None:
    target = [mobility([[1, 2, 3, 9, 8, 7]], [0, 0, 0, 1, 1, 1])]
    predictions = [np.array([[1.0], [2], [3], [7], [8], [9]])]
    assert propensity.pearson(target, predictions) == pytest.approx(1)
    assert propensity.pearson_slices(target, predictions)["type B"] == pytest.approx(-1)


def test_rmse_slope_and_the_curve_over_times() -> None:
    target = [mobility([[4, 3, 2, 1], [2, 4, 6, 8]], [0, 0, 0, 0])]
    both = [np.array([[1.0, 1], [2, 2], [3, 3], [4, 4]])]
    assert propensity.rmse(target, both) == pytest.approx(math.sqrt((1 + 4 + 9 + 16) / 4))
    assert propensity.slope(target, both) == pytest.approx(2)
    assert math.isnan(propensity.slope(target, [np.ones((4, 1))]))
    slices = propensity.pearson_slices(target, both)
    assert slices == pytest.approx({"t=1": -1, "t=2": 1, "mean over times": 0})
    alone = propensity.pearson_slices(target, [both[0][:, :1]])
    assert alone == pytest.approx({"t=2": 1})


def test_noise_ceiling_finds_the_true_correlation() -> None:
    random = np.random.default_rng(0)
    true = random.normal(1, 0.15, 20_000)
    lengths = true + random.normal(0, 0.4, (32, len(true)))
    measured = lengths.mean(0)
    found = propensity.correlation(true, measured)
    assert found == pytest.approx(0.9045, abs=0.003)  # sqrt(0.15^2/(0.15^2 + 0.4^2/32))
    spread = lengths.std(0, ddof=1)
    assert propensity.ceiling_from_pairs(lengths) == pytest.approx(found, abs=0.005)
    halves = lengths[::2].mean(0), lengths[1::2].mean(0)
    assert propensity.ceiling_from_halves(*halves) == pytest.approx(found, abs=0.005)
    assert propensity.ceiling_from_spread(measured, spread, 32) == pytest.approx(found, abs=0.005)
    with pytest.raises(ValueError, match="at least 2"):
        propensity.ceiling_from_pairs(lengths[:1])


def test_what_all_particles_of_a_trajectory_share_is_no_noise() -> None:
    random = np.random.default_rng(3)
    lengths = random.normal(1, 0.2, 5000) + random.normal(0, 0.3, (8, 5000))
    shared = lengths + random.normal(0, 1.0, (8, 1))
    assert propensity.ceiling_from_pairs(shared) == pytest.approx(
        propensity.ceiling_from_pairs(lengths), abs=1e-12
    )
    pairs = [
        np.cov(a, b, ddof=0)[0, 1]
        for j, a in enumerate(lengths)
        for k, b in enumerate(lengths)
        if j != k
    ]
    by_pairs = math.sqrt(np.mean(pairs) / lengths.mean(0).var())
    assert propensity.ceiling_from_pairs(lengths) == pytest.approx(by_pairs, abs=1e-12)


def test_oracle_draws_the_ceiling() -> None:
    from physbench.models.liquids import trajectory_halves

    random = np.random.default_rng(1)
    true = random.normal(1, 0.15, 20_000)
    halves = true + random.normal(0, 0.4 / 4, (2, 1, len(true)))
    target = Mobility(
        np.zeros(len(true), dtype=np.int64),
        np.array([1.0]),
        0,
        halves.mean(0).astype(np.float32),
        halves=halves.astype(np.float32),
    )
    prediction = trajectory_halves.predict(None, [], [target])
    expected = propensity.correlation(true, target.propensity[0])
    assert propensity.pearson([target], prediction) == pytest.approx(expected, abs=0.005)
    assert propensity.noise_ceiling([target]) == pytest.approx(expected, abs=0.005)


def test_structure_factor_of_a_wave() -> None:
    x = (np.arange(100) + 0.5)[:, None] * [0.1, 0.0, 0.0]
    wave = np.cos(2 * np.pi * x[:, 0] / 10)
    # Standardised amplitude sqrt(2): |sum|^2/n = n/2 along x; along y and z all phases are equal
    # and the sum of a standardised weight vanishes.
    assert propensity.structure_factor(wave, x, [10, 10, 10]) == pytest.approx(100 / 2 / 3)
    assert propensity.structure_factor(np.ones(100), x, [10, 10, 10]) == 0


def test_chi4_by_hand_and_its_least_number() -> None:
    assert propensity.chi4([0.5, 0.6, 0.4, 0.5], 100) == pytest.approx(2 / 3)
    assert math.isnan(propensity.chi4_ratio(TWO, [m.propensity.T for m in TWO]))
    random = np.random.default_rng(2)
    many = [
        mobility([list(random.normal(0.4 + 0.02 * (k % 5), 0.1, 30))], [0] * 30) for k in range(50)
    ]
    assert propensity.chi4_ratio(many, [m.propensity.T for m in many]) == pytest.approx(1)
    flat = [np.full((30, 1), 0.44)] * 50
    assert propensity.chi4_ratio(many, flat) == pytest.approx(0)


def test_transfer_matrix_names_test_before_training() -> None:
    found = propensity.transfer({0.44: TWO}, {(0.44, 0.64): [m.propensity.T for m in TWO]})
    assert found == {(0.44, 0.64): pytest.approx(1)}


def test_constant_predictions_are_scored_zero_and_flagged() -> None:
    flat = [np.ones((4, 1))] * 2
    assert propensity.pearson(TWO, flat) == 0
    assert propensity.constant_predictions(TWO, flat) == 2
    assert "constant" in (admit({"constant_predictions": 2.0}) or "")
    assert admit({"constant_predictions": 0.0}) is None


def test_predictions_are_checked() -> None:
    inputs = [m.types for m in TWO]
    with pytest.raises(ValueError, match="one array a configuration, 2; got 1"):
        prepare(inputs, [np.ones(4)])  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"configuration 1 needs real predictions of shape \(4,\)"
    ):
        prepare(inputs, [np.ones(4), np.ones(3)])  # type: ignore[arg-type]
    with pytest.raises(FloatingPointError, match="1 predictions of configuration 0"):
        prepare(inputs, [np.array([1, 2, np.nan, 4]), np.ones(4)])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="configuration 1 has 2 columns"):
        prepare(inputs, [np.ones(4), np.ones((4, 2))])  # type: ignore[arg-type]
    for wrong in (np.ones(4) + 0j, np.array(["1"] * 4), np.ma.masked_equal(np.ones(4), 1)):
        with pytest.raises(ValueError, match="predictions of configuration 0"):
            prepare(inputs, [wrong, np.ones(4)])  # type: ignore[arg-type]
    once = prepare(inputs, [np.arange(4) / 3, np.ones((4, 1))])  # type: ignore[arg-type]
    again = prepare(inputs, once)  # type: ignore[arg-type]
    assert [o.shape for o in once] == [(4, 1), (4, 1)]
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert np.abs(once[0][:, 0] - np.arange(4) / 3).max() < 1.3e-4


def test_figures_are_drawn() -> None:
    targets = [
        mobility(
            [[0.1, 0.2, 0.3, 0.1], [1, 2, 3, 4]],
            [0, 0, 0, 0],
            positions=np.zeros((4, 3), dtype=np.float32),
            box=np.ones(3),
            spread=np.full((2, 4), 0.01, dtype=np.float32),
            trajectories=10,
        )
    ] * 2
    predictions = {"all": [m.propensity.T for m in targets], "one": [np.ones((4, 1))] * 2}
    for draw in TASK.figures.values():
        axes = draw(targets, predictions).axes
        assert len(axes) >= 1
        assert any(part.has_data() for part in axes)


@pytest.mark.parametrize("name", ["pearson", "spearman", "pearson_over_ceiling"])
def test_fast_bootstrap_gives_what_resampling_gives(name: str) -> None:
    """Configuration 2 has no defined correlation: no resample counts it."""
    random = np.random.default_rng(3)
    data = random.gamma(2.0, size=(5, 1, 30))
    data[2] = 1.0
    halves = data[:, None] + 0.1 * random.normal(size=(5, 2, 1, 30))
    targets = [
        mobility(list(table), [0] * 30, halves=pair)
        for table, pair in zip(data, halves, strict=True)
    ]
    predictions = [(table + random.normal(size=table.shape)).T for table in data]
    metric = next(m for m in TASK.metrics if m.name == name)
    draws = random.integers(5, size=(20, 5))
    counts = np.array([np.bincount(d, minlength=5) for d in draws])
    assert metric.replicates is not None
    fast = metric.replicates(targets, predictions, counts)
    slow = [metric.function([targets[u] for u in d], [predictions[u] for u in d]) for d in draws]
    np.testing.assert_allclose(fast, slow, rtol=1e-12)


SCORES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.4, 0.3, 0.85)  # four sizes, then .64 and .56 by two


def study_variant(correlation: float, seed: int) -> Variant:
    """Two configurations of 200 A particles whose predictions correlate as asked."""
    random = np.random.default_rng(seed)
    targets, predictions = [], []
    for _ in range(2):
        truth = random.normal(size=200)
        other = random.normal(size=200)
        mixed = correlation * truth + math.sqrt(1 - correlation**2) * other
        types, times = np.zeros(200, dtype=np.int64), np.array([1.0])
        targets.append(Mobility(types, times, 0, (2 + truth).astype(np.float32)[None]))
        predictions.append(mixed[:, None])
    return Variant(targets, predictions, {}, ())


def test_the_study_draws_a_learning_curve_and_a_transfer_matrix() -> None:
    scores = dict(zip(TASK.study, SCORES, strict=True))
    variants = {name: study_variant(r, k) for k, (name, r) in enumerate(scores.items())}
    curve, matrix = (draw(variants) for draw in TASK.study_figures.values())
    (mean,) = [line for line in curve.axes[0].lines if line.get_label() == "mean"]
    assert np.asarray(mean.get_xdata()).tolist() == [2, 4, 7, 10]
    np.testing.assert_allclose(mean.get_ydata(), [0.5, 0.6, 0.7, 0.8], atol=0.1)
    # Rows are temperatures of training, the lower one first; columns those of testing.
    drawn = np.asarray(matrix.axes[0].images[0].get_array())
    np.testing.assert_allclose(drawn, [[0.85, 0.3], [0.4, 0.9]], atol=0.1)
    with pytest.raises(KeyError):
        TASK.study_figures["learning curve"]({})
    with pytest.raises(KeyError):
        TASK.study_figures["transfer between temperatures"]({})
