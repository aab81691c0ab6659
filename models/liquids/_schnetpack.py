"""Networks of SchNetPack on particle graphs, and the small settings of the embedded boards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from physbench.models.liquids._particle_networks import Graph

SMALL = {
    "cutoff": 1.5,
    "width": 32,
    "learning_rate": 3e-3,
    "schedule": "onecycle",
    "per_configuration": True,
}
QUICK = {"cutoff": 1.5, "width": 8, "layers": 1, "radial": 8, "epochs": 2}


class Network(nn.Module):
    """A representation of SchNetPack and its per-particle dense output.

    `kind` is `SchNet` or `PaiNN`, of `layers` interactions with `radial` Gaussians. Atomic numbers
    1, 2, 3 stand for types A, B, C. SchNetPack knows no energies of particles as input, so there
    are none.
    """

    def __init__(
        self,
        kind: str,
        cutoff: float,
        outputs: int,
        width: int,
        layers: int,
        radial: int,
    ) -> None:
        super().__init__()
        from schnetpack.nn.cutoff import CosineCutoff
        from schnetpack.nn.radial import GaussianRBF
        from schnetpack.representation import PaiNN, SchNet

        self.representation: Any = {"SchNet": SchNet, "PaiNN": PaiNN}[kind](
            n_atom_basis=width,
            n_interactions=layers,
            radial_basis=GaussianRBF(n_rbf=radial, cutoff=cutoff),
            cutoff_fn=CosineCutoff(cutoff),
        )
        self.decode = nn.Sequential(
            nn.Linear(width, width // 2), nn.SiLU(), nn.Linear(width // 2, outputs)
        )

    def forward(self, sample: Graph, vector: Tensor) -> Tensor:
        """(n, outputs)."""
        from schnetpack import properties

        found = self.representation(
            {
                properties.Z: sample.types + 1,
                properties.Rij: vector,
                properties.idx_i: sample.receiver,
                properties.idx_j: sample.sender,
                properties.n_atoms: torch.tensor([len(sample.types)]),
                properties.idx_m: torch.zeros_like(sample.types),
            }
        )
        outputs: Tensor = self.decode(found["scalar_representation"])
        return outputs
