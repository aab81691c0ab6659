"""GlassMLP (Jung, Biroli, Berthier 2023): a small network on coarse-grained structure.

Density, potential energy, its variance and the surface of the Voronoi cell, each averaged with
weights exp(-r/L) over 16 lengths, over A, over B and over all particles: 192 numbers. A network of
layers 2 - 10 - 10 - 1 for each type and time, 2F + 153 parameters. First stage of the published
training (mean absolute error over the spread of the labels); the second one, which adds
fluctuations to the loss, is not done. The published cells are weighted by the particles' radii,
these are plain; the published lengths were not available.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.liquids import A, B, Configuration, Mobility
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.common.training import HERE
from physbench.models.liquids._coarse_graining import features
from physbench.models.liquids._particle_regression import Standard

LENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0, 4.5)
Batch = tuple[Tensor, Tensor]


class Bottleneck(nn.Module):
    """`outputs` networks of layers 2 - 10 - 10 - 1, ELU on all but the last, side by side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.columns = nn.ModuleList(
            nn.Sequential(
                nn.Linear(inputs, 2),
                nn.ELU(),
                nn.Linear(2, 10),
                nn.ELU(),
                nn.Linear(10, 10),
                nn.ELU(),
                nn.Linear(10, 1),
            )
            for _ in range(outputs)
        )

    def forward(self, table: Tensor) -> Tensor:
        """(n, outputs)."""
        return torch.cat([column(table) for column in self.columns], dim=1)


@dataclass(frozen=True, eq=False)
class Fitted:
    """For each type the scaling of the features, the network, and mean and spread of labels."""

    by_type: dict[int, tuple[Standard, Bottleneck, Tensor, Tensor]]
    positions: str


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    positions: str = "inherent",
    learning_rate: float = 5e-4,
    epochs: int = 300,
    context: Context = HERE,
) -> Fitted:
    """Train a network for each type, one configuration a step.

    The weights of the epoch with the least validation loss are kept (the published script stopped
    on its test set).

    Parameters
    ----------
    positions:
        `thermal`, `inherent` or `cage`.
    """
    tables = [
        [features(c, positions, lengths=LENGTHS) for c in s.inputs] for s in (train, validation)
    ]
    by_type = {}
    for kind in (A, B):
        torch.manual_seed(seed)
        chosen = [t[c.types == kind] for t, c in zip(tables[0], train.inputs, strict=True)]
        standard = Standard.of(np.concatenate(chosen))
        mean, spread = _labels(train.targets, kind)
        network = Bottleneck(tables[0][0].shape[1], len(mean))
        batches = [
            [
                (
                    torch.from_numpy(standard(table[m.types == kind])).float(),
                    (torch.from_numpy(m.propensity[:, m.types == kind].T) - mean) / spread,
                )
                for table, m in zip(part, split.targets, strict=True)
            ]
            for part, split in zip(tables, (train, validation), strict=True)
        ]
        training.train(
            network,
            _loss,
            *batches,
            seed=seed,
            epochs=epochs,
            learning_rate=learning_rate,
            context=context,
            name=f"type-{kind}",
        )
        by_type[kind] = (standard, network, mean, spread)
    return Fitted(by_type, positions)


def _labels(targets: Sequence[Mobility], kind: int) -> tuple[Tensor, Tensor]:
    values = np.concatenate([m.propensity[:, m.types == kind] for m in targets], axis=1)
    return torch.from_numpy(values.mean(1)), torch.from_numpy(np.maximum(values.std(1), 1e-6))


def _loss(module: nn.Module, batch: Batch) -> Tensor:
    predicted: Tensor = module(batch[0])
    return nn.functional.l1_loss(predicted, batch[1])


@torch.no_grad()
def predict(fitted: Fitted, inputs: Sequence[Configuration]) -> list[NDArray[np.float32]]:
    """(n, t) a configuration."""
    found = []
    for configuration in inputs:
        table = features(configuration, fitted.positions, lengths=LENGTHS)
        times = len(next(iter(fitted.by_type.values()))[2])
        columns = np.zeros((len(configuration), times), dtype=np.float32)
        for kind, (standard, network, mean, spread) in fitted.by_type.items():
            chosen = configuration.types == kind
            output = network(torch.from_numpy(standard(table[chosen])).float())
            columns[chosen] = (output * spread + mean).numpy()
        found.append(columns)
    return found


def parameters(fitted: Fitted) -> int:
    """Trained numbers of all types and times."""
    return sum(training.parameters(network) for _, network, _, _ in fitted.by_type.values())


def save(fitted: Fitted, path: Any) -> None:
    """Weights and scales as one file of tensors."""
    torch.save(
        {
            "positions": fitted.positions,
            "types": {
                kind: {
                    "center": torch.from_numpy(standard.mean),
                    "scale": torch.from_numpy(standard.scale),
                    "network": network.state_dict(),
                    "mean": mean,
                    "spread": spread,
                }
                for kind, (standard, network, mean, spread) in fitted.by_type.items()
            },
        },
        path,
    )


def load(path: str | Path) -> Fitted:
    """What `save` wrote."""
    stored = torch.load(path, weights_only=True)
    by_type = {}
    for kind, part in stored["types"].items():
        standard = Standard(part["center"].numpy(), part["scale"].numpy())
        network = Bottleneck(len(standard.mean), len(part["mean"]))
        network.load_state_dict(part["network"])
        by_type[kind] = (standard, network.eval(), part["mean"], part["spread"])
    return Fitted(by_type, stored["positions"])


MODEL = Model(
    tasks=("glass_mobility",),
    reference="""@article{Jung:2023mlp,
  author = {Jung, Gerhard and Biroli, Giulio and Berthier, Ludovic},
  title = {Predicting dynamic heterogeneity in glass-forming liquids by physics-inspired machine
    learning},
  journal = {Phys. Rev. Lett.},
  volume = {130},
  pages = {238202},
  year = {2023},
  doi = {10.1103/PhysRevLett.130.238202}
}""",
    fit=fit,
    predict=predict,
    quick={"epochs": 2},
    save=save,
    load=load,
    parameters=parameters,
)
