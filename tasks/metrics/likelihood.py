"""Scores of an estimated likelihood ratio: how far from the exact one, and what it does to limits.

l = ln r-hat(x|theta) and L = ln r(x|theta), the exact one, on the grid of 21 theta in [-1, 1] that
holds the reference 0; test events are drawn at the reference. `derive` hands every metric
`{"log_ratio": l (n, 21), "error": l - L (n, 21)}` and "spread" (n, 21) where a model gives one.
Without the exact ratio (train, validation) every metric is NaN: a real experiment has none, so no
model may choose on it.

Intervals on theta come from pseudo-experiments of 100 events at theta*, drawn with replacement
from the test events with probability proportional to r(x|theta*): importance resampling with the
exact ratio. Their interval is {theta: -2 ln L(theta)/max L < 1}.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.events import GRID, Gold

Array = NDArray[np.float64]
Derived = Mapping[str, Array]

TRIM = 0.05  # share of the squares that is cut at each end
STEP = 1  # grid points to each side of 0 between which the score is a difference
NOMINAL = 0.6826894921370859  # content of -2 ln L < 1
TRUE = (-0.5, 0.0, 0.5)  # theta* of the pseudo-experiments: further out the grid cuts intervals
EXPERIMENTS, EVENTS = 400, 100
SEED = 7
FINE = np.linspace(-1, 1, 401)
NORMAL = 1.959963984540054


def derive(truth: Gold, predictions: Mapping[str, NDArray[Any]]) -> Derived:
    """The prediction in double precision and its error; NaN without the exact ratio."""
    columns = {name: np.asarray(v, dtype=np.float64) for name, v in predictions.items()}
    known = truth.exact.shape == columns["log_ratio"].shape
    exact = truth.exact if known else np.full_like(columns["log_ratio"], math.nan)
    return columns | {"error": columns["log_ratio"] - exact}


def mse_log_ratio(truth: Gold, derived: Derived) -> float:
    """Mean over events and theta of (l - L)^2.

    >>> example = {"error": np.array([[0.4 - 0.5, -0.7 + 1.0]])}
    >>> round(mse_log_ratio(None, example), 12)
    0.05
    """
    return float((derived["error"] ** 2).mean())


def mse_slices(truth: Gold, derived: Derived) -> dict[str, float]:
    """Mean over events of (l - L)^2 at each theta; errors grow with |theta|."""
    squares = (derived["error"] ** 2).mean(0)
    return {f"theta={t:+.1f}": float(v) for t, v in zip(GRID, squares, strict=True)}


def mse_replicates(truth: Gold, derived: Derived, counts: NDArray[Any]) -> Array:
    """`mse_log_ratio` of resamples with multiplicities `counts` (B, n); (B,)."""
    return np.asarray(counts @ (derived["error"] ** 2).mean(1) / counts.sum(1))


def trimmed_mse(truth: Gold, derived: Derived) -> float:
    """`mse_log_ratio` without the smallest and the largest 5 % of all squares (n x 21).

    >>> example = {"error": np.sqrt(np.arange(1.0, 21.0))[None]}
    >>> round(trimmed_mse(None, example), 12)  # the mean of 2, ..., 19
    10.5
    """
    squares = np.sort((derived["error"] ** 2).ravel())
    cut = int(TRIM * len(squares))
    return float(squares[cut : len(squares) - cut].mean())


def trimmed_replicates(truth: Gold, derived: Derived, counts: NDArray[Any]) -> Array:
    """`trimmed_mse` of resamples with multiplicities `counts` (B, n); sorts once. (B,).

    The k smallest of a resample are the first ones in the common order whose multiplicities add up
    to k; only a tail of the order is needed to find them.
    """
    squares = derived["error"] ** 2
    order = np.argsort(squares, axis=None)
    values, owner = squares.ravel()[order], order // squares.shape[1]
    total = counts @ squares.sum(1)
    size = counts.sum(1) * squares.shape[1]
    cut = (TRIM * size).astype(np.int64)
    rows = list(zip(counts, cut.tolist(), strict=True))
    ends = [
        np.array([_first(values[::step], owner[::step], row, k) for row, k in rows])
        for step in (1, -1)
    ]
    return np.asarray((total - ends[0] - ends[1]) / (size - 2 * cut))


def _first(values: Array, owner: NDArray[np.int64], counts: NDArray[Any], k: int) -> float:
    """Sum of the first k values, each repeated as often as its owner is drawn."""
    length = min(len(values), 2 * k + 1)
    repeats = counts[owner[:length]]
    while repeats.sum() < k:
        length = min(len(values), 2 * length)
        repeats = counts[owner[:length]]
    reached = np.cumsum(repeats)
    last = int(np.searchsorted(reached, k))
    spare = k - (int(reached[last - 1]) if last else 0)
    return float(values[:last] @ repeats[:last] + spare * values[last]) if k else 0.0


def estimated_score(derived: Derived) -> Array:
    """(n,) t-hat = [l(+0.1) - l(-0.1)]/0.2, the score at the reference."""
    middle = reference(GRID)
    low, high = middle - STEP, middle + STEP
    log_ratio = derived["log_ratio"]
    return np.asarray((log_ratio[:, high] - log_ratio[:, low]) / (GRID[high] - GRID[low]))


def reference(grid: Array) -> int:
    """Index of theta = 0 on a grid; raises ValueError for a grid without it.

    A network has l(x, 0) != 0; putting 0 there by hand gives the likelihood a kink and ruins the
    intervals, so the reference must be a point at which the model was asked.
    """
    found = np.flatnonzero(np.isclose(grid, 0.0, rtol=0, atol=1e-12))
    if len(found) != 1:
        raise ValueError(
            f"the grid of theta must hold the reference 0 once; got {np.asarray(grid).tolist()}"
        )
    return int(found[0])


def information_kept(truth: Gold, derived: Derived) -> float:
    """corr(t-hat, t)^2 with the exact score t at 0.

    The share of the Fisher information that the best linear use of t-hat keeps; scaling t-hat
    changes nothing. 0 for a constant; NaN without the exact score.
    """
    ones = np.ones((1, len(truth)))
    return float(information_replicates(truth, derived, ones)[0]) if len(truth) else math.nan


def information_replicates(truth: Gold, derived: Derived, counts: NDArray[Any]) -> Array:
    """`information_kept` of resamples with multiplicities `counts` (B, n); (B,)."""
    t, s = estimated_score(derived), truth.exact_score
    t, s = t - t.mean(), s - s.mean()  # of order one: second moments lose no digits
    moments = counts @ np.stack([t, s, t * t, s * s, t * s], 1) / counts.sum(1)[:, None]
    mt, ms, tt, ss, ts = moments.T
    variances = (tt - mt**2) * (ss - ms**2)
    flat = tt - mt**2 <= 1e-12  # float16 predictions: nothing smaller is a signal
    kept = (ts - mt * ms) ** 2 / np.where(flat, 1.0, variances)
    return np.asarray(np.where(flat & np.isfinite(ss), 0.0, np.minimum(kept, 1.0)))


def normalisation(truth: Gold, derived: Derived) -> float:
    """Largest over theta of |mean r-hat - 1|: the mean over reference events is 1 for a ratio.

    ln 1.1 everywhere gives 0.1.
    """
    return float(np.abs(_excess(derived)[0]).max())


def _excess(derived: Derived) -> tuple[Array, Array]:
    """Mean of r-hat - 1 and its standard error, each (21,); NaN without the exact ratio."""
    known = np.isfinite(derived["error"]).all()
    ratio = np.exp(derived["log_ratio"]) if known else np.full_like(derived["error"], math.nan)
    return ratio.mean(0) - 1, ratio.std(0) / math.sqrt(max(len(ratio), 1))


def normalisation_interval(truth: Gold, derived: Derived) -> tuple[float, float]:
    """Normal interval of |mean r-hat - 1| at the theta where it is largest."""
    excess, error = _excess(derived)
    worst = int(np.abs(excess).argmax())
    value, half = abs(float(excess[worst])), NORMAL * float(error[worst])
    return max(0.0, value - half), value + half


def drawn(exact: Array, theta: float, count: int = EXPERIMENTS) -> NDArray[np.int64]:
    """(count, 100) indices of events of pseudo-experiments at theta*, with a fixed seed.

    Weights are rounded to integers, so that the last digit of an exponential, which differs from
    processor to processor, moves no draw.
    """
    weights = np.rint(np.exp(exact[:, int(np.abs(GRID - theta).argmin())]) * 2**20)
    reached = np.cumsum(weights.astype(np.int64))
    generator = np.random.default_rng([SEED, TRUE.index(theta)])
    chosen = generator.integers(0, reached[-1], (count, EVENTS))
    return np.searchsorted(reached, chosen, side="right")


def deviance(log_ratio: Array, grid: Array = GRID) -> Array:
    """-2 ln L(theta)/max L on the fine grid (..., 401) from sums of l over events (..., 21).

    Cubic spline through the grid's points; raises ValueError for a grid without 0.
    """
    from scipy.interpolate import CubicSpline

    reference(grid)
    fine = CubicSpline(grid, log_ratio, axis=-1)(FINE)
    return np.asarray(2 * (fine.max(-1, keepdims=True) - fine))


def inside(exact: Array, log_ratio: Array) -> NDArray[np.bool_]:
    """(3, experiments, 401): which theta the interval of each pseudo-experiment holds."""
    sums = [log_ratio[drawn(exact, theta)].sum(1) for theta in TRUE]
    return np.asarray(deviance(np.stack(sums)) < 1)


def covered(held: NDArray[np.bool_]) -> Array:
    """(3,): share of the intervals that hold theta*, for each theta*."""
    places = [int(np.abs(FINE - theta).argmin()) for theta in TRUE]
    return np.array([held[k, :, place].mean() for k, place in enumerate(places)])


def widths(held: NDArray[np.bool_]) -> Array:
    """(3, experiments): length of each interval; 2 for all of [-1, 1]."""
    return np.asarray(held.mean(-1) * (FINE[-1] - FINE[0]))


def coverage_excess(truth: Gold, derived: Derived) -> dict[str, float]:
    """Share of the intervals from 100 events that hold theta*, minus 0.683, mean over theta*.

    Slices: the share itself for each theta*, and for the exact ratio, whose intervals need not
    cover exactly 68.3 % with 100 events either.
    """
    found = _coverage(truth, derived)
    if math.isnan(found["all"]):
        return found
    best = covered(inside(truth.exact, truth.exact)).mean()
    return found | {"coverage of the exact ratio": float(best)}


def _coverage(truth: Gold, derived: Derived) -> dict[str, float]:
    """The same without the exact ratio; NaN where nobody knows it."""
    if not np.isfinite(derived["error"]).all():
        return {"all": math.nan}
    share = covered(inside(truth.exact, derived["log_ratio"]))
    names = [f"coverage at theta*={theta:+.1f}" for theta in TRUE]
    result = {"all": float(share.mean()) - NOMINAL, "coverage": float(share.mean())}
    return result | dict(zip(names, map(float, share), strict=True))


def coverage_interval(truth: Gold, derived: Derived) -> tuple[float, float]:
    """Binomial interval (Wilson, 95 %) of all 1,200 pseudo-experiments."""
    value = _coverage(truth, derived)["all"] + NOMINAL
    low, high = wilson(value, len(TRUE) * EXPERIMENTS)
    return low - NOMINAL, high - NOMINAL


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a binomial share; Wilson 1927.

    >>> [round(end, 4) for end in wilson(0.5, 100)]
    [0.4038, 0.5962]
    """
    square = NORMAL**2 / count
    centre = (share + square / 2) / (1 + square)
    half = NORMAL * math.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    return centre - half, centre + half


def interval_width(truth: Gold, derived: Derived) -> float:
    """Mean length of the intervals of `coverage_excess`; means nothing without coverage."""
    if not np.isfinite(derived["error"]).all():
        return math.nan
    return float(widths(inside(truth.exact, derived["log_ratio"])).mean())


def width_interval(truth: Gold, derived: Derived) -> tuple[float, float]:
    """Normal interval of the mean length over all pseudo-experiments."""
    lengths = widths(inside(truth.exact, derived["log_ratio"]))
    half = NORMAL * float(lengths.std()) / math.sqrt(lengths.size)
    return float(lengths.mean()) - half, float(lengths.mean()) + half


def spread_excess(truth: Gold, derived: Derived) -> float:
    """Share of events and theta with |l - L| <= spread, minus 0.683; NaN without a spread.

    The spread is what a model states as its uncertainty, one standard deviation: of an ensemble,
    the standard deviation over its members divided by the square root of their number.
    """
    return float(_within(derived).mean()) - NOMINAL if len(truth) else math.nan


def spread_replicates(truth: Gold, derived: Derived, counts: NDArray[Any]) -> Array:
    """`spread_excess` of resamples with multiplicities `counts` (B, n); (B,)."""
    return np.asarray(counts @ _within(derived) / counts.sum(1) - NOMINAL)


def _within(derived: Derived) -> Array:
    """(n,): share of theta at which the error is within the spread; NaN without a spread."""
    error = np.abs(derived["error"])
    if "spread" not in derived:
        return np.full(len(error), math.nan)
    held = np.where(np.isfinite(error), error <= derived["spread"], math.nan)
    return np.asarray(held.mean(1))
