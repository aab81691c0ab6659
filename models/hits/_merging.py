"""Fragments become tracks: pairs that a learned rule joins after the track builder.

A pair of a track and another track or lone hit, connected by an edge that the loose filter lets
pass, is described by the fits of both and of the two together. A small network, trained on events
that the big one never saw, gives the chance that both are of one particle; the likeliest pairs
join first, each cluster at most once a pass, in two passes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets.hits import Event, EventTruth, Floats, Integers
from physbench.models import Context
from physbench.models.common import training
from physbench.models.hits import _track_building as track_building
from physbench.models.hits import _track_fits as track_fits

LOOSE = -4.5  # of the filter's logit: edges that may join what the graph did not
PASSES, CHANCE = 2, 0.5
COLUMNS = 27
BATCH, FEWEST = 2048, 50


class Merger(nn.Module):
    """The log-odds that the two clusters of a pair are of one particle."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.centre: Tensor
        self.scale: Tensor
        self.register_buffer("centre", torch.zeros(COLUMNS))
        self.register_buffer("scale", torch.ones(COLUMNS))
        self.layers = nn.Sequential(
            *(nn.Linear(COLUMNS, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()),
            nn.Linear(width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(pairs,) from (pairs, 27)."""
        found: Tensor = self.layers(torch.clamp((x - self.centre) / self.scale, -5, 5))
        return found.squeeze(1)


@dataclass(frozen=True)
class Pairs:
    """Pairs of clusters: numbers (k, 2) of the clusters, the larger one first, and columns."""

    ends: Integers
    columns: NDArray[np.float32]


def pairs(event: Event, cluster: Integers, loose: tuple[Integers, Any]) -> Pairs:
    """What may join: `cluster` (hits,) numbers all clusters, lone hits included.

    `loose` holds edges (m, 2) and their logits (m, k); at least one cluster of a pair has three
    hits.
    """
    edges, logit = loose
    size = np.bincount(cluster)
    ends = cluster[edges]
    order = size[ends[:, 0]] < size[ends[:, 1]]
    ends = np.where(order[:, None], ends[:, ::-1], ends)
    keep = (ends[:, 0] != ends[:, 1]) & (size[ends].max(axis=1) >= track_building.HITS_MIN)
    key = ends[keep] @ np.array([len(size), 1])
    unique, row = np.unique(key, return_inverse=True)
    found = np.stack(np.divmod(unique, len(size)), axis=1)
    return Pairs(found, _columns(event, cluster, found, logit[keep], row))


def _columns(
    event: Event, cluster: Integers, ends: Integers, logit: Floats, row: Integers
) -> NDArray[np.float32]:
    """Numbers of each pair: of its edges, of its two clusters, and of both joined."""
    if not len(ends):
        return np.zeros((0, COLUMNS), dtype=np.float32)
    order = np.argsort(cluster, kind="stable")
    size = np.bincount(cluster)
    start = np.cumsum(size) - size
    alone = track_fits.fit(event, order, cluster[order])
    joined, owner = _members(order, start, size, ends)
    both = track_fits.fit(event, joined, owner)
    count = np.bincount(row, minlength=len(ends)).astype(float)
    best = np.full((len(ends), logit.shape[1]), -np.inf)
    np.maximum.at(best, row, logit)
    sums = [np.bincount(row, weights=one, minlength=len(ends)) for one in logit.T]
    columns = [np.log(count), *sums, *best.T, *_numbers(both)]
    columns.append(both.layers - alone.layers[ends].sum(axis=1))
    for side in (0, 1):
        columns += [one[ends[:, side]] for one in _short(alone)]
    return np.stack(columns, axis=1).astype(np.float32)


def _members(
    order: Integers, start: Integers, size: Integers, ends: Integers
) -> tuple[Integers, Integers]:
    """Hits of both clusters of each pair, and the number of the pair of each."""
    count = size[ends].ravel()
    first = start[ends].ravel()
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return order[np.repeat(first, count) + offset], np.repeat(
        np.arange(len(ends)).repeat(2), count
    )


def _numbers(fits: track_fits.Fits) -> list[Floats]:
    """Of the joined hits."""
    return [
        *(fits.hits, fits.layers, np.log(np.clip(fits.pt, 0.01, 100))),
        *(np.log(fits.residual + 1e-3), np.log(fits.residual_z + 1e-3)),
        *(np.log(np.abs(fits.d0) + 0.01), np.abs(fits.cot), fits.first, fits.last),
    ]


def _short(fits: track_fits.Fits) -> list[Floats]:
    """Of one of the two clusters."""
    return [
        *(fits.hits, np.log(np.clip(fits.pt, 0.01, 100)), np.log(fits.residual + 1e-3)),
        *(np.log(fits.residual_z + 1e-3), fits.first, fits.last),
    ]


def clusters(labels: Integers) -> Integers:
    """Numbers 0, 1, ... of all clusters: the tracks, and each hit of none on its own."""
    own = np.where(labels >= 0, labels, labels.max(initial=-1) + 1 + np.arange(len(labels)))
    return np.asarray(np.unique(own, return_inverse=True)[1])


def merged(
    network: Merger, event: Event, labels: Integers, loose: tuple[Integers, Any]
) -> Integers:
    """Labels after the passes; clusters of fewer than three hits are -1."""
    cluster = clusters(labels)
    for _ in range(PASSES):
        found = pairs(event, cluster, loose)
        with torch.no_grad():
            chance = torch.sigmoid(network(torch.from_numpy(found.columns))).numpy()
        cluster = _joined(cluster, found.ends, chance)
    size = np.bincount(cluster, minlength=1)
    return np.where(size[cluster] >= track_building.HITS_MIN, cluster, -1)


def _joined(cluster: Integers, ends: Integers, chance: Any) -> Integers:
    """Greedy: the likeliest pair first, each cluster once."""
    count = int(cluster.max(initial=-1)) + 1
    target, free = np.arange(count), np.ones(count, dtype=bool)
    for k in np.argsort(-chance, kind="stable"):
        if chance[k] <= CHANCE:
            break
        a, b = ends[k]
        if free[a] and free[b]:
            target[b] = a
            free[a] = free[b] = False
    return np.asarray(np.unique(target[cluster], return_inverse=True)[1])


def wanted(truth: EventTruth, cluster: Integers, ends: Integers) -> NDArray[np.bool_]:
    """Whether one particle owns more than half of either cluster of each pair."""
    owner = np.zeros(int(cluster.max(initial=-1)) + 1, dtype=np.int64)
    key = cluster * (truth.particle_id.max(initial=0) + 1) + truth.particle_id
    unique, count = np.unique(key, return_counts=True)
    number, particle = np.divmod(unique, truth.particle_id.max(initial=0) + 1)
    size = np.bincount(cluster)
    major = (2 * count > size[number]) & (particle > 0)
    owner[number[major]] = particle[major]
    return np.asarray((owner[ends[:, 0]] == owner[ends[:, 1]]) & (owner[ends[:, 0]] > 0))


Example = tuple[Event, EventTruth, Integers, tuple[Integers, Any]]


def train(
    examples: Iterable[Example], *, seed: int, context: Context, epochs: int = 12
) -> Merger | None:
    """A merger from events with their truth, labels and loose edges.

    None where they hold too few pairs to learn from.
    """
    rows = []
    for event, truth, labels, loose in examples:
        cluster = clusters(labels)
        found = pairs(event, cluster, loose)
        rows.append((found.columns, wanted(truth, cluster, found.ends)))
    x = torch.from_numpy(np.concatenate([row[0] for row in rows]))
    y = torch.from_numpy(np.concatenate([row[1] for row in rows]).astype(np.float32))
    if len(y) < FEWEST:
        return None
    torch.manual_seed(seed)
    network = Merger()
    network.centre.copy_(x.mean(0))
    network.scale.copy_(x.std(0) + 1e-6)
    order = torch.randperm(len(y))
    parts = [torch.split(column[order], BATCH) for column in (x, y)]
    batches = list(zip(*parts, strict=True))
    training.train(
        network,
        loss,
        batches,
        [],
        seed=seed,
        epochs=epochs,
        learning_rate=0.005,
        schedule="onecycle",
        context=context,
        name="merger",
    )
    return network


def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Binary cross entropy, mean over the pairs."""
    x, y = batch
    return nn.functional.binary_cross_entropy_with_logits(network(x), y)


def refined(network: Merger) -> Any:
    """The passes as a pipeline takes them."""

    def refine(
        event: Event, labels: Integers, graph: tuple[Integers, Any], scores: Floats
    ) -> Integers:
        return merged(network, event, labels, loosened(graph, scores))

    return refine


def loosened(graph: tuple[Integers, Any], scores: Floats) -> tuple[Integers, Floats]:
    """All edges with two numbers: the filter's logit and the network's log-odds.

    The latter of "same particle", -9 for edges that the network never saw.
    """
    edges, logit = graph
    odds = np.clip(track_building.log_odds(scores[:, -1]), -8, 8)
    return edges, np.stack([logit, np.where(scores[:, -1] > 0, odds, -9.0)], axis=1)
