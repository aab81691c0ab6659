"""Hits, then track candidates, then hits again: messages between super-nodes.

After the first rounds of the gated network each hit keeps its best outgoing and incoming edge
whose gate is open; what is connected then is a super-node. Super-nodes exchange messages over the
edges between them, so that a broken track sees its other half in one round, and give what they
learned back to their hits before the last rounds. Super-nodes of the published network come from
a clustering of learned points; these follow the edges, which needs no further loss.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.models import Model
from physbench.models.hits import _edge_networks as networks
from physbench.models.hits import _gated_inputs as inputs
from physbench.models.hits import _merging as merging
from physbench.models.hits import _track_building as track_building
from physbench.models.hits._gated import Answer, GatedNetwork, Step, perceptron

OPEN = 0.5


class HierarchicalNetwork(GatedNetwork):
    """`layers` rounds among hits, the last two of them after `upper` rounds among super-nodes."""

    def __init__(self, *, edge: int, width: int = 27, layers: int = 6, upper: int = 2) -> None:
        super().__init__(edge=edge, width=width, layers=layers)
        self.upper = nn.ModuleList(Step(width) for _ in range(upper))
        self.raise_ = perceptron(width, width, width)
        self.lower = perceptron(2 * width, width, width)

    def forward(self, graph: inputs.Graph) -> Answer:
        """Logits (m, 2) of each edge; logits (m,) of each gate among hits."""
        x, e = self.encoded(graph)
        gates: list[Tensor] = []
        for number, step in enumerate(self.steps):
            if number == max(len(self.steps) - 2, 1):
                x = x + self._from_above(x, e, graph, gates[-1])
            x, e, gate = step(x, e, graph.source, graph.target)
            gates.append(gate)
        return self.answer(x, e, graph), gates

    def _from_above(self, x: Tensor, e: Tensor, graph: inputs.Graph, gate: Tensor) -> Tensor:
        """(n, w): what each hit hears from its super-node."""
        cluster, pairs, row = super_graph(len(x), graph, gate.detach().numpy())
        place, ways = torch.from_numpy(cluster), torch.from_numpy(pairs)
        between = torch.from_numpy(np.flatnonzero(row >= 0))
        above = self.raise_(mean_by(x, place, int(cluster.max(initial=-1)) + 1))
        links = mean_by(e[between], torch.from_numpy(row)[between], len(pairs))
        for step in self.upper:
            above, links, _ = step(above, links, ways[:, 0], ways[:, 1])
        heard: Tensor = self.lower(torch.cat([x, above[place]], dim=1))
        return heard


def mean_by(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """(groups, w) means of the rows of each group, 0 for an empty one."""
    total = values.new_zeros(groups, values.shape[1]).index_add(0, group, values)
    count = torch.bincount(group, minlength=groups).clamp(min=1)
    return total / count[:, None]


def super_graph(
    hits: int, graph: inputs.Graph, gate: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Super-node of each hit (n,), pairs of them that edges join (k, 2), pair of each edge (m,).

    Edges inside a super-node have the pair -1. Hits of no chain of three are super-nodes alone.
    """
    edges = torch.stack([graph.source, graph.target], dim=1).numpy()
    chance = 1 / (1 + np.exp(-gate.astype(np.float64)))
    cluster = merging.clusters(track_building.best_in_out(hits, edges, chance, OPEN))
    ends = cluster[edges]
    between = ends[:, 0] != ends[:, 1]
    count = int(cluster.max(initial=-1)) + 1
    key, found = np.unique(ends[between] @ np.array([count, 1]), return_inverse=True)
    row = np.full(len(edges), -1)
    row[between] = found
    return cluster, np.stack(np.divmod(key, max(count, 1)), axis=1), row


MODEL = Model(
    tasks=("tracking",),
    reference="""@article{HGNN:2023,
  title = {Hierarchical graph neural networks for particle track reconstruction},
  author = {Liu, Ryan and Calafiura, Paolo and Farrell, Steven and Ju, Xiangyang and Murnane,
    Daniel Thomas and Pham, Tuan Minh},
  year = {2023},
  eprint = {2303.01640},
  archivePrefix = {arXiv}
}""",
    fit=networks.fits(HierarchicalNetwork),
    predict=networks.predict,
    presets=networks.PRESETS,
    quick=networks.QUICK | {"upper": 1},
    save=networks.save,
    load=partial(networks.load, HierarchicalNetwork),
    parameters=networks.parameters,
    ablations=networks.ablations,
)
