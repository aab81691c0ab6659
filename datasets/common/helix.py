"""The helix of a charged particle in a field along +z, and its perigee.

kappa = q 0.299792458e-3 B / pT in 1/mm. A positive charge bends clockwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.tracks import BEND, FIELD

Array = NDArray[np.float64]


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
