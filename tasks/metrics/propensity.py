"""Propensities of particles and how well they are predicted. Pure functions.

Reduced Lennard-Jones units. Targets are `Mobility` objects, one a configuration; predictions are
arrays (n, t) with a column for each target time, or (n, 1) for tau_alpha alone. Types are never
mixed: scores are on type A unless they say otherwise (a model that knows the type alone would
reach 0.6 at long times). Definitions: Bapst et al., Nat. Phys. 16, 448 (2020); Jung et al.,
Roadmap on machine learning glassy dynamics, arXiv:2311.14752.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physbench.datasets.liquids import A, B, Mobility
from physbench.tasks.metrics import bootstrap
from physbench.tasks.metrics.ranking import average_ranks

Array = NDArray[np.float64]

FEWEST = 3  # particles below which a correlation is not defined
FEWEST_FOR_CHI4 = 50  # configurations; with 15 the error of a variance is 40 %
THRESHOLD = 0.44  # displacement above which a particle counts as mobile, in sigma_AA
SHARPNESS = 20.0


# --- from trajectories to targets -------------------------------------------------------------


def propensity(displacements: ArrayLike) -> Array:
    """R_i = (1/M) sum_j |r_ij(t) - x_i|: the mean of the lengths; (M, n, d) -> (n,).

    >>> propensity([[[1.0, 0, 0]], [[0, 2.0, 0]], [[0, 0, 2.0]]]).round(4).tolist()
    [1.6667]
    """
    return np.asarray(np.linalg.norm(np.asarray(displacements, float), axis=-1).mean(0))


def cage_relative(displacements: ArrayLike, neighbours: Sequence[NDArray[np.int64]]) -> Array:
    """Length of the displacement relative to the mean of the neighbours' at time zero.

    (n, d) and one index array a particle -> (n,); NaN where a particle has no neighbour.

    >>> cage_relative([[1.0], [0.4], [0.8]], [np.array([1, 2]), np.array([0]), np.array([0])])
    array([0.4, 0.6, 0.2])
    """
    moved = np.asarray(displacements, float)
    missing = np.full(moved.shape[1], math.nan)
    drift = np.array([moved[near].mean(0) if len(near) else missing for near in neighbours])
    return np.asarray(np.linalg.norm(moved - drift, axis=1).round(15))


def bonds_kept(initial: ArrayLike, final: ArrayLike, *, inner: float, outer: float) -> Array:
    """C_i: the fraction of the neighbours within `inner` that are still within `outer`; (n,).

    `initial`, `final`: (n, n) distances over sigma of the pair (diagonal ignored). The gap between
    the two cutoffs keeps vibrations from counting. NaN where there was no neighbour. The
    bond-breaking propensity is the mean of 1 - C_i over trajectories.
    """
    bonded = np.asarray(initial, float) < inner
    np.fill_diagonal(bonded, False)
    kept = bonded & (np.asarray(final, float) < outer)
    count = bonded.sum(1)
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, kept.sum(1) / count, math.nan)


def self_scattering(lengths: ArrayLike, k: float, dimension: int = 3) -> float:
    """F_s(k) = <sin(k d)/(k d)> in three dimensions, <J_0(k d)> in two; any shape of lengths.

    >>> [round(self_scattering(d, 7.25), 5) for d in (0.1, 0.3, 0.6)]
    [0.91467, 0.37837, -0.21495]
    """
    phase = k * np.asarray(lengths, float)
    if dimension == 3:
        return float(np.sinc(phase / np.pi).mean())
    if dimension == 2:
        from scipy.special import j0

        return float(j0(phase).mean())
    raise ValueError(f"dimension must be 2 or 3; got {dimension}")


def overlap(lengths: ArrayLike, a: float = 0.3) -> float:
    """Q: the fraction of displacements shorter than `a`.

    >>> overlap([0.1, 0.29, 0.3, 0.5])
    0.5
    """
    return float((np.asarray(lengths, float) < a).mean())


# --- correlations -----------------------------------------------------------------------------


def correlation(prediction: ArrayLike, target: ArrayLike) -> float:
    """Pearson's r; 0 for a constant prediction, NaN below 3 particles or for a constant target.

    >>> round(correlation([1, 2, 3, 4], [2, 1, 4, 3]), 10)
    0.6
    >>> round(correlation([0.1, 0.2, 0.3, 0.4, 5], [1, 2, 3, 4, 5]), 4)
    0.7433
    >>> correlation([1, 1, 1], [1, 2, 3])
    0.0
    """
    p, r = np.asarray(prediction, float), np.asarray(target, float)
    if p.shape != r.shape or p.ndim != 1:
        raise ValueError(
            f"prediction and target need the same shape (n,); got {p.shape}, {r.shape}"
        )
    if len(p) < FEWEST or not np.ptp(r):
        return math.nan
    if is_constant(p):
        return 0.0
    p, r = p - p.mean(), r - r.mean()
    return float(np.clip(p @ r / math.sqrt((p @ p) * (r @ r)), -1, 1))


def is_constant(values: Array) -> bool:
    """All values equal up to rounding: such a prediction orders nothing."""
    return bool(np.ptp(values) <= 1e-9 * np.abs(values).max(initial=0.0))


def rank_correlation(prediction: ArrayLike, target: ArrayLike) -> float:
    """Spearman's rho, ties averaged; edge cases as `correlation`.

    >>> round(rank_correlation([0.1, 0.2, 0.3, 0.4, 5], [1, 2, 3, 4, 5]), 10)
    1.0
    """
    if is_constant(np.asarray(prediction, float)):
        return correlation(prediction, target)
    return correlation(*(average_ranks(np.asarray(v, float)) for v in (prediction, target)))


def column(predictions: NDArray[Any], mobility: Mobility, time: int) -> Array | None:
    """The predictions (n,) for a target time, or None where the model made none.

    One column is tau_alpha, as many columns as times are the times; raises ValueError for others.
    """
    if predictions.shape[1] not in (1, len(mobility.times)):
        raise ValueError(
            f"predictions have {predictions.shape[1]} columns; expected 1 (tau_alpha) or "
            f"{len(mobility.times)}, one for each of {', '.join(mobility.labels)}"
        )
    if predictions.shape[1] == len(mobility.times):
        return np.asarray(predictions[:, time], float)
    return np.asarray(predictions[:, 0], float) if time == mobility.alpha else None


def _pairs(
    targets: Sequence[Mobility], predictions: Any, time: int | None = None, kind: int = A
) -> list[tuple[Array, Array]]:
    """(prediction, target) of one type, configuration by configuration, at tau_alpha or `time`."""
    found = []
    for mobility, values in zip(targets, predictions, strict=True):
        index = mobility.alpha if time is None else time
        predicted = column(np.asarray(values), mobility, index)
        if predicted is not None:
            chosen = mobility.types == kind
            found.append((predicted[chosen], mobility.propensity[index][chosen].astype(float)))
    return found


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if not math.isnan(value)]
    return float(np.mean(finite)) if finite else math.nan


def _each(
    targets: Sequence[Mobility], predictions: Any, score: Callable[[Array, Array], float]
) -> list[float]:
    return [score(p, r) for p, r in _pairs(targets, predictions)]


def pearson(targets: Sequence[Mobility], predictions: Any) -> float:
    """Mean over configurations of Pearson's r on type A at tau_alpha."""
    return _mean(_each(targets, predictions, correlation))


def pearson_replicates(
    targets: Sequence[Mobility], predictions: Any, counts: NDArray[Any]
) -> Array:
    """`pearson` of resampled configurations: each correlation is computed once."""
    return bootstrap.mean(_each(targets, predictions, correlation), counts)


def pearson_slices(targets: Sequence[Mobility], predictions: Any) -> dict[str, float]:
    """The same at every target time, its mean over the times, and type B at tau_alpha."""
    found: dict[str, float] = {}
    for index, label in enumerate(targets[0].labels if len(targets) else ()):
        pairs = _pairs(targets, predictions, index)
        if pairs:
            found[label] = _mean([correlation(p, r) for p, r in pairs])
    if len(found) > 1:
        found["mean over times"] = _mean(list(found.values()))
    found["type B"] = _mean([correlation(p, r) for p, r in _pairs(targets, predictions, kind=B)])
    return {name: value for name, value in found.items() if not math.isnan(value)}


def spearman(targets: Sequence[Mobility], predictions: Any) -> float:
    """Mean over configurations of Spearman's rho on type A at tau_alpha."""
    return _mean(_each(targets, predictions, rank_correlation))


def spearman_replicates(
    targets: Sequence[Mobility], predictions: Any, counts: NDArray[Any]
) -> Array:
    """`spearman` of resampled configurations."""
    return bootstrap.mean(_each(targets, predictions, rank_correlation), counts)


def pooled_pearson(targets: Sequence[Mobility], predictions: Any) -> float:
    """One Pearson's r over the type A particles of all configurations, at tau_alpha.

    It also rewards the overall mobility of a configuration: never compare it with `pearson`.
    """
    pairs = _pairs(targets, predictions)
    return correlation(*(np.concatenate(part) for part in zip(*pairs, strict=True)))


def rmse(targets: Sequence[Mobility], predictions: Any) -> float:
    """Root mean square error of type A at tau_alpha, all configurations together."""
    errors = np.concatenate([p - r for p, r in _pairs(targets, predictions)])
    return float(np.sqrt(np.mean(errors**2)))


def slope(targets: Sequence[Mobility], predictions: Any) -> float:
    """Slope of the regression of R on the prediction (1 is calibrated), type A at tau_alpha."""
    p, r = (np.concatenate(part) for part in zip(*_pairs(targets, predictions), strict=True))
    if is_constant(p):
        return math.nan
    centred = p - p.mean()
    return float(centred @ (r - r.mean()) / (centred @ centred))


def constant_predictions(targets: Sequence[Mobility], predictions: Any) -> float:
    """Configurations in which all type A particles are predicted alike: scored 0 and flagged."""
    return float(sum(is_constant(p) for p, _ in _pairs(targets, predictions)))


# --- noise ceiling ----------------------------------------------------------------------------


def ceiling_from_pairs(lengths: ArrayLike) -> float:
    """rho_max from displacement lengths (M, n) of one type, without a bias.

    sqrt(S/V): V the variance over particles of the mean over trajectories, S the mean over pairs
    of different trajectories j, k of cov(L_j, L_k), which collective motion of a trajectory leaves
    alone. S = (M V - mean_j Var(L_j))/(M - 1).

    >>> ceiling_from_pairs([[1, 2, 3], [2, 3, 4]])
    1.0
    """
    values = np.asarray(lengths, float)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(f"lengths must have shape (at least 2, n); got {values.shape}")
    total = float(values.mean(0).var())
    signal = (len(values) * total - float(values.var(1).mean())) / (len(values) - 1)
    return math.sqrt(max(signal, 0.0) / total) if total else math.nan


def ceiling_from_halves(first: ArrayLike, second: ArrayLike) -> float:
    """rho_max from the means (n,) of two halves of the trajectories: sqrt(cov/V), as above."""
    halves = np.stack([np.asarray(first, float), np.asarray(second, float)])
    return ceiling_from_pairs(halves)


def ceiling_from_spread(mean: ArrayLike, spread: ArrayLike, trajectories: int) -> float:
    """rho_max = sqrt((V - s2/M)/V): V the variance of the means (n,), s2 over trajectories.

    Biased low, since it counts what all particles of a trajectory share as noise: only where
    neither trajectories nor halves are there.
    """
    total = float(np.var(np.asarray(mean, float)))
    noise = float(np.mean(np.asarray(spread, float) ** 2)) / trajectories
    return math.sqrt(max(total - noise, 0.0) / total) if total else math.nan


def ceiling(mobility: Mobility, time: int, kind: int = A) -> float:
    """rho_max of one configuration: from trajectories, their halves, or the spread; else NaN."""
    chosen = mobility.types == kind
    if mobility.lengths is not None:
        return ceiling_from_pairs(mobility.lengths[:, time][:, chosen])
    if mobility.halves is not None:
        first, second = mobility.halves[:, time][:, chosen]
        return ceiling_from_halves(first, second)
    if mobility.spread is None:
        return math.nan
    means, spread = mobility.propensity[time][chosen], mobility.spread[time][chosen]
    return ceiling_from_spread(means, spread, mobility.trajectories)


def noise_ceiling(targets: Sequence[Mobility], predictions: Any = None) -> float:
    """Mean rho_max over configurations, type A at tau_alpha; a property of the data alone."""
    return _mean([ceiling(mobility, mobility.alpha) for mobility in targets])


def noise_ceiling_slices(targets: Sequence[Mobility], predictions: Any = None) -> dict[str, float]:
    """The same at every target time."""
    labels = targets[0].labels if len(targets) else ()
    found = {name: _mean([ceiling(m, i) for m in targets]) for i, name in enumerate(labels)}
    return {name: value for name, value in found.items() if not math.isnan(value)}


def pearson_over_ceiling(targets: Sequence[Mobility], predictions: Any) -> float:
    """`pearson` over `noise_ceiling`: 1 is all that the trajectories can tell."""
    return pearson(targets, predictions) / noise_ceiling(targets)


def over_ceiling_replicates(
    targets: Sequence[Mobility], predictions: Any, counts: NDArray[Any]
) -> Array:
    """`pearson_over_ceiling` of resampled configurations."""
    roofs = [ceiling(mobility, mobility.alpha) for mobility in targets]
    return pearson_replicates(targets, predictions, counts) / bootstrap.mean(roofs, counts)


# --- fluctuations in space and between configurations -----------------------------------------


def structure_factor(weights: ArrayLike, positions: ArrayLike, box: ArrayLike) -> float:
    """S_4 at the smallest k: (1/n) |sum_i w_i exp(i k.x_i)|^2 averaged over the axes.

    w (n,) is standardised inside; x (n, d), box (d,); k = 2 pi/L along each axis.
    """
    w = np.asarray(weights, float)
    if is_constant(w):
        return 0.0
    w = (w - w.mean()) / w.std()
    phase = 2 * np.pi * np.asarray(positions, float) / np.asarray(box, float)
    return float(np.mean(np.abs(w @ np.exp(1j * phase)) ** 2) / len(w))


def s4_ratio(targets: Sequence[Mobility], predictions: Any) -> float:
    """S_4 of the prediction over S_4 of the measurement, smallest k, type A, tau_alpha.

    1 means that mobile regions are as large as measured; below 1 they are too small.
    """
    measured, predicted = 0.0, 0.0
    for mobility, (p, r) in zip(targets, _pairs(targets, predictions), strict=True):
        if mobility.positions is None or mobility.box is None:
            return math.nan
        place = mobility.positions[mobility.types == A]
        measured += structure_factor(r, place, mobility.box)
        predicted += structure_factor(p, place, mobility.box)
    return predicted / measured if measured else math.nan


def mobile_fraction(values: ArrayLike, threshold: float = THRESHOLD) -> float:
    """Q: mean of (1 + tanh(20 (R - threshold)))/2 over the particles of a configuration."""
    return float(np.mean((1 + np.tanh(SHARPNESS * (np.asarray(values, float) - threshold))) / 2))


def chi4(fractions: ArrayLike, particles: int) -> float:
    """n Var(Q) over configurations, normalised by their number minus one.

    >>> round(chi4([0.5, 0.6, 0.4, 0.5], 100), 4)
    0.6667
    """
    return particles * float(np.var(np.asarray(fractions, float), ddof=1))


def chi4_ratio(targets: Sequence[Mobility], predictions: Any) -> float:
    """chi_4 of the prediction over that measured; NaN below 50 configurations."""
    pairs = _pairs(targets, predictions)
    if len(pairs) < FEWEST_FOR_CHI4:
        return math.nan
    count = len(pairs[0][0])
    predicted = chi4([mobile_fraction(p) for p, _ in pairs], count)
    measured = chi4([mobile_fraction(r) for _, r in pairs], count)
    return predicted / measured if measured else math.nan


def transfer(
    targets: Mapping[float, Sequence[Mobility]], predictions: Mapping[tuple[float, float], Any]
) -> dict[tuple[float, float], float]:
    """Transfer matrix: (test temperature, training temperature) -> pooled Pearson at tau_alpha.

    `targets` by test temperature; `predictions` by the same pair of temperatures.
    """
    return {
        (test, train): pooled_pearson(targets[test], values)
        for (test, train), values in predictions.items()
    }
