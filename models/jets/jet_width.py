"""Width of the jet as anomaly score: a wider one is more anomalous."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Model
from physbench.models.jets._jet_observables import width


def fit(train: Split, validation: Split, *, seed: int) -> None:
    """Nothing is learned."""


def predict(fitted: None, inputs: Jets) -> NDArray[np.float64]:
    """Mean distance of the pT from the axis."""
    return width(inputs)


MODEL = Model(
    tasks=("dark_jets",),
    reference="Baseline without a paper: the pT-weighted width.",
    role="floor",
    fit=fit,
    predict=predict,
    deterministic=True,
)
