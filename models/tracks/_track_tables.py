"""Tracks as tables: one row a track, for models that are no networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import barrel
from physbench.datasets.tracks import SLOTS, Tracks
from physbench.models.tracks import _circle_frame as circle_frame

Array = NDArray[np.float64]

FLAT = 14  # hits in a table of raw coordinates: the mean is 12
SCALES = {
    "xyz": (500.0, 500.0, 500.0),  # mm
    "rphiz": (500.0, 1.0, 500.0),  # mm, rad, mm
    "rdphiz": (500.0, 0.1, 500.0),
}


def scaled_features(tracks: Tracks) -> Array:
    """(n, slots, 3): coordinates of the protocol, of order one; raises as `Tracks.check`."""
    return np.asarray(tracks.check().features() / np.array(SCALES[tracks.coordinates]))


def raw(tracks: Tracks, hits: int = FLAT) -> Array:
    """(n, 3 hits): scaled coordinates of the innermost `hits` hits.

    A shorter track repeats its last hit, so that no coordinate is made up.
    """
    count = tracks.mask.sum(1)
    slot = np.minimum(np.arange(min(hits, SLOTS)), count[:, None] - 1)
    picked = np.take_along_axis(scaled_features(tracks), slot[..., None], 1)
    return np.asarray(picked.reshape(len(tracks), -1))


def correction(tracks: Tracks, start: circle_frame.Frame) -> Array:
    """(n, 18) features of a correction to the circle fit, of order one.

    1/pT, log pT and slope of the fit, charge, number of hits, last radius, first and last z, and
    the mean residual times pT in each of the ten layers (0 where the track has no hit).
    """
    r = np.hypot(tracks.hits[..., 0], tracks.hits[..., 1]).astype(np.float64)
    z = tracks.hits[..., 2].astype(np.float64)
    rows, last = np.arange(len(tracks)), tracks.mask.sum(1) - 1
    radii = np.array([layer.r for layer in barrel.LAYERS])
    layer = np.abs(r[..., None] - radii).argmin(-1)
    scaled = start.residual * start.pt[:, None] / circle_frame.RESIDUAL
    scaled = np.clip(scaled, -circle_frame.LARGEST, circle_frame.LARGEST)
    sums, counts = np.zeros((2, len(tracks), len(radii)))
    np.add.at(sums, (rows[:, None], layer), scaled * tracks.mask)
    np.add.at(counts, (rows[:, None], layer), tracks.mask.astype(np.float64))
    columns = (
        np.minimum(1 / start.pt, circle_frame.LARGEST),
        np.log(start.pt),
        start.slope,
        start.q,
        (last + 1) / 12,
        r[rows, last] / 500,
        z[:, 0] / 500,
        z[rows, last] / 500,
    )
    return np.concatenate([np.stack(columns, 1), sums / np.maximum(counts, 1)], 1)
