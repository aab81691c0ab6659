"""Circle fits of many tracks at once, and the helix that follows.

All take hits with a mask and return centres and radii in the unit of the hits. Algebraic fits
minimise sum (A (x^2 + y^2) + B x + C y + D)^2 under a constraint: Kasa A = 1, Pratt
B^2 + C^2 - 4 A D = 1, Taubin the mean squared gradient, Riemann a unit normal of the plane through
the hits on the paraboloid (x, y, x^2 + y^2). The geometric fit minimises sum (distance - R)^2.
Formulas in centred moments: Al-Sharadqah & Chernov, EJS 3 (2009) 886.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.helix import BEND, FIELD
from physbench.datasets.tracks import Tracks

Array = NDArray[np.float64]
METHODS = ("taubin", "kasa", "pratt", "riemann", "geometric")
STEPS = 20  # Newton steps; quadratic convergence from 0 needs few
GAUSS_NEWTON = 100  # steps at most; tracks need two or three
METRE = 1000.0  # mm; the Riemann fit depends on the unit of length, and tracks use this one
CHUNK = 4096  # tracks whose hits stay in the cache


def fit(
    x: Array, y: Array, mask: NDArray[np.bool_], method: str = "taubin", *, unit: float = 1.0
) -> Array:
    """(n, 3): centre a, b and radius R of each circle; not finite where the hits are collinear.

    `unit` is the length in which the Riemann fit measures. Raises ValueError for an unknown method
    or fewer than 3 hits.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got '{method}'")
    if (mask.sum(1) < 3).any():
        raise ValueError(f"a circle needs 3 hits; got a track with {int(mask.sum(1).min())}")
    solve = {"riemann": _riemann, "geometric": _geometric}.get(method, _algebraic)
    parts = [
        solve(x[i : i + CHUNK] / unit, y[i : i + CHUNK] / unit, mask[i : i + CHUNK], method) * unit
        for i in range(0, len(x), CHUNK)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, 3))


def _algebraic(x: Array, y: Array, mask: NDArray[np.bool_], method: str) -> Array:
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
        eta = _smallest_root(constant, linear, -(3 * mz * mz + mzz), 4 * mz)
    elif method == "pratt":
        constant = mxz**2 * myy + myz**2 * mxx - 2 * mxz * myz * mxy + (mz * mz - mzz) * cov
        linear = mzz * mz + 4 * cov * mz - mxz * mxz - myz * myz - mz**3
        square = 4 * cov - 3 * mz * mz - mzz
        eta = _smallest_root(constant, linear, square, np.zeros_like(mz), np.full_like(mz, 4.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        twice = 2 * (eta * eta - eta * mz + cov)
        # Rounding leaves a tiny determinant for a straight line: then there is no circle.
        twice = np.where(_collinear(mz, cov), 0.0, twice)
        a = (mxz * (myy - eta) - myz * mxy) / twice
        b = (myz * (mxx - eta) - mxz * mxy) / twice
        square = a * a + b * b + mz + (2 * eta if method == "pratt" else 0.0)
        return np.stack([a + mean_x, b + mean_y, np.sqrt(square)], 1)


def _collinear(mz: Array, cov: Array) -> NDArray[np.bool_]:
    return np.asarray(np.abs(cov) < 1e-13 * mz * mz)


def _riemann(x: Array, y: Array, mask: NDArray[np.bool_], method: str) -> Array:
    weight = mask / mask.sum(1, keepdims=True)
    points = np.stack([x, y, x * x + y * y], 2)
    mean = np.einsum("ns,nsk->nk", weight, points)
    centred = (points - mean[:, None]) * np.sqrt(weight)[..., None]
    # The smallest singular vector is more exact than an eigenvector of the covariance.
    n = np.linalg.svd(centred, full_matrices=False)[2][:, 2]
    c = -(n * mean).sum(1)
    u, v = centred[..., 0], centred[..., 1]
    mxx, myy, mxy = (u * u).sum(1), (v * v).sum(1), (u * v).sum(1)
    n3 = np.where(_collinear(mxx + myy, mxx * myy - mxy * mxy), 0.0, n[:, 2])
    with np.errstate(divide="ignore", invalid="ignore"):
        square = (1 - n3**2 - 4 * c * n3) / (4 * n3**2)
        return np.stack([-n[:, 0] / (2 * n3), -n[:, 1] / (2 * n3), np.sqrt(square)], 1)


def _geometric(x: Array, y: Array, mask: NDArray[np.bool_], method: str) -> Array:
    """Gauss-Newton from Taubin's circle."""
    found = _algebraic(x, y, mask, "taubin")
    curved = np.isfinite(found).all(1)
    circle, x, y, full = found[curved], x[curved], y[curved], mask[curved]
    for _ in range(GAUSS_NEWTON):
        u, v = x - circle[:, :1], y - circle[:, 1:2]
        distance = np.hypot(u, v)
        safe = np.where(distance > 0, distance, 1.0)
        jacobian = np.stack([u / safe, v / safe, np.ones_like(u)], 2) * full[..., None]
        residual = (distance - circle[:, 2:]) * full
        step = np.linalg.pinv(jacobian) @ residual[..., None]
        circle = circle + step[..., 0]
        if (np.abs(step[..., 0]).max(1) <= 1e-12 * circle[:, 2]).all():
            break
    found[curved] = circle
    return found


def _mean(weight: Array, values: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", weight, values))


def _smallest_root(*coefficients: Array) -> Array:
    """Newton's method from 0 on c0 + c1 e + c2 e^2 + ..."""
    root = np.zeros_like(coefficients[0])
    for _ in range(STEPS):
        value, slope = coefficients[-1], np.zeros_like(root)
        for coefficient in coefficients[-2::-1]:
            slope = slope * root + value
            value = value * root + coefficient
        step = np.divide(value, slope, out=np.zeros_like(root), where=slope != 0)
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
    a, b, radius = fit(x, y, tracks.mask, method, unit=METRE).T
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
