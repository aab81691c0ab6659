"""Encode-process-decode graph networks on particles, as Bapst et al. and BOTAN use them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter


def perceptron(inputs: int, width: int) -> nn.Sequential:
    """Two dense layers, ReLU after both."""
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())


def decoder(width: int, outputs: int) -> nn.Sequential:
    """Three dense layers, the last one linear."""
    return nn.Sequential(*perceptron(width, width), nn.Linear(width, outputs))


class BapstNetwork(nn.Module):
    """One block applied `steps` times with shared weights (Bapst et al., Nat. Phys. 2020).

    Before every application node and edge states are joined with the encoder's outputs, which
    come second. Edge:
    [edge, receiver, sender] -> state; node: [sum of incoming edges, node] -> state; no residuals,
    no normalisation. The published network stores a decoder of edges that the prediction never
    uses; `spare` keeps it, so that all published numbers have a place.
    """

    def __init__(
        self,
        *,
        node_inputs: int = 1,
        edge_inputs: int = 3,
        width: int = 64,
        steps: int = 7,
        outputs: int = 1,
        spare: bool = False,
    ) -> None:
        super().__init__()
        self.steps = steps
        self.encode_node = perceptron(node_inputs, width)
        self.encode_edge = perceptron(edge_inputs, width)
        self.edge_block = perceptron(6 * width, width)
        self.node_block = perceptron(3 * width, width)
        self.decode = decoder(width, outputs)
        if spare:
            self.decode_edge = perceptron(width, width)

    def forward(self, nodes: Tensor, edges: Tensor, sender: Tensor, receiver: Tensor) -> Tensor:
        """(n, outputs) from node features (n, k), edge features (e, l) and ends (e,)."""
        first_node, first_edge = self.encode_node(nodes), self.encode_edge(edges)
        node, edge = first_node, first_edge
        for _ in range(self.steps):
            joined = torch.cat([node, first_node], dim=1)
            edge = _edge_update(
                self.edge_block,
                torch.cat([edge, first_edge], dim=1),
                [(joined, receiver), (joined, sender)],
            )
            incoming = scatter(edge, receiver, dim=0, dim_size=len(nodes), reduce="sum")
            node = self.node_block(torch.cat([incoming, joined], dim=1))
        predicted: Tensor = self.decode(node)
        return predicted


class BotanNetwork(nn.Module):
    """The relative of Shiba et al. (2023): one decoder for nodes and for edges.

    Edge: [sender, receiver, edge, encoded edge] -> state; node: [node, encoded node, sum of
    incoming edges] -> state; seven steps with shared weights.
    """

    def __init__(
        self,
        *,
        node_inputs: int = 1,
        edge_inputs: int = 3,
        width: int = 64,
        steps: int = 7,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.steps = steps
        self.encode_node = perceptron(node_inputs, width)
        self.encode_edge = perceptron(edge_inputs, width)
        self.edge_block = perceptron(4 * width, width)
        self.node_block = perceptron(3 * width, width)
        self.decode = decoder(width, outputs)

    def states(
        self, nodes: Tensor, edges: Tensor, sender: Tensor, receiver: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Final node (n, width) and edge (e, width) states."""
        first_node, first_edge = self.encode_node(nodes), self.encode_edge(edges)
        node, edge = first_node, first_edge
        for _ in range(self.steps):
            both = torch.cat([edge, first_edge], dim=1)
            edge = _edge_update(
                self.edge_block, both, [(node, sender), (node, receiver)], edges_last=True
            )
            incoming = scatter(edge, receiver, dim=0, dim_size=len(nodes), reduce="sum")
            node = self.node_block(torch.cat([node, first_node, incoming], dim=1))
        return node, edge

    def forward(self, nodes: Tensor, edges: Tensor, sender: Tensor, receiver: Tensor) -> Tensor:
        """(n, outputs), the decoded nodes; arguments as in `BapstNetwork`."""
        predicted: Tensor = self.decode(self.states(nodes, edges, sender, receiver)[0])
        return predicted


def _edge_update(
    block: nn.Module,
    edges: Tensor,
    ends: list[tuple[Tensor, Tensor]],
    *,
    edges_last: bool = False,
) -> Tensor:
    """The block on [edges, ends...] without building that table.

    The first layer is linear, so each node's share is computed once and gathered: a fraction of
    the work, since a node has tens of edges.
    """
    layers = list(block.children())
    first: nn.Linear = layers[0]  # type: ignore[assignment]
    sizes = [edges.shape[1], *(values.shape[1] for values, _ in ends)]
    if edges_last:
        sizes = [*sizes[1:], sizes[0]]
    parts = list(torch.split(first.weight, sizes, dim=1))
    edge_weight = parts.pop() if edges_last else parts.pop(0)
    total = nn.functional.linear(edges, edge_weight, first.bias)
    for (values, index), weight in zip(ends, parts, strict=True):
        total = total + nn.functional.linear(values, weight)[index]
    for layer in layers[1:]:
        total = layer(total)
    return total
