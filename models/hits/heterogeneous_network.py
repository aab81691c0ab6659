"""The gated network with encoders of its own for each part of the detector.

A pixel hit and a strip hit know their places to different precision, and an edge in the barrel
does not look like one in an end-cap. Hits are encoded by region (pixels or strips, barrel or
end-cap), edges by the regions of both hits; the rounds are shared. The width is chosen so that
there are as many parameters as in `gated_network`: what the row shows is the architecture alone.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from physbench.models import Model
from physbench.models.hits import _edge_networks as networks
from physbench.models.hits import _gated_inputs as inputs
from physbench.models.hits._gated import GatedNetwork, perceptron

PIXEL, BARREL = 6, 8  # columns of the node inputs
REGIONS = 4


class Typed(nn.Module):
    """A perceptron for each of `kinds`."""

    def __init__(self, kinds: int, given: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.parts = nn.ModuleList(perceptron(given, width, width) for _ in range(kinds))

    def forward(self, x: Tensor, kind: Tensor) -> Tensor:
        """(n, width) from (n, given) and the kind of each row."""
        found = x.new_zeros(len(x), self.width)
        for number, part in enumerate(self.parts):
            rows = torch.nonzero(kind == number).squeeze(1)
            if len(rows):
                found = found.index_copy(0, rows, part(x[rows]))
        return found


class HeterogeneousNetwork(GatedNetwork):
    """Encoders by region; everything else as in the gated network."""

    def __init__(self, *, edge: int, width: int = 26, layers: int = 6) -> None:
        super().__init__(edge=edge, width=width, layers=layers)
        self.encode_node = Typed(REGIONS, inputs.NODES, width)
        self.encode_edge = Typed(REGIONS**2, edge, width)

    def encoded(self, graph: inputs.Graph) -> tuple[Tensor, Tensor]:
        """Nodes (n, w) and edges (m, w), each by the encoder of its region or regions."""
        region = (2 * graph.nodes[:, PIXEL] + graph.nodes[:, BARREL]).long()
        pair = REGIONS * region[graph.source] + region[graph.target]
        return self.encode_node(graph.nodes, region), self.encode_edge(graph.edges, pair)


MODEL = Model(
    tasks=("tracking",),
    reference="""@inproceedings{gnn4itk2024,
  title = {Physics Performance of the {ATLAS} {GNN4ITk} Track Reconstruction Chain},
  author = {Caillou, Sylvain and Calafiura, Paolo and Ju, Xiangyang and Murnane, Daniel and
    Pham, Tuan and Rougier, Charline and Stark, Jan and Vallier, Alexis},
  booktitle = {EPJ Web Conf.},
  volume = {295},
  pages = {03030},
  year = {2024},
  doi = {10.1051/epjconf/202429503030}
}""",
    fit=networks.fits(HeterogeneousNetwork),
    predict=networks.predict,
    presets=networks.PRESETS,
    quick=networks.QUICK,
    save=networks.save,
    load=partial(networks.load, HeterogeneousNetwork),
    parameters=networks.parameters,
    ablations=networks.ablations,
)
