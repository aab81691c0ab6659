"""The helix of a charged particle in a field along +z, and its perigee.

kappa = q 0.299792458e-3 B / pT in 1/mm. A positive charge bends clockwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FIELD = 2.0  # tesla
BEND = 0.299792458e-3  # GeV / (tesla mm)
MINIMUM = 3  # hits below which a circle is not defined


def perigee(
    vertex: Array, momentum: Array, q: Array, field: float = FIELD
) -> tuple[Array, Array, Array]:
    """d0, z0 in mm and the direction phi0 at the point of closest approach to the z axis.

    `vertex` and `momentum` are (n, 3) in mm and GeV. The sign of d0 is that of (P x p)_z.
    """
    pt = np.hypot(momentum[:, 0], momentum[:, 1])
    radius = pt / (BEND * field)
    phi = np.arctan2(momentum[:, 1], momentum[:, 0])
    centre = vertex[:, :2] + (q * radius)[:, None] * np.stack([np.sin(phi), -np.cos(phi)], 1)
    distance = np.hypot(centre[:, 0], centre[:, 1])
    point = centre * (1 - radius / distance)[:, None]
    d0 = q * (distance - radius)
    step = point - vertex[:, :2]
    half = np.clip(np.hypot(step[:, 0], step[:, 1]) / (2 * radius), 0, 1)
    arc = np.sign((step * momentum[:, :2]).sum(1)) * 2 * radius * np.arcsin(half)
    z0 = vertex[:, 2] + arc * momentum[:, 2] / pt
    return d0, z0, np.arctan2(q * centre[:, 0], -q * centre[:, 1])


def crossing(momentum: Array, q: Array, r: float, z0: float = 0.0, field: float = FIELD) -> Array:
    """First crossing (n, 3) of a helix from (0, 0, z0) with the cylinder of radius r in mm.

    NaN where the track turns back before.
    """
    pt = np.hypot(momentum[:, 0], momentum[:, 1])
    radius = pt / (BEND * field)
    sine = r / (2 * radius)
    turn = np.arcsin(np.where(sine <= 1, sine, np.nan))
    phi = np.arctan2(momentum[:, 1], momentum[:, 0]) - q * turn
    z = z0 + 2 * radius * turn * momentum[:, 2] / pt
    return np.stack([r * np.cos(phi), r * np.sin(phi), z], 1)


def advance(
    point: Array, phi: Array, q: Array, radius: Array, r: float | Array
) -> tuple[Array, Array]:
    """Turning angle (n,) in (0, pi] to the next crossing with a cylinder, and the point (n, 2).

    Tracks start at `point` (n, 2) in direction phi (n,) with radius of curvature `radius` (n,).
    NaN where the track does not reach the cylinder of radius `r` within half a turn.
    """
    normal = np.stack([np.sin(phi), -np.cos(phi)], 1) * q[:, None]
    centre = point + radius[:, None] * normal
    distance = np.hypot(centre[:, 0], centre[:, 1])
    along = (r**2 - radius**2 + distance**2) / (2 * distance)
    square = np.square(r) - along**2
    height = np.sqrt(np.where(square >= 0, square, np.nan))
    unit = centre / distance[:, None]
    across = np.stack([-unit[:, 1], unit[:, 0]], 1)
    best = np.full(len(phi), np.nan)
    where = np.full((len(phi), 2), np.nan)
    for sign in (1.0, -1.0):
        candidate = along[:, None] * unit + sign * height[:, None] * across
        # Cross product of the arms from the centre; a positive charge turns clockwise.
        a, b = point - centre, candidate - centre
        turn = -q * np.arctan2(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], (a * b).sum(1))
        better = (turn > 1e-12) & ~(best <= turn)
        best, where = np.where(better, turn, best), np.where(better[:, None], candidate, where)
    return best, where
