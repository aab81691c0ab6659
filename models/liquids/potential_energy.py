"""Untrained: the coarse-grained potential energy. High energy is mobile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.liquids import Configuration
from physbench.models import Model
from physbench.models.liquids._order_parameters import OrderParameter, coarse_grained
from physbench.models.liquids._structure import potential_energy


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    positions: str = "inherent",
    length: float = 1.0,
) -> OrderParameter:
    """Nothing is learned.

    Parameters
    ----------
    positions:
        `thermal`, `inherent` or `cage`.
    length:
        L of the weights exp(-r/L) of the average; 0 is the particle alone.
    """
    return OrderParameter(positions, length, len(train.targets[0].times) if len(train) else 1)


def predict(fitted: OrderParameter, inputs: Sequence[Configuration]) -> list[NDArray[np.float64]]:
    """(n, t) a configuration: half of the pair energies, averaged."""
    return [coarse_grained(c, potential_energy(c, fitted.positions), fitted) for c in inputs]


MODEL = Model(
    tasks=("glass_mobility",),
    role="classical",
    reference="A local order parameter without training (EPOT of GlassBench).",
    fit=fit,
    predict=predict,
    deterministic=True,
)
