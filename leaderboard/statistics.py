"""Statistics over records: intervals over units crossed with seeds, paired differences, ranks.

A row is scored by n training seeds on the same test units. Its mean varies because other units
could have been drawn (bootstrap, shared by all seeds and all models), because other seeds could
have been drawn, and because each seed reacts to the units in its own way. The last part is in both
of the first two estimates, so it is taken out of one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
NORMAL = 1.959963984540054  # normal quantile at 1 - TAIL
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
        Number of test units; 0 where it is not known and taken as large. A bootstrap of few
        units is too narrow by sqrt((N - 1)/N) and its spread has N - 1 degrees of freedom.
    """

    values: Floats
    replicates: Floats
    units: int = 0


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
    return _estimate([(1.0, scores)])


def difference(first: Scores, second: Scores) -> Estimate:
    """Mean of `first` minus mean of `second`, paired by unit where both have the same resamples.

    Raises ValueError when one has a bootstrap and the other another one: they are not of one
    board.
    """
    if first.replicates.shape[1] != second.replicates.shape[1]:
        raise ValueError(
            f"rows with {first.replicates.shape[1]} and {second.replicates.shape[1]} resamples "
            "are not of one board and cannot be paired"
        )
    return _estimate([(1.0, first), (-1.0, second)])


def _estimate(terms: Sequence[tuple[float, Scores]]) -> Estimate:
    from scipy.stats import norm, t

    value = float(sum(sign * s.values.mean() for sign, s in terms))
    units = np.sum([sign * s.replicates.mean(0) for sign, s in terms], axis=0)
    finite = units[np.isfinite(units)]
    if len(finite) < 2:
        return Estimate(value, *[float("nan")] * 5)
    count = min(s.units for _, s in terms)
    variance = float(finite.var(ddof=1)) * (count / (count - 1) if count > 1 else 1.0)
    parts = [(variance, count - 1 if count > 1 else math.inf)]
    parts += [(seed_variance(s), len(s.values) - 1) for _, s in terms]
    error = math.sqrt(sum(v for v, _ in parts))
    if error == 0:
        return Estimate(value, 0.0, NORMAL, value, value, 1.0 if value == 0 else 0.0)
    # Half widths of the parts, each with its own degrees of freedom, add in quadrature: exact
    # where one part dominates, and never too narrow between.
    half = math.sqrt(sum(v * t.isf(TAIL, freedom) ** 2 for v, freedom in parts if v))
    low, high = _interval(value, finite, half)
    p = 2 * float(norm.sf(abs(value) / half * NORMAL))
    return Estimate(value, error, half / error, low, high, p)


def seed_variance(scores: Scores) -> float:
    """Variance of the mean that comes from the choice of seeds, beyond that of the units.

    (s^2 - i^2)/n with s^2 the variance of the values over seeds and i^2 the part of it that comes
    from the units: the mean over seeds of the bootstrap variance of a seed's deviation from the
    mean of all, times n/(n - 1). Not below zero; zero for one seed.
    """
    n = len(scores.values)
    if n == 1:
        return 0.0
    own = scores.replicates - scores.replicates.mean(0)
    interaction = float(np.nanvar(own, axis=1).mean()) * n / (n - 1)
    return max(float(scores.values.var(ddof=1)) - interaction, 0.0) / n


def _interval(value: float, units: Floats, half: float) -> tuple[float, float]:
    """Percentiles of the units' bootstrap, stretched about the value to the half width.

    Where no unit matters (all replicates are equal) the seeds alone make a symmetric interval.
    """
    low, high = -half, half
    if units.var():
        stretch = half / (NORMAL * units.std(ddof=1))
        low, high = (np.quantile(units, [TAIL, 1 - TAIL]) - units.mean()) * stretch
    return round(value + float(low), 12), round(value + float(high), 12)


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
    means = np.array([r.values.mean() for r in rows])
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
    from scipy.stats import norm, t

    sizes = np.array([r.replicates.shape[1] for r in rows])
    p = np.ones((len(rows), len(rows)))
    for size in {int(size) for size in sizes if size > 1}:
        chosen = np.flatnonzero(sizes == size)
        group = [rows[k] for k in chosen.tolist()]
        units = np.array([r.replicates.mean(0) for r in group])
        units = np.where(np.isfinite(units), units, np.nanmean(units, axis=1, keepdims=True))
        covariance = np.atleast_2d(np.cov(units))
        own = np.diag(covariance)
        count = min(r.units for r in group)
        variance = np.maximum(own[:, None] + own[None, :] - 2 * covariance, 0.0)
        variance *= (count / (count - 1) if count > 1 else 1.0) * t.isf(
            TAIL, count - 1 if count > 1 else math.inf
        ) ** 2
        seeds = np.array(
            [
                v * t.isf(TAIL, len(r.values) - 1) ** 2 if (v := seed_variance(r)) else 0.0
                for r in group
            ]
        )
        half = np.sqrt(variance + seeds[:, None] + seeds[None, :])
        means = np.array([r.values.mean() for r in group])
        distance = np.abs(means[:, None] - means[None, :])
        # Rounding leaves a little of the variance of equal rows.
        half = np.where(half > 1e-12 * np.abs(means).max(), half, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = 2 * norm.sf(distance / half * NORMAL)
        p[np.ix_(chosen, chosen)] = np.where(half > 0, found, np.where(distance > 0, 0.0, 1.0))
    return p
