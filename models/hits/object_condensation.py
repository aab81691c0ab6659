"""Object condensation: a graph network gives each hit a point; hits of a particle lie together.

The rounds of the gated network on the graphs of its filter, then two heads of each hit: how sure
it is to stand for its particle, and a point. No edge is scored and no track is built of edges:
tracks are balls around the surest hits. Confidence and radius are chosen on validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.hits import Event, EventTruth, Floats, Integers
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.common.batches import Batches
from physbench.models.common.training import HERE
from physbench.models.hits import _condensation as condensation
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _gated_inputs as inputs
from physbench.models.hits import _track_building as track_building
from physbench.models.hits import _window_filter as window_filter
from physbench.models.hits._gated import Rounds

CUT = -3.0  # smallest logit of the filter
# Of confidence (in log-odds) and radius: where the search begins, and its steps.
START, STEPS = (-1.0, 0.5), (0.75, 0.1)


class Condenser(Rounds):
    """Rounds of the gated network, then confidence and point of each hit.

    A point starts at the hit's direction, where the hits of a hard track lie together already.
    """

    def __init__(self, edge: int, width: int, layers: int, dimensions: int) -> None:
        super().__init__(edge, width, layers)
        self.norm = nn.LayerNorm(width)
        self.place = nn.Sequential(
            nn.Linear(width + 3, width), nn.ReLU(), nn.Linear(width, dimensions)
        )
        self.sure = nn.Linear(width, 1)

    def forward(self, graph: inputs.Graph) -> tuple[Tensor, Tensor]:
        """Confidences (n,) and points (n, d)."""
        x, _, _ = self.rounds(graph)
        phi, eta = graph.place.T
        start = torch.stack([10 * torch.cos(phi), 10 * torch.sin(phi), 4 * eta], dim=1)
        x = self.norm(x)
        moved = self.place(torch.cat([x, start / 5], dim=1))
        free = moved.shape[1] - start.shape[1]
        points = moved + nn.functional.pad(start, (0, free))
        return torch.sigmoid(self.sure(x)).squeeze(1), points


class Batch(NamedTuple):
    """A sector of an event and the number of each hit's particle, -1 for none."""

    graph: inputs.Graph
    particle: Tensor


@dataclass(frozen=True)
class Fitted:
    """The network, its sizes, the graphs it sees, and what is chosen on validation."""

    network: Condenser
    sizes: tuple[int, int, int, int]
    graph: window_filter.Builder | None
    least: float
    reach: float
    choice: edge_pipeline.Choice

    def answers(self, event: Event) -> tuple[Floats, NDArray[np.float32]]:
        """Confidences (n,) and points (n, d) of an event's hits."""
        with torch.no_grad():
            beta, points = self.network(_graph(event, self.graph))
        return beta.double().numpy(), points.numpy()

    def labels(self, event: Event, beta: Floats, points: NDArray[np.float32]) -> Integers:
        """Tracks 0, 1, ... before short ones are dropped."""
        found = condensation.clusters(beta, points, self.least, self.reach)
        return track_building.numbered(found)


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = HERE,
    width: int = 32,
    layers: int = 6,
    dimensions: int = 5,
    epochs: int = 12,
    learning_rate: float = 0.003,
    sectors: int = 6,
    events: int = 0,
) -> Fitted:
    """Train filter and network; `sectors` of azimuth an event are a step each."""
    graph = window_filter.builder_for(train, seed=seed, cut=CUT, context=context)
    train = train.take(range(events)) if events else train
    sizes = (inputs.EDGES + (graph is not None), width, layers, dimensions)
    torch.manual_seed(seed)
    network = Condenser(*sizes)
    training.train(
        network,
        loss,
        Batches(_batches(train, graph, sectors)),
        Batches(_batches(validation, graph, sectors)),
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        schedule="onecycle",
        clip=1.0,
        context=context,
    )
    start = Fitted(network, sizes, graph, *_place(START), edge_pipeline.Choice("balls", 0.0))
    return _chosen(start, validation)


def _graph(event: Event, graph: window_filter.Builder | None) -> inputs.Graph:
    if event.edge_index is not None or graph is None:
        return inputs.graph(event, *edge_pipeline.graph(event, None))
    return inputs.graph(event, *graph(event))


def _batches(split: Split, graph: window_filter.Builder | None, sectors: int) -> Iterator[Batch]:
    """Sectors of all events; particles of fewer than three hits in one count as none."""
    for event, truth in zip(split.inputs, split.targets, strict=True):
        sector = inputs.sector_of(event.phi, sectors)
        parts = inputs.sectors(_graph(event, graph), event.phi, sectors)
        for number, part in enumerate(parts):
            if len(part.source):
                yield Batch(part, _particles(truth, sector == number))


def _particles(truth: EventTruth, inside: NDArray[np.bool_]) -> Tensor:
    own = truth.particle_id[inside]
    labels = np.where(own > 0, np.unique(own, return_inverse=True)[1], -1)
    kept = track_building.longer(labels, track_building.HITS_MIN)
    return torch.from_numpy(track_building.numbered(kept))


def loss(network: nn.Module, batch: Batch) -> Tensor:
    """Of object condensation, on a randomly mirrored view in training."""
    graph = batch.graph
    if network.training:
        turn, mirror = (torch.rand(2) < 0.5).tolist()
        graph = graph.mirrored(turn, mirror)
    beta, points = network(graph)
    return condensation.loss(beta, points, batch.particle)


def _place(position: tuple[float, float]) -> tuple[float, float]:
    return float(1 / (1 + np.exp(-position[0]))), position[1]


def _chosen(start: Fitted, validation: Split) -> Fitted:
    """The best confidence and radius on validation, by steps until no neighbour is better."""
    answers = [start.answers(event) for event in validation.inputs]
    seen: dict[tuple[int, int], tuple[Any, Fitted]] = {}

    def at(place: tuple[int, int]) -> Any:
        if place not in seen:
            position = [s + k * step for s, k, step in zip(START, place, STEPS, strict=True)]
            least, reach = _place((position[0], max(position[1], STEPS[1] / 2)))
            one = replace(start, least=least, reach=reach)
            built = [
                one.labels(event, *answer)
                for event, answer in zip(validation.inputs, answers, strict=True)
            ]
            rating, choice = edge_pipeline.selection(validation, built, start.choice)
            seen[place] = rating, replace(one, choice=choice)
        return seen[place][0]

    here = (0, 0)
    while True:
        ways = [(here[0] + a, here[1] + b) for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))]
        there = max(ways, key=at)
        if at(there) <= at(here):
            return seen[here][1]
        here = there


def predict(fitted: Fitted, events: Sequence[Event]) -> list[Integers]:
    """Labels of each event."""
    found = []
    for event in events:
        labels = fitted.labels(event, *fitted.answers(event))
        sizes = edge_pipeline.fitted(event, labels)
        found.append(edge_pipeline.kept(labels, *sizes, fitted.choice))
    return found


def save(fitted: Fitted, path: Path) -> None:
    """Weights of network and filter, and what was chosen."""
    extra = {
        "sizes": list(fitted.sizes),
        "graph": window_filter.stored(fitted.graph),
        "least": fitted.least,
        "reach": fitted.reach,
        "choice": asdict(fitted.choice),
    }
    training.save(fitted.network, path, extra)


def load(path: Path) -> Fitted:
    """The inverse of `save`."""
    state, extra = training.load(path)
    sizes = tuple(extra["sizes"])
    network = Condenser(*sizes)
    network.load_state_dict(state)
    graph = window_filter.restored(extra["graph"])
    choice = edge_pipeline.Choice(**extra["choice"])
    return Fitted(network.eval(), sizes, graph, extra["least"], extra["reach"], choice)


MODEL = Model(
    tasks=("tracking",),
    reference="""@article{Kieseler:2020,
  title = {Object condensation: one-stage grid-free multi-object reconstruction in physics
    detectors, graph, and image data},
  author = {Kieseler, Jan},
  journal = {Eur. Phys. J. C},
  volume = {80},
  pages = {886},
  year = {2020},
  doi = {10.1140/epjc/s10052-020-08461-2},
  eprint = {2002.03605},
  archivePrefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={
        "generic_detector": {"events": 24, "epochs": 8},
        "trackml_graphs": {"sectors": 2, "epochs": 20},
    },
    quick={"width": 8, "layers": 2, "epochs": 2, "sectors": 1},
    save=save,
    load=load,
    parameters=lambda fitted: (
        training.parameters(fitted.network)
        + (0 if fitted.graph is None else training.parameters(fitted.graph.network))
    ),
)
