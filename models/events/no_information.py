"""Floor: ln r = 0 everywhere, as if the data said nothing about theta."""

from __future__ import annotations

from typing import Any

import numpy as np

from physbench.datasets import Split
from physbench.datasets.events import GRID, Array, Simulated
from physbench.models import Model


def fit(train: Split, validation: Split, *, seed: int) -> None:
    """Nothing to learn."""


def predict(fitted: Any, inputs: Simulated) -> Array:
    """Zeros (n, 21)."""
    return np.zeros((len(inputs), len(GRID)))


MODEL = Model(
    tasks=("likelihood_ratio",),
    reference="Trivial answer without a paper.",
    role="floor",
    fit=fit,
    predict=predict,
    deterministic=True,
)
