"""Metric learning: hits to points of a few dimensions; hits that follow one another are near.

Hinge loss of the squared distance d^2: d^2 for wanted pairs, max(0, 1 - d^2) for pairs of hits
that are of no common particle and lie within distance 1 (hard negatives, found anew in each step).
Each step turns its event by a random angle and may reflect it. Source: Exa.TrkX
(arXiv:2103.06995).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor, nn

from physbench.datasets.hits import (
    PIXEL_VOLUMES,
    Event,
    EventTruth,
    Floats,
    Integers,
    selected,
    sequential_edges,
)
from physbench.models import Context
from physbench.models.common import training
from physbench.models.hits import _graphs as graphs

BARRELS, STRIPS = (8, 13, 17), (12, 13, 14)
MARGIN = 1.0
QUERIES, NEIGHBOURS, PAIRS = 1500, 25, 3000  # of a step
POOL = 4000  # hits among which a step looks for neighbours
TURNED = slice(0, 2)  # columns that a rotation mixes


def inputs(event: Event) -> NDArray[np.float32]:
    """(hits, 10): direction in the transverse plane, r, z, pseudorapidity and detector part."""
    r, z, volume = event.r, event.z, event.volume_id
    columns = [
        *(2 * np.cos(event.phi), 2 * np.sin(event.phi), r / 500, z / 1000),
        np.arcsinh(z / np.maximum(r, 1.0)),
        np.sign(z) * np.log1p(np.abs(z) / 100),
        np.log(np.maximum(r, 1.0) / 30),
        *(np.isin(volume, part) * 1.0 for part in (PIXEL_VOLUMES, STRIPS, BARRELS)),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


class Embedding(nn.Module):
    """Residual blocks of LayerNorm and ReLU between two linear layers."""

    def __init__(self, width: int, layers: int, dimensions: int) -> None:
        super().__init__()
        self.first = nn.Linear(10, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.last = nn.Linear(width, dimensions)
        self.head = nn.Identity()  # what goes into it is the place of a hit: `explain` looks there

    def forward(self, x: Tensor) -> Tensor:
        """(hits, dimensions)."""
        x = torch.relu(self.first(x))
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x = x + torch.relu(block(norm(x)))
        placed: Tensor = self.head(self.last(x))
        return placed


@dataclass(frozen=True)
class Sample:
    """One event in training: inputs, wanted pairs (m, 2), particle of each hit."""

    x: Tensor
    wanted: Integers
    particle: Integers

    @property
    def device(self) -> torch.device:
        """Where the inputs are."""
        return self.x.device


def sample(event: Event, truth: EventTruth, pt_min: float) -> Sample:
    """Wanted: consecutive hits of particles above `pt_min` in GeV with hits on three layers."""
    edges = sequential_edges(truth)
    chosen = truth.particles[selected(truth, pt_min)]
    edges = edges[np.isin(truth.particle_id[edges[:, 0]], chosen)]
    return Sample(torch.from_numpy(inputs(event)), edges, truth.particle_id)


def fit(
    train: Sequence[tuple[Event, EventTruth]],
    *,
    seed: int,
    pt_min: float,
    width: int,
    layers: int,
    dimensions: int,
    epochs: int,
    learning_rate: float,
    run: Context,
) -> Embedding:
    """Train on whole events, one a step, to the end of the schedule.

    Nothing stops it on validation: the better the points lie, the harder are the pairs that the
    loss finds, so that it says little about the graph.
    """
    torch.manual_seed(seed)
    network = Embedding(width, layers, dimensions)
    batches = [sample(event, truth, pt_min) for event, truth in train]
    training.train(
        network,
        _turned_loss,
        batches,
        [],
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        schedule="onecycle",
        context=run,
        name="embedding",
    )
    return network


def _turned_loss(network: nn.Module, batch: Sample) -> Tensor:
    """The loss of an event that was turned about the beam and reflected at random."""
    angle, flip = torch.rand(2).tolist()
    cos, sin = np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)
    turn = torch.tensor([[cos, sin], [-sin, cos]], dtype=torch.float32)
    if flip < 0.5:
        turn = turn * torch.tensor([1.0, -1.0])
    return _loss(network, batch, turn.to(batch.device))


def _loss(network: nn.Module, batch: Sample, turn: Tensor) -> Tensor:
    """Wanted pairs near, the nearest others at least the margin apart, of a part of the hits."""
    near = _drawn_pairs(batch)
    pool = torch.randperm(len(batch.x))[:POOL].numpy()
    used, place = np.unique(np.concatenate([near.ravel(), pool]), return_inverse=True)
    x = batch.x[used]
    points = network(torch.cat([x[:, TURNED] @ turn, x[:, TURNED.stop :]], dim=1))
    near, pool = place[: near.size].reshape(-1, 2), place[near.size :]
    far = _hard_pairs(batch.particle[used], pool, points.detach().cpu().numpy())
    together, apart = (((points[i] - points[j]) ** 2).sum(1) for i, j in (near.T, far.T))
    loss = together.sum() / max(len(near), 1)
    total: Tensor = loss + torch.relu(MARGIN**2 - apart).sum() / max(len(far), 1)
    return total


def _drawn_pairs(batch: Sample) -> Integers:
    """Some of the wanted pairs."""
    if not len(batch.wanted):
        return batch.wanted
    return np.asarray(batch.wanted[torch.randint(len(batch.wanted), (PAIRS,)).numpy()])


def _hard_pairs(particle: Integers, pool: Integers, points: NDArray[np.float32]) -> Integers:
    """Pairs of no common particle within the margin, of a pool that is a part of the hits.

    The very nearest hits of a whole dense event lie so near that the square of their distance has
    no slope, and the network would stay where all hits share one point.
    """
    asked, k = pool[:QUERIES], min(NEIGHBOURS, len(pool))
    _, near = cKDTree(points[pool]).query(points[asked], k=k, distance_upper_bound=MARGIN)
    i, j = np.repeat(asked, k), near.reshape(-1)
    i, j = i[j < len(pool)], pool[j[j < len(pool)]]
    one, two = particle[i], particle[j]
    apart = (i != j) & ((one != two) | (one == 0))
    return np.stack([i[apart], j[apart]], axis=1)


def placed(network: nn.Module, event: Event) -> NDArray[np.float32]:
    """(hits, dimensions) points of an event's hits."""
    with torch.no_grad():
        found: NDArray[np.float32] = network(torch.from_numpy(inputs(event))).numpy()
    return found


def neighbours(
    event: Event, points: NDArray[np.float32], search: str, reach: float
) -> tuple[Integers, Floats]:
    """Edges (m, 2), inner hit first, and their distance (m,).

    `search` is `radius`: all pairs nearer than `reach`; or `knn`: each hit with its `reach`
    nearest ones, a pair that finds each other once.
    """
    tree = cKDTree(points)
    if search == "radius":
        pairs = tree.query_pairs(reach, output_type="ndarray").astype(np.int64).reshape(-1, 2)
    else:
        k = min(int(reach) + 1, len(points))
        _, near = tree.query(points, k=k)
        both = np.stack([np.repeat(np.arange(len(points)), k), near.reshape(-1)], axis=1)
        pairs = graphs.once(np.sort(both[both[:, 0] != both[:, 1]], axis=1), len(points))
    away = np.hypot(event.r, event.z)
    swap = away[pairs[:, 0]] > away[pairs[:, 1]]
    pairs = np.where(swap[:, None], pairs[:, ::-1], pairs)
    distance = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    return pairs, distance.astype(np.float64)


@dataclass(frozen=True)
class Near:
    """Edges between hits whose points lie within `reach` of one another."""

    network: Embedding
    sizes: tuple[int, int, int]
    reach: float

    def __call__(self, event: Event) -> Integers:
        """Edges (m, 2), inner hit first."""
        return neighbours(event, placed(self.network, event), "radius", self.reach)[0]

    def stored(self) -> dict[str, Any]:
        """Weights, sizes and reach."""
        state = self.network.state_dict()
        return {"embedding": {"state": state, "sizes": list(self.sizes), "reach": self.reach}}

    @classmethod
    def restored(cls, values: dict[str, Any]) -> Near:
        """The inverse of `stored`."""
        sizes = tuple(values["sizes"])
        network = Embedding(*sizes)
        network.load_state_dict(values["state"])
        return cls(network.eval(), sizes, values["reach"])


def reach_of(
    network: nn.Module, split: Sequence[tuple[Event, EventTruth]], search: str, share: float
) -> float:
    """The radius, or the number of neighbours, that holds `share` of the wanted pairs."""
    found: list[Any] = [np.zeros(0)]
    for event, truth in split:
        points, (i, j) = placed(network, event), sample(event, truth, 0.9).wanted.T
        distance = np.linalg.norm(points[i] - points[j], axis=1)
        if search == "knn":
            distance = _ranks(points, i, j, distance)
        found.append(distance)
    wanted = np.concatenate(found)
    if not len(wanted):
        raise ValueError("no wanted pair in the validation events: no reach can be chosen")
    rounding = 1e-5 if search == "radius" else 0.0  # of distances in single precision
    return float(np.quantile(wanted, share, method="higher")) * (1 + rounding)


def _ranks(points: Any, i: Integers, j: Integers, distance: Floats) -> Floats:
    """How many neighbours the hit with fewer of them needs to find the other, at most 100."""
    tree, ranks = cKDTree(points), []
    for hit in (i, j):
        near, _ = tree.query(points[hit], k=min(101, len(points)))
        ranks.append((near < distance[:, None] * (1 - 1e-6)).sum(axis=1))
    return np.asarray(np.minimum(*ranks), dtype=np.float64)
