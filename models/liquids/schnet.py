"""SchNet (Schuett et al. 2017) through SchNetPack: continuous-filter convolutions of distances."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.liquids import Configuration
from physbench.models import Model
from physbench.models.liquids import _particle_networks as networks
from physbench.models.liquids._particle_networks import Graph


class Network(nn.Module):
    """A representation of SchNetPack and its per-particle dense output.

    `kind` is `SchNet` or `PaiNN`. Atomic numbers 1, 2, 3 stand for types A, B, C. SchNetPack knows
    no energies of particles as input, so there are none.
    """

    def __init__(
        self, *, kind: str, width: int, layers: int, radial: int, cutoff: float, outputs: int
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


def trained(
    kind: str,
    train: Split,
    validation: Split,
    view: networks.View,
    recipe: networks.Recipe,
    sizes: dict[str, int],
    seed: int,
) -> networks.Fitted:
    """A network of one kind, trained on type A, all times at once, one configuration a step."""
    settings = {
        "kind": kind,
        **sizes,
        "cutoff": view.cutoff,
        "outputs": len(train.targets[0].times),
    }
    torch.manual_seed(seed)
    network = Network(**settings)  # type: ignore[arg-type]
    return networks.fit(network, train, validation, view, recipe, settings, seed)


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    positions: str = "inherent",
    cutoff: float = 2.0,
    width: int = 64,
    layers: int = 3,
    radial: int = 20,
    learning_rate: float = 1e-3,
    optimiser: str = "adam",
    schedule: str = "constant",
    clip: float = 1.0,
    per_configuration: bool = False,
    epochs: int = 200,
) -> networks.Fitted:
    """Train SchNet.

    Parameters
    ----------
    positions, cutoff:
        What the graph is made of.
    width, layers, radial:
        Features, interactions and Gaussians.
    """
    view = networks.View(positions, cutoff, energies=False)
    recipe = networks.Recipe(
        epochs,
        learning_rate,
        optimiser,
        schedule=schedule,
        clip=clip,
        per_configuration=per_configuration,
    )
    sizes = {"width": width, "layers": layers, "radial": radial}
    return trained("SchNet", train, validation, view, recipe, sizes, seed)


def predict(fitted: networks.Fitted, inputs: Sequence[Configuration]) -> list[NDArray[np.float32]]:
    """(n, t) a configuration."""
    return networks.predict(fitted, inputs)


SMALL = {
    "cutoff": 1.5,
    "width": 32,
    "learning_rate": 3e-3,
    "schedule": "onecycle",
    "per_configuration": True,
}

MODEL = Model(
    tasks=("glass_mobility",),
    reference="""@inproceedings{Schuett:2017,
  author = {Sch{\\"u}tt, Kristof T. and Kindermans, Pieter-Jan and Sauceda, Huziel E. and
    Chmiela, Stefan and Tkatchenko, Alexandre and M{\\"u}ller, Klaus-Robert},
  title = {{SchNet}: A continuous-filter convolutional neural network for modeling quantum
    interactions},
  booktitle = {Advances in Neural Information Processing Systems 30},
  year = {2017},
  eprint = {1706.08566},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={
        "kob_andersen": SMALL | {"epochs": 30},
        "botan_ka3d": SMALL | {"epochs": 80},
    },
    save=networks.save,
    load=partial(networks.load, Network),
    parameters=networks.parameters,
)
