"""GlassMLP (Jung, Biroli, Berthier 2023): a small network on coarse-grained structure.

Density, potential energy, its variance and the surface of the Voronoi cell, each averaged with
weights exp(-r/L) over 16 lengths, over A, over B and over all particles: 192 numbers. A network of
layers 2 - 10 - 10 - 1 for each type and time, 2F + 153 parameters, trained in the two published
stages: on the mean absolute error over the spread of the labels, then also on the variance of the
labels and on how they correlate in space. The published cells are weighted by the radii of the
particles, these are plain; the published lengths were not available.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.liquids import A, B, Configuration, Mobility
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.common.training import HERE
from physbench.models.liquids import _linear_columns as columns_of
from physbench.models.liquids._coarse_graining import features
from physbench.models.liquids._particle_regression import Standard

LENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0, 4.5)
FLUCTUATIONS = {3: (2.0, 4.0, 6.0), 2: (2.0, 5.0, 8.0)}  # distances, sigma_AA, by dimension
MOBILE = 0.44  # sigma_AA: the middle of the smooth step between caged and mobile
SHARP = 20.0  # of that step, 1/sigma_AA
TELLING = 0.05  # least spread of the mapped labels for their correlation to be trained


class Batch(NamedTuple):
    """The particles of one type in one configuration.

    `table` (n, f) standardised features, `wanted` (n, t) standardised labels, `weights` (3, n, n)
    of `averaging`, none without a second stage, `middle` and `spread` (t,) of the labels.
    """

    table: Tensor
    wanted: Tensor
    weights: Tensor
    middle: Tensor
    spread: Tensor


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
    columns: bool = False


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    positions: str = "inherent",
    columns: bool = False,
    learning_rate: float = 5e-4,
    epochs: int = 300,
    later_rate: float = 4e-5,
    later_epochs: int = 50,
    context: Context = HERE,
) -> Fitted:
    """Train a network for each type, one configuration a step.

    Each stage keeps the weights of the epoch with the least validation loss (the published script
    stopped on its test set).

    Parameters
    ----------
    positions:
        `thermal`, `inherent` or `cage`.
    columns:
        Read the coarse-grained columns of `coarse_grained_ridge` too.
    learning_rate, epochs:
        Of the first stage, on the mean absolute error.
    later_rate, later_epochs:
        Of the second stage, with fluctuations in the loss; no epochs, no second stage.
    """
    tables = [[_table(c, positions, columns) for c in s.inputs] for s in (train, validation)]
    by_type = {}
    for kind in (A, B):
        torch.manual_seed(seed)
        chosen = [t[c.types == kind] for t, c in zip(tables[0], train.inputs, strict=True)]
        standard = Standard.of(np.concatenate(chosen))
        mean, spread = _labels(train.targets, kind)
        network = Bottleneck(tables[0][0].shape[1], len(mean))
        batches = [
            [
                _batch(standard(table), c, m, kind, mean, spread, later_epochs > 0)
                for table, c, m in zip(part, split.inputs, split.targets, strict=True)
            ]
            for part, split in zip(tables, (train, validation), strict=True)
        ]
        stages = [("first", _loss, epochs, learning_rate)]
        if later_epochs:
            stages.append(("second", _fluctuating, later_epochs, later_rate))
        for stage, loss, count, rate in stages:
            training.train(
                network,
                loss,
                *batches,
                seed=seed,
                epochs=count,
                learning_rate=rate,
                context=context,
                name=f"type-{kind}-{stage}",
            )
        by_type[kind] = standard, network, mean, spread
    return Fitted(by_type, positions, columns)


def _table(configuration: Configuration, positions: str, columns: bool) -> NDArray[np.float64]:
    """(n, f): the features, and the coarse-grained columns where they are asked for."""
    found = features(configuration, positions, lengths=LENGTHS)
    return np.concatenate([found, *(columns_of.base(configuration) if columns else [])], axis=1)


def _batch(
    table: NDArray[np.float64],
    configuration: Configuration,
    mobility: Mobility,
    kind: int,
    middle: Tensor,
    spread: Tensor,
    later: bool,
) -> Batch:
    chosen = configuration.types == kind
    labels = torch.from_numpy(mobility.propensity[:, mobility.types == kind].T)
    return Batch(
        torch.from_numpy(table[chosen]).float(),
        (labels - middle) / spread,
        averaging(configuration.thermal[chosen], configuration.box) if later else torch.empty(0),
        middle,
        spread,
    )


def _labels(targets: Sequence[Mobility], kind: int) -> tuple[Tensor, Tensor]:
    values = np.concatenate([m.propensity[:, m.types == kind] for m in targets], axis=1)
    return torch.from_numpy(values.mean(1)), torch.from_numpy(np.maximum(values.std(1), 1e-6))


def _loss(module: nn.Module, batch: Batch) -> Tensor:
    predicted: Tensor = module(batch.table)
    return nn.functional.l1_loss(predicted, batch.wanted)


def _fluctuating(module: nn.Module, batch: Batch) -> Tensor:
    """The first stage's loss, the error of the variance, and half that of the correlations.

    sum_k |C_k - C'_k| / |C_1 - C_3| over the three distances and |V - V'| / V, both against the
    labels' own, averaged over times whose mapped labels vary.
    """
    predicted = module(batch.table)
    found: Tensor = nn.functional.l1_loss(predicted, batch.wanted)
    variance = batch.wanted.var(0)
    found = found + ((predicted.var(0) - variance).abs() / variance.clamp(min=1e-6)).mean()
    raw = [values * batch.spread + batch.middle for values in (batch.wanted, predicted)]
    true, own = (torch.sigmoid(2 * SHARP * (values - MOBILE)) for values in raw)
    telling = true.std(0) > TELLING
    if not telling.any():
        return found
    wanted, given = (
        spatial_correlations(u[:, telling] - u[:, telling].mean(0), batch.weights)
        for u in (true, own)
    )
    scale = (wanted[0] - wanted[2]).abs().clamp(min=1e-6)
    both: Tensor = found + 0.5 * ((wanted - given).abs().sum(0) / scale).mean()
    return both


def spatial_correlations(fields: Tensor, weights: Tensor) -> Tensor:
    """C_k (3, t) of fields u (n, t) of mean zero, with the weights of `averaging`.

    C(d) = sum_i u_i (sum_j w_ij u_j / sum_j w_ij) / sum_i u_i^2. Jung et al., PRL 130, 238202, and
    its code.
    """
    smooth = torch.stack([weight.float() @ fields for weight in weights])
    return (fields * smooth).sum(1) / (fields**2).sum(0).clamp(min=1e-12)


def averaging(positions: NDArray[np.floating[Any]], box: NDArray[np.floating[Any]]) -> Tensor:
    """(3, n, n) float16: w_ij / sum_j w_ij with w_ij = exp(-(r_ij - d)^2 / 2).

    Through the periodic boundary, at the distances d of `FLUCTUATIONS`. Three digits are enough
    for a mean over hundreds of neighbours and halve what is kept of each configuration.
    """
    step = positions[:, None].astype(np.float32) - positions[None].astype(np.float32)
    step -= box.astype(np.float32) * np.rint(step / box.astype(np.float32))
    distance = torch.from_numpy(np.linalg.norm(step, axis=2))
    rows = []
    for middle in FLUCTUATIONS[len(box)]:
        weight = torch.exp(-((distance - middle) ** 2) / 2)
        rows.append((weight / weight.sum(1, keepdim=True)).half())
    return torch.stack(rows)


@torch.no_grad()
def predict(fitted: Fitted, inputs: Sequence[Configuration]) -> list[NDArray[np.float32]]:
    """(n, t) a configuration."""
    found = []
    for configuration in inputs:
        table = _table(configuration, fitted.positions, fitted.columns)
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
            "columns": fitted.columns,
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
    return Fitted(by_type, stored["positions"], stored.get("columns", False))


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
    quick={"epochs": 2, "later_epochs": 1},
    save=save,
    load=load,
    parameters=parameters,
)
