"""Circle fits of many tracks at once, and the helix that follows.

All take hits (n, slots, 3) in mm with a mask and return centres and radii in mm. Algebraic fits
minimise sum (A (x^2 + y^2) + B x + C y + D)^2; Kasa fixes A = 1, Taubin the mean squared
gradient. Formulas in centred moments: Al-Sharadqah & Chernov, EJS 3 (2009) 886.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.tracks import BEND, FIELD, Tracks

Array = NDArray[np.float64]
METHODS = ("taubin", "kasa")
STEPS = 20  # Newton steps; quadratic convergence from 0 needs few
CHUNK = 4096  # tracks whose hits stay in the cache


def fit(x: Array, y: Array, mask: NDArray[np.bool_], method: str = "taubin") -> Array:
    """(n, 3): centre a, b and radius R of each circle; not finite where the hits are collinear.

    Raises ValueError for an unknown method or fewer than 3 hits.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got '{method}'")
    if (mask.sum(1) < 3).any():
        raise ValueError(f"a circle needs 3 hits; got a track with {int(mask.sum(1).min())}")
    parts = [
        _fit(x[i : i + CHUNK], y[i : i + CHUNK], mask[i : i + CHUNK], method)
        for i in range(0, len(x), CHUNK)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, 3))


def _fit(x: Array, y: Array, mask: NDArray[np.bool_], method: str) -> Array:
    weight = mask / mask.sum(1, keepdims=True)
    mean_x, mean_y = _mean(weight, x), _mean(weight, y)
    u, v = x - mean_x[:, None], y - mean_y[:, None]
    wu, wv, z = weight * u, weight * v, u * u + v * v
    mxx, myy, mxy = _mean(wu, u), _mean(wv, v), _mean(wu, v)
    mxz, myz, mzz = _mean(wu, z), _mean(wv, z), _mean(weight * z, z)
    mz = mxx + myy
    cov = mxx * myy - mxy * mxy
    eta = np.zeros_like(mz)
    if method == "taubin":
        var = mzz - mz * mz
        constant = mxz * (mxz * myy - myz * mxy) + myz * (myz * mxx - mxz * mxy) - var * cov
        linear = var * mz + 4 * cov * mz - mxz * mxz - myz * myz
        square = -(3 * mz * mz + mzz)
        eta = _smallest_root(constant, linear, square, 4 * mz)
    with np.errstate(divide="ignore", invalid="ignore"):
        twice = 2 * (eta * eta - eta * mz + cov)
        # Rounding leaves a tiny determinant for a straight line: then there is no circle.
        twice = np.where(np.abs(cov) < 1e-13 * mz * mz, 0.0, twice)
        a = (mxz * (myy - eta) - myz * mxy) / twice
        b = (myz * (mxx - eta) - mxz * mxy) / twice
        return np.stack([a + mean_x, b + mean_y, np.sqrt(a * a + b * b + mz)], 1)


def _mean(weight: Array, values: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", weight, values))


def _smallest_root(c0: Array, c1: Array, c2: Array, c3: Array) -> Array:
    """Newton's method from 0 on c0 + c1 e + c2 e^2 + c3 e^3."""
    root = np.zeros_like(c0)
    for _ in range(STEPS):
        slope = c1 + root * (2 * c2 + 3 * c3 * root)
        value = c0 + root * (c1 + root * (c2 + c3 * root))
        step = np.divide(value, slope, out=np.zeros_like(value), where=slope != 0)
        root = root - step
        if (np.abs(step) <= 1e-14 * np.abs(root)).all():
            break
    return root


def helix(tracks: Tracks, method: str = "taubin", field: float = FIELD) -> Mapping[str, Array]:
    """q/pT (1/GeV), pz (GeV), d0 and z0 (mm) of each track; q/pT = 0 for a straight line.

    pz is the slope of z against arc length from the first hit, times pT.
    """
    hits = tracks.check().hits.astype(np.float64)
    x, y, z = np.moveaxis(hits, 2, 0)
    a, b, radius = fit(x, y, tracks.mask, method).T
    straight = ~np.isfinite(radius)
    a, b = np.where(straight, 1.0, a), np.where(straight, 0.0, b)
    radius = np.where(straight, 1.0, radius)
    q = np.where(y[:, 0] * a - x[:, 0] * b >= 0, 1.0, -1.0)  # positive bends clockwise
    chord = np.hypot(x - x[:, :1], y - y[:, :1])
    arc = _arc(chord, radius[:, None])
    weight = tracks.mask / tracks.mask.sum(1, keepdims=True)
    mean_s, mean_z = _mean(weight, arc), _mean(weight, z)
    ds, dz = arc - mean_s[:, None], z - mean_z[:, None]
    spread = _mean(weight * ds, ds)
    slope = _mean(weight * ds, dz) / np.where(spread > 0, spread, 1.0)
    distance = np.hypot(a, b)
    shrink = 1 - radius / np.where(distance > 0, distance, 1.0)
    back = _arc(np.hypot(a * shrink - x[:, 0], b * shrink - y[:, 0]), radius)
    pt = BEND * field * radius
    return {
        "qopt": np.where(straight, 0.0, q / pt),
        "pz": np.where(straight, 0.0, slope * pt),
        "d0": np.where(straight, 0.0, q * (distance - radius)),
        "z0": np.where(straight, 0.0, mean_z - slope * (mean_s + back)),
    }


def _arc(chord: Array, radius: Array) -> Array:
    return np.asarray(2 * radius * np.arcsin(np.minimum(chord / (2 * radius), 1.0)))
