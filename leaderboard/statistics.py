"""Statistics over records: intervals over units crossed with seeds, paired differences, ranks.

A row is scored by n training seeds on the same test units. Its mean varies because other units
could have been drawn (bootstrap, shared by all seeds and all models), because other seeds could
have been drawn, and because each seed reacts to the units in its own way. The last part is in both
of the first two estimates, so it is taken out of one of them.

Intervals are Student's t, longer on the side to which the units are skewed, and, where a metric
has a lowest and a highest value, the beta interval of a rate with as many trials as its error
tells (Korn and Graubard). Their coverage is simulated in the tests.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physbench.leaderboard import quantiles
from physbench.leaderboard.quantiles import NORMAL

Floats = NDArray[np.float64]

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
SMALLEST_P = 1e-12  # no tail is known further out
# Half widths grow by 1.5 |skewness| where the tail is and shrink by 0.3 |skewness| on the other
# side: of simulated rules one with even coverage over 8 to 100 normal to lognormal units.
TAILED, OTHER = 1.5, 0.3
FEW = 100  # units below which the skewness within bounds is not that of trials
UNBOUNDED = (-math.inf, math.inf)
ROUNDING = 1e-12
POWER_QUANTILE = 0.8416212335729143  # normal quantile at 0.8


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of one row.

    Attributes
    ----------
    values:
        (seeds,): the score of each seed on the test split.
    replicates:
        (seeds, resamples): the same on each bootstrap resample of the units. The resamples are
        those of the split, the same for every row of a board. (seeds, 0) without a bootstrap.
    units:
        Number of test units (of clusters, where they are resampled; of all folds); 0 where it is
        not known and taken as large. A bootstrap of few units is too narrow by sqrt((N - 1)/N)
        and its spread has N - 1 degrees of freedom.
    bounds:
        Lowest and highest value that the metric can have.
    folds, sizes:
        Of each seed, the fold whose units it was tested on and their number; empty where all
        seeds were tested on the same units. The value is then the mean over the units of all
        folds.
    """

    values: Floats
    replicates: Floats
    units: int = 0
    bounds: tuple[float, float] = UNBOUNDED
    folds: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()

    @property
    def weights(self) -> Floats:
        """(seeds,) shares of the seeds in the mean over the units of all folds; they sum to 1."""
        if not self.folds:
            return np.full(len(self.values), 1 / len(self.values))
        seeds = np.array([self.folds.count(fold) for fold in self.folds])
        share = np.array(self.sizes, dtype=np.float64) / seeds
        return np.asarray(share / share.sum())

    def of_folds(self, folds: Set[int]) -> Scores:
        """The seeds that were tested on these folds."""
        kept = [k for k, fold in enumerate(self.folds) if fold in folds]
        chosen = tuple(self.folds[k] for k in kept)
        sizes = tuple(self.sizes[k] for k in kept)
        units = sum(dict(zip(chosen, sizes, strict=True)).values())
        return Scores(self.values[kept], self.replicates[kept], units, self.bounds, chosen, sizes)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A mean, or a difference of means, with what is known of its error.

    Attributes
    ----------
    value:
        The estimate.
    error:
        Its standard error; NaN without a bootstrap.
    width:
        Half width of the interval in units of the error: 1.96, and more where few seeds or units
        tell how large the error is.
    low, high:
        95 % interval.
    p:
        Two-sided probability of a value this far from zero if the truth were zero.
    """

    value: float
    error: float
    width: float
    low: float
    high: float
    p: float


def row(scores: Scores) -> Estimate:
    """The mean of a row over its seeds."""
    found = _estimate([(1.0, scores)])
    low, high = _bounded(found, scores)
    return replace(found, low=min(low, found.value), high=max(high, found.value))


def interval(scores: Scores, method: str) -> tuple[float, float] | None:
    """95 % interval of one record, found as `method` says; None without a bootstrap.

    `method` is what `described` gives today, or the percentiles of older records, which are too
    narrow for few units: boards never show them.
    """
    finite = scores.replicates[np.isfinite(scores.replicates)]
    if PERCENTILE.fullmatch(method):
        return _percentiles(finite) if len(finite) else None
    found = row(scores)
    return (found.low, found.high) if math.isfinite(found.low) else None


def _percentiles(values: Floats) -> tuple[float, float]:
    """The central 95 % of values, as `np.quantile` finds them in five times the time."""
    ordered = np.sort(values)
    ends = []
    for tail in (TAIL, 1 - TAIL):
        place = tail * (len(ordered) - 1)
        below = int(place)
        first, second = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
        part = place - below
        step = second - first
        ends.append(first + step * part if part < 0.5 else second - step * (1 - part))
    return ends[0], ends[1]


def described(scores: Scores, older: str = "") -> str:
    """How the interval of one record is found, in words that `stated` reads.

    `older` is kept where it asks for percentiles.

    >>> scores = Scores(np.zeros(1), np.zeros((1, 200)), 8, (0.0, math.inf))
    >>> described(scores)
    'bootstrap over 8 units, 200 resamples, 95% t interval within [0, inf]'
    """
    if PERCENTILE.fullmatch(older):
        return older
    low, high = scores.bounds
    return (
        f"bootstrap over {scores.units} units, {scores.replicates.shape[1]} resamples, "
        f"{LEVEL:.0%} t interval within [{low:g}, {high:g}]"
    )


NUMBER = r"(-?inf|-?[\d.]+(?:e[+-]?\d+)?)"
METHOD = re.compile(
    rf"bootstrap over (\d+) units, (\d+) resamples, 95% t interval within \[{NUMBER}, {NUMBER}\]"
)
PERCENTILE = re.compile(r"bootstrap over units, (\d+) resamples, 95% percentile interval")


def stated(method: str, value: float, replicates: Floats) -> Scores | None:
    """What the interval of a record was found from; None for a metric's own method.

    Raises ValueError when the number of replicates is another one.
    """
    today, older = METHOD.fullmatch(method), PERCENTILE.fullmatch(method)
    if today is None and older is None:
        return None
    resamples = today[2] if today else older[1]  # type: ignore[index]
    if int(resamples) != len(replicates):
        raise ValueError(f"{len(replicates)} replicates, but '{method}'")
    scores = Scores(np.array([value]), replicates[None])
    if today is None:
        return scores
    return replace(scores, units=int(today[1]), bounds=(float(today[3]), float(today[4])))


def difference(first: Scores, second: Scores) -> Estimate:
    """Mean of `first` minus mean of `second`, paired by unit where both have the same resamples.

    Of rows over several folds the folds that both have are compared.

    Raises ValueError when one has a bootstrap and the other another one, or no fold is common:
    they are not of one board.
    """
    if first.folds and second.folds and set(first.folds) != set(second.folds):
        common = set(first.folds) & set(second.folds)
        if not common:
            raise ValueError(f"no common fold: {sorted(set(first.folds) | set(second.folds))}")
        first, second = first.of_folds(common), second.of_folds(common)
    if first.replicates.shape[1] != second.replicates.shape[1]:
        raise ValueError(
            f"rows with {first.replicates.shape[1]} and {second.replicates.shape[1]} resamples "
            "are not of one board and cannot be paired"
        )
    return _estimate([(1.0, first), (-1.0, second)])


def _estimate(terms: Sequence[tuple[float, Scores]]) -> Estimate:
    value = float(sum(sign * (s.weights @ s.values) for sign, s in terms))
    units = np.sum([sign * (s.weights @ s.replicates) for sign, s in terms], axis=0)
    finite = units[np.isfinite(units)]
    if len(finite) < 2:
        return Estimate(value, *[float("nan")] * 5)
    parts = _of_folds(terms) if terms[0][1].folds else _of_seeds(terms, finite)
    variance = parts[0][0]
    error = math.sqrt(sum(v for v, _ in parts))
    if error <= ROUNDING * abs(value):
        p = 1.0 if abs(value) <= ROUNDING else SMALLEST_P
        return Estimate(value, 0.0, NORMAL, value, value, p)
    half = float(half_width(np.array([v for v, _ in parts]), np.array([f for _, f in parts])))
    skew = float(_skewness(finite) * (variance / error**2) ** 1.5)
    down, up = (half * float(arm) for arm in arms(skew))
    return Estimate(
        value,
        error,
        half / error,
        round(value - down, 12),
        round(value + up, 12),
        float(_chance(value, half, skew)),
    )


def _of_seeds(terms: Sequence[tuple[float, Scores]], units: Floats) -> list[tuple[float, float]]:
    """(variance, degrees of freedom) of the units, then of the seeds of each row."""
    count = min(s.units for _, s in terms)
    variance = float(units.var(ddof=1)) * (count / (count - 1) if count > 1 else 1.0)
    parts = [(variance, count - 1 if count > 1 else math.inf)]
    return parts + [(seed_variance(s), max(len(s.values) - 1, 1)) for _, s in terms]


def _of_folds(terms: Sequence[tuple[float, Scores]]) -> list[tuple[float, float]]:
    """The same for rows over folds, whose units and trainings both differ from fold to fold.

    A bootstrap of the n units of a fold is too narrow by sqrt((n - 1)/n). What the means of the
    folds scatter beyond that comes from their trainings; both are of the rows' difference, so
    that what the rows share drops out.
    """
    folds = sorted(set(terms[0][1].folds))
    sizes = dict(zip(terms[0][1].folds, terms[0][1].sizes, strict=True))
    count = np.array([sizes[fold] for fold in folds], dtype=np.float64)
    share = count / count.sum()
    values, within = np.zeros(len(folds)), np.zeros(len(folds))
    for place, fold in enumerate(folds):
        own = [(sign, np.array(s.folds) == fold, s) for sign, s in terms]
        values[place] = sum(sign * s.values[seeds].mean() for sign, seeds, s in own)
        units = np.sum([sign * s.replicates[seeds].mean(0) for sign, seeds, s in own], axis=0)
        within[place] = np.nanvar(units, ddof=1) * count[place] / max(count[place] - 1, 1)
    spread = float(values.var(ddof=1) - within.mean()) if len(folds) > 1 else 0.0
    return [
        (float(share**2 @ within), max(float((count - 1).sum()), 1.0)),
        (max(spread, 0.0) * float(share @ share), max(len(folds) - 1, 1)),
    ]


def half_width(variances: Floats, freedom: Floats) -> Floats:
    """Half width of the 95 % interval of a sum of independent errors; the parts come first.

    The geometric mean of two rules that agree where one part dominates: half widths of the parts,
    each with its own t, in quadrature (covers 95 to 98 % by simulation), and the total error with
    the t of Satterthwaite's degrees of freedom (93 to 96 %).

    >>> float(half_width(np.array([1.0, 0.0]), np.array([7.0, 2.0])).round(4))
    2.3646
    """
    total = variances.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        common = total**2 / (variances**2 / freedom).sum(0)
    quadrature = (variances * quantiles.student(freedom) ** 2).sum(0)
    return np.asarray(
        (quadrature * total * quantiles.student(np.where(total > 0, common, 1)) ** 2) ** 0.25
    )


def _skewness(values: Floats) -> float:
    """Third central moment over the cube of the deviation; 0 for a constant."""
    centred = values - values.mean()
    squares = centred * centred  # a power takes fifty times as long
    scale = math.sqrt(float(np.mean(squares)))
    return (
        float(np.mean(squares * centred)) / scale**3
        if scale > ROUNDING * abs(values.mean())
        else 0.0
    )


def arms(skew: ArrayLike) -> tuple[Floats, Floats]:
    """What the half width below and above is multiplied with; skew that of the mean.

    >>> [float(arm) for arm in arms(0.5)]
    [0.85, 1.75]
    """
    size = np.minimum(np.abs(skew), 1.0)
    longer, shorter = 1 + TAILED * size, 1 - OTHER * size
    right = np.asarray(skew) > 0
    return np.where(right, shorter, longer), np.where(right, longer, shorter)


def _chance(difference: ArrayLike, half: ArrayLike, skew: ArrayLike) -> Floats:
    """Two-sided probability: below 5 % exactly where the interval leaves zero out."""
    down, up = arms(skew)
    arm = np.asarray(half) * np.where(np.asarray(difference) > 0, down, up)
    return np.maximum(quantiles.tails(difference / arm * NORMAL), SMALLEST_P)


def _bounded(found: Estimate, scores: Scores) -> tuple[float, float]:
    """The interval of a row within the bounds of its metric.

    Between two bounds it is that of a rate p with n* = p (1 - p)/error^2 trials, in which the
    error is widened as Student's t asks: quantiles of Beta(p n* + 1/2, (1 - p) n* + 1/2). Where
    all units stand at a bound, n* is their number.
    """
    lowest, highest = scores.bounds
    span = highest - lowest
    if not math.isfinite(found.low):
        return found.low, found.high
    if not math.isfinite(span):
        return max(found.low, lowest), min(found.high, highest)
    p = (found.value - lowest) / span
    half = found.error * found.width / NORMAL / span
    if half == 0 and (0 < p < 1 or not scores.units):
        return found.low, found.high
    trials = p * (1 - p) / half**2 if half and 0 < p < 1 else float(scores.units)
    low, high = (lowest + span * end for end in rate_interval(p, trials))
    if scores.units > FEW or not found.error:
        return low, high
    # A few clusters of a rate near its bound are more skewed than trials are.
    return max(min(low, found.low), lowest), min(max(high, found.high), highest)


def rate_interval(p: float, trials: float) -> tuple[float, float]:
    """Jeffreys' 95 % interval of a rate; it reaches 0 or 1 where the rate does.

    Source: Brown, Cai, DasGupta, Stat. Sci. 16 (2001) 101; with effective trials: Korn and
    Graubard, Surv. Methodol. 24 (1998) 193.

    >>> [round(v, 4) for v in rate_interval(0.8, 10)]
    [0.4972, 0.9559]
    """
    a, b = p * trials + 0.5, (1 - p) * trials + 0.5
    low = 0.0 if p == 0 else quantiles.beta(TAIL, a, b)
    high = 1.0 if p == 1 else quantiles.beta(1 - TAIL, a, b)
    return round(min(low, p), 12), round(max(high, p), 12)


def seed_variance(scores: Scores) -> float:
    """Variance of the mean that comes from the choice of seeds, beyond that of the units.

    (s^2 - i^2)/n with s^2 the variance of the values over seeds and i^2 the part of it that comes
    from the units: the mean over seeds of the bootstrap variance of a seed's deviation from the
    mean of all, times n/(n - 1). Not below zero; zero for one seed.
    """
    n = len(scores.values)
    if n == 1:
        return 0.0
    weights = scores.weights
    own = scores.replicates - weights @ scores.replicates
    var = np.var if np.isfinite(own).all() else np.nanvar  # which takes four times as long
    interaction = float(var(own, axis=1).mean()) * n / (n - 1)
    spread = max(float(scores.values.var(ddof=1)) - interaction, 0.0)
    return spread * float(weights @ weights)


def detectable(estimate: Estimate) -> float:
    """Smallest difference to another row, measured alike but on its own, that would be found.

    (w + z) sqrt(2) error, w the half width of the interval over the error: at the 5 % level with
    a power of 80 %. Paired comparisons find smaller ones.
    """
    return float((estimate.width + POWER_QUANTILE) * 2**0.5 * estimate.error)


def holm(p: Sequence[float] | Floats, level: float = 1 - LEVEL) -> list[bool]:
    """Which of many tests reject, with at most `level` probability of any false one (Holm).

    >>> holm([0.01, 0.04, 0.03, 0.005])
    [True, False, False, True]
    """
    order = np.argsort(p, kind="stable")
    rejected = [False] * len(p)
    for place, index in enumerate(order):
        if not p[index] <= level / (len(p) - place):
            break
        rejected[index] = True
    return rejected


def ranks(rows: Sequence[Scores], best: str) -> list[tuple[int, int, int]]:
    """(rank, lowest, highest) of rows, which come in the order of their means, best first.

    Every pair is compared, paired by unit, and Holm's procedure decides over all pairs together.
    A row shares the rank of the first row above it from which it does not differ. It may stand
    as low as one place below all rows that are significantly better, as high as one above all that
    are significantly worse. `best` is "max", "min" or "zero".
    """
    count = len(rows)
    first, second = np.triu_indices(count, 1)
    apart = np.zeros((count, count), dtype=bool)
    apart[first, second] = holm(_pairwise(rows)[first, second]) if count else []
    means = np.array([float(r.weights @ r.values) for r in rows])
    score = {"max": means, "min": -means, "zero": -np.abs(means)}[best]
    better = score[:, None] > score[None, :]
    shared: list[int] = []
    leader = 0
    for place in range(count):
        if place and apart[leader, place]:
            leader = place
        shared.append(leader + 1)
    apart |= apart.T
    above = (apart & better).sum(0)
    below = (apart & better).sum(1)
    return [(shared[k], 1 + int(above[k]), count - int(below[k])) for k in range(count)]


def _pairwise(rows: Sequence[Scores]) -> Floats:
    """(rows, rows): p of each difference as `difference` finds it, for all pairs at once.

    1 where a pair has no common bootstrap. A replicate that is not defined counts as the mean.
    """
    p = np.ones((len(rows), len(rows)))
    kinds: dict[tuple[int, frozenset[int]], list[int]] = {}
    for index, row_ in enumerate(rows):
        if row_.replicates.shape[1] > 1:
            kinds.setdefault((row_.replicates.shape[1], frozenset(row_.folds)), []).append(index)
    for (_, folds), chosen in kinds.items():
        alike = _alike_folds if folds else _alike
        p[np.ix_(chosen, chosen)] = alike([rows[k] for k in chosen])
    for one, two in itertools.combinations(kinds.items(), 2):
        common = one[0][1] & two[0][1]
        if one[0][0] == two[0][0] and common:
            found = _alike_folds([rows[k].of_folds(common) for k in one[1] + two[1]])
            p[np.ix_(one[1], two[1])] = found[: len(one[1]), len(one[1]) :]
            p[np.ix_(two[1], one[1])] = found[len(one[1]) :, : len(one[1])]
    return p


def _alike(group: Sequence[Scores]) -> Floats:
    """p of all pairs of rows that were tested on the same units."""
    units = np.array([r.weights @ r.replicates for r in group])
    count = min(r.units for r in group)
    variance, skew, scale = _apart(units)
    variance *= count / (count - 1) if count > 1 else 1.0
    seeds = np.array([seed_variance(r) for r in group])
    own_freedom = np.array([max(len(r.values) - 1, 1) for r in group], dtype=np.float64)
    parts = [
        (variance, np.asarray(count - 1 if count > 1 else math.inf)),
        (seeds[:, None], own_freedom[:, None]),
        (seeds[None, :], own_freedom[None, :]),
    ]
    return _chances(group, parts, skew, scale)


def _alike_folds(group: Sequence[Scores]) -> Floats:
    """p of all pairs of rows over the same folds, as `_of_folds` finds the two parts of one."""
    folds = sorted(set(group[0].folds))
    sizes = dict(zip(group[0].folds, group[0].sizes, strict=True))
    count = np.array([sizes[fold] for fold in folds], dtype=np.float64)
    share = count / count.sum()
    own = [[np.array(r.folds) == fold for fold in folds] for r in group]
    values = np.array([[r.values[k].mean() for k in o] for r, o in zip(group, own, strict=True)])
    units = [
        np.array([r.replicates[o[f]].mean(0) for r, o in zip(group, own, strict=True)])
        for f in range(len(folds))
    ]
    wider = count / np.maximum(count - 1, 1)
    within = np.array([_apart(u)[0] * w for u, w in zip(units, wider, strict=True)])
    _, skew, scale = _apart(np.array([r.weights @ r.replicates for r in group]))
    apart = values[:, None] - values[None, :]
    spread = apart.var(-1, ddof=1) - within.mean(0) if len(folds) > 1 else np.zeros(skew.shape)
    parts = [
        (np.tensordot(share**2, within, 1), np.asarray(max((count - 1).sum(), 1.0))),
        (np.maximum(spread, 0.0) * (share @ share), np.asarray(max(len(folds) - 1.0, 1.0))),
    ]
    return _chances(group, parts, skew, scale)


def _apart(units: Floats) -> tuple[Floats, Floats, float]:
    """Variance and skewness over the resamples of all differences of rows, and their scale."""
    defined = np.isfinite(units)
    centre = np.nanmean(units, axis=1, keepdims=True)
    units = np.where(defined, units - centre, 0.0)
    squares = units**2
    own, third = squares.mean(1), (squares * units).mean(1)
    resamples = units.shape[1]
    variance = np.maximum(own[:, None] + own[None, :] - 2 * units @ units.T / resamples, 0)
    cross = squares @ units.T / resamples
    third = third[:, None] - third[None, :] - 3 * cross + 3 * cross.T
    scale = float(np.abs(centre[:, 0]).max() + np.sqrt(own.max()))
    variance[variance < (ROUNDING * scale) ** 2] = 0.0  # what rounding leaves of equal rows
    with np.errstate(divide="ignore", invalid="ignore"):
        skew = np.where(variance > 0, third / variance**1.5, 0.0)
    return variance * (resamples / (resamples - 1)), skew, scale


def _chances(
    group: Sequence[Scores], parts: Sequence[tuple[Floats, Floats]], skew: Floats, scale: float
) -> Floats:
    """p of all pairs from (variance, degrees of freedom) of the units and of the trainings."""
    variances = np.stack([np.broadcast_to(v, skew.shape) for v, _ in parts])
    freedom = np.stack([np.broadcast_to(f, skew.shape) for _, f in parts])
    error2 = variances.sum(0)
    means = np.array([float(r.weights @ r.values) for r in group])
    distance = means[:, None] - means[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        skew = skew * (variances[0] / error2) ** 1.5
        found = _chance(distance, half_width(variances, freedom), skew)
    certain = np.where(np.abs(distance) > ROUNDING * scale, SMALLEST_P, 1.0)
    return np.where(error2 > 0, found, certain)
