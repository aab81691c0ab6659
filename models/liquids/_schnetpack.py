"""Networks of SchNetPack on particle graphs, and the small settings of the embedded boards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from physbench.models.liquids._particle_networks import Graph, solid

SMALL = {
    "cutoff": 1.5,
    "width": 32,
    "learning_rate": 3e-3,
    "schedule": "onecycle",
    "per_configuration": True,
}
QUICK = {"cutoff": 1.5, "width": 8, "layers": 1, "radial": 8, "epochs": 2}


class Numbers(nn.Linear):
    """Adds a particle's coarse-grained columns to its embedding, as charges are added."""

    def forward(self, embedding: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:  # type: ignore[override]
        """(n, width)."""
        return super().forward(inputs["columns"])


class Network(nn.Module):
    """A representation of SchNetPack and its per-particle dense output.

    `kind` is `SchNet` or `PaiNN`, of `layers` interactions with `radial` Gaussians. Atomic numbers
    1, 2, 3 stand for types A, B, C. The energies of particles are no input, their coarse-grained
    columns may be.
    """

    def __init__(
        self,
        kind: str,
        cutoff: float,
        outputs: int,
        width: int,
        layers: int,
        radial: int,
        columns: int,
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
            electronic_embeddings=[Numbers(columns, width)] if columns else None,
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
                properties.Rij: solid(vector),
                "columns": sample.columns,
                properties.idx_i: sample.receiver,
                properties.idx_j: sample.sender,
                properties.n_atoms: torch.tensor([len(sample.types)]),
                properties.idx_m: torch.zeros_like(sample.types),
            }
        )
        outputs: Tensor = self.decode(found["scalar_representation"])
        return outputs
