"""The gated network: rounds of messages that pass gates, residual in edges and hits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physbench.models.hits import _gated_inputs as inputs

Answer = tuple[Tensor, list[Tensor]]  # logits (edges, 2) and those of each gate (edges,)


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


class Rounds(nn.Module):
    """Encoders of hits and edges, and `layers` rounds that share no weights."""

    def __init__(self, edge: int, width: int, layers: int) -> None:
        super().__init__()
        self.encode_node: nn.Module = perceptron(inputs.NODES, width, width)
        self.encode_edge: nn.Module = perceptron(edge, width, width)
        self.steps = nn.ModuleList(Step(width) for _ in range(layers))

    def encoded(self, graph: inputs.Graph) -> tuple[Tensor, Tensor]:
        """Nodes (n, w) and edges (m, w) before the first round."""
        return self.encode_node(graph.nodes), self.encode_edge(graph.edges)

    def rounds(self, graph: inputs.Graph) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Nodes (n, w) and edges (m, w) after all rounds; logits (m,) of each gate."""
        x, e = self.encoded(graph)
        gates = []
        for step in self.steps:
            x, e, gate = step(x, e, graph.source, graph.target)
            gates.append(gate)
        return x, e, gates


class GatedNetwork(Rounds):
    """Rounds, and a head of two logits an edge."""

    def __init__(self, *, edge: int, width: int = 32, layers: int = 6) -> None:
        super().__init__(edge, width, layers)
        self.head = perceptron(3 * width, width, 2, norm=False)

    def forward(self, graph: inputs.Graph) -> Answer:
        """Logits (m, 2) of same particle and of consecutive hits; logits (m,) of each gate."""
        x, e, gates = self.rounds(graph)
        return self.answer(x, e, graph), gates

    def answer(self, x: Tensor, e: Tensor, graph: inputs.Graph) -> Tensor:
        """Logits (m, 2) of each edge and its two hits."""
        both = torch.cat([e, x[graph.source], x[graph.target]], dim=1)
        found: Tensor = self.head(both)
        return found
