"""Triplets of pixel hits in NumPy: learned windows for pairs, then pairs that agree at a hit.

A pair of hits has a direction theta = atan2(dz, dr) and a bend dphi / d, d being its length in the
(r, z) plane: for a helix from near the axis both are alike in the next pair. Triplets are pairs
that share their middle hit and agree in both within limits; of those at one middle hit the ones
that agree best are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from physbench.datasets.hits import (
    Event,
    EventTruth,
    Floats,
    Integers,
    selected,
    sequential_edges,
)
from physbench.models.hits import _graphs as graphs

BLOCK = 2_000_000  # pairs of pairs at a time
SHORTEST = 5.0  # mm; overlapping modules of a layer give pairs without a direction


@dataclass(frozen=True)
class Limits:
    """Windows of pairs, and how far two pairs of a triplet may differ.

    `angle` in rad, `bend` in rad/mm, `keep`: triplets kept at each middle hit.
    """

    windows: graphs.Windows
    angle: float
    bend: float
    keep: int


def learn(
    events: Sequence[Event],
    truths: Sequence[EventTruth],
    *,
    pt_min: float,
    outside: float,
    rare: float,
    keep: int,
) -> Limits:
    """Limits that leave out the share `outside` of true pairs and triplets each.

    `pt_min` in GeV is that of the particles which are learned from, `rare` the share of their
    pairs that may be lost by dropping the rarest pairs of layers.
    """
    windows = graphs.learn(events, truths, pt_min=pt_min, outside=outside, rare=rare)
    parts = [_differences(e, t, pt_min) for e, t in zip(events, truths, strict=True)]
    angle, bend = np.quantile(np.concatenate(parts, axis=1), 1 - outside, axis=1)
    return Limits(windows, float(angle), float(bend), keep)


def _differences(event: Event, truth: EventTruth, pt_min: float) -> Floats:
    """|difference| of angle and bend of all true triplets of chosen particles, (2, triplets)."""
    edges = sequential_edges(truth)
    chosen = truth.particles[selected(truth, pt_min)]
    edges = edges[np.isin(truth.particle_id[edges[:, 0]], chosen)]
    angle, bend, length = directions(event, edges)
    parts = [np.zeros((2, 0))]
    for first, second in meeting(edges, len(event)):
        good = (length[first] > SHORTEST) & (length[second] > SHORTEST)
        first, second = first[good], second[good]
        parts.append(np.abs([angle[first] - angle[second], bend[first] - bend[second]]))
    return np.concatenate(parts, axis=1)


def directions(event: Event, edges: Integers) -> tuple[Floats, Floats, Floats]:
    """Angle (rad), bend (rad/mm) and length (mm) of pairs (m, 2)."""
    inner, outer = edges.T
    dr, dz = event.r[outer] - event.r[inner], event.z[outer] - event.z[inner]
    length = np.hypot(dr, dz)
    bend = graphs.wrap(event.phi[outer] - event.phi[inner]) / np.maximum(length, 1e-9)
    return np.arctan2(dz, dr), bend, length


def meeting(edges: Integers, hits: int) -> Iterator[tuple[Integers, Integers]]:
    """All (a, b) such that pair a ends at the hit where pair b begins.

    In blocks that fit into memory, all of one a in the same block.
    """
    order = np.argsort(edges[:, 0], kind="stable")
    begins = np.searchsorted(edges[order, 0], np.arange(hits + 1))
    start, count = begins[edges[:, 1]], np.diff(begins)[edges[:, 1]]
    block = np.cumsum(count) // BLOCK
    for rows in np.split(np.arange(len(edges)), np.flatnonzero(np.diff(block)) + 1):
        few = count[rows]
        first = np.repeat(rows, few)
        offset = np.arange(len(first)) - np.repeat(np.cumsum(few) - few, few)
        yield first, order[np.repeat(start[rows], few) + offset]


def seeds(event: Event, limits: Limits) -> Integers:
    """(k, 3) inner, middle and outer hit of the triplets of one event."""
    edges = graphs.build(event, limits.windows)
    angle, bend, length = directions(event, edges)
    long = length > SHORTEST
    edges, angle, bend = edges[long], angle[long], bend[long]
    parts = [(np.zeros(0, dtype=np.int64),) * 2 + (np.zeros(0),)]
    for one, two in meeting(edges, len(event)):
        apart = np.abs(angle[one] - angle[two]) / limits.angle
        bent = np.abs(bend[one] - bend[two]) / limits.bend
        good = (apart < 1) & (bent < 1)
        parts.append((one[good], two[good], (apart + bent)[good]))
    first, second, cost = (np.concatenate(column) for column in zip(*parts, strict=True))
    middle = edges[first, 1]
    order = np.lexsort((cost, middle))
    place = np.arange(len(order)) - np.searchsorted(middle[order], middle[order])
    best = order[place < limits.keep]
    return np.column_stack([edges[first[best]], edges[second[best], 1]])


def seeds_in(event: Event, buckets: Sequence[Integers], limits: Limits) -> list[Integers]:
    """`seeds` of each bucket on its own, a bucket being sorted positions of hits."""
    return [bucket[seeds(part_of(event, bucket), limits)] for bucket in buckets]


def part_of(event: Event, hits: Integers) -> Event:
    """The event with these hits alone, in their order."""
    names = ("hit_id", "x", "y", "z", "volume_id", "layer_id", "module_id")
    return Event(event.name, **{name: getattr(event, name)[hits] for name in names})
