"""The classical optimum: a generalised least-squares helix fit with scattering in its covariance.

A circle fit gives the expansion point; residuals r_j of the hits at arc lengths s_j from the
perigee then are linear in the parameters,

    r(s) = a cos(s/R) + b sin(s/R) + c (1 - cos(s/R)),   z(s) = z0 + s tan(lambda),

where c changes the radius and a - c, b move the centre along normal and track. Their covariance is

    C_jk = sigma_j^2 delta_jk + sum_i theta_i^2 R^2 sin((s_j - s_i)/R) sin((s_k - s_i)/R)

over the scatterers i that both have passed: the Gauss-Markov optimum which a Kalman filter
reaches. Widths theta are Highland's, for pions, at the angle of incidence of the fitted track.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import barrel
from physbench.datasets.common.helix import BEND, FIELD
from physbench.datasets.tracks import Tracks
from physbench.models.tracks import _circles as circles

Array = NDArray[np.float64]

PION = 0.13957039  # GeV
CHUNK = 2048  # tracks whose matrices stay in memory
NOWHERE = 1e6  # standard deviation in mm of an empty slot


def helix(
    tracks: Tracks, *, mass: float | None = PION, iterations: int = 2, field: float = FIELD
) -> Mapping[str, Array]:
    """q/pT (1/GeV), pz (GeV), d0 and z0 (mm) of each track; q/pT = 0 for a straight line.

    `mass` in GeV is the hypothesis of the scattering; without one nothing scatters, and C is the
    diagonal of the resolutions.
    """
    curved = np.flatnonzero(circles.helix(tracks, field=field)["qopt"])
    found = {name: np.zeros(len(tracks)) for name in ("qopt", "pz", "d0", "z0")}
    for i in range(0, len(curved), CHUNK):
        index = curved[i : i + CHUNK]
        for name, values in _helix(tracks.take(index), mass, iterations, field).items():
            found[name][index] = values
    return found


def _helix(
    tracks: Tracks, mass: float | None, iterations: int, field: float
) -> Mapping[str, Array]:
    x, y, z = np.moveaxis(tracks.hits.astype(np.float64), 2, 0)
    start = circles.helix(tracks, field=field)
    q = np.where(start["qopt"] < 0, -1.0, 1.0)
    found = circles.fit(x, y, tracks.mask)
    centre, radius = found[:, :2], found[:, 2]
    slope, z0 = start["pz"] / (BEND * field * radius), start["z0"]
    widths = [np.where(tracks.mask, s, NOWHERE) for s in resolutions(np.hypot(x, y))]
    for _ in range(iterations):
        arc, residual, normal = along(x, y, centre, radius, q)
        arc, residual = np.where(tracks.mask, arc, 0.0), np.where(tracks.mask, residual, 0.0)
        theta, place = scatterers(BEND * field * radius, slope, z0, radius, mass)
        passed = np.clip(arc[:, None] - place[:, :, None], 0.0, None)
        kick = np.sin(passed / radius[:, None, None]) * radius[:, None, None]
        turn = arc / radius[:, None]
        design = np.stack([np.cos(turn), np.sin(turn), 1 - np.cos(turn)], 2)
        shift = _solve(_covariance(theta, kick, widths[0]), design, residual)
        # A kick of the dip angle by theta changes tan(lambda) by theta cosh^2(eta).
        steep = theta * np.hypot(1.0, slope)[:, None]
        line = np.stack([np.ones_like(arc), arc], 2)
        z0, slope = _solve(_covariance(steep, passed, widths[1]), line, z * tracks.mask).T
        onward = shift[:, 1:2] * forward(normal, q)
        centre = centre + (shift[:, :1] - shift[:, 2:]) * normal + onward
        radius = radius + shift[:, 2]
    pt = BEND * field * radius
    d0 = q * (np.hypot(centre[:, 0], centre[:, 1]) - radius)
    return {"qopt": q / pt, "pz": slope * pt, "d0": d0, "z0": z0}


def along(
    x: Array, y: Array, centre: Array, radius: Array, q: Array
) -> tuple[Array, Array, Array]:
    """Arc lengths from the perigee and outward residuals (n, slots) in mm; normal there (n, 2)."""
    normal = outward(centre)
    u, v = x - centre[:, :1], y - centre[:, 1:]
    cross = normal[:, :1] * v - normal[:, 1:] * u
    angle = -q[:, None] * np.arctan2(cross, normal[:, :1] * u + normal[:, 1:] * v)
    return angle * radius[:, None], np.hypot(u, v) - radius[:, None], normal


def outward(centre: Array) -> Array:
    """(n, 2): unit vectors from the centres of circles to their perigees."""
    return -centre / np.hypot(centre[:, 0], centre[:, 1])[:, None]


def forward(normal: Array, q: Array) -> Array:
    """(n, 2): direction of flight where the normal points outward; q > 0 turns clockwise."""
    return q[:, None] * np.stack([normal[:, 1], -normal[:, 0]], 1)


def scatterers(
    pt: Array, slope: Array, z0: Array, radius: Array, mass: float | None
) -> tuple[Array, Array]:
    """Widths of the azimuthal kicks (n, surfaces) and the arc lengths where they happen.

    Surfaces that the track does not cross, because it turns back or leaves along z, do nothing.
    """
    if mass is None:
        return np.zeros((len(pt), 1)), np.zeros((len(pt), 1))
    stretch = np.hypot(1.0, slope)
    widths, places = [], []
    for surface in barrel.SURFACES:
        sine = surface.r / (2 * radius)
        place = 2 * radius * np.arcsin(np.minimum(sine, 1.0))
        path = stretch / np.sqrt(np.maximum(1 - sine * sine, 0.01))
        squares = [barrel.highland(t * path, pt * stretch, np.array(mass)) ** 2
                   for t in surface.slabs]  # fmt: skip
        crossed = (sine < 1) & (np.abs(z0 + slope * place) < surface.half_length)
        widths.append(np.where(crossed, np.sqrt(sum(squares)) * stretch, 0.0))
        places.append(place)
    return np.stack(widths, 1), np.stack(places, 1)


def _covariance(theta: Array, lever: Array, sigma: Array) -> Array:
    """(n, slots, slots); kicks (n, surfaces), levers (n, surfaces, slots), sigma (n, slots)."""
    arms = theta[:, :, None] * lever
    covariance = np.asarray(arms.swapaxes(1, 2) @ arms)
    index = np.arange(sigma.shape[1])
    covariance[:, index, index] += sigma**2
    return covariance


def _solve(covariance: Array, design: Array, values: Array) -> Array:
    """Generalised least squares; columns are scaled, so that the normal matrix stays regular."""
    scale = np.abs(design).max(1)
    columns = design / scale[:, None]
    weighted = np.linalg.solve(covariance, np.concatenate([columns, values[..., None]], 2))
    size = design.shape[2]
    projected = columns.swapaxes(1, 2) @ weighted
    found = np.linalg.solve(projected[..., :size], projected[..., size:])[..., 0]
    return np.asarray(found / scale)


def resolutions(r: Array) -> tuple[Array, Array]:
    """Resolution in r-phi and z (mm) of the barrel layer that is nearest to the radius r (mm)."""
    radii = np.array([layer.r for layer in barrel.LAYERS])
    nearest = np.abs(r[..., None] - radii).argmin(-1)
    rphi = np.array([layer.sigma_rphi for layer in barrel.LAYERS])[nearest]
    return rphi, np.array([layer.sigma_z for layer in barrel.LAYERS])[nearest]
