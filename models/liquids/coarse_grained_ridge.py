"""Ridge on coarse-grained energies, densities and quench lengths: linear, and hard to beat.

`columns="base"` are 208 numbers a particle (two types): sums over exponentially weighted
neighbours at eleven lengths, and over thirteen shells. `columns="rich"` adds the averages of local
numbers over each type: energies, quench length, 40 principal components of the radial and
bond-order descriptors of Boattini et al., and four numbers of the vibrations about the inherent
structure; its residuals are weighted by the inverse of their expected covariance. Columns were
chosen on training configurations alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.liquids import Configuration
from physbench.models import Model
from physbench.models.liquids import _linear_columns as columns_of
from physbench.models.liquids import _linear_row as linear_row


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    columns: str = "base",
    penalties: tuple[float, ...] = (10.0, 30.0, 100.0, 300.0),
) -> linear_row.Row:
    """The row of the training configurations; nothing is chosen on validation.

    Parameters
    ----------
    columns:
        `base`, or `rich` with generalised least squares.
    penalties:
        Tried by leaving out one training configuration at a time.
    """
    row, _ = columns_of.fitted(train, columns, penalties)
    return row


def predict(fitted: linear_row.Row, inputs: Sequence[Configuration]) -> list[NDArray[np.float64]]:
    """(n, t) a configuration."""
    return [fitted(configuration) for configuration in inputs]


def parameters(fitted: linear_row.Row) -> int:
    """Weights of all types and times."""
    return sum(part.weights.size for part in fitted.parts.values())


MODEL = Model(
    tasks=("glass_mobility",),
    role="classical",
    reference="linear regression on coarse-grained structure, after Jung, Biroli, Berthier, "
    "Phys. Rev. Lett. 130, 238202 (2023)",
    fit=fit,
    predict=predict,
    parameters=parameters,
    deterministic=True,
)
