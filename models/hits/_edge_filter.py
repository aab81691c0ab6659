"""A small network that throws edges away: 27 numbers of an edge, or with those of its neighbours.

The features do not change under rotation about the beam, reflection of azimuth (exchange of the
charges) and reflection along the beam: signs are folded. With `context` an edge also knows how
well the best edge before and after it continues it, which a fit through three hits would say.

The target is what the board asks for: consecutive hits of selected particles against pairs that
are of no particle. Pairs that are neither have no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
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
from physbench.models.hits import _triplets as triplets

PLAIN, CONTEXT = 27, 8
STRIPS = (12, 13, 14)
ANGLE, BEND = 0.02, 1e-4  # rad and rad/mm: scales of a cost of two edges, not cuts
FAR = 10.0  # the cost where nothing continues
CLIP = 6.0
EDGES = 8192  # of a batch


def features(event: Event, edges: Integers, context: bool) -> NDArray[np.float32]:
    """(m, 27), with `context` (m, 35)."""
    columns = _shape(event, edges) + _places(event, edges) + _degrees(event, edges)
    if context:
        columns += _neighbours(event, edges)
    return np.stack(columns, axis=1).astype(np.float32)


def _shape(event: Event, edges: Integers) -> list[NDArray[Any]]:
    """Fourteen: lengths, slopes and intercept of the pair of hits."""
    i, j = edges.T
    r, z = event.r, event.z
    side = np.where(z[i] < 0, -1.0, 1.0)
    dr, dz = r[j] - r[i], (z[j] - z[i]) * side
    safe = np.where(np.abs(dr) < 1, np.where(dr < 0, -1.0, 1.0), dr)
    dphi = np.abs(graphs.wrap(event.phi[j] - event.phi[i]))
    long = np.maximum(np.hypot(dr, dz), 1.0)
    eta = np.arcsinh(z / np.maximum(r, 1e-9))
    z0 = (z[i] * side) - r[i] * dz / safe
    return [
        *(20 * dphi, 2000 * dphi / safe, 2000 * dphi / long, np.log10(1e-6 + dphi / long)),
        *(dr / 100, dz / 200, long / 200, dz / safe / 2, np.arctan2(dz, dr)),
        *(20 * (eta[j] - eta[i]) * side, z0 / 30, np.log1p(np.abs(z0) / 5)),
        *(10 * np.hypot(eta[j] - eta[i], dphi), side * 0.0 + (dr * dz < 0)),
    ]


def _places(event: Event, edges: Integers) -> list[NDArray[Any]]:
    """Nine: radius, |z|, pixels and strips of either hit; whether both are of one layer."""
    found: list[NDArray[Any]] = []
    for hit in edges.T:
        volume = event.volume_id[hit]
        found += [event.r[hit] / 500, np.abs(event.z[hit]) / 1000]
        found += [np.isin(volume, PIXEL_VOLUMES) * 1.0, np.isin(volume, STRIPS) * 1.0]
    layer = graphs.layer_of(event)
    return [*found, (layer[edges[:, 0]] == layer[edges[:, 1]]) * 1.0]


def _degrees(event: Event, edges: Integers) -> list[NDArray[Any]]:
    """Four: logarithms of how many edges leave and enter either hit."""
    leave, enter = (np.log1p(np.bincount(side, minlength=len(event))) for side in edges.T)
    i, j = edges.T
    return [leave[i], enter[i], leave[j], enter[j]]


def _neighbours(event: Event, edges: Integers) -> list[NDArray[Any]]:
    """Eight: four of the edges before this one, four of those after it.

    What the edge costs that continues this one best, its differences in angle and bend, and the
    logarithm of how many continue it well.
    """
    angle, bend, _ = triplets.directions(event, edges)
    found: list[NDArray[Any]] = []
    for way in (edges[:, ::-1], edges):
        rows = np.full((4, len(edges)), FAR)
        rows[3] = 0.0
        for mine, other in triplets.meeting(way, len(event)):
            parts = (angle[mine] - angle[other]) / ANGLE, (bend[mine] - bend[other]) / BEND
            cost = np.hypot(*parts)
            order = np.lexsort((cost, mine))
            edge, start = np.unique(mine[order], return_index=True)
            best = order[start]
            rows[:3, edge] = cost[best], *(np.abs(part[best]) for part in parts)
            rows[3] += np.bincount(mine[cost < 1], minlength=len(edges))
        found += [*np.log(0.05 + rows[:3]), np.log1p(rows[3])]
    return found


def labels(truth: EventTruth, edges: Integers) -> tuple[Floats, Floats]:
    """1 for wanted edges, and the weight of each: 0 for other pairs of one particle."""
    one, two = truth.particle_id[edges].T
    places = np.array([len(truth), 1])
    wanted = sequential_edges(truth)
    chosen = np.isin(truth.particle_id[wanted[:, 0]], truth.particles[selected(truth)])
    key = np.sort(wanted[chosen], axis=1) @ places
    target = np.isin(np.sort(edges, axis=1) @ places, key)
    return target.astype(np.float64), np.where(target | (one != two) | (one == 0), 1.0, 0.0)


@dataclass(frozen=True)
class Filter:
    """A network with its scaling; `context` as in `features`."""

    network: nn.Module
    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    width: int
    context: bool

    def scaled(self, rows: NDArray[np.float32]) -> Tensor:
        """Features as the network sees them."""
        return torch.from_numpy(np.clip((rows - self.centre) / self.scale, -CLIP, CLIP))

    def plain(self) -> dict[str, Any]:
        """All but the weights, as plain values."""
        values = {"centre": self.centre.tolist(), "scale": self.scale.tolist()}
        return values | {"width": self.width, "context": self.context}

    def scores(self, event: Event, edges: Integers) -> Floats:
        """(m,) probability to be wanted."""
        rows = self.scaled(features(event, edges, self.context))
        with torch.no_grad():
            logit = self.network(rows)
        found: Floats = torch.sigmoid(logit.double()).numpy()
        return found


class Network(nn.Module):
    """Two hidden layers with ReLU and one logit."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 1),
        )

    def forward(self, rows: Tensor) -> Tensor:
        """(m,) logits."""
        logit: Tensor = self.layers(rows)
        return logit.squeeze(1)


Graph = tuple[Event, EventTruth, Integers]


def fit(
    train: Sequence[Graph],
    validation: Sequence[Graph],
    *,
    seed: int,
    width: int,
    epochs: int,
    learning_rate: float,
    context: bool,
    run: Context,
    name: str = "filter",
) -> Filter:
    """Train on the edges of training graphs, stopped on those of validation."""
    rows = [features(event, edges, context) for event, _, edges in train]
    together = np.concatenate(rows)
    centre, low, high = (np.quantile(together, q, axis=0) for q in (0.5, 0.16, 0.84))
    scale = np.maximum((high - low) / 2, 0.05)
    torch.manual_seed(seed)
    network = Network(PLAIN + CONTEXT * context, width)
    narrow = centre.astype(np.float32), scale.astype(np.float32)
    made = Filter(network, narrow[0], narrow[1], width, context)
    batches = [
        batch
        for (_, truth, edges), values in zip(train, rows, strict=True)
        for batch in _batches(made.scaled(values), labels(truth, edges), seed)
    ]
    held = [
        (made.scaled(features(event, edges, context)), *_tensors(labels(truth, edges)))
        for event, truth, edges in validation
    ]
    training.train(
        network,
        _loss,
        batches,
        held,
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        schedule="onecycle",
        context=run,
        name=name,
    )
    return made


def _tensors(pair: tuple[Floats, Floats]) -> list[Tensor]:
    return [torch.from_numpy(values.astype(np.float32)) for values in pair]


def _batches(rows: Tensor, target: tuple[Floats, Floats], seed: int) -> list[Any]:
    """Edges of one event in random order, some thousand at a time."""
    order = torch.from_numpy(np.random.default_rng([seed, len(rows)]).permutation(len(rows)))
    columns = [column[order] for column in (rows, *_tensors(target))]
    return list(zip(*(torch.split(column, EDGES) for column in columns), strict=True))


def _loss(network: nn.Module, batch: Sequence[Tensor]) -> Tensor:
    """Binary cross entropy, mean over the edges that count."""
    rows, target, weight = batch
    each = nn.functional.binary_cross_entropy_with_logits(
        network(rows), target, weight, reduction="sum"
    )
    return each / weight.sum().clamp(min=1.0)


def rebuilt(state: Any, extra: dict[str, Any]) -> Filter:
    """A filter from its weights and what `Filter.plain` gave."""
    network = Network(PLAIN + CONTEXT * extra["context"], extra["width"])
    network.load_state_dict(state)
    centre, scale = (np.array(extra[name], dtype=np.float32) for name in ("centre", "scale"))
    return Filter(network.eval(), centre, scale, extra["width"], extra["context"])
