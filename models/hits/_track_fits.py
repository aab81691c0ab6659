"""Circle and line through all tracks of an event at once, from sums over their hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.arrays import distinct
from physbench.datasets.hits import PIXEL_VOLUMES, Event, Floats, Integers
from physbench.models.hits import _graphs as graphs

SCALE = 500.0  # mm; lengths of order 1 in the fit
BEND = 0.3 * 2.0 / 1000.0  # GeV / mm: pT of a unit charge over its radius in 2 T


@dataclass(frozen=True)
class Fits:
    """Fits of the tracks 0, 1, ...; all shapes are (tracks,).

    Attributes
    ----------
    hits, layers, pixels:
        Numbers of hits, of layers that they lie on, and of hits in the pixel volumes.
    pt:
        Transverse momentum in GeV of a unit charge.
    residual, residual_z:
        Root mean square distances from the circle and, along it, from the line, in mm.
    d0, z0, cot:
        Distance of the circle from the axis and position along it, in mm; dz/ds.
    first, last, depth:
        Smallest and largest radius of the hits, mean |z|, in mm.
    """

    hits: Floats
    layers: Floats
    pixels: Floats
    pt: Floats
    residual: Floats
    residual_z: Floats
    d0: Floats
    z0: Floats
    cot: Floats
    first: Floats
    last: Floats
    depth: Floats


def fit(event: Event, hits: Integers, track: Integers) -> Fits:
    """Fits of the tracks in `track`, one number 0, 1, ... for each of `hits` (repeats allowed).

    Circle: the plane nearest to the points (x, y, x^2 + y^2), by the smallest eigenvector of
    their covariance. Line: z against the arc from the point nearest to the axis.
    """
    count = int(track.max(initial=-1)) + 1
    number = np.bincount(track, minlength=count).astype(float)
    centre, radius, residual = _circles(event, hits, track, number)
    d0 = np.hypot(*centre) - radius
    turn = np.arctan2(event.y[hits] - centre[1][track], event.x[hits] - centre[0][track])
    nearest = np.arctan2(-centre[1], -centre[0])
    arc = np.abs(graphs.wrap(turn - nearest[track])) * radius[track]
    cot, z0, residual_z = _lines(arc, event.z[hits], track, number)
    pixel = np.isin(event.volume_id[hits], PIXEL_VOLUMES)
    return Fits(
        number,
        _layers(graphs.layer_of(event)[hits], track, count),
        _counts(track, pixel, count),
        BEND * radius,
        residual,
        residual_z,
        d0,
        z0,
        cot,
        *_range(event.r[hits], track, count),
        _counts(track, np.abs(event.z[hits]), count) / number,
    )


def _circles(
    event: Event, hits: Integers, track: Integers, number: Floats
) -> tuple[Floats, Floats, Floats]:
    """Centres (2, tracks), radii and residuals in mm."""

    def mean(values: Floats) -> Floats:
        return np.bincount(track, weights=values, minlength=len(number)) / number

    x, y = event.x[hits] / SCALE, event.y[hits] / SCALE
    middle = np.stack([mean(x), mean(y)])
    dx, dy = x - middle[0][track], y - middle[1][track]
    square = dx**2 + dy**2
    level = mean(square)
    columns = (dx, dy, square - level[track])
    above = {(i, j): mean(columns[i] * columns[j]) for i in range(3) for j in range(i, 3)}
    rows = [[above[min(i, j), max(i, j)] for j in range(3)] for i in range(3)]
    matrix = np.array(rows).transpose(2, 0, 1)
    normal = np.linalg.eigh(matrix + 1e-12 * np.eye(3))[1][:, :, 0].T
    last = np.where(np.abs(normal[2]) < 1e-9, 1e-9, normal[2])
    centre = -normal[:2] / (2 * last)
    radius = np.sqrt(np.maximum((centre**2).sum(0) + normal[2] * level / last, 1e-12))
    miss = np.hypot(dx - centre[0][track], dy - centre[1][track]) - radius[track]
    free = number / np.maximum(number - 2, 1)
    return (centre + middle) * SCALE, radius * SCALE, np.sqrt(mean(miss**2) * free) * SCALE


def _lines(
    arc: Floats, z: Floats, track: Integers, number: Floats
) -> tuple[Floats, Floats, Floats]:
    """Slope, intercept and residual of z against the arc."""

    def mean(values: Floats) -> Floats:
        return np.bincount(track, weights=values, minlength=len(number)) / number

    middle, height = mean(arc), mean(z)
    away = arc - middle[track]
    slope = mean(away * (z - height[track])) / np.maximum(mean(away**2), 1e-6)
    start = height - slope * middle
    miss = (z - start[track] - slope[track] * arc) / np.sqrt(1 + slope[track] ** 2)
    return slope, start, np.sqrt(mean(miss**2) * number / np.maximum(number - 2, 1))


def _layers(layer: Integers, track: Integers, count: int) -> Floats:
    """Number of different layers of each track."""
    width = int(layer.max(initial=0)) + 1
    pairs = distinct(track * width + layer)
    return np.bincount(pairs // width, minlength=count).astype(float)


def _counts(track: Integers, weights: NDArray[Any], count: int) -> Floats:
    """Sum of the weights of each track's hits."""
    return np.bincount(track, weights=weights, minlength=count).astype(float)


def _range(r: Floats, track: Integers, count: int) -> tuple[Floats, Floats]:
    """Smallest and largest radius of each track."""
    low, high = np.full(count, np.inf), np.zeros(count)
    np.minimum.at(low, track, r)
    np.maximum.at(high, track, r)
    return low, high
