"""Jet pT as anomaly score: what a leak looks like. On pT-matched sets it must fail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Model


def fit(train: Split, validation: Split, *, seed: int) -> None:
    """Nothing is learned."""


def predict(fitted: None, inputs: Jets) -> NDArray[np.float32]:
    """Jet pT in GeV."""
    return inputs.pt


MODEL = Model(
    tasks=("dark_jets",),
    role="floor",
    reference="Baseline without a paper: the transverse momentum itself.",
    fit=fit,
    predict=predict,
    deterministic=True,
)
