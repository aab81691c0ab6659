"""Interaction network for edge classification, 6,448 parameters (DeZoort et al. 2021).

R1 (10 -> 40 -> 40 -> 4) makes an effect of each edge from its two hits and its own features; the
effects are summed at the outer hit; O (7 -> 40 -> 40 -> 3) updates the hits; R2 (10 -> 40 -> 40
-> 1) scores the edge. Binary cross entropy over all edges, one graph a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing

from physbench.datasets import Split
from physbench.datasets.hits import Event, Floats, Integers
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.common.training import HERE
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _graphs as graphs
from physbench.models.hits import _window_filter as window_filter

Logits = NDArray[np.float32] | None
NODE = 3
EFFECT = 4


def paper_features(event: Event, edges: Integers, logit: Logits) -> NDArray[np.float32]:
    """Differences of the cylindrical coordinates and dR, shape (m, 4)."""
    return graphs.edge_features(event, edges)


def all_features(event: Event, edges: Integers, logit: Logits) -> NDArray[np.float32]:
    """The paper's four and those of the other edge classifiers, shape (m, 18).

    (m, 19) with the logit of the filter.
    """
    parts = [graphs.edge_features(event, edges), edge_pipeline.hand_features(event, edges, logit)]
    return np.concatenate(parts, axis=1)


Features = Callable[[Event, Integers, Logits], NDArray[np.float32]]
FEATURES: dict[str, Features] = {"paper": paper_features, "all": all_features}


def mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Two hidden layers with ReLU."""
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, outputs),
    )


class InteractionNetwork(MessagePassing):
    """See the module's docstring. Input: x (n, 3), edge_index (2, m), edge_attr (m, edge)."""

    def __init__(self, width: int = 40, edge: int = 4) -> None:
        super().__init__(aggr="add", flow="source_to_target")
        self.relation = mlp(2 * NODE + edge, width, EFFECT)
        self.update_node = mlp(NODE + EFFECT, width, NODE)
        self.classify = mlp(2 * NODE + EFFECT, width, 1)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Logit of each edge, shape (m,)."""
        source, target = edge_index
        effect = self.relation(torch.cat([x[target], x[source], edge_attr], dim=1))
        total = self.propagate(edge_index, effect=effect, size=(len(x), len(x)))
        x = self.update_node(torch.cat([x, total], dim=1))
        logit: Tensor = self.classify(torch.cat([x[target], x[source], effect], dim=1))
        return logit.squeeze(1)

    def message(self, effect: Tensor) -> Tensor:
        """What an edge sends to its outer hit."""
        return effect


@dataclass(frozen=True)
class Scaling:
    """Edge features as the network sees them: (x - centre) / width, clipped at +-5.

    `features` names the set of features; without `centre` they enter as they are.
    """

    features: str
    centre: Floats | None = None
    width: Floats | None = None

    def __call__(self, event: Event, edges: Integers, logit: Logits) -> NDArray[np.float32]:
        values = FEATURES[self.features](event, edges, logit)
        if self.centre is None or self.width is None:
            return values
        return np.clip((values - self.centre) / self.width, -5.0, 5.0).astype(np.float32)


def scaling(features: str, standardise: bool, rows: Any) -> Scaling:
    """Median and 80 % quantile of the distance from it over the training edges."""
    if features not in FEATURES:
        raise ValueError(f"features must be one of {', '.join(FEATURES)}; got '{features}'")
    if not standardise:
        return Scaling(features)
    values = np.concatenate([FEATURES[features](event, *found) for event, found, _ in rows])
    centre = np.median(values, axis=0).astype(np.float64)
    width = np.quantile(np.abs(values - centre), 0.8, axis=0) + 1e-6
    return Scaling(features, centre, width)


@dataclass(frozen=True)
class Fitted:
    """The network, its inputs and the pipeline around it."""

    network: InteractionNetwork
    sizes: dict[str, int]
    scaling: Scaling
    pipeline: edge_pipeline.Pipeline


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = HERE,
    width: int = 40,
    features: str = "paper",
    standardise: bool = False,
    epochs: int = 50,
    learning_rate: float = 0.005,
    schedule: str = "step",
    step_size: int = 5,
    gamma: float = 0.9,
    patience: int = 50,
    events: int = 0,
    builder: str = "best",
) -> Fitted:
    """Train on all edges of the training graphs; the thresholds are chosen on validation.

    `features` is `paper` (four numbers an edge) or `all` (those of the other edge classifiers
    added); `standardise` brings them to a common scale. `events` is the number of training events
    used, 0 for all.
    """
    graph = window_filter.builder_for(train, seed=seed, context=context)
    used = train.take(range(events)) if events else train
    rows = edge_pipeline.labelled(used, graph)
    scaled = scaling(features, standardise, rows)
    sizes = {"width": width, "edge": scaled(rows[0][0], *rows[0][1]).shape[1]}
    torch.manual_seed(seed)
    network = InteractionNetwork(**sizes)
    training.train(
        network,
        loss,
        [data(scaled, *row) for row in rows],
        [data(scaled, *row) for row in edge_pipeline.labelled(validation, graph)],
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        schedule=schedule,
        step_size=step_size,
        gamma=gamma,
        patience=patience,
        context=context,
    )
    pipeline = edge_pipeline.choose(validation, graph, score(network, scaled), builder)
    return Fitted(network, sizes, scaled, pipeline)


def data(scaled: Scaling, event: Event, found: edge_pipeline.Graph, labels: Any = None) -> Data:
    """A PyG graph of an event."""
    edges, logit = found
    return Data(
        x=torch.from_numpy(graphs.node_features(event)),
        edge_index=torch.tensor(edges.T).contiguous(),
        edge_attr=torch.from_numpy(scaled(event, edges, logit)),
        y=None if labels is None else torch.from_numpy(np.asarray(labels, dtype=np.float32)),
    )


def loss(network: nn.Module, batch: Data) -> Tensor:
    """Binary cross entropy, mean over the edges."""
    logit = network(batch.x, batch.edge_index, batch.edge_attr)
    return nn.functional.binary_cross_entropy_with_logits(logit, batch.y)


def score(network: InteractionNetwork, scaled: Scaling) -> Any:
    """Probability of an edge to be true, as the pipeline calls it."""

    def probability(event: Event, edges: Integers, logit: Logits) -> Floats:
        graph = data(scaled, event, (edges, logit))
        with torch.no_grad():
            odds = network(graph.x, graph.edge_index, graph.edge_attr)
        found: Floats = torch.sigmoid(odds.double()).numpy()[:, None]
        return found

    return probability


def predict(fitted: Fitted, events: Sequence[Event]) -> Any:
    """Labels, edges and scores of each event."""
    return edge_pipeline.predict(fitted.pipeline, events)


def save(fitted: Fitted, path: Path) -> None:
    """Weights, scaling, builder and choice."""
    extra = {
        "sizes": fitted.sizes,
        "scaling": _plain(vars(fitted.scaling)),
        "graph": window_filter.stored(fitted.pipeline.graph),
        "choice": asdict(fitted.pipeline.choice),
    }
    training.save(fitted.network, path, extra)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}


def _arrays(values: dict[str, Any]) -> dict[str, Any]:
    return {k: np.array(v) if isinstance(v, list) else v for k, v in values.items()}


def load(path: Path) -> Fitted:
    """The inverse of `save`."""
    state, extra = training.load(path)
    scaled = Scaling(**_arrays(extra["scaling"]))
    network = InteractionNetwork(**extra["sizes"])
    network.load_state_dict(state)
    network.eval()
    pipeline = edge_pipeline.Pipeline(
        window_filter.restored(extra["graph"]),
        score(network, scaled),
        edge_pipeline.Choice(**extra["choice"]),
    )
    return Fitted(network, extra["sizes"], scaled, pipeline)


MODEL = Model(
    tasks=("tracking",),
    reference="""@article{dezoort2021,
  title = {Charged Particle Tracking via Edge-Classifying Interaction Networks},
  author = {DeZoort, Gage and Thais, Savannah and Duarte, Javier and Razavimaleki, Vesal and
    Atkinson, Markus and Ojalvo, Isobel and Neubauer, Mark and Elmer, Peter},
  journal = {Computing and Software for Big Science},
  volume = {5},
  pages = {26},
  year = {2021},
  eprint = {2103.16701},
  archivePrefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={
        "generic_detector": {
            "width": 64,
            "features": "all",
            "standardise": True,
            "epochs": 12,
            "schedule": "cosine",
            "events": 12,
        },
        "trackml_graphs": {"epochs": 40, "schedule": "cosine"},
    },
    quick={"width": 8, "epochs": 2},
    save=save,
    load=load,
    parameters=lambda fitted: training.parameters(fitted.network),
    checks={"size": lambda: training.parameters(InteractionNetwork())},
)
