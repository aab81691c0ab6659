"""Small graph network on distances: residual messages, layer norms, energies of the particles.

Edges carry Gaussians of the distance, nodes the type and the potential energy; every layer updates
edges, then nodes, and adds to the state. Invariant under rotation by construction. Trains in
minutes on ten configurations.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter

from physbench.models import Model
from physbench.models.liquids import _linear_columns as columns_of
from physbench.models.liquids import _particle_networks as networks
from physbench.models.liquids._particle_networks import Graph

NEAREST = 0.7  # sigma_AA: the first Gaussian; no pair is much closer
NEIGHBOURS = 10.0  # typical number, for the size of a sum


def _dense(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, outputs))


class Network(nn.Module):
    """Encoders, `layers` rounds of messages, a decoder of the nodes; `radial` Gaussians."""

    def __init__(
        self,
        *,
        energies: bool,
        cutoff: float,
        outputs: int,
        width: int = 32,
        layers: int = 3,
        radial: int = 16,
        columns: int = 0,
    ) -> None:
        super().__init__()
        self.energies, self.step = energies, (cutoff - NEAREST) / radial
        self.register_buffer("centres", torch.linspace(NEAREST, cutoff, radial))
        # Weights of before there was a choice of dimension say no more than that there are some.
        extra = columns_of.WIDTH if columns is True else columns
        self.encode_node = _dense(3 + energies + extra, width, width)
        self.encode_edge = _dense(radial, width, width)
        rounds = range(layers)
        self.edge_blocks = nn.ModuleList(_dense(3 * width, width, width) for _ in rounds)
        self.node_blocks = nn.ModuleList(_dense(2 * width, width, width) for _ in rounds)
        self.edge_norms = nn.ModuleList(nn.LayerNorm(width) for _ in rounds)
        self.node_norms = nn.ModuleList(nn.LayerNorm(width) for _ in rounds)
        self.decode = _dense(width, width, outputs)

    def forward(self, sample: Graph, vector: Tensor) -> Tensor:
        """(n, outputs)."""
        kinds = nn.functional.one_hot(sample.types, 3).float()
        inputs = torch.cat([kinds, networks.numbers(sample, self.energies)], dim=1)
        distance = vector.norm(dim=1, keepdim=True)
        node = self.encode_node(inputs)
        edge = self.encode_edge(torch.exp(-(((distance - self.centres) / self.step) ** 2) / 2))
        for k in range(len(self.edge_blocks)):
            both = torch.cat([edge, node[sample.sender], node[sample.receiver]], dim=1)
            edge = edge + self.edge_norms[k](self.edge_blocks[k](both))
            heard = scatter(edge, sample.receiver, dim=0, dim_size=len(node), reduce="sum")
            joined = torch.cat([node, heard / NEIGHBOURS], dim=1)
            node = node + self.node_norms[k](self.node_blocks[k](joined))
        found: Tensor = self.decode(node)
        return found


fit = networks.fits(
    Network,
    cutoff=1.5,
    energies=True,
    learning_rate=3e-3,
    optimiser="adamw",
    weight_decay=1e-2,
    schedule="onecycle",
    per_configuration=True,
    epochs=80,
)

MODEL = Model(
    tasks=("glass_mobility",),
    reference="""@inproceedings{Gilmer:2017,
  author = {Gilmer, Justin and Schoenholz, Samuel S. and Riley, Patrick F. and Vinyals, Oriol and
    Dahl, George E.},
  title = {Neural message passing for quantum chemistry},
  booktitle = {Proceedings of the 34th International Conference on Machine Learning},
  year = {2017},
  eprint = {1704.01212},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=networks.predict,
    presets={
        "kob_andersen": {"epochs": 30},
        "botan_ka3d": {"columns": True, "epochs": 25},
    },
    quick={"columns": False, "width": 8, "layers": 1, "epochs": 2},
    save=networks.save,
    load=partial(networks.load, Network),
    parameters=networks.parameters,
)
