"""Wide windows and a small network that leaves a few edges a hit: graphs for larger networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.hits import Event, EventTruth, Integers
from physbench.models import Context
from physbench.models.common import training
from physbench.models.common.batches import Batches
from physbench.models.hits import _embedding as embedding
from physbench.models.hits import _gated_inputs as inputs
from physbench.models.hits import _graphs as graphs

Bools = NDArray[np.bool_]
BATCH = 8192
# Particles that the windows are learned on: smallest pT, largest production radius in mm, share
# of their edges left outside each window, and in rare pairs of layers.
PROMPT = (0.1, 1.0, 0.01, 0.003)
DISPLACED = (0.8, 600.0, 0.002, 0.001)
HARD, MIDDLE = (0.9, 6.0), (0.4, 3.0)  # GeV, weight of true edges above
FAR = (10.0, 20.0)  # mm, weight of those of hard particles from further out: there are few


class Filter(nn.Module):
    """Three dense layers: the log-odds that both hits of an edge are of one particle."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(inputs.FILTER, width), nn.ReLU()),
            *(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(m,) from (m, 27)."""
        found: Tensor = self.layers(x)
        return found.squeeze(1)


class Candidates(Protocol):
    """What proposes edges to the filter."""

    def __call__(self, event: Event) -> Integers:
        """Edges (m, 2), inner hit first, each once."""

    def stored(self) -> dict[str, Any]:
        """Itself as plain values and tensors."""


@dataclass(frozen=True)
class Union:
    """Windows whose edges are joined."""

    windows: tuple[graphs.Windows, ...]

    def __call__(self, event: Event) -> Integers:
        """Edges (m, 2) of any of the windows, each once."""
        return union(event, self.windows)

    def stored(self) -> dict[str, Any]:
        """The windows as lists."""
        return {"windows": [{k: v.tolist() for k, v in vars(one).items()} for one in self.windows]}


@dataclass(frozen=True)
class Builder:
    """What proposes edges, the filter, and the smallest logit of an edge that stays."""

    candidates: Candidates
    network: Filter
    cut: float

    def __call__(self, event: Event, cut: float | None = None) -> tuple[Integers, Any]:
        """Edges (m, 2) and their logits (m,); `cut` replaces the builder's own."""
        edges = self.candidates(event)
        with torch.no_grad():
            rows = [self.network(torch.from_numpy(x)) for x in inputs.filter_parts(event, edges)]
        logit = torch.cat([torch.zeros(0), *rows]).numpy()
        keep = logit >= (self.cut if cut is None else cut)
        return edges[keep], logit[keep]


def union(event: Event, windows: Sequence[graphs.Windows]) -> Integers:
    """Edges (m, 2) of any of the windows, each once."""
    return graphs.once(np.concatenate([graphs.build(event, one) for one in windows]), len(event))


def same_particle(truth: EventTruth, edges: Integers) -> Bools:
    """Whether both hits of each edge are of one particle; noise is of none."""
    first, second = truth.particle_id[edges.T]
    return np.asarray((first == second) & (first != 0))


def learned_windows(
    events: Sequence[Event], truths: Sequence[EventTruth]
) -> tuple[graphs.Windows, ...]:
    """Windows of soft prompt particles, and of harder ones from anywhere."""
    if any(truth.radius is None for truth in truths):
        return (graphs.learn(events, truths),)
    found = []
    for pt_min, radius, outside, rare in (PROMPT, DISPLACED):
        near = [_from_within(truth, radius) for truth in truths]
        found.append(graphs.learn(events, near, pt_min=pt_min, outside=outside, rare=rare))
    return tuple(found)


def _from_within(truth: EventTruth, radius: float) -> EventTruth:
    """The truth in which particles from outside the radius have no momentum: none is selected."""
    assert truth.radius is not None
    return replace(truth, pt=np.where(truth.radius > radius, 0.0, truth.pt))


def train(
    events: Sequence[Event],
    truths: Sequence[EventTruth],
    candidates: Candidates,
    *,
    seed: int,
    cut: float,
    epochs: int = 3,
    learning_rate: float = 0.005,
    width: int = 48,
    context: Context = training.HERE,
) -> Builder:
    """A builder whose filter knows all edges of the events; edges of hard particles weigh more."""
    torch.manual_seed(seed)
    network = Filter(width)
    training.train(
        network,
        loss,
        Batches(_batches(events, truths, candidates, seed)),
        [],
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        schedule="onecycle",
        context=context,
        name="filter",
    )
    return Builder(candidates, network, cut)


def _batches(
    events: Sequence[Event], truths: Sequence[EventTruth], candidates: Candidates, seed: int
) -> Iterator[tuple[Tensor, ...]]:
    """Columns, labels and weights of all edges, those of an event in random order."""
    generator = np.random.default_rng(seed)
    for event, truth in zip(events, truths, strict=True):
        edges = candidates(event)
        edges = edges[generator.permutation(len(edges))]
        columns = map(torch.from_numpy, inputs.filter_parts(event, edges, BATCH))
        wanted = [torch.split(torch.from_numpy(one), BATCH) for one in _wanted(truth, edges)]
        yield from zip(columns, *wanted, strict=True)


EVENTS, FILTERED = 24, 6  # training events that windows and filter learn from
CUT = -3.5


def builder_for(
    train_split: Split, *, seed: int, cut: float = CUT, context: Context = training.HERE
) -> Builder | None:
    """A trained builder from the first training events, or None where all graphs are given."""
    if all(event.edge_index is not None for event in train_split.inputs):
        return None
    events, truths = train_split.inputs[:EVENTS], train_split.targets[:EVENTS]
    candidates = Union(learned_windows(events, truths))
    few = events[:FILTERED], truths[:FILTERED]
    return train(*few, candidates, seed=seed, cut=cut, context=context)


def stored(builder: Builder | None) -> dict[str, Any] | None:
    """A builder as plain values and tensors, for a file of weights."""
    if builder is None:
        return None
    own = {"network": builder.network.state_dict(), "cut": builder.cut}
    return own | builder.candidates.stored()


def restored(values: dict[str, Any] | None) -> Builder | None:
    """The inverse of `stored`."""
    if values is None:
        return None
    network = Filter(len(values["network"]["layers.0.bias"]))
    network.load_state_dict(values["network"])
    return Builder(_candidates(values), network.eval(), values["cut"])


def _candidates(values: dict[str, Any]) -> Candidates:
    if "embedding" in values:
        return embedding.Near.restored(values["embedding"])
    windows = [{k: np.array(v) for k, v in one.items()} for one in values["windows"]]
    return Union(tuple(graphs.Windows(**w) for w in windows))


def _wanted(truth: EventTruth, edges: Integers) -> tuple[inputs.Values, inputs.Values]:
    """Label and weight of each edge."""
    true = same_particle(truth, edges)
    place = np.searchsorted(truth.particles, truth.particle_id[edges[:, 0]])
    place = np.minimum(place, len(truth.pt) - 1)
    pt = np.where(true, truth.pt[place], 0.0)
    far = (truth.radius[place] if truth.radius is not None else np.zeros(len(pt))) > FAR[0]
    hard = pt > HARD[0]
    cases, weights = [hard & far, hard, pt > MIDDLE[0]], [FAR[1], HARD[1], MIDDLE[1]]
    weight = np.select(cases, weights, 1.0)
    return true.astype(np.float32), weight.astype(np.float32)


def loss(network: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    """Weighted binary cross entropy, mean over the edges."""
    x, label, weight = batch
    return nn.functional.binary_cross_entropy_with_logits(network(x), label, weight=weight)
