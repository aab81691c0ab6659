"""Intervals, ranks and ties: by hand, by slow twins, on simulated boards of known truth."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.running import scoring
from physbench.leaderboard import quantiles, record, statistics
from physbench.leaderboard.statistics import Scores
from physbench.tasks import Metric

Floats = NDArray[np.float64]


def simulated(
    generator: np.random.Generator,
    *,
    seeds: int,
    units: int,
    seed_sd: float,
    unit_sd: float,
    interaction_sd: float = 0.0,
    truth: float = 0.0,
    effects: Floats | None = None,
    resamples: int = 300,
) -> Scores:
    """Scores that are means over units of truth + seed + unit + seed-by-unit effects."""
    each = truth + generator.normal(0, seed_sd, (seeds, 1))
    each = each + (generator.normal(0, unit_sd, units) if effects is None else effects)
    each = each + generator.normal(0, interaction_sd, (seeds, units))
    drawn = np.random.default_rng(0).integers(0, units, (resamples, units))
    return Scores(each.mean(1), each[:, drawn].mean(2), units)


def coverage(make: Callable[[np.random.Generator], Scores], trials: int = 1500) -> float:
    generator = np.random.default_rng(1)
    inside = 0
    for _ in range(trials):
        estimate = statistics.row(make(generator))
        inside += estimate.low <= 0.0 <= estimate.high
    return inside / trials


@pytest.mark.parametrize(
    ("seeds", "units", "seed_sd", "unit_sd", "interaction_sd"),
    [
        (1, 60, 0.0, 1.0, 0.0),  # a deterministic model
        (3, 60, 0.5, 0.8, 0.0),  # three seeds that matter more than the units
        (3, 60, 0.1, 1.0, 0.0),
        (5, 60, 0.1, 1.0, 0.5),
        (5, 40, 0.0, 0.5, 1.5),  # seeds react to units, nothing else
        (5, 8, 0.05, 0.3, 0.1),  # as few events as the tracking board has
    ],
)
def test_intervals_cover_the_truth(
    seeds: int, units: int, seed_sd: float, unit_sd: float, interaction_sd: float
) -> None:
    found = coverage(
        lambda generator: simulated(
            generator,
            seeds=seeds,
            units=units,
            seed_sd=seed_sd,
            unit_sd=unit_sd,
            interaction_sd=interaction_sd,
        )
    )
    assert 0.93 <= found <= 0.975


def test_clusters_are_the_units() -> None:
    """Fifty events of 200 tracks, correlation 0.05: tracks as units fail, events do not."""
    generator = np.random.default_rng(2)
    naive = clustered = 0
    trials = 400
    for _ in range(trials):
        table = generator.normal(0, math.sqrt(0.05), (50, 1)) + generator.normal(
            0, math.sqrt(0.95), (50, 200)
        )
        events = table.mean(1)
        drawn = generator.integers(0, 50, (300, 50))
        scores = Scores(np.array([events.mean()]), events[drawn].mean(1)[None], 50)
        estimate = statistics.row(scores)
        clustered += estimate.low <= 0 <= estimate.high
        half = 1.96 * table.std() / math.sqrt(table.size)
        naive += abs(table.mean()) <= half
    assert 0.92 <= clustered / trials <= 0.975
    assert naive / trials < 0.6


def test_difference_is_paired_by_unit() -> None:
    generator = np.random.default_rng(3)
    effects = generator.normal(0, 1.0, 100)
    shared = {"seeds": 3, "units": 100, "seed_sd": 0.0, "unit_sd": 0.0, "interaction_sd": 0.02}
    first = simulated(generator, effects=effects, truth=0.05, **shared)  # type: ignore[arg-type]
    second = simulated(generator, effects=effects, **shared)  # type: ignore[arg-type]
    estimate = statistics.difference(first, second)
    assert estimate.low > 0
    assert estimate.p < 1e-6
    assert statistics.row(first).error > 20 * estimate.error
    with pytest.raises(ValueError, match="not of one board"):
        statistics.difference(first, Scores(np.array([1.0]), np.zeros((1, 7))))


def test_difference_covers_its_truth() -> None:
    def one(generator: np.random.Generator) -> tuple[Scores, Scores]:
        effects = generator.normal(0, 1.0, 50)
        return tuple(  # type: ignore[return-value]
            simulated(
                generator,
                seeds=3,
                units=50,
                seed_sd=0.05,
                unit_sd=0,
                interaction_sd=0.5,
                effects=effects,
            )
            for _ in range(2)
        )

    generator = np.random.default_rng(4)
    found = [statistics.difference(*one(generator)) for _ in range(1000)]
    assert 0.93 <= np.mean([e.low <= 0 <= e.high for e in found]) <= 0.975
    assert 0.03 <= np.mean([e.p < 0.05 for e in found]) <= 0.07


def test_seed_variance_by_hand() -> None:
    """Two seeds, 0.4 and 0.6, that react alike: all of the spread is the seeds'."""
    units = np.random.default_rng(0).normal(0.0, 0.05, 1000)
    values = np.array([0.4, 0.6])
    scores = Scores(values, values[:, None] + units)
    assert statistics.seed_variance(scores) == pytest.approx(0.02 / 2)
    estimate = statistics.row(scores)
    total = 0.01 + units.var(ddof=1)
    assert estimate.error == pytest.approx(math.sqrt(total))
    # t of one degree: 12.706; Satterthwaite's degrees: total^2/(0.01^2/1).
    quadrature = 12.706**2 * 0.01 + 1.96**2 * units.var(ddof=1)
    common = float(quantiles.student(total**2 / 0.01**2))
    half = math.sqrt(math.sqrt(quadrature * total) * common)
    assert estimate.width == pytest.approx(half / math.sqrt(total), rel=1e-3)
    assert statistics.seed_variance(Scores(values[:1], units[None])) == 0


def test_one_row_without_seeds_has_its_bootstrap_deviation_longer_where_it_is_skewed() -> None:
    units = np.random.default_rng(0).normal(2.0, 0.1, 4000)
    units -= units.mean() - 2
    even = statistics.row(Scores(np.array([2.0]), units[None]))
    assert even.low == pytest.approx(2 - 1.96 * 0.1, rel=0.01)
    skewed = statistics.row(
        Scores(np.array([2.0]), (2 + 0.1 * (units - 2) + (units - 2) ** 2)[None])
    )
    assert skewed.high - 2 > 2 - skewed.low > 0


def rates(generator: np.random.Generator, rate: float, seeds: int, units: int) -> Scores:
    """Units that pass or fail, each seed on its own account."""
    each = (generator.random((seeds, units)) < rate).astype(float)
    return bootstrapped(each, bounds=(0.0, 1.0))


def clusters(generator: np.random.Generator, icc: float, number: int, size: int) -> Scores:
    """Clusters of `size` correlated items with mean zero, resampled by cluster."""
    each = generator.normal(0, math.sqrt(icc), (number, 1))
    each = each + generator.normal(0, math.sqrt(1 - icc), (number, size))
    return bootstrapped(each.mean(1)[None])


def lognormal(generator: np.random.Generator, sigma: float, seeds: int, units: int) -> Scores:
    effects = generator.lognormal(0, sigma, units) - math.exp(sigma**2 / 2)
    own = generator.normal(0, 0.3, (seeds, units)) * (seeds > 1)
    return bootstrapped(effects + own)


def bootstrapped(each: Floats, bounds: tuple[float, float] = statistics.UNBOUNDED) -> Scores:
    """(seeds, units) values, and the means of 300 resamples of the units."""
    units = each.shape[1]
    drawn = np.random.default_rng(0).integers(0, units, (300, units))
    counts = np.array([np.bincount(d, minlength=units) for d in drawn]) / units
    return Scores(each.mean(1), each @ counts.T, units, bounds)


def covered(make: Callable[[np.random.Generator], Scores], truth: float, trials: int) -> float:
    generator = np.random.default_rng(2)
    found = [statistics.row(make(generator)) for _ in range(trials)]
    for estimate in found:
        assert estimate.low <= estimate.value <= estimate.high
    return float(np.mean([e.low <= truth + 1e-12 and truth - 1e-12 <= e.high for e in found]))


# Standard error of a coverage by 800 trials: 0.8 %. A rate of .999 takes few values, and no
# interval covers exactly 95 % of them.
@pytest.mark.parametrize(
    ("make", "truth", "least", "most"),
    [
        (lambda g: lognormal(g, 0.5, 1, 8), 0.0, 0.92, 0.975),
        (lambda g: lognormal(g, 1.0, 1, 25), 0.0, 0.92, 0.975),
        (lambda g: lognormal(g, 1.0, 3, 100), 0.0, 0.92, 0.98),
        (lambda g: rates(g, 0.99, 1, 1000), 0.99, 0.92, 0.98),
        (lambda g: rates(g, 0.99, 3, 400), 0.99, 0.93, 0.99),
        (lambda g: rates(g, 0.999, 1, 1000), 0.999, 0.92, 0.995),
        (lambda g: rates(g, 0.999, 3, 1000), 0.999, 0.93, 0.99),
        (lambda g: clusters(g, 0.1, 50, 10), 0.0, 0.92, 0.975),
        (lambda g: clusters(g, 0.3, 50, 10), 0.0, 0.92, 0.975),
        (lambda g: clusters(g, 0.3, 8, 10), 0.0, 0.92, 0.975),
    ],
    ids=[
        "lognormal-1x8",
        "lognormal-1x25",
        "lognormal-3x100",
        "rate99-1x1000",
        "rate99-3x400",
        "rate999-1x1000",
        "rate999-3x1000",
        "icc10-50x10",
        "icc30-50x10",
        "icc30-8x10",
    ],
)
def test_intervals_cover_on_every_kind_of_board(
    make: Callable[[np.random.Generator], Scores], truth: float, least: float, most: float
) -> None:
    assert least <= covered(make, truth, 800) <= most


@pytest.mark.parametrize("size", [1, 2, 3, 200, 1001])
def test_percentiles_are_those_of_numpy(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size)
    expected = np.quantile(values, (statistics.TAIL, 1 - statistics.TAIL))
    assert statistics._percentiles(values) == tuple(expected)


def test_intervals_stay_within_bounds_and_are_never_empty() -> None:
    """A rate of 1 in 1000 units reaches down; one of 0 reaches up; a constant 0.5 cannot tell."""
    for value, low, high in ((1.0, 0.9975, 1.0), (0.0, 0.0, 0.0025), (0.5, 0.5, 0.5)):
        scores = Scores(np.array([value]), np.full((1, 50), value), 1000, (0.0, 1.0))
        found = statistics.row(scores)
        assert (found.low, found.high) == pytest.approx((low, high), abs=2e-4)
    noise = np.random.default_rng(0).normal(0.02, 0.02, (1, 500))
    found = statistics.row(Scores(np.array([0.02]), noise, 50, (0.0, math.inf)))
    assert found.low == 0.0 < found.value < found.high


def test_mean_over_folds_is_the_mean_over_their_units() -> None:
    """Fold 0 has 10 units and two seeds, fold 1 has 30 units and one."""
    replicates = np.random.default_rng(0).normal(0, 0.1, (3, 200))
    values = np.array([1.0, 3.0, 6.0])
    row = Scores(values, replicates, 40, folds=(0, 0, 1), sizes=(10, 10, 30))
    assert row.weights.tolist() == [0.125, 0.125, 0.75]
    assert statistics.row(row).value == pytest.approx(0.25 * 2 + 0.75 * 6)
    assert row.of_folds({1}).units == 30
    other = Scores(values[:2] + 1, replicates[:2], 10, folds=(0, 0), sizes=(10, 10))
    assert statistics.difference(other, row).value == pytest.approx(1.0)  # on fold 0
    expected = statistics.difference(other, row).p
    assert statistics._pairwise([row, other])[0, 1] == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="no common fold"):
        statistics.difference(other, row.of_folds({1}))


def test_folds_cover_the_truth() -> None:
    """Five folds of 8 units and a seed each: the choice of the seed is in the interval."""

    def one(generator: np.random.Generator) -> Scores:
        each = generator.normal(0, 0.3, (5, 1)) + generator.normal(0, 1, (5, 8))
        drawn = np.random.default_rng(0).integers(0, 8, (5, 300, 8))
        replicates = np.array([e[d].mean(1) for e, d in zip(each, drawn, strict=True)])
        return Scores(each.mean(1), replicates, 40, folds=tuple(range(5)), sizes=(8,) * 5)

    assert 0.925 <= covered(one, 0.0, 800) <= 0.985


def test_rows_without_bootstrap_have_no_interval() -> None:
    estimate = statistics.row(Scores(np.array([1.0, 2.0]), np.zeros((2, 0))))
    assert estimate.value == 1.5
    assert math.isnan(estimate.low)
    assert math.isnan(statistics.detectable(estimate))


def test_ranks_and_places_by_hand() -> None:
    """A and B cannot be told apart, C is worse than both; D is noisy and overlaps all but A."""
    base = np.random.default_rng(0).normal(0, 1.0, 2000)

    def row(mean: float, own: float, seed: int) -> Scores:
        noise = np.random.default_rng(seed).normal(0, own, 2000)
        return Scores(np.array([mean]), (mean + base + noise)[None])

    rows = [row(3.00, 0.1, 1), row(2.95, 0.1, 2), row(2.0, 0.1, 3)]
    assert statistics.ranks(rows, "max") == [(1, 1, 2), (1, 1, 2), (3, 3, 3)]
    turned = [Scores(-r.values, -r.replicates) for r in rows]
    assert statistics.ranks(turned, "min") == [(1, 1, 2), (1, 1, 2), (3, 3, 3)]
    noisy = [*rows, row(1.0, 2.0, 4)]
    assert statistics.ranks(noisy, "max") == [(1, 1, 3), (1, 1, 3), (3, 3, 4), (3, 1, 4)]
    assert statistics.ranks([], "max") == []


def test_holm_against_a_slow_twin() -> None:
    def slow(p: list[float], level: float) -> set[int]:
        rejected: set[int] = set()
        while len(rejected) < len(p):
            rest = {index: value for index, value in enumerate(p) if index not in rejected}
            least = min(rest, key=lambda index: rest[index])
            if p[least] > level / len(rest):
                break
            rejected.add(least)
        return rejected

    source = random.Random(0)
    for _ in range(200):
        p = [source.random() ** 4 for _ in range(source.randint(1, 8))]
        found = {index for index, no in enumerate(statistics.holm(p, 0.05)) if no}
        assert found == slow(p, 0.05)


def test_detectable_difference_is_found_with_its_power() -> None:
    generator = np.random.default_rng(5)
    shared = {"seeds": 1, "units": 400, "seed_sd": 0.0, "unit_sd": 1.0}
    size = statistics.detectable(statistics.row(simulated(generator, **shared)))  # type: ignore[arg-type]
    assert size == pytest.approx((1.96 + 0.84) * math.sqrt(2) / 20, rel=0.1)
    found = 0
    for _ in range(300):
        first = statistics.row(simulated(generator, truth=size, **shared))  # type: ignore[arg-type]
        second = statistics.row(simulated(generator, **shared))  # type: ignore[arg-type]
        error = math.hypot(first.error, second.error)
        found += abs(first.value - second.value) > 1.96 * error
    assert 0.72 <= found / 300 <= 0.88


def test_bootstrap_against_a_slow_twin() -> None:
    """The replicates of a metric, with plain loops over the same resamples."""

    def mean(targets: Floats, predictions: Floats) -> float:
        return float(np.mean(predictions - targets))

    generator = np.random.default_rng(6)
    targets, predictions = generator.random(7), generator.random(7)
    draws = list(scoring.resamples(7, 50, "ab" * 32))
    fast = scoring.replicates(Metric(mean, "1", "max"), targets, predictions, draws)
    for value, units in zip(fast, draws, strict=True):
        total = 0.0
        for unit in units.tolist():
            total += predictions[unit] - targets[unit]
        assert value == pytest.approx(total / 7)
    assert np.std(fast) > 0


def test_resamples_depend_on_the_split_alone() -> None:
    """One at a time they are the same as all at once: what committed records were scored with."""
    key = "0123456789abcdef" * 4
    together = np.random.default_rng(int(key[:16], 16)).integers(0, 13, size=(40, 13))
    assert (np.array(list(scoring.resamples(13, 40, key))) == together).all()


def test_all_pairs_at_once_are_the_pairs_one_by_one() -> None:
    generator = np.random.default_rng(7)
    effects = generator.normal(0, 1.0, 30)
    rows = [
        simulated(
            generator,
            seeds=1 + k % 4,
            units=30,
            seed_sd=0.1,
            unit_sd=0,
            interaction_sd=0.3,
            effects=effects,
            truth=0.1 * k,
        )
        for k in range(6)
    ]
    rows += [Scores(rows[0].values, np.zeros((1, 0)), 30)]
    found = statistics._pairwise(rows)
    for i in range(6):
        for j in range(6):
            expected = statistics.difference(rows[i], rows[j]).p
            assert found[i, j] == pytest.approx(expected, rel=1e-6), (i, j)
    assert (found[6] == 1).all()


def test_all_pairs_over_folds_at_once_are_the_pairs_one_by_one() -> None:
    """Three folds of unequal size, some with two seeds; the fourth row is the first one again."""
    generator = np.random.default_rng(3)
    shared = generator.gamma(2.0, 0.1, (3, 400))
    rows = []
    for k in range(4):
        folds = (0, 1, 2) if k % 2 else (0, 0, 1, 2, 2)
        values = generator.normal(0.02 * k, 0.1, len(folds))
        noise = generator.normal(0, 0.05, (len(folds), 400)) ** 2
        sizes = tuple((8, 12, 30)[fold] for fold in folds)
        units = shared[list(folds)] + noise
        rows.append(Scores(values, units, 50, folds=folds, sizes=sizes))
    rows.append(rows[0])
    found = statistics._pairwise(rows)
    for i in range(5):
        for j in range(5):
            expected = statistics.difference(rows[i], rows[j]).p
            assert found[i, j] == pytest.approx(expected, rel=1e-6), (i, j)
    assert found[0, 4] == 1


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_intervals_over_folds_cover(noise: float) -> None:
    """Five folds of three units, each trained anew: units and trainings both vary."""
    random = np.random.default_rng(7)
    draws = random.integers(0, 3, (200, 3))
    inside = paired = 0
    for _ in range(400):
        shared = random.normal(0.7, 0.05, (5, 3))
        rows = []
        for gain in (0.0, 0.01):
            units = shared + gain + random.normal(0, 0.01, (5, 3))
            units += random.normal(0, noise, (5, 1))  # of the training of a fold
            replicates = units[:, draws].mean(2)
            rows.append(
                Scores(units.mean(1), replicates, 15, folds=tuple(range(5)), sizes=(3,) * 5)
            )
        found = statistics.row(rows[0])
        inside += found.low <= 0.7 <= found.high
        apart = statistics.difference(rows[1], rows[0])
        paired += apart.low <= 0.01 <= apart.high
    assert 0.92 <= inside / 400 <= 0.985
    assert 0.92 <= paired / 400 <= 0.985


def test_folds_by_hand() -> None:
    values = np.array([1.0, 3.0])
    replicates = np.array([[0.0, 2.0], [2.0, 4.0]])  # variance 2 each, of two units: 4 unbiased
    scores = Scores(values, replicates, 4, folds=(0, 1), sizes=(2, 2))
    found = statistics.row(scores)
    assert found.value == 2.0
    # Units: (4 + 4)/4 = 2. The folds' means vary by 2, less than their units do: nothing more.
    assert found.error == pytest.approx(2**0.5)


def test_interval_of_one_record_covers_where_percentiles_do_not() -> None:
    """Eight events: what a record states, and what older ones stated."""
    generator = np.random.default_rng(6)
    inside = {"today": 0, "older": 0}
    for _ in range(800):
        scores = bootstrapped(generator.normal(size=(1, 8)))
        ways = {
            "today": statistics.described(scores),
            "older": "bootstrap over units, 300 resamples, 95% percentile interval",
        }
        for name, method in ways.items():
            low, high = statistics.interval(scores, method) or (math.nan, math.nan)
            inside[name] += low <= 0 <= high
    assert 0.93 <= inside["today"] / 800 <= 0.975
    assert inside["older"] / 800 < 0.91


def test_what_a_record_says_of_its_interval_is_read_back() -> None:
    replicates = np.random.default_rng(0).normal(0.5, 0.1, 200)
    for bounds in (statistics.UNBOUNDED, (0.0, 1.0), (-math.inf, 1.0), (1e-7, 2.5e8)):
        scores = Scores(np.array([0.5]), replicates[None], 30, bounds)
        method = statistics.described(scores)
        again = statistics.stated(method, 0.5, replicates)
        assert again is not None
        assert (again.units, again.bounds) == (30, bounds)
        assert statistics.interval(again, method) == statistics.interval(scores, method)
    assert statistics.stated("no interval", 0.5, replicates) is None
    with pytest.raises(ValueError, match="200 replicates, but 'bootstrap over 8 units, 300"):
        statistics.stated(method.replace("30 units, 200", "8 units, 300"), 0.5, replicates)


def test_a_record_of_few_units_gives_its_interval_again() -> None:
    # Quantiles of Student's t with one or two degrees of freedom multiply the rounding of the
    # stored resamples; a record that refuses its own interval would lose the result.
    generator = np.random.default_rng(0)
    for _ in range(300):
        units = int(generator.integers(2, 9))
        sample = generator.lognormal(0, generator.uniform(0, 2), units) * generator.choice([-1, 1])
        drawn = sample[generator.integers(0, units, (1000, units))].mean(1)
        value = float(sample.mean())
        scores = statistics.Scores(np.array([value]), drawn[None], units)
        method = statistics.described(scores)
        low, high = statistics.interval(scores, method) or (math.nan, math.nan)
        part = record.MetricPart(
            name="score",
            version=1,
            value=value,
            low=low,
            high=high,
            method=method,
            unit="1",
            best="max",
            replicates=record.encode(drawn),
        )
        assert record._replicates(part) is None
        wider = replace(part, high=high + 0.01 * (high - low))
        assert "replicates give" in str(record._replicates(wider))
