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
from physbench.tasks import Shared
from physbench.tasks.metrics import ranking
from physbench.tasks.metrics.ranking import FEW, Ordered, Roc

Array = NDArray[np.float64]
Measure = Callable[[Roc], float]
Combine = Callable[[Mapping[str, Any]], Any]  # of numbers, or of arrays
Table = dict[str, Array]  # (resamples, measures) of each signal

VISIBLE = "r_inv_0"  # the control: dark mesons all decay visibly
EFFICIENCY = 0.2  # of the signal, at the working point that ranks


def comparisons(
    targets: JetTruth, scores: Any, *, matched: bool = True
) -> Iterator[tuple[str, Ordered | None]]:
    """Every signal and all background, for weights of all jets; None for a signal without a jet.

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
        yield name, ordered.among((background, signal), weight)


def each_signal(
    targets: JetTruth, scores: Any, measure: Measure, *, matched: bool = True
) -> dict[str, float]:
    """`measure(roc)` of every signal, with the weights of the jets or without.

    NaN for a signal without a jet, and so for every mean over signals: never a mean over fewer.
    """
    found = rocs(targets, scores, matched=matched)
    return {name: measure(curve) if curve else math.nan for name, curve in found.items()}


def rocs(targets: JetTruth, scores: Any, *, matched: bool = True) -> dict[str, Roc | None]:
    """The ROC of every signal; None where a class has no weight."""
    each, once = comparisons(targets, scores, matched=matched), np.ones(len(targets))
    return {name: _curve(ordered, once) for name, ordered in each}


def _curve(ordered: Ordered | None, counts: NDArray[Any]) -> Roc | None:
    """The ROC where jet i was drawn `counts[i]` times; None where a class has no weight."""
    curve = ordered.roc(counts, counts) if ordered is not None else None
    return curve if curve and curve.background[-1] > 0 and curve.signal[-1] > 0 else None


@dataclass(frozen=True)
class Rejection:
    """1/eps_B, or its logarithm, at an efficiency; of the bound N_B where nothing passes."""

    eps_signal: float
    logarithm: bool = False

    def __call__(self, curve: Roc) -> float:
        """Of one curve."""
        return self.scaled(ranking.working_point(curve, self.eps_signal).rejection)

    def scaled(self, rejection: float) -> float:
        """The rejection, or its logarithm."""
        return math.log(rejection) if self.logarithm else rejection


def mean(found: Mapping[str, Any]) -> Any:
    """Mean over the ranked signals (over the control where it is alone)."""
    return np.mean(list(ranked(found).values()), axis=0)


def worst(found: Mapping[str, Any]) -> Any:
    """The smallest of the ranked signals."""
    return np.min(list(ranked(found).values()), axis=0)


def first(found: Mapping[str, Any]) -> Any:
    """The dataset's main signal."""
    return next(iter(found.values()), math.nan)


def control(found: Mapping[str, Any]) -> Any:
    """The signal that loses nothing; NaN where there is none."""
    each = next(iter(found.values()), math.nan)
    return found.get(VISIBLE, np.full_like(each, math.nan))


def ranked(found: Mapping[str, Any]) -> dict[str, Any]:
    """The signals that count: all but the control."""
    return {n: v for n, v in found.items() if n != VISIBLE} or dict(found)


log_rejection_of = Rejection(EFFICIENCY, logarithm=True)


def log_rejection(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of ln(1/eps_B) at eps_S = 0.2, pT-weighted."""
    return float(mean(log_rejection_slices(targets, scores)))


def log_rejection_slices(targets: JetTruth, scores: Any) -> dict[str, float]:
    """ln(1/eps_B) at eps_S = 0.2 of every signal, pT-weighted."""
    return each_signal(targets, scores, log_rejection_of)


def main_log_rejection(targets: JetTruth, scores: Any) -> float:
    """ln(1/eps_B) at eps_S = 0.2 of the first signal (r_inv 0.75), pT-weighted."""
    return float(first(log_rejection_slices(targets, scores)))


def worst_log_rejection(targets: JetTruth, scores: Any) -> float:
    """The smallest ln(1/eps_B) at eps_S = 0.2 of the r_inv > 0 signals, pT-weighted."""
    return float(worst(log_rejection_slices(targets, scores)))


def control_log_rejection(targets: JetTruth, scores: Any) -> float:
    """ln(1/eps_B) at eps_S = 0.2 of r_inv = 0, whose jets lose nothing; chance is ln 5 = 1.61."""
    return float(control(log_rejection_slices(targets, scores)))


def auc(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of the area under the ROC curve, pT-weighted."""
    return float(mean(auc_slices(targets, scores)))


def auc_slices(targets: JetTruth, scores: Any) -> dict[str, float]:
    """AUC of every signal, pT-weighted."""
    return each_signal(targets, scores, ranking.area)


def unmatched_auc(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of the AUC without weights: here jet pT helps."""
    return float(mean(unmatched_auc_slices(targets, scores)))


def unmatched_auc_slices(targets: JetTruth, scores: Any) -> dict[str, float]:
    """AUC of every signal without weights."""
    return each_signal(targets, scores, ranking.area, matched=False)


def rejection_20(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of 1/eps_B at eps_S = 0.2, pT-weighted."""
    return float(mean(each_signal(targets, scores, Rejection(0.2))))


def rejection_30(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of 1/eps_B at eps_S = 0.3, pT-weighted."""
    return float(mean(each_signal(targets, scores, Rejection(0.3))))


def rejection_50(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of 1/eps_B at eps_S = 0.5, pT-weighted."""
    return float(mean(each_signal(targets, scores, Rejection(0.5))))


@dataclass(frozen=True)
class Efficiency:
    """Largest eps_S with eps_B <= `eps_background`."""

    eps_background: float

    def __call__(self, curve: Roc) -> float:
        """Of one curve."""
        return ranking.efficiency_at(curve, self.eps_background)


def sic_of(curve: Roc) -> float:
    """Largest eps_S/sqrt(eps_B), see `ranking.largest_sic`."""
    return ranking.largest_sic(curve)[0]


def max_sic(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of the largest eps_S/sqrt(eps_B), pT-weighted.

    A point counts with at least 10 selected background jets of less than 10,000, else with 100.
    """
    return float(mean(each_signal(targets, scores, sic_of)))


def efficiency_1e_2(targets: JetTruth, scores: Any) -> float:
    """Mean over the r_inv > 0 signals of the largest eps_S with eps_B <= 1e-2, pT-weighted."""
    return float(mean(each_signal(targets, scores, Efficiency(1e-2))))


def efficiency_1e_3(targets: JetTruth, scores: Any) -> float:
    """As `efficiency_1e_2` for eps_B <= 1e-3; needs 10,000 background jets."""
    return float(mean(each_signal(targets, scores, Efficiency(1e-3))))


# What is read from the curve of one resample at a time.
TOGETHER: tuple[Measure, ...] = (
    *(ranking.area, sic_of, Rejection(0.3), Rejection(0.5)),
    *(Efficiency(1e-2), Efficiency(1e-3)),
)


def resampled(measure: Measure, combine: Combine, *, matched: bool = True) -> Shared:
    """The fast bootstrap of `combine(each_signal(...))`: scores are sorted once for all draws.

    Metrics of one curve share it, and so do those of the rejection that ranks: it needs no curve.
    """
    if isinstance(measure, Rejection) and measure.eps_signal == EFFICIENCY:
        return Shared(Rejections(matched), functools.partial(_combined, combine, 0, measure))
    together = TOGETHER if matched and measure in TOGETHER else (measure,)
    number = together.index(measure)
    return Shared(Curves(together, matched), functools.partial(_combined, combine, number, None))


def _combined(combine: Combine, number: int, scale: Rejection | None, table: Table) -> Array:
    """One number of each resample from a column of what its signals have."""
    found = {name: column[:, number] for name, column in table.items()}
    if scale:
        found = {name: np.array([scale.scaled(v) for v in each]) for name, each in found.items()}
    return np.asarray(combine(found))


@dataclass(frozen=True)
class Rejections:
    """1/eps_B at eps_S = 0.2 of each signal in each resample."""

    matched: bool

    def __call__(self, targets: JetTruth, scores: Any, counts: NDArray[Any]) -> Table:
        """By signal, (resamples, 1)."""
        missing = np.full((len(counts), 1), math.nan)
        return {
            name: np.array([ordered.rejections(row, row, [EFFICIENCY]) for row in counts])
            if ordered
            else missing
            for name, ordered in comparisons(targets, scores, matched=self.matched)
        }


@dataclass(frozen=True)
class Curves:
    """The measures of the ROC of each signal in each resample."""

    measures: tuple[Measure, ...]
    matched: bool

    def __call__(self, targets: JetTruth, scores: Any, counts: NDArray[Any]) -> Table:
        """By signal, (resamples, measures)."""
        return {
            name: np.array([self._measured(_curve(ordered, row)) for row in counts])
            for name, ordered in comparisons(targets, scores, matched=self.matched)
        }

    def _measured(self, curve: Roc | None) -> list[float]:
        return [measure(curve) if curve else math.nan for measure in self.measures]


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
