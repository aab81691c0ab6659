"""Anomaly detection: ROC quantities without interpolation, and what a score merely copies.

Larger scores are more anomalous; a cut t selects scores >= t, so tied jets enter together. The ROC
has one point for each distinct score, and (0, 0). The first functions take the scores of the two
classes; those that follow take `JetTruth` and all scores, and average over its signals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physbench.datasets.jets import JetTruth

Scores = NDArray[Any]
ROUNDING = 1e-9  # n * w and n * eps are compared with integers
FEW = 10  # below this many background jets a working point is called bounded
VISIBLE = "r_inv_0"  # the signal that loses nothing


class WorkingPoint(NamedTuple):
    """A point of the ROC, with the counts behind it."""

    eps_signal: float
    eps_background: float
    passing: int
    background: int

    @property
    def bound(self) -> bool:
        """No background jet passes: `rejection` is then only a lower bound."""
        return self.passing == 0

    @property
    def rejection(self) -> float:
        """1/eps_B, or its lower bound N_B where nothing passes (N_B/3 at 95 % confidence)."""
        return self.background / max(self.passing, 1)

    @property
    def sigma(self) -> float:
        """Statistical error of the rejection, rejection / sqrt(passing); NaN for a bound."""
        return self.rejection / math.sqrt(self.passing) if self.passing else math.nan


def checked(background: ArrayLike, signal: ArrayLike) -> tuple[Scores, Scores]:
    """Both classes as arrays, neither empty, all finite."""
    arrays = np.asarray(background), np.asarray(signal)
    for name, array in zip(("background", "signal"), arrays, strict=True):
        if array.ndim != 1 or not len(array):
            raise ValueError(
                f"{name} scores must be one-dimensional and not empty; got shape {array.shape}. "
                "A ROC needs both classes"
            )
        if not np.isfinite(array).all():
            raise FloatingPointError(
                f"{int((~np.isfinite(array)).sum())} of {len(array)} {name} scores are NaN or inf"
            )
    return arrays


def area_under_curve(background: ArrayLike, signal: ArrayLike) -> float:
    """P(s_sig > s_bkg) + P(s_sig = s_bkg) / 2; never mirrored to above 0.5.

    >>> area_under_curve([1, 2, 2, 3], [2, 3, 3, 4])
    0.8125
    """
    bkg, sig = checked(background, signal)
    ordered = np.sort(bkg)
    below = np.searchsorted(ordered, sig, "left") + np.searchsorted(ordered, sig, "right")
    return float(below.mean() / (2 * len(bkg)))


def working_point(background: ArrayLike, signal: ArrayLike, eps_signal: float) -> WorkingPoint:
    """The first point of the ROC, from above, with at least `eps_signal`.

    >>> working_point([1, 2, 2, 3], [2, 3, 3, 4], 0.5).rejection
    4.0
    """
    if not 0 < eps_signal <= 1:
        raise ValueError(f"eps_signal must be in (0, 1]; got {eps_signal}")
    bkg, sig = checked(background, signal)
    place = len(sig) - math.ceil(eps_signal * len(sig) - ROUNDING)
    cut = np.partition(sig, place)[place]
    passing = int(np.count_nonzero(bkg >= cut))
    return WorkingPoint(float(np.mean(sig >= cut)), passing / len(bkg), passing, len(bkg))


def roc(background: ArrayLike, signal: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Selected (background, signal) jets at (0, 0) and at every distinct score, from above."""
    bkg, sig = (np.sort(s) for s in checked(background, signal))
    cuts = np.unique(np.concatenate([bkg, sig]))[::-1]
    selected = (np.r_[0, len(s) - np.searchsorted(s, cuts, "left")] for s in (bkg, sig))
    first, second = selected
    return first, second


def default_floor(background: int) -> int:
    """Background jets that a SIC point must have selected: 10 for some thousand jets, else 100."""
    return FEW if background < 10_000 else 100


def largest_sic(
    background: ArrayLike, signal: ArrayLike, floor: int | None = None
) -> tuple[float, float, float]:
    """Maximum of eps_S / sqrt(eps_B) and its (eps_S, eps_B).

    Only points with at least `floor` selected background jets (default: `default_floor`) count:
    without one the maximum is the fluctuation of a single jet. NaN where no point has that many,
    and where the classes separate entirely, so that the floor alone would decide.

    >>> [round(v, 4) for v in largest_sic([1, 2, 2, 3], [2, 3, 3, 4], floor=1)]
    [1.5, 0.75, 0.25]
    """
    bkg, sig = checked(background, signal)
    n_bkg, n_sig = roc(bkg, sig)
    usable = n_bkg >= max(default_floor(len(bkg)) if floor is None else floor, 1)
    if not usable.any() or sig.min() > bkg.max():
        return math.nan, math.nan, math.nan
    eps_b, eps_s = n_bkg[usable] / len(bkg), n_sig[usable] / len(sig)
    sic = eps_s / np.sqrt(eps_b)
    best = int(np.argmax(sic))
    return float(sic[best]), float(eps_s[best]), float(eps_b[best])


def efficiency_at(background: ArrayLike, signal: ArrayLike, eps_background: float) -> float:
    """Largest eps_S with eps_B <= `eps_background`; NaN where N_B < 10 / eps_background.

    The convention of the Dark Machines challenge (arXiv:2105.14027).
    """
    bkg, sig = checked(background, signal)
    if len(bkg) < FEW / eps_background - ROUNDING:
        return math.nan
    allowed = math.floor(eps_background * len(bkg) + ROUNDING)
    if allowed >= len(bkg):
        return 1.0
    place = len(bkg) - 1 - allowed
    return float(np.mean(sig > np.partition(bkg, place)[place]))


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Rank correlation with average ranks for ties; NaN where one side is constant."""
    ranks = [_average_ranks(np.asarray(v)) for v in (first, second)]
    a, b = (r - r.mean() for r in ranks)
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm > 0 else math.nan


def _average_ranks(values: Scores) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    return (upper - (counts - 1) / 2)[inverse]


Measure = Callable[[Scores, Scores], float]


def each_signal(
    targets: JetTruth, scores: Any, measure: Measure, *, matched: bool = True
) -> dict[str, float]:
    """`measure(background, signal)` for every signal, on the pT-matched jets or on all.

    NaN for a signal without a jet, and so for every mean over signals: never a mean over fewer.
    """
    values = np.asarray(scores)
    if values.shape != (len(targets),):
        raise ValueError(
            f"scores must be one number a jet, shape ({len(targets)},); got {values.shape}"
        )
    chosen = targets.matched if matched else np.ones(len(targets), dtype=bool)
    codes = np.where(chosen, targets.signal, -1)
    if not (codes > 0).any() or not (codes == 0).any():
        raise ValueError(
            f"a ROC needs both classes; got {int((codes == 0).sum())} background and "
            f"{int((codes > 0).sum())} signal jets. Where signal is not to be seen (train, "
            "validation) choose on quantities of the background alone"
        )
    background = values[codes == 0]
    classes = {name: values[codes == k] for k, name in enumerate(targets.signals, start=1)}
    return {
        name: measure(background, found) if len(found) else math.nan
        for name, found in classes.items()
    }


def _mean(values: Mapping[str, float]) -> float:
    return float(np.mean(list(values.values())))


def _log_rejections(targets: JetTruth, scores: Any) -> dict[str, float]:
    return each_signal(targets, scores, lambda b, s: math.log(working_point(b, s, 0.2).rejection))


def log_rejection(targets: JetTruth, scores: Any) -> float:
    """Mean over signals of ln(1/eps_B) at eps_S = 0.2 on the pT-matched jets; ranks the board.

    Where no background jet passes, ln(N_B) stands for the bound ln(1/eps_B) > ln(N_B).
    """
    return _mean(_log_rejections(targets, scores))


def log_rejection_slices(targets: JetTruth, scores: Any) -> dict[str, float]:
    """ln(1/eps_B) at eps_S = 0.2 of every signal."""
    return _log_rejections(targets, scores)


def worst_log_rejection(targets: JetTruth, scores: Any) -> float:
    """The smallest of the signals' ln(1/eps_B) at eps_S = 0.2, pT-matched."""
    return float(np.min(list(_log_rejections(targets, scores).values())))


def semivisible_log_rejection(targets: JetTruth, scores: Any) -> float:
    """Mean of ln(1/eps_B) at eps_S = 0.2 over the signals that lose momentum (r_inv > 0)."""
    found = _log_rejections(targets, scores)
    return _mean({name: v for name, v in found.items() if name != VISIBLE} or {"none": math.nan})


def auc(targets: JetTruth, scores: Any) -> float:
    """Mean over signals of the area under the ROC curve, pT-matched."""
    return _mean(auc_slices(targets, scores))


def auc_slices(targets: JetTruth, scores: Any) -> dict[str, float]:
    """AUC of every signal, pT-matched."""
    return each_signal(targets, scores, area_under_curve)


def unmatched_auc(targets: JetTruth, scores: Any) -> float:
    """Mean over signals of the AUC on all test jets: here jet pT helps."""
    return _mean(unmatched_auc_slices(targets, scores))


def unmatched_auc_slices(targets: JetTruth, scores: Any) -> dict[str, float]:
    """AUC of every signal on all test jets."""
    return each_signal(targets, scores, area_under_curve, matched=False)


def _rejections(targets: JetTruth, scores: Any, eps_signal: float) -> dict[str, float]:
    return each_signal(targets, scores, lambda b, s: working_point(b, s, eps_signal).rejection)


def rejection_20(targets: JetTruth, scores: Any) -> float:
    """Mean over signals of 1/eps_B at eps_S = 0.2, pT-matched."""
    return _mean(_rejections(targets, scores, 0.2))


def rejection_30(targets: JetTruth, scores: Any) -> float:
    """Mean over signals of 1/eps_B at eps_S = 0.3, pT-matched."""
    return _mean(_rejections(targets, scores, 0.3))


def rejection_50(targets: JetTruth, scores: Any) -> float:
    """Mean over signals of 1/eps_B at eps_S = 0.5, pT-matched."""
    return _mean(_rejections(targets, scores, 0.5))


def max_sic(targets: JetTruth, scores: Any) -> float:
    """Mean over signals of the largest eps_S/sqrt(eps_B), pT-matched.

    A point counts with at least 10 selected background jets of less than 10,000, else with 100.
    """
    return _mean(each_signal(targets, scores, lambda b, s: largest_sic(b, s)[0]))


def _efficiency(targets: JetTruth, scores: Any, eps_background: float) -> float:
    return _mean(each_signal(targets, scores, lambda b, s: efficiency_at(b, s, eps_background)))


def efficiency_1e_2(targets: JetTruth, scores: Any) -> float:
    """Mean over signals of the largest eps_S with eps_B <= 1e-2, pT-matched."""
    return _efficiency(targets, scores, 1e-2)


def efficiency_1e_3(targets: JetTruth, scores: Any) -> float:
    """Mean over signals of the largest eps_S with eps_B <= 1e-3; needs 10,000 background jets."""
    return _efficiency(targets, scores, 1e-3)


def efficiency_1e_4(targets: JetTruth, scores: Any) -> float:
    """Mean over signals of the largest eps_S with eps_B <= 1e-4; needs 100,000 background jets."""
    return _efficiency(targets, scores, 1e-4)


def bounded_points(targets: JetTruth, scores: Any) -> float:
    """Signals whose working point eps_S = 0.2 keeps fewer than 10 background jets."""
    few = each_signal(targets, scores, lambda b, s: working_point(b, s, 0.2).passing < FEW)
    return float(sum(few.values()))


def pt_leak(targets: JetTruth, scores: Any) -> float:
    """Largest |AUC - 0.5| of jet pT alone over the pT-matched sets: a property of the data."""
    found = each_signal(targets, targets.pt, area_under_curve)
    return float(np.max([abs(value - 0.5) for value in found.values()]))


def _on_background(targets: JetTruth, scores: Any, observable: NDArray[Any]) -> float:
    background = targets.signal == 0
    return spearman(np.asarray(scores)[background], observable[background])


def spearman_pt(targets: JetTruth, scores: Any) -> float:
    """Rank correlation of score and jet pT on the background."""
    return _on_background(targets, scores, targets.pt)


def spearman_mass(targets: JetTruth, scores: Any) -> float:
    """Rank correlation of score and jet mass on the background."""
    return _on_background(targets, scores, targets.mass)


def spearman_multiplicity(targets: JetTruth, scores: Any) -> float:
    """Rank correlation of score and number of constituents on the background."""
    return _on_background(targets, scores, targets.multiplicity)
