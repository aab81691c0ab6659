"""Anomaly detection with several signals: the ROC of each, and what a score merely copies.

Each signal has a ROC of its own against all background. Signal jets weigh `JetTruth.weight`, which
gives them the pT spectrum of the background (`unmatched_auc` alone leaves the weights out). Means
run over the ranked signals: all but `r_inv_0`, whose jets lose nothing and which is a control.
Larger scores are more anomalous. A score (n, signals) has a column for each signal: only an oracle
knows which one it is compared with.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.jets import JetTruth
from physbench.tasks.metrics import ranking
from physbench.tasks.metrics.ranking import FEW, Ordered, Roc

Array = NDArray[np.float64]
Measure = Callable[[Roc], float]
Combine = Callable[[Mapping[str, float]], float]

VISIBLE = "r_inv_0"  # the control: dark mesons all decay visibly
EFFICIENCY = 0.2  # of the signal, at the working point that ranks


@dataclass(frozen=True, eq=False)
class Comparison:
    """One signal and the background in falling score: their indices, and the signal's weights."""

    ordered: Ordered
    background: NDArray[np.int64]
    signal: NDArray[np.int64]
    weight: Array

    def roc(self, counts: NDArray[Any] | None = None) -> Roc | None:
        """The ROC where unit i was drawn `counts[i]` times; None where a class has no weight."""
        drawn = (
            (np.ones(len(self.background)), self.weight)
            if counts is None
            else (counts[self.background], counts[self.signal] * self.weight)
        )
        return self.ordered.roc(*drawn) if all(w.sum() > 0 for w in drawn) else None

    def rejection(self, counts: NDArray[Any], eps_signal: float) -> float:
        """`working_point(...).rejection` of one resample, NaN where a class has no weight."""
        background, signal, weight = self._falling
        passed = ranking.sums(counts[signal] * weight)
        total = int(counts[background].sum())
        if not (total > 0 and passed[-1] > 0):
            return math.nan
        first = np.searchsorted(passed, ranking.wanted(eps_signal, passed[-1]), "left")
        block = np.searchsorted(self.ordered.passed[1], first, "left")
        kept = counts[background[: self.ordered.passed[0][block]]].sum()
        return total / float(kept or 1.0)

    @functools.cached_property
    def _falling(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """Background, signal and its weights, in falling score."""
        first, second = self.ordered.orders
        return self.background[first], self.signal[second], self.weight[second]


def comparisons(
    targets: JetTruth, scores: Any, *, matched: bool = True
) -> Iterator[tuple[str, Comparison | None]]:
    """Every signal with its name; None for one of which the targets hold no jet.

    Raises ValueError unless there is one score a jet (or one a jet and signal), and both classes.
    """
    values = np.asarray(scores)
    allowed = ((len(targets),), (len(targets), len(targets.signals)))
    if values.shape not in allowed:
        raise ValueError(
            f"scores must be one number a jet, shape {allowed[0]}; got {values.shape}"
        )
    background = np.flatnonzero(targets.signal == 0)
    if not len(background) or len(background) == len(targets):
        raise ValueError(
            f"a ROC needs both classes; got {len(background)} background and "
            f"{len(targets) - len(background)} signal jets. Where signal is not to be seen "
            "(train, validation) choose on quantities of the background alone"
        )
    for k, name in enumerate(targets.signals):
        column = values if values.ndim == 1 else values[:, k]
        signal = np.flatnonzero(targets.signal == k + 1)
        if not len(signal):
            yield name, None
            continue
        weight = targets.weight[signal].astype(np.float64) if matched else np.ones(len(signal))
        ordered = Ordered.of(column[background], column[signal])
        yield name, Comparison(ordered, background, signal, weight)


def each_signal(
    targets: JetTruth, scores: Any, measure: Measure, *, matched: bool = True
) -> dict[str, float]:
    """`measure(roc)` of every signal, with the weights of the jets or without.

    NaN for a signal without a jet, and so for every mean over signals: never a mean over fewer.
    """
    return _measured(dict(comparisons(targets, scores, matched=matched)), measure)


def _measured(
    fixed: Mapping[str, Comparison | None], measure: Measure, counts: NDArray[Any] | None = None
) -> dict[str, float]:
    curves = {name: c.roc(counts) if c is not None else None for name, c in fixed.items()}
    return {n: measure(curve) if curve is not None else math.nan for n, curve in curves.items()}


def resampled(
    measure: Measure, combine: Combine, *, matched: bool = True
) -> Callable[[JetTruth, Any, NDArray[Any]], Array]:
    """The fast bootstrap of `combine(each_signal(...))`: scores are sorted once for all draws."""

    def replicates(targets: JetTruth, scores: Any, counts: NDArray[Any]) -> Array:
        fixed = dict(comparisons(targets, scores, matched=matched))
        if isinstance(measure, Rejection):
            each = [measure.many(c, counts) for c in fixed.values()]
            draws = [dict(zip(fixed, row, strict=True)) for row in np.array(each).T.tolist()]
            return np.array([combine(found) for found in draws])
        return np.array([combine(_measured(fixed, measure, drawn)) for drawn in counts])

    return replicates


@dataclass(frozen=True)
class Rejection:
    """1/eps_B, or its logarithm, at an efficiency; of the bound N_B where nothing passes."""

    eps_signal: float
    logarithm: bool = False

    def __call__(self, curve: Roc) -> float:
        """Of one curve."""
        found = ranking.working_point(curve, self.eps_signal).rejection
        return math.log(found) if self.logarithm else found

    def many(self, comparison: Comparison | None, counts: NDArray[Any]) -> Array:
        """Of the resamples that `counts` (draws, units) describes; the same digits.

        The background that passes is a sum of whole numbers, so that it needs no curve; the
        signal is summed in falling score until it has the efficiency.
        """
        if comparison is None:
            return np.full(len(counts), math.nan)
        found = np.array([comparison.rejection(row, self.eps_signal) for row in counts])
        return np.array([math.log(v) for v in found]) if self.logarithm else found


def mean(found: Mapping[str, float]) -> float:
    """Mean over the ranked signals (over the control where it is alone)."""
    return float(np.mean(list(ranked(found).values())))


def worst(found: Mapping[str, float]) -> float:
    """The smallest of the ranked signals."""
    return float(np.min(list(ranked(found).values())))


def first(found: Mapping[str, float]) -> float:
    """The dataset's main signal."""
    return next(iter(found.values()), math.nan)


def control(found: Mapping[str, float]) -> float:
    """The signal that loses nothing; NaN where there is none."""
    return found.get(VISIBLE, math.nan)


def ranked(found: Mapping[str, float]) -> dict[str, float]:
    """The signals that count: all but the control."""
    return {n: v for n, v in found.items() if n != VISIBLE} or dict(found)


log_rejection_of = Rejection(EFFICIENCY, logarithm=True)


def log_rejection(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of ln(1/eps_B) at eps_S = 0.2, pT-weighted."""
    return mean(log_rejection_slices(targets, scores))


def log_rejection_slices(targets: JetTruth, scores: Any) -> dict[str, float]:
    """ln(1/eps_B) at eps_S = 0.2 of every signal, pT-weighted."""
    return each_signal(targets, scores, log_rejection_of)


def main_log_rejection(targets: JetTruth, scores: Any) -> float:
    """ln(1/eps_B) at eps_S = 0.2 of the first signal (r_inv 0.75), pT-weighted."""
    return first(log_rejection_slices(targets, scores))


def worst_log_rejection(targets: JetTruth, scores: Any) -> float:
    """The smallest ln(1/eps_B) at eps_S = 0.2 of the r_inv > 0 signals, pT-weighted."""
    return worst(log_rejection_slices(targets, scores))


def control_log_rejection(targets: JetTruth, scores: Any) -> float:
    """ln(1/eps_B) at eps_S = 0.2 of r_inv = 0, whose jets lose nothing; chance is ln 5 = 1.61."""
    return control(log_rejection_slices(targets, scores))


def auc(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of the area under the ROC curve, pT-weighted."""
    return mean(auc_slices(targets, scores))


def auc_slices(targets: JetTruth, scores: Any) -> dict[str, float]:
    """AUC of every signal, pT-weighted."""
    return each_signal(targets, scores, ranking.area)


def unmatched_auc(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of the AUC without weights: here jet pT helps."""
    return mean(unmatched_auc_slices(targets, scores))


def unmatched_auc_slices(targets: JetTruth, scores: Any) -> dict[str, float]:
    """AUC of every signal without weights."""
    return each_signal(targets, scores, ranking.area, matched=False)


def rejection_20(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of 1/eps_B at eps_S = 0.2, pT-weighted."""
    return mean(each_signal(targets, scores, Rejection(0.2)))


def rejection_30(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of 1/eps_B at eps_S = 0.3, pT-weighted."""
    return mean(each_signal(targets, scores, Rejection(0.3)))


def rejection_50(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of 1/eps_B at eps_S = 0.5, pT-weighted."""
    return mean(each_signal(targets, scores, Rejection(0.5)))


def sic_of(curve: Roc) -> float:
    """Largest eps_S/sqrt(eps_B), see `ranking.largest_sic`."""
    return ranking.largest_sic(curve)[0]


def max_sic(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of the largest eps_S/sqrt(eps_B), pT-weighted.

    A point counts with at least 10 selected background jets of less than 10,000, else with 100.
    """
    return mean(each_signal(targets, scores, sic_of))


def efficiency_of(eps_background: float) -> Measure:
    """Largest eps_S with eps_B <= `eps_background`."""
    return lambda curve: ranking.efficiency_at(curve, eps_background)


def efficiency_1e_2(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of the largest eps_S with eps_B <= 1e-2, pT-weighted."""
    return mean(each_signal(targets, scores, efficiency_of(1e-2)))


def efficiency_1e_3(targets: JetTruth, scores: Any) -> float:
    """As `efficiency_1e_2` for eps_B <= 1e-3; needs 10,000 background jets."""
    return mean(each_signal(targets, scores, efficiency_of(1e-3)))


def bounded_points(targets: JetTruth, scores: Any) -> float:
    """Signals whose working point eps_S = 0.2 keeps fewer than 10 background jets."""
    few = each_signal(
        targets, scores, lambda curve: ranking.working_point(curve, EFFICIENCY).passing < FEW
    )
    return float(np.sum(list(few.values())))


def pt_leak(targets: JetTruth, scores: Any) -> float:
    """Largest |AUC - 0.5| of jet pT alone with the weights: a property of the data."""
    found = each_signal(targets, targets.pt, ranking.area)
    return float(np.max([abs(value - 0.5) for value in found.values()]))


def columns(targets: JetTruth, scores: Any) -> float:
    """Scores a jet: 1, or as many as there are signals for an oracle."""
    return float(np.shape(scores)[1] if np.ndim(scores) == 2 else 1)


def _on_background(targets: JetTruth, scores: Any, observable: NDArray[Any]) -> float:
    background = targets.signal == 0
    values = np.asarray(scores)
    column = values if values.ndim == 1 else values[:, 0]
    return ranking.spearman(column[background], observable[background])


def spearman_pt(targets: JetTruth, scores: Any) -> float:
    """Rank correlation of score and jet pT on the background."""
    return _on_background(targets, scores, targets.pt)


def spearman_mass(targets: JetTruth, scores: Any) -> float:
    """Rank correlation of score and jet mass on the background."""
    return _on_background(targets, scores, targets.mass)


def spearman_multiplicity(targets: JetTruth, scores: Any) -> float:
    """Rank correlation of score and number of constituents on the background."""
    return _on_background(targets, scores, targets.multiplicity)


def correlation_interval(
    correlation: Callable[[JetTruth, Any], float],
) -> Callable[[JetTruth, Any], tuple[float, float]]:
    """95 % interval of a rank correlation by Fisher's transform.

    tanh(artanh r +- 1.96 sqrt((1 + r^2 / 2) / (n - 3))), Bonett and Wright, Psychometrika 65, 23
    (2000), with n background jets.
    """

    def interval(targets: JetTruth, scores: Any) -> tuple[float, float]:
        r, n = correlation(targets, scores), int((targets.signal == 0).sum())
        if not math.isfinite(r) or n < 4 or abs(r) >= 1:
            return r, r
        half = 1.959964 * math.sqrt((1 + r**2 / 2) / (n - 3))
        return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)

    return interval
