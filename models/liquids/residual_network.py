"""A small network on what the linear row leaves: local numbers, averaged over neighbours, learned.

Each type has an encoder of a particle's local numbers (energies, quench length, components of the
descriptors, vibrations). Its 16 channels are averaged over neighbours again and again, and what
stands after 0, 1, 2, 4, 8 and 14 averages is decoded to a number. It is trained on the residual of
`coarse_grained_ridge` on left-out configurations, never on one that the row has seen, since the
row fits its training configurations better than others; its errors are weighted as those of the
row, e^T K^-1 e, without which it learns the noise that neighbours share. How much of it is added
is chosen on validation. `linear="none"` trains the same network on its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.liquids import A, Configuration, Mobility
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.liquids import _linear_columns as columns_of
from physbench.models.liquids._columns import exponential, reach_of
from physbench.models.liquids._linear_row import Row, whitening
from physbench.models.liquids._neighbours import pairs

SNAPSHOTS = (0, 1, 2, 4, 8, 14)
SHELL = 1.55  # neighbours that are averaged
LINEAR = ("base", "rich", "none")
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the network, tried on validation
NEAR = 1e9  # a length at which exponential weights are all one


class Smooth(torch.autograd.Function):
    """A symmetric sparse matrix times a table: its gradient is the same product."""

    @staticmethod
    def forward(ctx: object, weight: Tensor, table: Tensor) -> Tensor:
        """W x."""
        ctx.weight = weight  # type: ignore[attr-defined]
        return weight @ table

    @staticmethod
    def backward(ctx: object, *gradient: Tensor) -> tuple[None, Tensor]:
        """W^T g = W g."""
        return None, ctx.weight @ gradient[0]  # type: ignore[attr-defined]


def smooth(weight: Tensor, table: Tensor) -> Tensor:
    """W x, with a gradient that stays sparse."""
    found: Tensor = Smooth.apply(weight, table)  # type: ignore[no-untyped-call]
    return found


@dataclass(frozen=True, eq=False)
class Cloud:
    """What the network sees of a configuration, and what it is to say of type A.

    `precision` (n_A, n_A) is K^-1 of the errors; empty where nothing is learned from.
    """

    local: Tensor
    large: Tensor
    weight: Tensor
    target: Tensor
    precision: Tensor

    def to(self, device: object) -> Cloud:
        """The same on a device."""
        parts = (self.local, self.large, self.weight, self.target, self.precision)
        return Cloud(*(part.to(device) for part in parts))  # type: ignore[call-overload]


class Network(nn.Module):
    """Encoders of both types, averages, and a head for type A: 8,500 parameters."""

    def __init__(self, inputs: int, width: int, dropout: float, outputs: int) -> None:
        super().__init__()

        def encoder() -> nn.Sequential:
            return nn.Sequential(
                nn.Dropout(dropout / 2), nn.Linear(inputs, 32), nn.SiLU(), nn.Linear(32, width)
            )

        self.large, self.other = encoder(), encoder()
        size = width * len(SNAPSHOTS)
        self.head = nn.Sequential(
            nn.LayerNorm(size),
            nn.Dropout(dropout),
            nn.Linear(size, 32),
            nn.SiLU(),
            nn.Linear(32, outputs),
        )

    def forward(self, cloud: Cloud) -> Tensor:
        """(n_A, outputs)."""
        mask = cloud.large[:, None]
        state = torch.where(mask, self.large(cloud.local), self.other(cloud.local))
        kept = [state[cloud.large]]
        for step in range(1, SNAPSHOTS[-1] + 1):
            state = smooth(cloud.weight, state)
            if step in SNAPSHOTS:
                kept.append(state[cloud.large])
        found: Tensor = self.head(torch.cat(kept, dim=1))
        return found


@dataclass(frozen=True, eq=False)
class Fitted:
    """The row, the network, how much of it is added, and the scales of targets (t,)."""

    row: Row
    linear: str
    locals: columns_of.Locals
    network: Network
    share: float

    def __call__(self, configuration: Configuration) -> NDArray[np.float64]:
        """(n, t)."""
        found = self.row(configuration)
        part = self.row.parts[A]
        large = configuration.types == A
        with torch.no_grad():
            more = self.network(cloud(configuration, self.locals, None)).numpy().astype(float)
        more = (more - more.mean(0)) * part.deviation
        base = found[large] if self.linear != "none" else part.mean
        found[large] = base + self.share * more
        return found


def smoothing(configuration: Configuration) -> Tensor:
    """W_ij = 1/sqrt(d_i d_j) of neighbours within 1.55 and of the particle itself; sparse."""
    near = pairs(configuration, "inherent", reach_of(configuration, SHELL))
    weight = exponential(near, len(configuration), NEAR)
    scale = diags_array(np.asarray(weight.sum(axis=1)).ravel() ** -0.5)
    matrix = csr_array(scale @ weight @ scale).astype(np.float32)
    rows, columns = (torch.from_numpy(a.astype(np.int64)) for a in (matrix.indptr, matrix.indices))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse")  # that it is in beta and checks nothing
        values = torch.from_numpy(matrix.data)
        return torch.sparse_csr_tensor(rows, columns, values, size=matrix.shape)


def cloud(
    configuration: Configuration,
    locals_: columns_of.Locals,
    target: NDArray[np.float64] | None,
) -> Cloud:
    """The network's view of a configuration; target (n_A, t) where it trains."""
    large = torch.from_numpy(configuration.types == A)
    wanted = np.zeros((int(large.sum()), 1)) if target is None else target
    table = locals_(configuration).astype(np.float32)
    known = np.zeros((0, 0), np.float32) if target is None else whitening(configuration, A)
    return Cloud(
        torch.from_numpy(table),
        large,
        smoothing(configuration),
        torch.from_numpy(wanted.astype(np.float32)),
        torch.from_numpy(known),
    )


def standardised(mobility: Mobility) -> NDArray[np.float64]:
    """(n_A, t): propensities of type A, standardised within the configuration."""
    values = mobility.propensity[:, mobility.types == A].T.astype(float)
    return np.asarray((values - values.mean(0)) / np.where(values.std(0) > 0, values.std(0), 1.0))


def loss(network: nn.Module, batch: Cloud) -> Tensor:
    """e^T K^-1 e / n_A, the mean of the configuration left out of both sides."""
    found = network(batch)
    error: Tensor = found - found.mean(0) - batch.target + batch.target.mean(0)
    return (error * (batch.precision @ error)).sum() / error.numel()


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = training.HERE,
    linear: str = "rich",
    penalties: tuple[float, ...] = (3.0, 10.0, 30.0),
    width: int = 16,
    dropout: float = 0.3,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.3,
    epochs: int = 20,
) -> Fitted:
    """Fit the row, then the network on its left-out residuals.

    Parameters
    ----------
    linear:
        Columns of the row: `base` or `rich`; `none` to train the network on the targets alone.
    penalties:
        Of the row.
    width, dropout, learning_rate, weight_decay, epochs:
        Of the network: AdamW, one cycle, the last epoch's weights.
    """
    if linear not in LINEAR:
        raise ValueError(f"linear must be one of {', '.join(LINEAR)}; got '{linear}'")
    row, left_out = columns_of.fitted(train, "rich" if linear == "rich" else "base", penalties)
    blocks = row.blocks
    locals_ = blocks.locals if isinstance(blocks, columns_of.Rich) else None
    locals_ = locals_ or columns_of.Locals.of(train.inputs)
    wanted = [standardised(mobility) for mobility in train.targets]
    if linear != "none":
        wanted = [y - found for y, found in zip(wanted, left_out, strict=True)]
    clouds = [cloud(c, locals_, y) for c, y in zip(train.inputs, wanted, strict=True)]
    torch.manual_seed(seed)
    network = Network(clouds[0].local.shape[1], width, dropout, wanted[0].shape[1])
    trained = training.train(
        network,
        loss,
        clouds,
        (),
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        optimiser="adamw",
        weight_decay=weight_decay,
        schedule="onecycle",
        clip=1.0,
        context=context,
    )
    assert isinstance(trained, Network)
    if linear == "none":
        return Fitted(row, linear, locals_, trained, 1.0)
    candidates = [Fitted(row, linear, locals_, trained, share) for share in SHARES]
    score = validation.metrics["pearson"]
    best = max(candidates, key=lambda fitted: score(predict(fitted, validation.inputs)))
    return best


def predict(fitted: Fitted, inputs: Sequence[Configuration]) -> list[NDArray[np.float64]]:
    """(n, t) a configuration."""
    return [fitted(configuration) for configuration in inputs]


def parameters(fitted: Fitted) -> int:
    """Of the network and of the row's weights."""
    return training.parameters(fitted.network) + sum(
        part.weights.size for part in fitted.row.parts.values()
    )


MODEL = Model(
    tasks=("glass_mobility",),
    reference="Physbench: linear regression on coarse-grained structure and a network on its "
    "residual",
    fit=fit,
    predict=predict,
    parameters=parameters,
    quick={"linear": "base", "epochs": 2, "width": 4},
)
