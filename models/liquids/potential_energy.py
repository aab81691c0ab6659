"""Untrained: the coarse-grained potential energy. High energy is mobile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.liquids import Configuration
from physbench.models import Model
from physbench.models.liquids._order_parameters import OrderParameter, coarse_grained, fit
from physbench.models.liquids._potential import potential_energy


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
