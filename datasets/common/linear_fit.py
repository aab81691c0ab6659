"""The linear model of a track's hits in the barrel: parameters, scattering, resolution.

About a helix of radius R the outward residuals of hits at arc lengths s from the perigee, and
their z, are linear in five parameters,

    r(s) = a cos(s/R) + b sin(s/R) + c (1 - cos(s/R)),   z(s) = z0 + s tan(lambda),

where c changes the radius, a the impact parameter (d0' = d0 - q a), and b moves the centre along
the track. Each slab of material kicks the direction by two independent plane angles of variance
theta^2 (Highland): one in azimuth, widened by cosh(eta), and one in the dip angle, which moves z
by cosh^2(eta) and changes the curvature by -tan(lambda). With d the arc behind the kick,

    dr = cosh(eta) R sin(d/R) k - tan(lambda) R (1 - cos(d/R)) k',   dz = cosh^2(eta) d k'.

The support of a layer kicks once, a module at each of its hits, so that overlapping modules count
twice. Generalised least squares with the covariance of all this is the ideal linear fit: no
unbiased linear estimator has smaller variances (Gauss-Markov).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import barrel
from physbench.datasets.common.helix import BEND, FIELD
from physbench.datasets.tracks import Tracks, TrackTruth

Array = NDArray[np.float64]

CHUNK = 1024  # tracks whose matrices stay in the cache
NOWHERE = 1e5  # mm: standard deviation of an empty slot
ROUNDED = 1e-3  # mm: what is left of exact hits after they were stored
BEHIND = (3.0, 6.0)  # mm from a layer's radius to the support behind pixels and strips
PIXELS = 4  # layers
STEEPEST = 0.99  # sine of half the turning angle: a track is not followed further
RADII = np.array([layer.r for layer in barrel.LAYERS])


class Helix(NamedTuple):
    """Tracks at their perigee: q, tan(lambda), (n,); z0 and radius in mm; centre (n, 2) in mm."""

    q: Array
    slope: Array
    z0: Array
    radius: Array
    centre: Array

    @property
    def pt(self) -> Array:
        """GeV, at the nominal field."""
        return BEND * FIELD * self.radius


class Linear(NamedTuple):
    """The model of n tracks with s slots and k kicks; the first s rows are r, the others z.

    `design` (n, 2s, 5) for a, b, c, z0 and tan(lambda); `lever` (n, 2s, 2k) in mm for the plane
    angles, azimuths first; `theta` (n, k) their widths; `noise` (n, 2s) and `residual` (n, 2s) in
    mm; `normal` (n, 2) from the centre to the perigee.
    """

    design: Array
    lever: Array
    theta: Array
    noise: Array
    residual: Array
    normal: Array


def helix_of(truth: TrackTruth, field: float = FIELD) -> Helix:
    """The true helices."""
    radius = truth.pt / (BEND * field)
    side = np.stack([np.sin(truth.phi), -np.cos(truth.phi)], 1)
    # The perigee is d0 along `side`, the centre another q R.
    centre = (truth.d0 + truth.q * radius)[:, None] * side
    return Helix(truth.q, np.sinh(truth.eta), truth.z0, radius, centre)


def linear(
    tracks: Tracks, helix: Helix, mass: Array | float | None, *, exact: bool = False
) -> Linear:
    """The model about a helix; without a `mass` (GeV) nothing scatters, `exact` hits are true."""
    x, y, z = np.moveaxis(tracks.hits.astype(np.float64), 2, 0)
    full, radius, slope = tracks.mask, helix.radius[:, None], helix.slope[:, None]
    arc, outside, normal = along(x, y, helix.centre, helix.radius, helix.q)
    arc = np.where(full, arc, 0.0)
    turn = arc / radius
    n, slots = arc.shape
    design = np.zeros((n, 2 * slots, 5))
    transverse = np.stack([np.cos(turn), np.sin(turn), 1 - np.cos(turn)], 2)
    design[:, :slots, :3] = transverse * full[..., None]
    design[:, slots:, 3:] = np.stack([full, arc], 2)
    residual = np.concatenate([outside, z - helix.z0[:, None] - slope * arc], 1)
    both = np.concatenate([full, full], 1)
    layer = np.abs(np.hypot(x, y)[..., None] - RADII).argmin(2)
    noise = np.where(both, _noise(layer, exact), NOWHERE)
    theta, place = _scatterers(tracks, layer, arc, helix, mass)
    return Linear(
        design, _levers(arc, place, full, helix), theta, noise, np.where(both, residual, 0), normal
    )


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


def resolutions(r: Array) -> tuple[Array, Array]:
    """Resolution in r-phi and z (mm) of the barrel layer that is nearest to the radius r (mm)."""
    both = _noise(np.abs(r[..., None] - RADII).argmin(-1), exact=False)
    first, second = np.split(both, 2, axis=-1)
    return first, second


def _noise(layer: NDArray[np.int64], exact: bool) -> Array:
    """Standard deviations of r-phi, then of z, of hits in these layers (mm)."""
    if exact:
        return np.full((*layer.shape[:-1], 2 * layer.shape[-1]), ROUNDED)
    rphi, along_z = (
        np.array([getattr(surface, name) for surface in barrel.LAYERS])
        for name in ("sigma_rphi", "sigma_z")
    )
    return np.concatenate([rphi[layer], along_z[layer]], -1)


def _scatterers(
    tracks: Tracks, layer: NDArray[np.int64], arc: Array, helix: Helix, mass: Array | float | None
) -> tuple[Array, Array]:
    """Widths of the plane angles (n, kicks), and the arc lengths where they happen.

    First the pipe, the tube and the supports, then the module of each slot.
    """
    if mass is None:
        return np.zeros((len(arc), 1)), np.zeros((len(arc), 1))
    radius, stretch = helix.radius[:, None], np.hypot(1.0, helix.slope)[:, None]
    p, own = helix.pt[:, None] * stretch, np.reshape(np.asarray(mass, dtype=np.float64), (-1, 1))
    cylinders = [(s.r, s.slabs[0]) for s in barrel.SURFACES if not s.measures]
    for number, surface in enumerate(barrel.LAYERS):
        cylinders.append((surface.r + BEHIND[number >= PIXELS], surface.slabs[0]))
    r, slabs = np.array(cylinders).T
    sine = np.minimum(r / (2 * radius), STEEPEST)
    supports = barrel.highland(slabs * stretch / np.sqrt(1 - sine**2), p, own)
    r = np.hypot(tracks.hits[..., 0], tracks.hits[..., 1])
    slope = np.sqrt(1 - np.minimum(r / (2 * radius), STEEPEST) ** 2)
    slabs = np.array([surface.slabs[1] for surface in barrel.LAYERS])[layer]
    modules = np.where(tracks.mask, barrel.highland(slabs * stretch / slope, p, own), 0.0)
    return np.concatenate([supports, modules], 1), np.concatenate(
        [2 * radius * np.arcsin(sine), arc], 1
    )


def _levers(arc: Array, place: Array, full: NDArray[np.bool_], helix: Helix) -> Array:
    """(n, 2 slots, 2 kicks) in mm: what plane angles at `place` do to hits at `arc`."""
    radius, slope = helix.radius[:, None, None], helix.slope[:, None, None]
    stretch = np.hypot(1.0, slope)
    behind = np.where(full[..., None], np.clip(arc[..., None] - place[:, None], 0, None), 0.0)
    turn = behind / radius
    (n, slots), kicks = arc.shape, place.shape[1]
    lever = np.zeros((n, 2 * slots, 2 * kicks))
    lever[:, :slots, :kicks] = stretch * radius * np.sin(turn)
    lever[:, :slots, kicks:] = -slope * radius * (1 - np.cos(turn))
    lever[:, slots:, kicks:] = stretch**2 * behind
    return lever


def solve(
    model: Linear, variance: Array | None = None, other: Array | None = None
) -> tuple[Array, Array, Array]:
    """Generalised least squares: parameters (n, 5) and their covariance (n, 5, 5).

    Third comes C^-1 (A, residual, other), (n, 2s, 6 or 7), with the hits' covariance C: `other`
    (n, 2s) in mm is one more column of hits. `variance` (n, kicks) of the plane angles replaces
    theta^2. Columns are scaled, so that the normal matrix stays regular.
    """
    kicks = model.theta**2 if variance is None else variance
    arms = model.lever * np.sqrt(np.concatenate([kicks, kicks], 1))[:, None]
    covariance = np.asarray(arms @ arms.swapaxes(1, 2))
    index = np.arange(covariance.shape[1])
    covariance[:, index, index] += model.noise**2
    scale = np.abs(model.design).max(1)
    columns = model.design / scale[:, None]
    hits = [model.residual[..., None]] + ([] if other is None else [other[..., None]])
    weighted = np.linalg.solve(covariance, np.concatenate([columns, *hits], 2))
    projected = columns.swapaxes(1, 2) @ weighted
    inverse = np.linalg.inv(projected[..., :5])
    found = (inverse @ projected[..., 5:6])[..., 0] / scale
    weighted[..., :5] *= scale[:, None]
    return found, inverse / (scale[:, :, None] * scale[:, None]), weighted


def moved(helix: Helix, normal: Array, shift: Array) -> Helix:
    """The helix after adding parameters (n, 5)."""
    a, b, c, z0, slope = shift.T
    centre = helix.centre + (a - c)[:, None] * normal + b[:, None] * forward(normal, helix.q)
    return Helix(helix.q, helix.slope + slope, helix.z0 + z0, helix.radius + c, centre)


def widths(tracks: Tracks, truth: TrackTruth, *, exact: bool = False) -> Array:
    """(n, 3): standard deviations of ln pT, d0 (mm) and z0 (mm) in the ideal linear fit.

    Of each track's own hits, at its true momentum and mass.
    """
    found = np.zeros((len(tracks), 3))
    for index, part in chunks(tracks):
        own = truth.take(index)
        helix = helix_of(own)
        covariance = solve(linear(part, helix, own.mass, exact=exact))[1]
        variance = np.diagonal(covariance, axis1=1, axis2=2)
        found[index] = np.sqrt(variance[:, [2, 0, 3]])
        found[index, 0] /= helix.radius
    return found


def chunks(tracks: Tracks, size: int = CHUNK) -> Iterator[tuple[NDArray[np.int64], Tracks]]:
    """At most `size` tracks of similar length together, and cut to it: numbers and tracks."""
    count = tracks.mask.sum(1)
    order = np.argsort(count, kind="stable")
    for i in range(0, len(order), size):
        index = order[i : i + size]
        slots = int(count[index].max())
        yield (
            index,
            Tracks(tracks.hits[index, :slots], tracks.mask[index, :slots], tracks.coordinates),
        )
