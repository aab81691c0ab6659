"""The gated network, its training on sectors of events, and its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.hits import Event, Floats, Integers, edge_labels
from physbench.models import Context
from physbench.models.common import training
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _gated_inputs as inputs
from physbench.models.hits import _window_filter as window_filter

SEQUENTIAL, GATES = 0.5, 0.3  # weights of the losses beside that of "same particle"


def perceptron(given: int, width: int, out: int, *, norm: bool = True) -> nn.Sequential:
    """Two dense layers, normalised at the end where wanted."""
    last = [nn.LayerNorm(out)] if norm else []
    return nn.Sequential(nn.Linear(given, width), nn.ReLU(), nn.Linear(width, out), *last)


class Step(nn.Module):
    """One round of messages, residual in edges e and nodes x, with a gate on each edge.

    e += LN(W ReLU(A e + B x_in + C x_out)); g = sigmoid(w e); x += MLP[x, sum of g e over edges
    that enter, and over those that leave]. Returns the gate's logit as well.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.edge = nn.Linear(width, width)
        self.inner = nn.Linear(width, width, bias=False)
        self.outer = nn.Linear(width, width, bias=False)
        self.update = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.LayerNorm(width))
        self.gate = nn.Linear(width, 1)
        self.node = perceptron(3 * width, width, width)

    def forward(
        self, x: Tensor, e: Tensor, source: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Nodes (n, w), edges (m, w) and gate logits (m,)."""
        e = e + self.update(self.edge(e) + self.inner(x)[source] + self.outer(x)[target])
        gate = self.gate(e)
        message = e * torch.sigmoid(gate)
        entering = torch.zeros_like(x).index_add(0, target, message)
        leaving = torch.zeros_like(x).index_add(0, source, message)
        x = x + self.node(torch.cat([x, entering, leaving], dim=1))
        return x, e, gate.squeeze(1)


class GatedNetwork(nn.Module):
    """Encoders, `layers` rounds that share no weights, and a head of two logits an edge."""

    def __init__(self, width: int = 32, layers: int = 6, edge: int = inputs.EDGES + 1) -> None:
        super().__init__()
        self.encode_node = perceptron(inputs.NODES, width, width)
        self.encode_edge = perceptron(edge, width, width)
        self.steps = nn.ModuleList(Step(width) for _ in range(layers))
        self.head = perceptron(3 * width, width, 2, norm=False)

    def forward(self, graph: inputs.Graph) -> tuple[Tensor, list[Tensor]]:
        """Logits (m, 2) of same particle and of consecutive hits; logits (m,) of each gate."""
        x, e = self.encode_node(graph.nodes), self.encode_edge(graph.edges)
        gates = []
        for step in self.steps:
            x, e, gate = step(x, e, graph.source, graph.target)
            gates.append(gate)
        both = torch.cat([e, x[graph.source], x[graph.target]], dim=1)
        return self.head(both), gates


def loss(network: nn.Module, graph: inputs.Graph) -> Tensor:
    """Cross entropies of both logits and of the gates, on a randomly mirrored view in training."""
    if network.training:
        turn, mirror = (torch.rand(2) < 0.5).tolist()
        graph = graph.mirrored(turn, mirror)
    logits, gates = network(graph)
    assert graph.label is not None
    same, sequential = graph.label.T
    entropy = nn.functional.binary_cross_entropy_with_logits
    gated = sum(entropy(gate, same) for gate in gates) / max(len(gates), 1)
    return entropy(logits[:, 0], same) + SEQUENTIAL * entropy(logits[:, 1], sequential) + (
        GATES * gated
    )  # fmt: skip


def data(
    split: Split, builder: window_filter.Builder | None, sectors: int, cut: float
) -> list[inputs.Graph]:
    """Graphs with labels: sectors of all events of a split, of edges that the filter lets pass."""
    found: list[inputs.Graph] = []
    for event, truth in zip(split.inputs, split.targets, strict=True):
        if event.edge_index is not None or builder is None:
            edges, logit = edge_pipeline.graph(event, None)
        else:
            edges, logit = builder(event, cut)
        same = window_filter.same_particle(truth, edges)
        label = np.stack([same, edge_labels(truth, edges) & same], axis=1)
        whole = inputs.graph(event, edges, logit, label)
        found += inputs.sectors(whole, event.phi, sectors)
    return found


def trained(
    network: nn.Module,
    batches: Sequence[inputs.Graph],
    validation: Sequence[inputs.Graph],
    *,
    seed: int,
    epochs: int,
    learning_rate: float,
    context: Context,
) -> nn.Module:
    """The network trained on one graph a step, with a one-cycle schedule."""
    return training.train(
        network, loss, batches, validation, seed=seed, epochs=epochs,
        learning_rate=learning_rate, schedule="onecycle", clip=1.0, context=context,
    )  # fmt: skip


def logits(
    network: nn.Module, event: Event, edges: Integers, logit: NDArray[Any] | None
) -> Floats:
    """(m, 2) logits of consecutive hits and of the same particle."""
    with torch.no_grad():
        found = network(inputs.graph(event, edges, logit))[0].double().numpy()
    return np.ascontiguousarray(found[:, ::-1])


def score(network: nn.Module, cut: float) -> edge_pipeline.Score:
    """Probabilities (m, 2) as the pipeline takes them; 0 for edges that the filter stops."""

    def probability(event: Event, edges: Integers, logit: NDArray[Any] | None) -> Floats:
        inside = np.ones(len(edges), dtype=bool) if logit is None else logit >= cut
        found = np.zeros((len(edges), 2))
        passed = None if logit is None else logit[inside]
        found[inside] = 1 / (1 + np.exp(-logits(network, event, edges[inside], passed)))
        return found

    return probability
