"""What the gated network and its filter see: numbers of order 1 that know no direction in azimuth.

Turning the detector changes nothing; mirroring it (phi -> -phi or z -> -z) flips the signs of a
few columns, so that a training sees four views of an event and a filter one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from physbench.datasets.hits import PIXEL_VOLUMES, Event, Floats, Integers
from physbench.models.hits import _graphs as graphs

NODES, EDGES = 9, 16
BARREL, SHORT_STRIPS = (8, 13, 17), (12, 13, 14)
TURNED, MIRRORED = slice(0, 3), slice(3, 7)  # edge columns that flip with phi and with z
MIRRORED_NODES = slice(0, 2)
FILTER = EDGES + 11
PART = 1 << 14  # edges whose columns are made at once

Values = NDArray[np.float32]


def degrees(hits: int, edges: Integers) -> tuple[Floats, Floats]:
    """ln(1 + edges that leave a hit) and ln(1 + edges that enter it), shape (hits,)."""
    counts = [np.bincount(edges[:, side], minlength=hits) for side in (0, 1)]
    return np.log1p(counts[0]), np.log1p(counts[1])


def _nodes(event: Event, eta: Floats, leaving: Floats, entering: Floats) -> Values:
    """Nine numbers a hit: z, eta; r, |z|, two log-degrees; pixels, short strips, barrel or not."""
    flags = [np.isin(event.volume_id, group) for group in (PIXEL_VOLUMES, SHORT_STRIPS, BARREL)]
    columns = [
        *(event.z / 1000, eta / 2, event.r / 300 - 1, np.abs(event.z) / 1000 - 1),
        *(leaving - 1, entering - 1, *flags),
    ]
    return np.asarray(np.clip(np.stack(columns, axis=1), -5, 5), dtype=np.float32)


class Hits(NamedTuple):
    """What edges need to know of the hits of an event, each (hits,), and of them as nodes."""

    eta: Floats
    layer: Integers
    leaving: Floats
    entering: Floats
    nodes: Values


def of_hits(event: Event, edges: Integers) -> Hits:
    """Once an event; degrees count all of its edges."""
    eta = np.arcsinh(event.z / np.maximum(event.r, 1e-9))
    degree = degrees(len(event), edges)
    return Hits(eta, graphs.layer_of(event), *degree, _nodes(event, eta, *degree))


def parts(edges: Integers, size: int = 0) -> Iterator[Integers]:
    """Edges a few at a time: their columns stay in the cache, and memory is bounded."""
    size = size or PART
    for start in range(0, len(edges), size):
        yield edges[start : start + size]


def edge_columns(event: Event, edges: Integers) -> Values:
    """Sixteen numbers an edge, clipped at 6: three turn with phi, four with z, the rest is even.

    Differences of azimuth alone, over radius and over length; of z, eta, the intercept and slope
    dz/dr; sizes; a flag of one layer; four log-degrees.
    """
    return _edge_columns(event, of_hits(event, edges), edges)


def _edge_columns(event: Event, hits: Hits, edges: Integers) -> Values:
    rows = [_edge_rows(event, hits, part) for part in parts(edges)]
    return np.concatenate([np.zeros((0, EDGES), dtype=np.float32), *rows])


def _edge_rows(event: Event, hits: Hits, edges: Integers) -> Values:
    a, b = edges.T
    slope, z0, dr = graphs.geometry(event, edges)
    dz, deta = event.z[b] - event.z[a], hits.eta[b] - hits.eta[a]
    dphi, length = graphs.wrap(event.phi[b] - event.phi[a]), np.hypot(dr, dz)
    columns: list[NDArray[Any]] = [
        *(20 * dphi, 2000 * slope, 2000 * dphi / np.maximum(length, 1)),
        *(dz / 200, 20 * deta, z0 / 30, dz / graphs.away_from_zero(dr) / 2),
        *(dr / 100, length / 200, np.log1p(np.abs(z0) / 5) - 1, 10 * np.hypot(deta, dphi)),
        hits.layer[a] == hits.layer[b],
        *(hits.leaving[a] - 1, hits.entering[a] - 1, hits.leaving[b] - 1, hits.entering[b] - 1),
    ]
    clip = np.array([5.0] * 7 + [6.0] * 9)
    return np.asarray(np.clip(np.stack(columns, axis=1), -clip, clip), dtype=np.float32)


def filter_columns(event: Event, edges: Integers) -> Values:
    """Twenty-seven numbers an edge that no mirror changes: its own signs are taken out."""
    rows = list(filter_parts(event, edges))
    return np.concatenate([np.zeros((0, FILTER), dtype=np.float32), *rows])


def filter_parts(event: Event, edges: Integers, size: int = 0) -> Iterator[Values]:
    """The columns of the filter, (k, 27) for some edges at a time, `size` of them where given."""
    hits = of_hits(event, edges)
    for part in parts(edges, size):
        x = _edge_rows(event, hits, part)
        turn = np.where(x[:, :1] < 0, -1, 1)
        mirror = np.where(x[:, 3:4] < 0, -1, 1)
        x[:, TURNED] *= turn
        x[:, MIRRORED] *= mirror
        one, two = hits.nodes[part[:, 0]], hits.nodes[part[:, 1]]
        ends = [one[:, 2:4], two[:, 2:4], one[:, 6:], two[:, 6:], one[:, :1] * mirror]
        yield np.concatenate([x, *ends], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Graph:
    """A graph as the network takes it: nodes (n, 9), edges (m, k) and their ends (m,).

    `place` (n, 2) holds azimuth and pseudorapidity of each hit, for networks that ask what lies
    near; `label` (m, 2) whether both hits are of one particle and whether they follow one another.
    """

    nodes: Tensor
    edges: Tensor
    source: Tensor
    target: Tensor
    place: Tensor
    label: Tensor | None = None

    def mirrored(self, turn: bool, mirror: bool) -> Graph:
        """The graph with phi -> -phi and z -> -z, as told."""
        x, node, place = self.edges.clone(), self.nodes.clone(), self.place.clone()
        if turn:
            x[:, TURNED] *= -1
            place[:, 0] *= -1
        if mirror:
            x[:, MIRRORED] *= -1
            node[:, MIRRORED_NODES] *= -1
            place[:, 1] *= -1
        return replace(self, nodes=node, edges=x, place=place)


def graph(
    event: Event, edges: Integers, logit: Values | None, label: NDArray[Any] | None = None
) -> Graph:
    """The graph of an event; `logit` of the filter is a further edge input where there is one."""
    hits = of_hits(event, edges)
    x = _edge_columns(event, hits, edges)
    if logit is not None:
        x = np.concatenate([x, np.clip(logit / 3, -3, 3)[:, None].astype(np.float32)], axis=1)
    source, target = torch.from_numpy(np.ascontiguousarray(edges.T))
    wanted = None if label is None else torch.from_numpy(label.astype(np.float32))
    place = torch.from_numpy(np.stack([event.phi, hits.eta], axis=1).astype(np.float32))
    edge, node = torch.from_numpy(x), torch.from_numpy(hits.nodes)
    return Graph(node, edge, source, target, place, wanted)


def sector_of(phi: Floats, count: int) -> Integers:
    """Which of `count` equal sectors of azimuth each hit lies in, (hits,)."""
    return np.floor((phi + np.pi) / (2 * np.pi) * count).astype(np.int64) % count


def sectors(whole: Graph, phi: Floats, count: int) -> list[Graph]:
    """The graph cut into `count` sectors of azimuth; edges across their borders are left out.

    Features, degrees among them, are those of the whole graph.
    """
    if count == 1:
        return [whole]
    sector = sector_of(phi, count)
    found = []
    for number in range(count):
        inside = torch.from_numpy(sector == number)
        rows = inside[whole.source] & inside[whole.target]
        place = torch.cumsum(inside, 0) - 1
        label = None if whole.label is None else whole.label[rows]
        source, target = place[whole.source[rows]], place[whole.target[rows]]
        node, near = whole.nodes[inside], whole.place[inside]
        found.append(Graph(node, whole.edges[rows], source, target, near, label))
    return found
