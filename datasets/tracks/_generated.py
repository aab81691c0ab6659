"""Samples of tracks that are drawn from a seed when they are asked for."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import helix
from physbench.datasets.common.helix import MINIMUM
from physbench.datasets.tracks import TEST, TRAIN, VALIDATION, Sample, Tracks, TrackTruth

Array = NDArray[np.float64]

# core68 of the pulls of ln pT, d0 and z0 of a linear fit where kicks are Gaussian, and where they
# are sqrt(2) theta0 N cos(psi), as in FATRAS: simulated on the test tracks of generic_tracks.
GAUSSIAN = (1.0, 1.0, 1.0)
FATRAS = (0.984, 0.963, 0.957)
SHARES = (0.7, 0.1)  # train, validation; the rest is test


def truth_of(
    vertex: Array, momentum: Array, q: Array, mass: Array, hits: NDArray[np.int64]
) -> TrackTruth:
    """Truth at the perigee of particles with vertex and momentum (n, 3) in mm and GeV.

    `hits` are their numbers (n,). Widths of the ideal fit are left open.
    """
    pt = np.hypot(momentum[:, 0], momentum[:, 1])
    d0, z0, phi = helix.perigee(vertex, momentum, q)
    eta = np.arcsinh(momentum[:, 2] / pt)
    none = np.full((len(pt), 4), np.nan)
    return TrackTruth(
        pt, momentum[:, 2], q, d0, z0, phi, eta, mass, none, hits, none[:, :3], GAUSSIAN
    )


def sample(
    name: str,
    true: Tracks,
    measured: Tracks,
    vertex: Array,
    momentum: Array,
    q: Array,
    mass: Array,
) -> Sample:
    """The sample of the tracks with at least 3 hits, split 70/10/20 in order.

    Raises ValueError for fewer than 10 tracks.
    """
    if len(q) < 10:
        raise ValueError(f"tracks must be at least 10, so that no split is empty; got {len(q)}")
    kept = np.flatnonzero(measured.mask.sum(1) >= MINIMUM)
    bounds = np.cumsum(SHARES) * len(q)
    split = np.array([TRAIN, VALIDATION, TEST])[np.searchsorted(bounds, kept, side="right")]
    truth = truth_of(vertex, momentum, q, mass, measured.mask.sum(1)).take(kept)
    true, measured = true.take(kept), measured.take(kept)
    digest = hashlib.sha256(measured.hits.tobytes() + truth.pt.tobytes()).hexdigest()
    ids = [f"track{number:07d}" for number in kept]
    counts = {"generated": len(q), f"hits >= {MINIMUM}": len(kept)}
    return Sample(true, measured, truth, split, ids, {name: digest}, counts)
