"""Interaction network for edge classification, 6,448 parameters (DeZoort et al. 2021).

R1 (10 -> 40 -> 40 -> 4) makes an effect of each edge from its two hits and its own features; the
effects are summed at the outer hit; O (7 -> 40 -> 40 -> 3) updates the hits; R2 (10 -> 40 -> 40
-> 1) scores the edge. Binary cross entropy over all edges, one graph a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing

from physbench.datasets import Split
from physbench.datasets.common.events import Event, Floats, Integers
from physbench.models import Model
from physbench.models.common import edge_pipeline, graphs, training

NODE, EDGE = 3, 4


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two hidden layers with ReLU."""
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, outputs),
    )


class InteractionNetwork(MessagePassing):
    """See the module's docstring. Input: x (n, 3), edge_index (2, m), edge_attr (m, 4)."""

    def __init__(self, hidden: int = 40) -> None:
        super().__init__(aggr="add", flow="source_to_target")
        self.relation = mlp(2 * NODE + EDGE, hidden, EDGE)
        self.update_node = mlp(NODE + EDGE, hidden, NODE)
        self.classify = mlp(2 * NODE + EDGE, hidden, 1)

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
class Fitted:
    """The network and the pipeline around it."""

    network: InteractionNetwork
    hidden: int
    pipeline: edge_pipeline.Pipeline


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    hidden: int = 40,
    epochs: int = 50,
    lr: float = 0.005,
    schedule: str = "step",
    step_size: int = 5,
    gamma: float = 0.9,
    patience: int = 50,
    builder: str = "best_in_out",
) -> Fitted:
    """Train on all edges of the training graphs; the threshold is chosen on validation."""
    windows = graphs.windows_for(train.inputs, train.targets)
    torch.manual_seed(seed)
    network = InteractionNetwork(hidden)
    training.train(
        network,
        loss,
        [data(*row) for row in edge_pipeline.labelled(train, windows)],
        [data(*row) for row in edge_pipeline.labelled(validation, windows)],
        seed=seed,
        epochs=epochs,
        lr=lr,
        schedule=schedule,
        step_size=step_size,
        gamma=gamma,
        patience=patience,
    )
    pipeline = edge_pipeline.choose(validation, windows, score(network), builder)
    return Fitted(network, hidden, pipeline)


def data(event: Event, edges: Integers, labels: Any = None) -> Data:
    """A PyG graph of an event."""
    return Data(
        x=torch.from_numpy(graphs.node_features(event)),
        edge_index=torch.from_numpy(np.ascontiguousarray(edges.T)),
        edge_attr=torch.from_numpy(graphs.edge_features(event, edges)),
        y=None if labels is None else torch.from_numpy(np.asarray(labels, dtype=np.float32)),
    )


def loss(network: nn.Module, batch: Data) -> Tensor:
    """Binary cross entropy, mean over the edges."""
    logit = network(batch.x, batch.edge_index, batch.edge_attr)
    return nn.functional.binary_cross_entropy_with_logits(logit, batch.y)


def score(network: InteractionNetwork) -> Any:
    """Probability of an edge to be true, as the pipeline calls it."""

    def probability(event: Event, edges: Integers) -> Floats:
        graph = data(event, edges)
        with torch.no_grad():
            logit = network(graph.x, graph.edge_index, graph.edge_attr)
        found: Floats = torch.sigmoid(logit.double()).numpy()
        return found

    return probability


def predict(fitted: Fitted, events: Sequence[Event]) -> Any:
    """Labels, edges and scores of each event."""
    return edge_pipeline.predict(fitted.pipeline, events)


def save(fitted: Fitted, path: Path) -> None:
    """Weights, windows and threshold."""
    windows = fitted.pipeline.windows
    limits = None if windows is None else {k: v.tolist() for k, v in vars(windows).items()}
    extra = {
        "hidden": fitted.hidden,
        "windows": limits,
        "builder": fitted.pipeline.builder,
        "cut": fitted.pipeline.cut,
    }
    training.save(fitted.network, path, extra)


def load(path: Path) -> Fitted:
    """The inverse of `save`."""
    state, extra = training.load(path)
    network = InteractionNetwork(extra["hidden"])
    network.load_state_dict(state)
    network.eval()
    limits = extra["windows"]
    windows = None
    if limits is not None:
        layers = np.array(limits.pop("layers"), dtype=np.int64)
        windows = graphs.Windows(layers, **{k: np.array(v) for k, v in limits.items()})
    pipeline = edge_pipeline.Pipeline(windows, score(network), extra["builder"], extra["cut"])
    return Fitted(network, extra["hidden"], pipeline)


MODEL = Model(
    tasks=("tracking",),
    reference="""@article{dezoort2021,
  title = {Charged Particle Tracking via Edge-Classifying Interaction Networks},
  author = {DeZoort, Gage and others},
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
        "generic_detector": {"epochs": 60, "schedule": "cosine"},
        "trackml_graphs": {"epochs": 40, "schedule": "cosine"},
    },
    save=save,
    load=load,
    parameters=lambda fitted: training.parameters(fitted.network),
)
