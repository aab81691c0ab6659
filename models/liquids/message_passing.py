"""Small graph network on distances: residual messages, layer norms, energies of the particles.

Edges carry Gaussians of the distance, nodes the type and the potential energy; every layer updates
edges, then nodes, and adds to the state. Invariant under rotation by construction. Trains in
minutes on ten configurations.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.utils import scatter

from physbench.datasets import Split
from physbench.datasets.liquids import Configuration
from physbench.models import Model
from physbench.models.liquids import _particle_networks as networks
from physbench.models.liquids._particle_networks import Graph

NEAREST = 0.7  # sigma_AA: the first Gaussian; no pair is much closer
NEIGHBOURS = 10.0  # typical number, for the size of a sum


def _dense(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, outputs))


class Network(nn.Module):
    """Encoders, `layers` rounds of messages, a decoder of the nodes."""

    def __init__(
        self, *, energies: bool, width: int, layers: int, radial: int, cutoff: float, outputs: int
    ) -> None:
        super().__init__()
        self.energies, self.step = energies, (cutoff - NEAREST) / radial
        self.register_buffer("centres", torch.linspace(NEAREST, cutoff, radial))
        self.encode_node = _dense(3 + energies, width, width)
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
        inputs = torch.cat([kinds, sample.energy[:, None]], 1) if self.energies else kinds
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


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    positions: str = "inherent",
    cutoff: float = 1.5,
    energies: bool = True,
    width: int = 32,
    layers: int = 3,
    radial: int = 16,
    learning_rate: float = 3e-3,
    optimiser: str = "adamw",
    weight_decay: float = 1e-2,
    schedule: str = "onecycle",
    clip: float = 1.0,
    per_configuration: bool = True,
    epochs: int = 80,
) -> networks.Fitted:
    """Train on type A, all times at once, one configuration a step.

    Parameters
    ----------
    positions, cutoff, energies:
        What the graph is made of; with `energies` potential energies are node features.
    width, layers, radial:
        Of the network; `radial` Gaussians of the distance.
    per_configuration:
        Standardise the targets within each configuration.
    """
    settings = {
        "energies": energies,
        "width": width,
        "layers": layers,
        "radial": radial,
        "cutoff": cutoff,
        "outputs": len(train.targets[0].times),
    }
    torch.manual_seed(seed)
    recipe = networks.Recipe(
        epochs,
        learning_rate,
        optimiser,
        weight_decay=weight_decay,
        schedule=schedule,
        clip=clip,
        per_configuration=per_configuration,
    )
    view = networks.View(positions, cutoff, energies)
    network = Network(**settings)  # type: ignore[arg-type]
    return networks.fit(network, train, validation, view, recipe, settings, seed)


def predict(fitted: networks.Fitted, inputs: Sequence[Configuration]) -> list[NDArray[np.float32]]:
    """(n, t) a configuration."""
    return networks.predict(fitted, inputs)


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
    predict=predict,
    presets={"kob_andersen": {"epochs": 30}},
    save=networks.save,
    load=partial(networks.load, Network),
    parameters=networks.parameters,
)
