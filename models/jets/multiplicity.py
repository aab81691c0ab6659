"""Number of constituents as anomaly score: fewer is more anomalous."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Model


def fit(train: Split, validation: Split, *, seed: int) -> None:
    """Nothing is learned."""


def predict(fitted: None, inputs: Jets) -> NDArray[np.int64]:
    """Minus the number of constituents."""
    return -inputs.multiplicity


MODEL = Model(
    tasks=("dark_jets",),
    role="floor",
    reference="Baseline without a paper: semi-visible jets miss constituents.",
    fit=fit,
    predict=predict,
    deterministic=True,
)
