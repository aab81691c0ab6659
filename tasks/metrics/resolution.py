"""Resolution of track parameters: four estimators of a width, and scores in bins of true pT.

Relative error r = (predicted - true) / true. Bins are half open, (lo, hi], in true pT. A track
without an answer (q/pT predicted with |q/pT| < 1e-3 per GeV, pT above 1 TeV) has r = inf: it
counts as an outlier and is never dropped. Standard deviations are population ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.particle_mix import EDGES
from physbench.datasets.tracks import TrackTruth

Array = NDArray[np.float64]
Predictions = Mapping[str, NDArray[Any]]

UNBOUNDED = 1e-3  # |q/pT| in 1/GeV below which a track has no momentum
OUTLIER = 0.1  # relative error
LOW, HIGH = 0.15865525393145707, 0.8413447460685429  # +- 1 sigma
TAIL = 5.733031088084317e-05  # per cent; two-sided 5-sigma tail


class Width(NamedTuple):
    """A width, its centre, and the fraction of values it did not use."""

    sigma: float
    centre: float
    removed: float
    rounds: int = 0


def iterative_rms(r: Array, rounds: int = 100) -> Width:
    """A: mean and standard deviation after repeated removal beyond 3 standard deviations."""
    kept = r[np.isfinite(r)]
    for number in range(1, rounds + 1):
        if not len(kept):
            return Width(math.nan, math.nan, 1.0, number)
        mean, sigma = float(kept.mean()), float(kept.std())
        inside = np.abs(kept - mean) <= 3 * sigma
        if inside.all():
            break
        kept = kept[inside]
    return Width(sigma, mean, 1 - len(kept) / len(r), number)


def quantile_normal(r: Array) -> Width:
    """B: normal maximum likelihood between the two-sided 5-sigma percentiles.

    Below about 1.7 million values this removes exactly the smallest and the largest one.
    """
    finite = r[np.isfinite(r)]
    if not len(finite):
        return Width(math.nan, math.nan, 1.0)
    low, high = np.percentile(finite, [TAIL, 100 - TAIL])
    kept = finite[(finite >= low) & (finite <= high)]
    if not len(kept):
        return Width(math.nan, math.nan, 1.0)
    return Width(float(kept.std()), float(kept.mean()), 1 - len(kept) / len(r))


def gaussian_fit(r: Array, bins: int = 100) -> Width:
    """C: least squares of a normal density to a histogram, at the bin centres."""
    from scipy.optimize import least_squares

    finite = r[np.isfinite(r)]
    scale = core68(finite) if len(finite) >= 10 else 0.0
    if not scale > 0:
        return Width(math.nan, math.nan, 1.0)
    mean, sigma = finite.mean(), finite.std()
    low, high = np.percentile(finite, [TAIL, 100 - TAIL])
    span = (max(low, mean - 5 * sigma), min(high, mean + 5 * sigma))
    density, edges = np.histogram(finite, bins, span, density=True)
    # In units of the core's width: finite differences need parameters of order one.
    x, height = (edges[1:] + edges[:-1]) / (2 * scale), density * scale

    def residuals(parameters: Array) -> Array:
        centre, width = parameters
        peak = np.exp(-0.5 * ((x - centre) / width) ** 2) / (abs(width) * math.sqrt(2 * math.pi))
        return np.asarray(peak - height)

    found = least_squares(residuals, [float(np.median(finite)) / scale, 1.0])
    if not found.success:  # the distribution is no peak
        return Width(math.nan, math.nan, 1.0)
    centre, width = (float(value) * scale for value in found.x)
    used = float(np.mean((r >= span[0]) & (r <= span[1])))
    return Width(abs(width), centre, 1 - used)


def core68(r: Array) -> float:
    """D: half the distance of the 15.87 and 84.13 percentiles; inf when failures reach them."""
    if len(r) < 2:
        return math.nan
    high = _quantile(r, HIGH)
    # Failures are +inf: where they reach the upper percentile, the lower one may be inf too.
    return (high - _quantile(r, LOW)) / 2 if math.isfinite(high) else math.inf


def _quantile(r: Array, q: float) -> float:
    """Linear-interpolated quantile by selection; +inf values are ordinary large values."""
    position = q * (len(r) - 1)
    k = min(int(position), len(r) - 2)
    below, above = np.partition(r, (k, k + 1))[k : k + 2]
    if not math.isfinite(above):
        return float(below) if position == k else math.inf
    return float(below + (position - k) * (above - below))


def failed(predictions: Predictions) -> NDArray[np.bool_]:
    """Tracks without an answer."""
    qopt = predictions["qopt"]
    return np.asarray(~np.isfinite(qopt) | (np.abs(qopt) < UNBOUNDED))


def pt_errors(truth: TrackTruth, predictions: Predictions) -> Array:
    """(n,) relative error of pT = 1/|q/pT|."""
    bad = failed(predictions)
    qopt = np.where(bad, 1.0, predictions["qopt"]).astype(np.float64)
    return np.where(bad, np.inf, 1 / (np.abs(qopt) * truth.pt) - 1)


def qopt_errors(truth: TrackTruth, predictions: Predictions) -> Array:
    """(n,) relative error of q/pT, true sign included: a wrong charge is an error of -2."""
    return np.where(failed(predictions), np.inf, predictions["qopt"] * truth.pt * truth.q - 1)


def pz_errors(truth: TrackTruth, predictions: Predictions) -> Array:
    """(n,) relative error of pz; a track with true pz = 0 has none (NaN in no bin)."""
    true = np.where(truth.pz == 0, np.nan, truth.pz)
    r = np.where(failed(predictions), np.inf, predictions["pz"] / true - 1)
    return np.where(truth.pz == 0, 0.0, r)


def binned(truth: TrackTruth, r: Array) -> list[Array]:
    """Errors in the six bins of true pT; the first begins at 0."""
    which = np.searchsorted(EDGES[1:], truth.pt, side="left")
    return [r[which == b] for b in range(len(EDGES) - 1)]


def _named(values: list[float]) -> dict[str, float]:
    """Values by bin, and the mean of the defined ones under `all`."""
    names = [f"pt {lo:g}-{hi:g}" for lo, hi in itertools.pairwise(EDGES)]
    defined = [v for v in values if not math.isnan(v)]
    mean = float(np.mean(defined)) if defined else math.nan
    return {"all": mean} | dict(zip(names, values, strict=True))


def distance_to_limit(truth: TrackTruth, predictions: Predictions) -> float:
    """Mean over the pT bins with tracks of core68(pT) over the physical limit; 1 is perfect."""
    return distance_to_limit_slices(truth, predictions)["all"]


def distance_to_limit_slices(truth: TrackTruth, predictions: Predictions) -> dict[str, float]:
    """core68(pT)/limit by bin; NaN everywhere when the data have no limit (the 2-D toy)."""
    if not truth.limit:
        return _named([math.nan] * (len(EDGES) - 1))
    bins = binned(truth, pt_errors(truth, predictions))
    return _named([core68(r) / limit for r, limit in zip(bins, truth.limit, strict=True)])


def core68_pt(truth: TrackTruth, predictions: Predictions) -> dict[str, float]:
    """core68 of the relative error of pT, by bin, and the mean over bins."""
    return _named([core68(r) for r in binned(truth, pt_errors(truth, predictions))])


def core68_qopt(truth: TrackTruth, predictions: Predictions) -> dict[str, float]:
    """core68 of the relative error of q/pT, by bin, and the mean over bins."""
    return _named([core68(r) for r in binned(truth, qopt_errors(truth, predictions))])


def core68_pz(truth: TrackTruth, predictions: Predictions) -> dict[str, float]:
    """core68 of the relative error of pz, by bin, and the mean over bins."""
    return _named([core68(r) for r in binned(truth, pz_errors(truth, predictions))])


def pruned_rms_pt(truth: TrackTruth, predictions: Predictions) -> dict[str, float]:
    """Estimator A of pT: optimistic by 1.5 % on a Gaussian, and it hides tails."""
    return _named([iterative_rms(r).sigma for r in binned(truth, pt_errors(truth, predictions))])


def quantile_normal_pt(truth: TrackTruth, predictions: Predictions) -> dict[str, float]:
    """Estimator B of pT: the plain standard deviation in effect; it sees tails alone."""
    return _named([quantile_normal(r).sigma for r in binned(truth, pt_errors(truth, predictions))])


def gaussian_fit_pt(truth: TrackTruth, predictions: Predictions) -> dict[str, float]:
    """Estimator C of pT: Gaussian fit at bin centres."""
    return _named([gaussian_fit(r).sigma for r in binned(truth, pt_errors(truth, predictions))])


def bias_pt(truth: TrackTruth, predictions: Predictions) -> dict[str, float]:
    """Median relative error of pT, by bin, and the mean over bins."""
    bins = binned(truth, pt_errors(truth, predictions))
    return _named([_quantile(r, 0.5) if len(r) > 1 else math.nan for r in bins])


def outlier_fraction(truth: TrackTruth, predictions: Predictions) -> float:
    """Fraction of tracks with a relative error of pT above 10 %, failures included."""
    return float(np.mean(np.abs(pt_errors(truth, predictions)) > OUTLIER))


def sign_error_rate(truth: TrackTruth, predictions: Predictions) -> float:
    """Fraction of tracks with the wrong sign of the charge; no answer is a wrong one."""
    return float(np.mean(failed(predictions) | (predictions["qopt"] * truth.q <= 0)))


def core68_d0(truth: TrackTruth, predictions: Predictions) -> float:
    """core68 of d0 in mm; NaN when d0 is not predicted."""
    return _absolute(truth.d0, predictions, "d0")


def core68_z0(truth: TrackTruth, predictions: Predictions) -> float:
    """core68 of z0 in mm; NaN when z0 is not predicted."""
    return _absolute(truth.z0, predictions, "z0")


def _absolute(true: Array, predictions: Predictions, name: str) -> float:
    if name not in predictions:
        return math.nan
    return core68(np.where(failed(predictions), np.inf, predictions[name] - true))
