"""Fast bootstraps of the widths in `resolution`: each value once, and how often a resample has it.

Values are sorted once; quantiles and moments of all resamples then follow from running sums of
their counts (resamples, values). Counts are fastest where those of one value lie together in
memory, as in the transpose of (values, resamples).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.tracks import TrackTruth
from physbench.tasks.metrics import resolution
from physbench.tasks.metrics.bootstrap import by_unit, first_reaching
from physbench.tasks.metrics.resolution import HIGH, LOW, TAIL, Array, Predictions

Counts = NDArray[np.int32]
Statistic = Callable[[Array, Counts], Array]
Errors = Callable[[TrackTruth, Predictions], Array]
Replicates = Callable[[TrackTruth, Predictions, NDArray[Any]], Array]


def of_bins(errors: Errors, statistic: Statistic) -> Replicates:
    """Of the mean over the bins of pT of a statistic of the errors."""

    def replicates(truth: TrackTruth, predictions: Predictions, counts: NDArray[Any]) -> Array:
        values = errors(truth, predictions)
        bins, drawn = resolution.binned(truth, np.arange(len(values))), by_unit(counts)
        return _mean([statistic(values[b], drawn[b].T) for b in bins])

    return replicates


def pull_pt(truth: TrackTruth, predictions: Predictions, counts: NDArray[Any]) -> Array:
    """Of S."""
    pulls, core = resolution.pt_pulls(truth, predictions), truth.core[0]
    masks, drawn = resolution.scored(truth), by_unit(counts)
    return _mean([core68(pulls[m], drawn[m].T) / core for m in masks])


def pull(name: str) -> Replicates:
    """Of the core68 of the pulls of d0 or z0."""

    def replicates(truth: TrackTruth, predictions: Predictions, counts: NDArray[Any]) -> Array:
        pulls, core = resolution.pulls_of(truth, predictions, name)
        return core68(pulls, by_unit(counts).T) / core

    return replicates


def fraction(wrong: Callable[[TrackTruth, Predictions], NDArray[np.bool_]]) -> Replicates:
    """Of the share of tracks that are wrong."""

    def replicates(truth: TrackTruth, predictions: Predictions, counts: NDArray[Any]) -> Array:
        return np.asarray(counts @ wrong(truth, predictions).astype(np.float64) / counts.sum(1))

    return replicates


def _mean(parts: list[Array]) -> Array:
    """The mean over the defined ones, as of the metric itself."""
    table = np.array(parts)
    defined = ~np.isnan(table)
    total = np.where(defined, table, 0.0).sum(0)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / defined.sum(0))


def core68(values: Array, counts: Counts) -> Array:
    """`resolution.core68` of each resample, (resamples,)."""
    low, high = quantiles(values, counts, (LOW, HIGH))
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(high), math.inf, (high - low) / 2)


def median(values: Array, counts: Counts) -> Array:
    """The median of each resample, (resamples,)."""
    return quantiles(values, counts, (0.5,))[0]


def quantiles(values: Array, counts: Counts, q: tuple[float, ...]) -> list[Array]:
    """Linear-interpolated quantiles of each resample; NaN where it has fewer than two values."""
    if not len(values):
        return [np.full(len(counts), np.nan)] * len(q)
    order = np.argsort(values, kind="stable")
    ranked, running = values[order], counts.T[order]
    np.add.accumulate(running, axis=0, out=running)
    return [_quantile(ranked, running, level) for level in q]


def _quantile(ranked: Array, running: NDArray[Any], q: float) -> Array:
    total = running[-1]
    position = q * (total - 1)
    k = np.clip(position.astype(np.int64), 0, np.maximum(total - 2, 0))
    below, above = (
        ranked[np.minimum(first_reaching(running, r), len(ranked) - 1)] for r in (k + 1, k + 2)
    )
    with np.errstate(invalid="ignore"):
        between = below + (position - k) * (above - below)
    found = np.where(np.isinf(above), np.where(position == k, below, math.inf), between)
    return np.where(total < 2, np.nan, found)


def pruned_rms(values: Array, counts: Counts) -> Array:
    """`resolution.iterative_rms` of each resample, (resamples,)."""
    ranked, sums = _sums(values, counts)
    first, last = np.zeros(len(counts), dtype=np.int64), np.full(len(counts), len(ranked))
    for _ in range(resolution.ROUNDS):
        mean, sigma = _moments(sums, first, last)
        start = np.maximum(first, np.searchsorted(ranked, mean - 3 * sigma, side="left"))
        stop = np.minimum(last, np.searchsorted(ranked, mean + 3 * sigma, side="right"))
        kept = _count(sums, start, stop) == _count(sums, first, last)
        if kept.all():
            break
        first, last = np.where(kept, first, start), np.where(kept, last, stop)
    return sigma


def quantile_normal(values: Array, counts: Counts) -> Array:
    """`resolution.quantile_normal` of each resample, (resamples,)."""
    finite = np.isfinite(values)
    low, high = quantiles(values[finite], counts[:, finite], (TAIL / 100, 1 - TAIL / 100))
    ranked, sums = _sums(values, counts)
    start = np.searchsorted(ranked, low, side="left")
    return _moments(sums, start, np.searchsorted(ranked, high, side="right"))[1]


def _sums(values: Array, counts: Counts) -> tuple[Array, Array]:
    """Finite values in order, and running sums (3, n + 1, resamples) of their first powers."""
    order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]
    ranked, drawn = values[order], counts.T[order]
    sums = np.zeros((3, len(ranked) + 1, len(counts)))
    for table, power in zip(sums, (np.ones_like(ranked), ranked, ranked**2), strict=True):
        np.multiply(power[:, None], drawn, out=table[1:])
        np.add.accumulate(table, axis=0, out=table)
    return ranked, sums


def _count(sums: Array, first: NDArray[np.int64], last: NDArray[np.int64]) -> Array:
    columns = np.arange(sums.shape[2])
    return np.asarray(sums[0, last, columns] - sums[0, first, columns])


def _moments(
    sums: Array, first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Mean and standard deviation of the values `first` to `last` of each resample."""
    columns = np.arange(sums.shape[2])
    with np.errstate(invalid="ignore", divide="ignore"):
        total, one, two = sums[:, last, columns] - sums[:, first, columns]
        mean = one / total
        return mean, np.sqrt(np.maximum(two / total - mean**2, 0.0))
