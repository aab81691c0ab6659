"""The ROC of two classes with unit weights, and everything that is read from it.

Larger scores are more signal-like; a cut t selects scores >= t, so tied units enter together, and
the ROC has one point for each distinct score and (0, 0). Nothing is interpolated. Weights count
units: 1 where none are given, 0 for a unit that a resample left out.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

ROUNDING = 1e-9  # sums of weights are compared with shares of their total
FEW = 10  # below this much background a working point is called bounded
MARGIN = 1.2  # signal that is summed in the hope for an efficiency, over what it takes on average


@dataclass(frozen=True, eq=False)
class Roc:
    """Selected weight of each class at (0, 0) and at every distinct score, from above.

    Attributes
    ----------
    background, signal:
        (points,) float64, rising; the last ones are the totals.
    """

    background: Array
    signal: Array

    @functools.cached_property
    def eps_background(self) -> Array:
        """Selected fraction of the background (points,)."""
        return np.asarray(self.background / self.background[-1])

    @functools.cached_property
    def eps_signal(self) -> Array:
        """Selected fraction of the signal (points,)."""
        return np.asarray(self.signal / self.signal[-1])


@dataclass(frozen=True, eq=False)
class Ordered:
    """Two classes in falling score, sorted once for many weights.

    Attributes
    ----------
    orders:
        Background (n_b,) and signal (n_s,), each from its highest score down.
    passed:
        (1 + distinct,) for both: how many lie above each threshold, after none and after each
        block of tied units.
    weight:
        (n_s,) of the signal in its order, by which its weights are multiplied; None for 1.
    """

    orders: tuple[NDArray[np.int64], NDArray[np.int64]]
    passed: tuple[NDArray[np.int64], NDArray[np.int64]]
    weight: Array | None = None

    @classmethod
    def of(cls, background: ArrayLike, signal: ArrayLike) -> Ordered:
        """From the scores of both classes, finite and not empty."""
        bkg, sig = checked(background, signal)
        scores = np.concatenate([bkg, sig])
        order = np.argsort(scores, kind="stable")[::-1]
        ends = np.flatnonzero(np.r_[np.diff(scores[order]) != 0, True])
        first = order < len(bkg)
        above = [np.r_[0, np.cumsum(part)[ends]] for part in (first, ~first)]
        return cls((order[first], order[~first] - len(bkg)), (above[0], above[1]))

    def among(self, units: Sequence[NDArray[np.int64]], weight: Array | None = None) -> Ordered:
        """The same for weights of a whole sample: `units` are the numbers of both classes in it.

        `weight` (n_s,) is of the signal.
        """
        first, second = self.orders
        falling = None if weight is None else weight[second]
        return Ordered((units[0][first], units[1][second]), self.passed, falling)

    def roc(self, background: ArrayLike, signal: ArrayLike) -> Roc:
        """The ROC where the units weigh `background` (n_b,) and `signal` (n_s,), both >= 0."""
        weights = self._falling(background, signal)
        return Roc(*(sums(w)[above] for w, above in zip(weights, self.passed, strict=True)))

    def rejections(
        self, background: NDArray[Any], signal: NDArray[Any], efficiencies: Sequence[float]
    ) -> list[float]:
        """`working_point(self.roc(...), eps).rejection` for each eps, without the whole curve.

        The weights of the background are numbers of units, so that its sums do not depend on
        their order. NaN where a class has no weight.
        """
        ordered, weights = self._falling(background, signal)
        total, every = float(ordered.sum()), float(weights.sum())
        if not (total > 0 and every > 0):
            return [math.nan] * len(efficiencies)
        least = [wanted(eps, every) for eps in efficiencies]
        first = int(MARGIN * max(efficiencies) * len(weights)) + FEW  # mostly enough of them
        selected = sums(weights[:first])
        if selected[-1] < max(least):
            selected = sums(weights)
        blocks = np.searchsorted(self.passed[1], np.searchsorted(selected, least, "left"), "left")
        passing = (float(ordered[: self.passed[0][block]].sum()) for block in blocks)
        return [total / (found or 1.0) for found in passing]

    def _falling(
        self, background: ArrayLike, signal: ArrayLike
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """The weights of both classes in falling score."""
        first, second = self.orders
        found = np.asarray(signal).take(second)
        weighted = found if self.weight is None else found * self.weight
        return np.asarray(background).take(first), weighted


def sums(weights: NDArray[Any]) -> Array:
    """0, and the sums of the first 1, 2, ... weights, added in order; (1 + n,)."""
    found = np.empty(len(weights) + 1)
    found[0] = 0.0
    np.cumsum(weights, out=found[1:], dtype=np.float64)
    return found


def roc(
    background: ArrayLike,
    signal: ArrayLike,
    background_weight: ArrayLike | None = None,
    signal_weight: ArrayLike | None = None,
) -> Roc:
    """The ROC of the scores of both classes; weights default to 1.

    >>> roc([1, 2, 2, 3], [2, 3, 3, 4]).background
    array([0., 0., 1., 3., 4.])
    """
    bkg, sig = checked(background, signal)
    first, second = (
        np.ones(len(s)) if w is None else _weights(w, len(s))
        for s, w in ((bkg, background_weight), (sig, signal_weight))
    )
    return Ordered.of(bkg, sig).roc(first, second)


def checked(background: ArrayLike, signal: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
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


def _weights(weights: ArrayLike, number: int) -> Array:
    found = np.asarray(weights, dtype=np.float64)
    if found.shape != (number,):
        raise ValueError(f"weights must be one a unit, shape ({number},); got {found.shape}")
    if not (np.isfinite(found).all() and (found >= 0).all() and found.sum() > 0):
        raise ValueError("weights must be finite and >= 0, with a positive sum")
    return found


def area(curve: Roc) -> float:
    """Area under the ROC by trapezoids: P(s_sig > s_bkg) + P(s_sig = s_bkg) / 2.

    Never mirrored to above 0.5: a score has a direction, and values below say that it is wrong.

    >>> area(roc([1, 2, 2, 3], [2, 3, 3, 4]))
    0.8125
    """
    return float(np.trapezoid(curve.eps_signal, curve.eps_background))


def area_under_curve(
    background: ArrayLike,
    signal: ArrayLike,
    background_weight: ArrayLike | None = None,
    signal_weight: ArrayLike | None = None,
) -> float:
    """`area` of the scores of both classes."""
    return area(roc(background, signal, background_weight, signal_weight))


@dataclass(frozen=True)
class WorkingPoint:
    """A point of the ROC: both efficiencies, the background that passes, and all of it."""

    eps_signal: float
    eps_background: float
    passing: float
    background: float

    @property
    def bound(self) -> bool:
        """No background passes: `rejection` is then only a lower bound."""
        return self.passing == 0

    @property
    def rejection(self) -> float:
        """1/eps_B, or its lower bound N_B where nothing passes (N_B/3 at 95 % confidence)."""
        return self.background / (self.passing or 1.0)

    @property
    def sigma(self) -> float:
        """Statistical error of the rejection, rejection / sqrt(passing); NaN for a bound."""
        return self.rejection / math.sqrt(self.passing) if self.passing else math.nan


def working_point(curve: Roc, eps_signal: float) -> WorkingPoint:
    """The first point of the ROC, from above, with at least `eps_signal`.

    >>> working_point(roc([1, 2, 2, 3], [2, 3, 3, 4]), 0.5).rejection
    4.0
    """
    if not 0 < eps_signal <= 1:
        raise ValueError(f"eps_signal must be in (0, 1]; got {eps_signal}")
    k = int(np.searchsorted(curve.signal, wanted(eps_signal, curve.signal[-1]), "left"))
    passing, background = float(curve.background[k]), float(curve.background[-1])
    selected = float(curve.signal[k] / curve.signal[-1])
    return WorkingPoint(selected, passing / background, passing, background)


def wanted(eps_signal: float, total: float) -> float:
    """Weight of the signal that a working point has to select, up to rounding of its sum."""
    return eps_signal * total - ROUNDING * max(total, 1.0)


def default_floor(background: float) -> int:
    """Background units that a SIC point must have selected: 10 for some thousands, else 100."""
    return FEW if background < 10_000 else 100


def largest_sic(curve: Roc, floor: int | None = None) -> tuple[float, float, float]:
    """Maximum of eps_S / sqrt(eps_B) and its (eps_S, eps_B).

    Only points with at least `floor` selected background units (default: `default_floor`) count:
    without one the maximum is the fluctuation of a single unit. NaN where no point has that many,
    and where the classes separate entirely, so that the floor alone would decide.

    >>> [round(v, 4) for v in largest_sic(roc([1, 2, 2, 3], [2, 3, 3, 4]), floor=1)]
    [1.5, 0.75, 0.25]
    """
    least = default_floor(curve.background[-1]) if floor is None else floor
    usable = curve.background >= max(least, 1)
    separate = curve.signal[curve.background == 0].max() == curve.signal[-1]
    if separate or not usable.any():
        return math.nan, math.nan, math.nan
    eps_b, eps_s = curve.eps_background[usable], curve.eps_signal[usable]
    sic = eps_s / np.sqrt(eps_b)
    best = int(np.argmax(sic))
    return float(sic[best]), float(eps_s[best]), float(eps_b[best])


def efficiency_at(curve: Roc, eps_background: float) -> float:
    """Largest eps_S with eps_B <= `eps_background`; NaN where N_B < 10 / eps_background.

    The convention of the Dark Machines challenge (arXiv:2105.14027).
    """
    total = curve.background[-1]
    if total < FEW / eps_background - ROUNDING:
        return math.nan
    k = int(np.searchsorted(curve.background, eps_background * total + ROUNDING, "right")) - 1
    return float(curve.signal[k] / curve.signal[-1])


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Rank correlation with average ranks for ties; NaN where one side is constant."""
    ranks = [average_ranks(np.asarray(v)) for v in (first, second)]
    a, b = (r - r.mean() for r in ranks)
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm > 0 else math.nan


def average_ranks(values: NDArray[Any]) -> Array:
    """Ranks from 1, tied values share their mean; as SciPy's `rankdata`, whose import is long.

    >>> average_ranks(np.array([2, 1, 2])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    return np.asarray((upper - (counts - 1) / 2)[inverse])
