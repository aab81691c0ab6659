"""SE(3)-equivariant graph network with e3nn, after Pezzicoli, Charpiat and Landes (2024).

Nodes carry scalars, vectors and tensors up to degree `degree`; a convolution is the tensor
product of a neighbour's features with spherical harmonics of the bond, weighted by a network of
its length, summed over neighbours, with a self-interaction and a gate. Rotation invariant by
construction: no augmentation. The publication's sizes could not be checked; the defaults follow
its description.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter

from physbench.models import Model
from physbench.models.liquids import _particle_networks as networks
from physbench.models.liquids._particle_networks import Graph

NEIGHBOURS = 16.0  # typical number, for the size of a sum


class Convolution(nn.Module):
    """Messages from neighbours, plus a self-interaction, then the gate."""

    def __init__(self, inputs: Any, channels: int, degree: int, radial: int) -> None:
        super().__init__()
        from e3nn import o3
        from e3nn.nn import FullyConnectedNet, Gate

        harmonics = o3.Irreps.spherical_harmonics(degree)
        vectors = o3.Irreps([(channels, (k, (-1) ** k)) for k in range(1, degree + 1)])
        gates = o3.Irreps([(vectors.num_irreps, "0e")])
        scalars = o3.Irreps([(channels, "0e")])
        self.gate = Gate(scalars, [torch.nn.functional.silu], gates, [torch.sigmoid], vectors)
        wanted = self.gate.irreps_in
        middle: list[Any] = []
        paths = []
        for i, (multiplicity, left) in enumerate(inputs):
            for j, (_, right) in enumerate(harmonics):
                for out in left * right:
                    if out in wanted:
                        paths.append((i, j, len(middle), "uvu", True))
                        middle.append((multiplicity, out))
        between = o3.Irreps(middle)
        self.product = o3.TensorProduct(
            inputs, harmonics, between, paths, internal_weights=False, shared_weights=False
        )
        self.weights = FullyConnectedNet(
            [radial, 2 * radial, self.product.weight_numel], torch.nn.functional.silu
        )
        self.mix = o3.Linear(between.simplify(), wanted)
        self.own = o3.Linear(inputs, wanted)
        self.irreps_out = self.gate.irreps_out

    def forward(self, nodes: Tensor, harmonics: Tensor, lengths: Tensor, sample: Graph) -> Tensor:
        """(n, irreps_out)."""
        messages = self.product(nodes[sample.sender], harmonics, self.weights(lengths))
        received = scatter(messages, sample.receiver, dim=0, dim_size=len(nodes), reduce="sum")
        mixed: Tensor = self.gate(self.mix(received / math.sqrt(NEIGHBOURS)) + self.own(nodes))
        return mixed


class Network(nn.Module):
    """Embedding of type and energy, convolutions, a dense decoder of the scalars.

    `width` channels of each degree, `layers` convolutions, the largest `degree`, and `radial`
    functions.
    """

    def __init__(
        self,
        *,
        energies: bool,
        cutoff: float,
        outputs: int,
        width: int = 16,
        layers: int = 8,
        degree: int = 3,
        radial: int = 16,
        columns: int = 0,
    ) -> None:
        super().__init__()
        from e3nn import o3

        self.energies, self.radial, self.cutoff, self.degree = energies, radial, cutoff, degree
        irreps = o3.Irreps([(3 + energies + columns, "0e")])
        self.layers = nn.ModuleList()
        for _ in range(layers):
            self.layers.append(Convolution(irreps, width, degree, radial))
            irreps = self.layers[-1].irreps_out
        self.width = width
        self.decode = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs))

    def forward(self, sample: Graph, vector: Tensor) -> Tensor:
        """(n, outputs)."""
        from e3nn import o3
        from e3nn.math import soft_one_hot_linspace

        kinds = nn.functional.one_hot(sample.types, 3).float()
        nodes = torch.cat([kinds, networks.numbers(sample, self.energies)], dim=1)
        degrees = list(range(self.degree + 1))
        harmonics = o3.spherical_harmonics(
            degrees, networks.solid(vector), normalize=True, normalization="component"
        )
        lengths = soft_one_hot_linspace(
            vector.norm(dim=1), 0.5, self.cutoff, self.radial, basis="gaussian", cutoff=False
        )
        # Messages fade out smoothly at the cutoff.
        fade = 0.5 * (torch.cos(math.pi * vector.norm(dim=1) / self.cutoff) + 1)
        lengths = lengths * math.sqrt(self.radial) * fade[:, None]
        for layer in self.layers:
            nodes = layer(nodes, harmonics, lengths, sample)
        found: Tensor = self.decode(nodes[:, : self.width])
        return found


fit = networks.fits(Network, energies=True, epochs=1000)

SMALL = {
    "cutoff": 1.5,
    "width": 8,
    "layers": 3,
    "degree": 2,
    "radial": 8,
    "learning_rate": 5e-3,
    "schedule": "onecycle",
    "per_configuration": True,
}

MODEL = Model(
    tasks=("glass_mobility",),
    reference="""@article{Pezzicoli:2024,
  author = {Pezzicoli, Francesco Saverio and Charpiat, Guillaume and Landes, Fran{\\c c}ois P.},
  title = {Rotation-equivariant graph neural networks for learning glassy liquids
    representations},
  journal = {SciPost Phys.},
  volume = {16},
  pages = {136},
  year = {2024},
  eprint = {2211.03226},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=networks.predict,
    presets={
        "kob_andersen": SMALL | {"epochs": 12},
        "botan_ka3d": SMALL | {"epochs": 12},
    },
    quick={"cutoff": 1.5, "width": 2, "layers": 2, "degree": 1, "radial": 4, "epochs": 2},
    save=networks.save,
    load=partial(networks.load, Network),
    parameters=networks.parameters,
)
