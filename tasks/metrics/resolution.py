"""Resolution of track parameters: pulls against the ideal fit, and four estimators of a width.

The score divides each track's error by what the ideal linear fit of its own hits leaves open:
u = ln(pT predicted / pT true) / sigma, with sigma from generalised least squares at the true
momentum and mass. Scattering is not Gaussian, so the core of that fit's own pulls is c, not 1:
core68(u)/c = 1 is the ideal linear fit. What is not linear, or knows the spectrum, may get below.

Elsewhere r = (predicted - true)/true, in bins (lo, hi] of true pT. A track without an answer
(q/pT predicted with |q/pT| < 1e-3 per GeV, pT above 1 TeV) has r = u = inf: it counts as an
outlier and is never dropped. Standard deviations are population ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.particle_mix import EDGES, SPECIES
from physbench.datasets.tracks import TrackTruth

Array = NDArray[np.float64]
Predictions = Mapping[str, NDArray[Any]]

SCORED = (0.52, 9.6)  # GeV: nearer to the edges of the spectrum a prior alone helps
ETA_EDGES = (0.0, 0.3, 0.6, 1.0)
HITS_EDGES = (2, 10, 11, 12, 13, 20)  # (lo, hi]
NAMES = {211: "pion", 321: "kaon", 2212: "proton", 11: "electron", 13: "muon"}
WINDOW = 5.0  # core68 on both sides of the median that a Gaussian is fitted in
FEWEST = 30  # tracks of a slice; fewer give no width
DISPLACED = 3.0  # widths of a fit by which true values must vary, or a constant would win
UNBOUNDED = 1e-3  # |q/pT| in 1/GeV below which a track has no momentum
OUTLIER = 0.1  # relative error
ROUNDS = 100  # of pruning at most
LOW, HIGH = 0.15865525393145707, 0.8413447460685429  # +- 1 sigma
TAIL = 5.733031088084317e-05  # per cent; two-sided 5-sigma tail


class Width(NamedTuple):
    """A width, its centre, and the fraction of values it did not use."""

    sigma: float
    centre: float
    removed: float
    rounds: int = 0


def iterative_rms(r: Array, rounds: int = ROUNDS) -> Width:
    """A: mean and standard deviation after repeated removal beyond 3 standard deviations."""
    known = np.isfinite(r)
    kept = r if known.all() else r[known]
    for number in range(1, rounds + 1):
        if not len(kept):
            return Width(math.nan, math.nan, 1.0, number)
        mean = float(kept.mean())
        away = kept - mean
        sigma = math.sqrt(float(np.mean(away * away)))
        inside = np.abs(away, out=away) <= 3 * sigma
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
    """C: least squares of a normal density to a histogram, at the bin centres.

    The histogram spans 5 core68 on both sides of the median, so that no outlier widens its bins.
    """
    from scipy.optimize import least_squares

    finite = r[np.isfinite(r)]
    scale = core68(finite) if len(finite) >= 10 else 0.0
    if not scale > 0:
        return Width(math.nan, math.nan, 1.0)
    middle = float(np.median(finite))
    span = (middle - WINDOW * scale, middle + WINDOW * scale)
    density, edges = np.histogram(finite, bins, span, density=True)
    # In units of the core's width: finite differences need parameters of order one.
    x, height = (edges[1:] + edges[:-1]) / (2 * scale), density * scale

    def residuals(parameters: Array) -> Array:
        centre, width = parameters
        peak = np.exp(-0.5 * ((x - centre) / width) ** 2) / (abs(width) * math.sqrt(2 * math.pi))
        return np.asarray(peak - height)

    found = least_squares(residuals, [middle / scale, 1.0])
    if not found.success:  # the distribution is no peak
        return Width(math.nan, math.nan, 1.0)
    centre, width = (float(value) * scale for value in found.x)
    used = float(np.mean((r >= span[0]) & (r <= span[1])))
    return Width(abs(width), centre, 1 - used)


def core68(r: Array) -> float:
    """D: half the distance of the 15.87 and 84.13 percentiles; inf when failures reach them."""
    if len(r) < 2:
        return math.nan
    low, high = _quantiles(r, LOW, HIGH)
    # Failures are +inf: where they reach the upper percentile, the lower one may be inf too.
    return (high - low) / 2 if math.isfinite(high) else math.inf


def _quantiles(r: Array, *q: float) -> list[float]:
    """Linear-interpolated quantiles by one selection; +inf values are ordinary large values."""
    positions = [share * (len(r) - 1) for share in q]
    places = [min(int(position), len(r) - 2) for position in positions]
    chosen = np.partition(r, sorted({k + step for k in places for step in (0, 1)}))
    return [
        _between(chosen[k], chosen[k + 1], position - k)
        for position, k in zip(positions, places, strict=True)
    ]


def _between(below: float, above: float, share: float) -> float:
    if not math.isfinite(above):
        return float(below) if share == 0 else math.inf
    return float(below + share * (above - below))


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
    """(n,) relative error of q/pT, true sign included: a wrong charge is an error of -2.

    Without a sign in the protocol's target, pT, that of its size.
    """
    if truth.target == "pt":
        return np.where(failed(predictions), np.inf, np.abs(predictions["qopt"]) * truth.pt - 1)
    return np.where(failed(predictions), np.inf, predictions["qopt"] * truth.pt * truth.q - 1)


def pz_errors(truth: TrackTruth, predictions: Predictions) -> Array:
    """(n,) relative error of pz; a track with true pz = 0 has none (NaN in no bin)."""
    true = np.where(truth.pz == 0, np.nan, truth.pz)
    r = predictions["pz"] / true - 1
    bad = failed(predictions) | ~np.isfinite(predictions["pz"])
    return np.where(truth.pz == 0, 0.0, np.where(bad, np.inf, r))


def binned(truth: TrackTruth, r: NDArray[Any]) -> list[NDArray[Any]]:
    """Errors in the six bins of true pT; the first begins at 0."""
    which = np.searchsorted(EDGES[1:], truth.pt, side="left")
    return [r[which == b] for b in range(len(EDGES) - 1)]


def _pt_names(scored: tuple[float, float] = (EDGES[0], EDGES[-1])) -> list[str]:
    return [f"pt {lo:g}-{hi:g}" for lo, hi in itertools.pairwise(np.clip(EDGES, *scored))]


def _named(values: list[float]) -> dict[str, float]:
    """Values by bin, and the mean of the defined ones under `all`."""
    names = _pt_names()
    defined = [v for v in values if not math.isnan(v)]
    mean = float(np.mean(defined)) if defined else math.nan
    return {"all": mean} | dict(zip(names, values, strict=True))


def pt_pulls(truth: TrackTruth, predictions: Predictions) -> Array:
    """(n,) u = ln(pT predicted / pT true) / sigma of the ideal linear fit; inf without answer."""
    bad = failed(predictions)
    qopt = np.where(bad, 1.0, predictions["qopt"]).astype(np.float64)
    return np.where(bad, np.inf, -np.log(np.abs(qopt) * truth.pt) / truth.sigma[:, 0])


def pull_pt(truth: TrackTruth, predictions: Predictions) -> float:
    """S, mean over the pT bins with tracks of core68(u)/c; 1 is the ideal linear fit.

    u are the pulls of ln pT, c the core68 of that fit's own pulls. Tracks below 0.52 and above
    9.6 GeV are not scored: there the edge of the spectrum alone tells something. NaN when the
    data have no such fit (the 2-D toy).
    """
    return _named(_over_core(scored(truth), truth, pt_pulls(truth, predictions)))["all"]


def pull_pt_slices(truth: TrackTruth, predictions: Predictions) -> dict[str, float]:
    """S, and core68(u)/c in slices of pT, of |eta|, of the number of hits, and by species."""
    pulls, masks = pt_pulls(truth, predictions), scored(truth)
    bins = _over_core(masks, truth, pulls)
    found = {"all": _named(bins)["all"]} | dict(zip(_pt_names(SCORED), bins, strict=True))
    inside = np.logical_or.reduce(masks)
    other = {name: mask & inside for name, mask in _slices(truth)}
    large = {name: mask for name, mask in other.items() if mask.sum() >= FEWEST}
    widths = _over_core(list(large.values()), truth, pulls)
    return found | dict(zip(large, widths, strict=True))


def _slices(truth: TrackTruth) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Names and masks of the slices beside those of pT."""
    eta = np.abs(truth.eta)
    for low, high in itertools.pairwise(ETA_EDGES):
        yield f"|eta| {low:g}-{high:g}", (eta > low) & (eta <= high)
    for few, many in itertools.pairwise(HITS_EDGES):
        name = f"hits {few + 1}-{many}" if many - few > 1 else f"hits {many}"
        yield name, (truth.hits > few) & (truth.hits <= many)
    for code, mass, _ in SPECIES:
        yield NAMES[code], np.abs(truth.mass - mass) < 1e-3 * mass


def scored(truth: TrackTruth) -> list[NDArray[np.bool_]]:
    """Masks of the pT bins, their outer edges moved in to what is scored."""
    edges = np.clip(EDGES, *SCORED)
    return [(truth.pt > lo) & (truth.pt <= hi) for lo, hi in itertools.pairwise(edges)]


def _over_core(
    masks: list[NDArray[np.bool_]], truth: TrackTruth, pulls: Array, number: int = 0
) -> list[float]:
    """core68 of the pulls under each mask, over c; NaN without an ideal fit."""
    if np.isnan(truth.sigma[:, number]).any():
        return [math.nan] * len(masks)
    return [core68(pulls[mask]) / truth.core[number] for mask in masks]


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
    return _named([_quantiles(r, 0.5)[0] if len(r) > 1 else math.nan for r in bins])


def outlier_fraction(truth: TrackTruth, predictions: Predictions) -> float:
    """Fraction of tracks with a relative error of pT above 10 %, failures included."""
    return float(np.mean(outliers(truth, predictions)))


def outliers(truth: TrackTruth, predictions: Predictions) -> NDArray[np.bool_]:
    """Tracks with a relative error of pT above 10 %, failures included."""
    return np.asarray(np.abs(pt_errors(truth, predictions)) > OUTLIER)


def sign_error_rate(truth: TrackTruth, predictions: Predictions) -> float:
    """Fraction of tracks with the wrong sign of the charge; no answer is a wrong one.

    NaN where the protocol's target, pT, has no sign.
    """
    if truth.target == "pt":
        return math.nan
    return float(np.mean(wrong_charges(truth, predictions)))


def wrong_charges(truth: TrackTruth, predictions: Predictions) -> NDArray[np.bool_]:
    """Tracks with the wrong sign of the charge, failures included."""
    return np.asarray(failed(predictions) | (predictions["qopt"] * truth.q <= 0))


def pull_d0(truth: TrackTruth, predictions: Predictions) -> float:
    """core68 of (d0 - true)/sigma over that of the ideal linear fit, which is 1.

    NaN when d0 is not predicted, and where all tracks come from a beam spot that is narrower than
    three of the fit's widths: a constant would win there.
    """
    return _pull(truth, predictions, "d0")


def pull_z0(truth: TrackTruth, predictions: Predictions) -> float:
    """core68 of (z0 - true)/sigma over that of the ideal linear fit; NaN as `pull_d0`."""
    return _pull(truth, predictions, "z0")


def _pull(truth: TrackTruth, predictions: Predictions, name: str) -> float:
    true, sigma, core = _known(truth, name)
    if name not in predictions or np.isnan(sigma).any():
        return math.nan
    if not core68((true - np.median(true)) / sigma) > DISPLACED:
        return math.nan
    return core68(pulls_of(truth, predictions, name)[0]) / core


def pulls_of(truth: TrackTruth, predictions: Predictions, name: str) -> tuple[Array, float]:
    """(n,) pulls of d0 or z0, inf without an answer; and the core68 of the ideal fit's."""
    true, sigma, core = _known(truth, name)
    found = predictions[name].astype(np.float64)
    bad = failed(predictions) | ~np.isfinite(found)
    return np.where(bad, np.inf, (found - true) / sigma), core


def _known(truth: TrackTruth, name: str) -> tuple[Array, Array, float]:
    """True values of d0 or z0, their widths in the ideal fit, and the core68 of its pulls."""
    number = {"d0": 1, "z0": 2}[name]
    return getattr(truth, name), truth.sigma[:, number], (truth.core or (math.nan,) * 3)[number]
