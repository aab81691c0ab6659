"""Tracks as a chord sees them: every input and every target relative to the track's own scale.

Between two hits of a track from the beam line the azimuth grows by b = dphi/dr, 1/(2R) for a stiff
track. A network that reads hits in units of b, and answers in them too, needs no dynamic range:
what it must find is a correction of a few per cent, alike for 0.5 and 10 GeV. No circle is fitted;
but that two hits give a scale is physics put in by hand.

Tracks are reflected so that the azimuth and z of the last hit lie above those of the first. With
`offset` the track may miss the beam line: b and an offset d in dphi = b dr + d (1/r1 - 1/r) follow
from three hits, the first, the last, and the first one beyond the pixels' third layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.tracks import Tracks, TrackTruth, relative_azimuth

Array = NDArray[np.float64]
Index = NDArray[np.int64]

FEATURES = 13
OUTPUTS = 4  # log(pT b), pz/pT, d0, z0, each relative
MILLI = 1000.0  # b is in mrad/mm
LEAST = 1e-3  # mrad/mm: 150 GeV at 2 T; a straighter track has no chord
INNER = 150.0  # mm: the first hit beyond it ends the inner line
NEAR = 5.0  # mm: hits closer in radius than this have no slope between them
POSITION = (0.03, 0.1)  # mm, and mm per mrad/mm: how well a vertex can be known
SLOPE = (0.001, 0.01)  # of pz/pT


@dataclass(frozen=True, eq=False)
class Chord:
    """The scale of each track, (n,), and its hits in it, (n, slots).

    `b` in mrad/mm, `offset` in mm; `side` and `up` are the signs of the reflection; `slope` is
    dz/dr from the first to the last hit, `inner` to the first one beyond 150 mm; `z0` in mm where
    the inner line meets the beam; `straight` marks tracks whose chord does not bend.
    """

    b: Array
    offset: Array
    side: Array
    up: Array
    slope: Array
    inner: Array
    z0: Array
    straight: NDArray[np.bool_]
    r: Array
    z: Array
    dphi: Array


def chord(tracks: Tracks, *, offset: bool = False) -> Chord:
    """The chords of tracks. Raises ValueError as `Tracks.check`."""
    x, y, z = np.moveaxis(tracks.check().hits.astype(np.float64), 2, 0)
    r, dphi = np.hypot(x, y), relative_azimuth(np.arctan2(y, x))
    rows, last = np.arange(len(r), dtype=np.int64), tracks.mask.sum(1) - 1
    middle = np.minimum((tracks.mask & (r < INNER)).sum(1), last)
    middle = np.where(middle > 0, middle, last)
    b, away = _scale(r, dphi, rows, last, middle, offset)
    side = np.where(b >= 0, 1.0, -1.0)
    up = np.where(z[rows, last] >= z[:, 0], 1.0, -1.0)
    z = z * up[:, None]
    slope, inner = (_ratio(z[rows, k] - z[:, 0], r[rows, k] - r[:, 0]) for k in (last, middle))
    start, size = z[:, 0] - r[:, 0] * inner, np.maximum(np.abs(b), LEAST)
    dphi = dphi * side[:, None]
    return Chord(size, away * side, side, up, slope, inner, start, np.abs(b) < LEAST, r, z, dphi)


def _scale(
    r: Array, dphi: Array, rows: Index, last: Index, middle: Index, offset: bool
) -> tuple[Array, Array]:
    """b in mrad/mm with its sign, and the offset in mm; both 0 where hits do not tell."""
    span, turn = r[rows, last] - r[:, 0], dphi[rows, last]
    if not offset:
        return MILLI * _ratio(turn, span), np.zeros(len(r))
    first = np.maximum(r[:, 0], NEAR)
    lever, short = (1 / first - 1 / np.maximum(r[rows, k], NEAR) for k in (last, middle))
    half, part = r[rows, middle] - r[:, 0], dphi[rows, middle]
    determinant = span * short - half * lever
    solvable = np.abs(determinant) > 0.5
    safe = np.where(solvable, determinant, 1.0)
    b = np.where(solvable, (turn * short - part * lever) / safe, _ratio(turn, span))
    return MILLI * b, np.where(solvable, (span * part - half * turn) / safe, 0.0)


def _ratio(rise: Array, run: Array) -> Array:
    """rise/run, 0 where the run is too short to mean anything."""
    return np.where(run > NEAR, rise / np.maximum(run, NEAR), 0.0)


def features(tracks: Tracks, chord: Chord) -> NDArray[np.float32]:
    """(n, slots, 13), of order one: the hits in the track's scale, and the scale itself."""
    b, r, z = chord.b[:, None], chord.r, chord.z
    dr, dz = r - r[:, :1], z - z[:, :1]
    lever = 1 / np.maximum(r[:, :1], NEAR) - 1 / np.maximum(r, NEAR)
    bend = MILLI * (chord.dphi - chord.offset[:, None] * lever) / b
    dev = np.where(dr > NEAR, bend / np.maximum(dr, NEAR) - 1, 0.0)
    outer, inner = (dz - slope[:, None] * dr for slope in (chord.slope, chord.inner))
    columns = (
        r / 500,
        z / 500,
        np.clip(dev / 0.1, -10, 10),
        np.clip(dev / 0.01, -20, 20) / 5,
        np.clip((bend - dr) / 5, -10, 10),
        np.clip(bend / 500, -5, 5),
        np.broadcast_to(np.log(b / 0.1), r.shape),
        np.broadcast_to(np.minimum(b / 0.1, 20), r.shape),
        np.where(dr > NEAR, dz / np.maximum(dr, NEAR), 0.0),
        np.clip(outer / b, -20, 20) / 5,
        np.clip(inner / 0.05, -20, 20) / 5,
        np.clip(inner / b / 0.5, -20, 20) / 5,
        np.broadcast_to(chord.offset[:, None], r.shape),
    )
    return np.where(tracks.mask[..., None], np.stack(columns, 2), 0.0).astype(np.float32)


def _units(chord: Chord) -> tuple[Array, Array]:
    """Scales of positions (mm) and of pz/pT for each track."""
    position, slope = (start + growth * chord.b for start, growth in (POSITION, SLOPE))
    return position, slope


def targets(truth: TrackTruth, chord: Chord) -> Array:
    """(n, 4): log(pT b), then pz/pT, d0 and z0 beside their chords', in the track's scale."""
    position, slope = _units(chord)
    return np.stack(
        [
            np.log(truth.pt * chord.b),
            (truth.pz / truth.pt * chord.up - chord.slope) / slope,
            (truth.d0 * chord.side - chord.offset) / position,
            (truth.z0 * chord.up - chord.z0) / position,
        ],
        1,
    )


def predictions(chord: Chord, values: Array) -> dict[str, Array]:
    """Predictions of the task from answers (n, 4); the inverse of `targets`.

    q/pT = 0 (no answer) where the chord does not bend. A positive charge turns clockwise.
    """
    position, slope = _units(chord)
    pt = np.exp(np.clip(values[:, 0], -10, 10)) / chord.b
    return {
        "qopt": np.where(chord.straight, 0.0, -chord.side / pt),
        "pz": (values[:, 1] * slope + chord.slope) * chord.up * pt,
        "d0": (values[:, 2] * position + chord.offset) * chord.side,
        "z0": (values[:, 3] * position + chord.z0) * chord.up,
    }
