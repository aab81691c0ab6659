"""Tracks as a fitted circle sees them: its parameters, and what the hits say against it.

Everything scales with the track: a residual times pT is the same for soft and stiff tracks that
scatter alike, and what is learned is a relative correction of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import linear_fit
from physbench.datasets.common.helix import BEND, FIELD
from physbench.datasets.tracks import Tracks, TrackTruth
from physbench.models.tracks import _circles as circles

Array = NDArray[np.float64]

RESIDUAL = 0.05  # mm GeV: typical residual times pT
EXPECTED_Z = 0.2  # mm GeV: scattering of a residual of z, times pT
WAVES = 6  # half waves along the radius
LONGEST = 1024.0  # mm: radius of half a wave of number 1
LARGEST = 10.0  # bound of the scaled residuals: one wild hit must not decide


@dataclass(frozen=True, eq=False)
class Frame:
    """A circle through each track, and its hits along it.

    Attributes
    ----------
    pt, q:
        (n,): GeV of the circle fit, sign of the charge.
    slope:
        (n,): pz/pT from a line of z against arc length, hits weighted by their resolution.
    straight:
        (n,): no circle was found; the other columns hold arbitrary finite numbers.
    arc, residual, residual_z:
        (n, slots) in mm: along the circle from the perigee, outward, and of z; 0 in empty slots.
    """

    pt: Array
    q: Array
    slope: Array
    d0: Array
    z0: Array
    straight: NDArray[np.bool_]
    arc: Array
    residual: Array
    residual_z: Array


def frame(tracks: Tracks, field: float = FIELD) -> Frame:
    """Taubin's circle and a weighted line. Raises ValueError as `Tracks.check`."""
    x, y, z = np.moveaxis(tracks.check().hits.astype(np.float64), 2, 0)
    start = circles.helix(tracks, field=field)
    straight = start["qopt"] == 0
    found = circles.fit(x, y, tracks.mask)
    centre = np.where(straight[:, None], [1.0, 0.0], found[:, :2])
    radius = np.where(straight, 1.0, found[:, 2])
    q = np.where(start["qopt"] < 0, -1.0, 1.0)
    arc, residual, _ = linear_fit.along(x, y, centre, radius, q)
    weight = tracks.mask / linear_fit.resolutions(np.hypot(x, y))[1] ** 2
    weight = weight / weight.sum(1, keepdims=True)
    mean_s, mean_z = (weight * arc).sum(1), (weight * z).sum(1)
    ds, dz = arc - mean_s[:, None], z - mean_z[:, None]
    spread = (weight * ds * ds).sum(1)
    slope = (weight * ds * dz).sum(1) / np.where(spread > 0, spread, 1.0)
    full = tracks.mask & ~straight[:, None]
    return Frame(
        BEND * field * radius,
        q,
        slope,
        start["d0"],
        mean_z - slope * mean_s,
        straight,
        np.where(full, arc, 0.0),
        np.where(full, residual, 0.0),
        np.where(full, dz - slope[:, None] * ds, 0.0),
    )


def hit_features(tracks: Tracks, frame: Frame) -> NDArray[np.float32]:
    """(n, slots, 14), of order one: where each hit is, its residuals, and the circle's parameters.

    r, arc length and z in 500 mm; residual times pT, alone and times cos(k pi r/LONGEST) for k = 1
    to 6; residual of z over its expected size; log pT, 1/pT and slope of the track.
    """
    r, z = np.hypot(tracks.hits[..., 0], tracks.hits[..., 1]), tracks.hits[..., 2]
    pt = frame.pt[:, None]
    sigma_z = np.hypot(linear_fit.resolutions(r)[1], EXPECTED_Z / pt)
    residual = np.clip(frame.residual * pt / RESIDUAL, -LARGEST, LARGEST)
    shape = r.shape
    columns = (
        r / 500,
        frame.arc / 500,
        z / 500,
        *(residual * np.cos(k * np.pi * r / LONGEST) for k in range(WAVES + 1)),
        np.clip(frame.residual_z / sigma_z, -LARGEST, LARGEST),
        np.broadcast_to(np.log(pt), shape),
        np.broadcast_to(np.minimum(1 / pt, LARGEST), shape),
        np.broadcast_to(frame.slope[:, None], shape),
    )
    values = np.where(tracks.mask[..., None], np.stack(columns, 2), 0.0)
    return values.astype(np.float32)


def corrections(truth: TrackTruth, frame: Frame) -> Array:
    """(n, 2): what is missing in log pT and in pz/pT."""
    return np.stack([np.log(truth.pt / frame.pt), truth.pz / truth.pt - frame.slope], 1)


def corrected(frame: Frame, log_pt: Array, slope: Array) -> dict[str, Array]:
    """Predictions of the task after adding corrections (n,) to log pT and to pz/pT."""
    pt = frame.pt * np.exp(np.clip(log_pt, -1.0, 1.0))
    found = {
        "qopt": frame.q / pt,
        "pz": (frame.slope + slope) * pt,
        "d0": frame.d0,
        "z0": frame.z0,
    }
    return {name: np.where(frame.straight, 0.0, values) for name, values in found.items()}
