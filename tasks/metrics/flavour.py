"""Flavour tagging: rejections at fixed signal efficiency, calibration, and what pT alone would do.

`L` (n, k) are normalised log-probabilities of the k classes of `Flavours.classes`; class 0 is the
signal (b). Two classes are compared by the difference of their log-probabilities, the optimal
score for that pair, which needs no mixture. A cut t selects scores >= t; the working point is the
first from above with at least the wanted signal efficiency.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.jets import Flavours
from physbench.tasks import Shared
from physbench.tasks.metrics.ranking import (
    FEW,
    Ordered,
    WorkingPoint,
    area,
    area_under_curve,
    roc,
    working_point,
)

Array = NDArray[np.float64]
Counts = NDArray[np.integer[Any]]

EFFICIENCIES = (0.70, 0.77)
CHARM_FRACTION = 0.07
CALIBRATION_BINS = 20
STEP = 256  # stored log-probabilities are multiples of 1/256 nat
LARGEST = 30.0  # nats
PT_EDGES = (25.0, 40.0, 60.0, 100.0, 200.0)  # GeV
ETA_EDGES = (0.0, 1.2, 2.1)


def reference(classes: tuple[str, ...]) -> int:
    """The class whose log-probability is subtracted before storing: uds, or the last one."""
    return classes.index("uds") if "uds" in classes else len(classes) - 1


def stored(values: Array, classes: tuple[str, ...]) -> NDArray[np.int16]:
    """Log-probabilities (n, k) relative to the reference class, in 1/256 nat within +-30.

    >>> stored(np.array([[1.0, 0.5, 0.0, -99.0]]), ("b", "c", "uds", "g")).tolist()
    [[256, 128, -7680]]
    """
    number = reference(classes)
    relative = values.astype(np.float64) - values[:, [number]]
    kept = np.delete(relative, number, axis=1).clip(-LARGEST, LARGEST)
    rounded: NDArray[np.int16] = np.rint(kept * STEP).astype(np.int16)
    return rounded


def log_probabilities(targets: Flavours, found: NDArray[np.int16]) -> Array:
    """Normalised log-probabilities (n, k) from what `stored` kept."""
    relative = np.insert(found / STEP, reference(targets.classes), 0.0, axis=1)
    normalised: Array = relative - np.logaddexp.reduce(relative, axis=1, keepdims=True)
    return normalised


def pair(targets: Flavours, L: Array, background: int, signal: int = 0) -> tuple[Array, Array]:
    """Scores L_signal - L_background of the jets of the two classes, background first."""
    score = L[:, signal] - L[:, background]
    return score[targets.label == background], score[targets.label == signal]


def points(targets: Flavours, L: Array) -> dict[tuple[str, float], WorkingPoint]:
    """The working point of every background class and signal efficiency."""
    curves = {name: roc(*pair(targets, L, k)) for k, name in enumerate(targets.classes) if k > 0}
    return {
        (name, eps): working_point(curve, eps)
        for name, curve in curves.items()
        for eps in EFFICIENCIES
    }


def log_rejection(targets: Flavours, L: Array) -> float:
    """Mean of ln(1/eps_X) over background classes X and eps_b in (0.70, 0.77), in nats; ranks.

    Where no background jet passes, ln(N_X) stands for the bound. Chance gives 0.309.
    """
    return mean_log([point.rejection for point in points(targets, L).values()])


def mean_log(rejections: list[float]) -> float:
    """Mean natural logarithm of rejections.

    >>> round(mean_log([5, 4, 30, 20, 12, 9]), 5)
    2.3458
    """
    return float(np.mean(np.log(rejections)))


def log_rejection_slices(targets: Flavours, L: Array) -> dict[str, float]:
    """`log_rejection` in bins of jet pT and |eta|, and against each class; NaN in empty bins."""
    found = points(targets, L)
    each = {
        f"against {name}": mean_log([p.rejection for key, p in found.items() if key[0] == name])
        for name in targets.classes[1:]
    }
    return each | {name: _or_nan(log_rejection, targets, L, at) for name, at in bins(targets)}


def bins(targets: Flavours) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Names and jets of the bins of jet pT in GeV and |eta|."""
    for column, label, edges in (
        (targets.pt, "pT {:g}-{:g} GeV", PT_EDGES),
        (np.abs(targets.eta), "|eta| {:g}-{:g}", ETA_EDGES),
    ):
        for low, high in itertools.pairwise(edges):
            yield label.format(low, high), np.flatnonzero((column >= low) & (column < high))


def _or_nan(
    function: Callable[[Flavours, Array], float],
    targets: Flavours,
    L: Array,
    index: NDArray[np.int64],
) -> float:
    """The metric on some jets, NaN unless all classes are there."""
    chosen = targets.take(index)
    if len(np.unique(chosen.label)) < len(targets.classes):
        return math.nan
    return function(chosen, L[index])


def cross_entropy(targets: Flavours, L: Array) -> float:
    """-mean ln softmax(L)[label] in nats."""
    return float(surprise(targets, L).mean())


def surprise(targets: Flavours, L: Array) -> Array:
    """-ln p of the true class of each jet (n,), in nats."""
    normalised = L - np.logaddexp.reduce(L, axis=1, keepdims=True)
    own: Array = -normalised[np.arange(len(L)), targets.label]
    return own


def accuracy(targets: Flavours, L: Array) -> float:
    """Share of jets whose most probable class is theirs."""
    return float(correct(targets, L).mean())


def correct(targets: Flavours, L: Array) -> Array:
    """1 where the most probable class is the true one, else 0, (n,)."""
    right: Array = (L.argmax(axis=1) == targets.label).astype(np.float64)
    return right


def macro_auc(targets: Flavours, L: Array) -> float:
    """Mean over pairs i < j of the AUC of L_i - L_j.

    Not scikit-learn's "ovo", which compares p_i alone (`ovo_sklearn`).
    """
    return float(np.mean(list(macro_auc_slices(targets, L).values())))


def macro_auc_slices(targets: Flavours, L: Array) -> dict[str, float]:
    """AUC of L_i - L_j of every pair i < j."""
    return {
        f"{targets.classes[i]} against {targets.classes[j]}": area_under_curve(
            *pair(targets, L, j, i)
        )
        for i, j in itertools.combinations(range(len(targets.classes)), 2)
    }


def ovo_sklearn(targets: Flavours, L: Array) -> float:
    """scikit-learn's one-against-one macro AUC of the probabilities; for official files only.

    For each ordered pair it ranks by p_i alone: the mean over pairs of the mean of both.
    """
    p = np.exp(L)
    areas = [
        area_under_curve(p[targets.label == j, i], p[targets.label == i, i])
        for i, j in itertools.permutations(range(len(targets.classes)), 2)
    ]
    return float(np.mean(areas))


def _rejection(targets: Flavours, L: Array, name: str, eps: float) -> float:
    """1/eps_X at signal efficiency `eps`; NaN where the data have no such class."""
    if name not in targets.classes:
        return math.nan
    curve = roc(*pair(targets, L, targets.classes.index(name)))
    return working_point(curve, eps).rejection


def rejection_c_70(targets: Flavours, L: Array) -> float:
    """1/eps_c at eps_b = 0.70, by L_b - L_c."""
    return _rejection(targets, L, "c", 0.70)


def rejection_c_77(targets: Flavours, L: Array) -> float:
    """1/eps_c at eps_b = 0.77, by L_b - L_c."""
    return _rejection(targets, L, "c", 0.77)


def rejection_uds_70(targets: Flavours, L: Array) -> float:
    """1/eps_uds at eps_b = 0.70, by L_b - L_uds."""
    return _rejection(targets, L, "uds", 0.70)


def rejection_uds_77(targets: Flavours, L: Array) -> float:
    """1/eps_uds at eps_b = 0.77, by L_b - L_uds."""
    return _rejection(targets, L, "uds", 0.77)


def rejection_g_70(targets: Flavours, L: Array) -> float:
    """1/eps_g at eps_b = 0.70, by L_b - L_g."""
    return _rejection(targets, L, "g", 0.70)


def rejection_g_77(targets: Flavours, L: Array) -> float:
    """1/eps_g at eps_b = 0.77, by L_b - L_g."""
    return _rejection(targets, L, "g", 0.77)


def b_discriminant(L: Array, charm_fraction: float = CHARM_FRACTION) -> Array:
    """D_b = L_b - ln[f_c e^(L_c) + (1 - f_c) (e^(L_uds) + e^(L_g))/2] of L (n, 4), (n,).

    >>> p = np.array([[0.7, 0.2, 0.05, 0.05]])
    >>> round(float(b_discriminant(np.log(p))[0]), 5)
    2.44844
    """
    light = np.logaddexp(L[:, 2], L[:, 3]) - math.log(2)
    rest = np.logaddexp(math.log(charm_fraction) + L[:, 1], math.log(1 - charm_fraction) + light)
    result: Array = L[:, 0] - rest
    return result


def db_rejection_uds_77(targets: Flavours, L: Array) -> float:
    """1/eps_uds at eps_b = 0.77 by D_b with f_c = 0.07: what an experiment would quote."""
    if targets.classes != ("b", "c", "uds", "g"):
        return math.nan
    score = b_discriminant(L)
    curve = roc(score[targets.label == 2], score[targets.label == 0])
    return working_point(curve, 0.77).rejection


def calibration(targets: Flavours, L: Array) -> float:
    """Expected calibration error of p_b: mean |p_b - share of b| over 20 bins of equal count."""
    return float(miscalibration(targets, L).mean())


def calibration_interval(targets: Flavours, L: Array) -> tuple[float, float]:
    """Normal interval of a mean over jets whose signs are fixed by bin, cut at 0.

    A bootstrap of absolute values would be biased: resampling adds to every bin's deviation.
    """
    each = miscalibration(targets, L)
    value, error = each.mean(), each.std() / math.sqrt(len(each))
    return max(float(value - 1.96 * error), 0.0), float(value + 1.96 * error)


def miscalibration(targets: Flavours, L: Array) -> Array:
    """(n,): p_b minus the truth, times the sign of its mean in the jet's bin; its mean is the ECE.

    sum_k (n_k / n) |mean_k(p_b - y)| is the mean over jets of sign_k (p_b - y).
    """
    p, parts = binned_probability(L)
    residual = p - (targets.label == 0)
    for part in parts:
        residual[part] *= np.sign(residual[part].sum())
    return np.asarray(residual)


def binned_probability(
    L: Array, bins: int = CALIBRATION_BINS
) -> tuple[Array, list[NDArray[np.int64]]]:
    """p_b (n,), and the jets of each bin of equal count, in rising p_b.

    Jets with equal p_b share a bin, the one of the first of them: their order says nothing.
    """
    p: Array = np.exp(L[:, 0] - np.logaddexp.reduce(L, axis=1))
    order = np.argsort(p, kind="stable")
    places = np.cumsum([len(part) for part in np.array_split(order, bins)])[:-1]
    rising = p[order]
    ends = np.searchsorted(rising, rising[np.maximum(places - 1, 0)], side="right")
    return p, [part for part in np.split(order, ends) if len(part)]


def pt_leak(targets: Flavours, L: Array) -> float:
    """Largest |AUC - 0.5| of jet pT over the pairs of classes: a property of the data."""
    areas = [
        area_under_curve(targets.pt[targets.label == j], targets.pt[targets.label == i])
        for i, j in itertools.combinations(range(len(targets.classes)), 2)
    ]
    return max(abs(area - 0.5) for area in areas)


def bounded_points(targets: Flavours, L: Array) -> float:
    """Working points that fewer than 10 background jets pass: their rejections are soft."""
    return float(sum(point.passing < FEW for point in points(targets, L).values()))


# Fast paths of the bootstrap: `counts` (B, n) says how often each jet was drawn.


def cross_entropy_replicates(targets: Flavours, L: Array, counts: Counts) -> Array:
    """`cross_entropy` of resamples, (B,)."""
    return weighted_mean(surprise(targets, L), counts)


def accuracy_replicates(targets: Flavours, L: Array, counts: Counts) -> Array:
    """`accuracy` of resamples, (B,)."""
    return weighted_mean(correct(targets, L), counts)


def weighted_mean(values: Array, counts: Counts) -> Array:
    """Mean of `values` (n,) over each row of multiplicities (B, n).

    >>> weighted_mean(np.array([1.0, 4.0]), np.array([[1, 1], [2, 0]])).tolist()
    [2.5, 1.0]
    """
    result: Array = (counts @ values) / counts.sum(axis=1)
    return result


def rejections(targets: Flavours, L: Array, counts: Counts) -> dict[str, Array]:
    """1/eps_X of each background class X at each of `EFFICIENCIES`, (B, efficiencies)."""
    found = {}
    for k, name in enumerate(targets.classes[1:], 1):
        ordered = ordered_pair(targets, L, k)
        found[name] = np.array([ordered.rejections(row, row, EFFICIENCIES) for row in counts])
    return found


def _mean_log(found: Mapping[str, Array]) -> Array:
    result: Array = np.log(list(found.values())).mean(axis=(0, 2))
    return result


log_rejection_replicates = Shared(rejections, _mean_log)


def ordered_pair(targets: Flavours, L: Array, background: int, signal: int = 0) -> Ordered:
    """The jets of two classes by their score, for weights of all jets."""
    units = [np.flatnonzero(targets.label == k) for k in (background, signal)]
    return Ordered.of(*pair(targets, L, background, signal)).among(units)


def db_rejection_replicates(targets: Flavours, L: Array, counts: Counts) -> Array:
    """`db_rejection_uds_77` of resamples, (B,)."""
    if targets.classes != ("b", "c", "uds", "g"):
        return np.full(len(counts), math.nan)
    score, classes = b_discriminant(L), [np.flatnonzero(targets.label == k) for k in (2, 0)]
    ordered = Ordered.of(*(score[units] for units in classes)).among(classes)
    return np.array([ordered.rejections(row, row, [0.77])[0] for row in counts])


def macro_auc_replicates(targets: Flavours, L: Array, counts: Counts) -> Array:
    """`macro_auc` of resamples, (B,)."""
    pairs = itertools.combinations(range(len(targets.classes)), 2)
    each = [ordered_pair(targets, L, j, i) for i, j in pairs]
    areas = [[area(ordered.roc(row, row)) for row in counts] for ordered in each]
    result: Array = np.mean(areas, axis=0)
    return result


def rejection_replicates(name: str, eps: float) -> Shared:
    """Fast path of the metric `rejection_<name>_<eps>`."""

    def part(found: Mapping[str, Array]) -> Array:
        if name not in found:
            return np.full(len(next(iter(found.values()))), math.nan)
        return found[name][:, EFFICIENCIES.index(eps)]

    return Shared(rejections, part)


def largest_leak(metrics: Mapping[str, float], allowed: float) -> str | None:
    """Why a row is not ranked: jet pT alone tells two classes apart."""
    leak = metrics.get("pt_leak", 0.0)
    if leak > allowed:
        return f"jet pT alone has an AUC {leak:.3f} away from 0.5 between two classes"
    return None
