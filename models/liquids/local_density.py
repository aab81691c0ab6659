"""Untrained: minus the local density, coarse-grained. Loosely packed is mobile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.liquids import Configuration
from physbench.models import Model
from physbench.models.liquids._order_parameters import (
    OrderParameter,
    coarse_grained,
    density,
    fit,
)


def predict(fitted: OrderParameter, inputs: Sequence[Configuration]) -> list[NDArray[np.float64]]:
    """(n, t) a configuration: sum_j exp(-r_ij/L) within the cutoff, averaged, times -1."""
    return [coarse_grained(c, -density(c, fitted), fitted) for c in inputs]


MODEL = Model(
    tasks=("glass_mobility",),
    role="floor",
    reference="A local order parameter without training (DEN of GlassBench).",
    fit=fit,
    predict=predict,
    deterministic=True,
)
