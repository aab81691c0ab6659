"""Hit graphs: pairs of layers, windows in slope and longitudinal intercept, sorted search.

An edge joins an inner and an outer hit of two layers that true tracks of the training events
connect. It is kept when its slope dphi/dr (rad/mm; a helix of radius R from the axis has
1 / 2R) and its intercept z0 = z1 - r1 dz/dr (mm) lie in the windows of that pair of layers. This
is the geometric graph of HEPTrkX and of DeZoort et al. (arXiv:2103.16701) with limits that are
learned, so that endcaps and other detectors need no table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.arrays import distinct
from physbench.datasets.hits import (
    Event,
    EventTruth,
    Floats,
    Integers,
    selected,
    sequential_edges,
)

BANDS = 32  # of z / r in a layer
APART = 8 * np.pi  # distance of their keys, more than three turns
DR_MIN = 1.0  # mm; hits at the same radius have no direction in (r, phi) and (r, z)
NODE_SCALE = np.array([1000.0, np.pi, 1000.0])


@dataclass(frozen=True)
class Windows:
    """Layer pairs and their limits.

    `layers` (k, 2): inner and outer layer of each pair. `slope`, `z0` (k, 2): lowest and
    highest value. `dr` (k, 2): extent of r2 - r1, which bounds the search in azimuth.
    """

    layers: Integers
    slope: Floats
    z0: Floats
    dr: Floats


def layer_of(event: Event) -> Integers:
    """An integer that differs between layers, shape (hits,)."""
    return event.volume_id * 100 + event.layer_id


def wrap(angle: Floats) -> Floats:
    """Angle in rad brought to [-pi, pi).

    >>> wrap(np.array([3.5, -3.5])).round(3).tolist()
    [-2.783, 2.783]
    """
    # As `%`, which divides one number at a time; the same digits up to two turns away.
    turned = angle + np.pi
    return np.asarray(turned - 2 * np.pi * np.floor(turned / (2 * np.pi)) - np.pi)


def geometry(event: Event, edges: Integers) -> tuple[Floats, Floats, Floats]:
    """Slope dphi/dr (rad/mm), intercept z0 (mm) and dr (mm) of edges (m, 2)."""
    r, phi = event.r, event.phi
    inner, outer = edges[:, 0], edges[:, 1]
    dr = r[outer] - r[inner]
    safe = away_from_zero(dr)
    slope = wrap(phi[outer] - phi[inner]) / safe
    z0 = event.z[inner] - r[inner] * (event.z[outer] - event.z[inner]) / safe
    return slope, z0, dr


def learn(
    events: Sequence[Event],
    truths: Sequence[EventTruth],
    *,
    pt_min: float = 0.0,
    outside: float = 0.01,
    rare: float = 0.002,
) -> Windows:
    """Windows from the true edges of training events.

    Parameters
    ----------
    pt_min:
        Particles that count, in GeV (with hits on three layers). Soft ones are in: a graph for
        hard particles alone holds fragments of soft tracks, and each fragment is a fake.
    outside:
        Share of a pair's true edges left outside each of the two windows.
    rare:
        Share of all true edges that may be lost by dropping the rarest layer pairs.

    Raises ValueError when the events hold no true edge.
    """
    rows = [
        _true_geometry(event, truth, pt_min) for event, truth in zip(events, truths, strict=True)
    ]
    table = np.concatenate([row for row in rows if len(row)]) if any(map(len, rows)) else None
    if table is None:
        raise ValueError(
            "no particle has hits on three layers in the training events: nothing to learn"
        )
    pairs, where, counts = np.unique(table[:, :2], axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = order[np.cumsum(counts[order]) - counts[order] < (1 - rare) * len(table)]
    kept = np.sort(kept)
    limits = [_limits(table[where == k, 2:], outside) for k in kept]
    slope, z0, dr = (np.array([limit[i] for limit in limits]) for i in range(3))
    return Windows(pairs[kept].astype(np.int64), slope, z0, dr)


def _true_geometry(event: Event, truth: EventTruth, pt_min: float) -> Floats:
    """Rows (inner layer, outer layer, slope, z0, dr) of the true edges of chosen particles."""
    edges = sequential_edges(truth)
    chosen = truth.particles[selected(truth, pt_min)]
    edges = edges[np.isin(truth.particle_id[edges[:, 0]], chosen)]
    layer = layer_of(event)
    return np.stack([layer[edges[:, 0]], layer[edges[:, 1]], *geometry(event, edges)], axis=1)


def _limits(rows: Floats, outside: float) -> list[list[float]]:
    """Shortest windows that hold all but `outside` of the values, wider for small samples."""
    limits = []
    for column in range(3):
        values = np.sort(rows[:, column])
        share = outside if column < 2 else 0.0
        keep = max(int(np.ceil(len(values) * (1 - share))), 1)
        widths = values[keep - 1 :] - values[: len(values) - keep + 1]
        start = int(np.argmin(widths))
        low, high = float(values[start]), float(values[start + keep - 1])
        # Unseen tracks lie outside the range of n seen ones with probability 2 / (n + 1).
        margin = (high - low) / (len(values) + 1) * 2
        limits.append([low - margin, high + margin])
    return limits


def build(event: Event, windows: Windows) -> Integers:
    """Edges (m, 2) as hit positions, inner hit first; sorted search, never all pairs."""
    phi, r, z = event.phi, event.r, event.z
    layers = _Layers(event, np.unique(windows.layers))
    found = [np.zeros((0, 2), dtype=np.int64)]
    for k, (inner, outer) in enumerate(windows.layers.tolist()):
        a, b = layers.near(inner, outer, windows, k)
        # One cut after the other, each on what the last one left: most candidates fail early.
        dr = r[b] - r[a]
        keep = _within(dr, windows.dr[k])
        a, b, dr = a[keep], b[keep], away_from_zero(dr[keep])
        keep = _within(wrap(phi[b] - phi[a]) / dr, windows.slope[k])
        a, b, dr = a[keep], b[keep], dr[keep]
        keep = _within(z[a] - r[a] * (z[b] - z[a]) / dr, windows.z0[k])
        found.append(np.stack([a[keep], b[keep]], axis=1))
    return _outward(np.concatenate(found), np.hypot(r, z))


def _within(values: Floats, window: Floats) -> Integers:
    """Places of the values in a window; they choose in half the time that a mask takes."""
    return np.flatnonzero((values >= window[0]) & (values <= window[1]))


class _Layers:
    """The hits of each layer in bands of z / r, sorted in azimuth inside each band.

    A line from (0, z0) through the inner hit meets the outer one where z2 / r2 = z1 / r1 + z0 (1 /
    r2 - 1 / r1), which bounds the bands that a window in z0 leaves.
    """

    def __init__(self, event: Event, layers: Integers) -> None:
        self.r, self.phi = event.r, event.phi
        self.ratio = event.z / np.maximum(event.r, 1e-9)
        layer = layer_of(event)
        rows = {int(k): np.flatnonzero(layer == k) for k in layers}
        self.rows = {k: index[np.argsort(self.phi[index])] for k, index in rows.items()}
        self.bands = {k: self._banded(index) for k, index in self.rows.items()}

    def _banded(self, index: Integers) -> tuple[Integers, Floats, Floats]:
        """Hits by band and azimuth, their keys, and the upper ends of the bands."""
        shares = np.linspace(0, 1, BANDS + 1)[1:]
        ends = np.quantile(self.ratio[index], shares) if len(index) else np.zeros(BANDS)
        ends[-1] = np.inf
        band = np.searchsorted(ends, self.ratio[index])
        # The azimuth is repeated across +-pi; a band's keys lie 8 pi apart.
        whole = np.concatenate([index, index, index])
        turn = np.repeat([-2 * np.pi, 0.0, 2 * np.pi], len(index))
        key = np.concatenate([band, band, band]) * APART + self.phi[whole] + turn
        order = np.argsort(key)
        return whole[order], key[order], ends

    def near(self, inner: int, outer: int, windows: Windows, k: int) -> tuple[Integers, Integers]:
        """Pairs of the two layers that the windows of pair `k` can leave, and some more."""
        first, (hits, key, ends) = self.rows[inner], self.bands[outer]
        if not len(first) or not len(hits):
            return first[:0], hits[:0]
        reach = np.abs(windows.slope[k]).max() * max(np.abs(windows.dr[k]).max(), DR_MIN)
        reach = min(reach, np.pi)
        low, high = self._bounds(first, self.rows[outer], windows, k)
        start, stop = np.searchsorted(ends, low), np.searchsorted(ends, high)
        first, band = _ranges(first, start, stop + 1)
        centre = band * APART + self.phi[first]
        begin = np.searchsorted(key, centre - reach, side="left")
        end = np.searchsorted(key, centre + reach, side="right")
        first, place = _ranges(first, begin, end)
        return first, hits[place]

    def _bounds(
        self, first: Integers, second: Integers, windows: Windows, k: int
    ) -> tuple[Floats, Floats]:
        """Lowest and highest z / r of the outer hit for each inner one.

        Pairs at nearly the same radius have no direction (see `DR_MIN`): no bound for them.
        """
        level = (windows.dr[k, 0] < 2 * DR_MIN) & (windows.dr[k, 1] > -2 * DR_MIN)
        if level:
            return np.full(len(first), -np.inf), np.full(len(first), np.inf)
        away = [1 / r - 1 / self.r[first] for r in _span(self.r, first, second, windows.dr[k])]
        shift = np.stack([z0 * part for z0 in windows.z0[k] for part in away])
        return self.ratio[first] + shift.min(0) - 1e-9, self.ratio[first] + shift.max(0) + 1e-9


def _span(r: Floats, first: Integers, second: Integers, dr: Floats) -> tuple[Floats, Floats]:
    """Smallest and largest radius that the outer hit of each inner one may have."""
    low = np.maximum(r[second].min(), r[first] + dr[0])
    return np.maximum(low, 1.0), np.maximum(np.minimum(r[second].max(), r[first] + dr[1]), 1.0)


def _ranges(rows: Integers, start: Integers, stop: Integers) -> tuple[Integers, Integers]:
    """Each row once for each number from its start up to its stop, and that number."""
    count = np.maximum(stop - start, 0)
    before = np.cumsum(count) - count
    return np.repeat(rows, count), np.repeat(start - before, count) + np.arange(count.sum())


def _outward(edges: Integers, distance: Floats) -> Integers:
    """Each pair of different hits once, the one nearer to the origin first.

    Overlapping modules of a layer are crossed in either order, so their pairs are found twice.
    """
    inner, outer = edges[edges[:, 0] != edges[:, 1]].T
    swap = distance[inner] > distance[outer]
    ends = np.where(swap, outer, inner), np.where(swap, inner, outer)
    return once(np.stack(ends, axis=1), len(distance))


def once(pairs: Integers, hits: int) -> Integers:
    """The distinct rows of pairs (m, 2) of hits, sorted.

    >>> once(np.array([[2, 0], [0, 1], [2, 0]]), 3).tolist()
    [[0, 1], [2, 0]]
    """
    keys = distinct(pairs[:, 0] * hits + pairs[:, 1])
    return np.stack(np.divmod(keys, max(hits, 1)), axis=1)


def away_from_zero(dr: Floats) -> Floats:
    """Differences in radius, in mm, of which those below `DR_MIN` are that with their sign."""
    found, small = dr.copy(), np.flatnonzero(np.abs(dr) < DR_MIN)
    found[small] = np.where(dr[small] < 0, -DR_MIN, DR_MIN)
    return found


def node_features(event: Event) -> NDArray[np.float32]:
    """r / 1 m, phi / pi, z / 1 m; shape (hits, 3)."""
    return np.asarray(
        np.stack([event.r, event.phi, event.z], axis=1) / NODE_SCALE, dtype=np.float32
    )


def edge_features(event: Event, edges: Integers) -> NDArray[np.float32]:
    """dr / 1 m, dphi / pi, dz / 1 m and dR = hypot(deta, dphi); shape (m, 4)."""
    r, phi, z = event.r, event.phi, event.z
    inner, outer = edges[:, 0], edges[:, 1]
    eta = np.arcsinh(z / np.maximum(r, 1e-9))
    dphi = wrap(phi[outer] - phi[inner])
    columns = [
        (r[outer] - r[inner]) / 1000.0,
        dphi / np.pi,
        (z[outer] - z[inner]) / 1000.0,
        np.hypot(eta[outer] - eta[inner], dphi),
    ]
    return np.asarray(np.stack(columns, axis=1), dtype=np.float32)


def hand_features(event: Event, edges: Integers) -> NDArray[np.float32]:
    """14 numbers an edge for classifiers without message passing; shape (m, 14).

    r and z of the inner and of the outer hit; |dphi|, dR, |slope|, z0, |z0|, cot(theta) = dz / dr;
    and how many edges compete: leave and enter the inner hit, enter and leave the outer hit.
    """
    slope, z0, dr = geometry(event, edges)
    four = edge_features(event, edges)
    inner, outer = edges[:, 0], edges[:, 1]
    leaving = np.log1p(np.bincount(inner, minlength=len(event)))
    entering = np.log1p(np.bincount(outer, minlength=len(event)))
    columns: list[NDArray[Any]] = [
        *(event.r[inner] / 1000.0, event.z[inner] / 1000.0),
        *(event.r[outer] / 1000.0, event.z[outer] / 1000.0),
        *(np.abs(four[:, 1]), four[:, 3], np.abs(slope) * 1000.0),
        *(z0 / 100.0, np.abs(z0) / 100.0),
        (event.z[outer] - event.z[inner]) / away_from_zero(dr),
        *(leaving[inner], entering[inner], entering[outer], leaving[outer]),
    ]
    return np.asarray(np.stack(columns, axis=1), dtype=np.float32)
