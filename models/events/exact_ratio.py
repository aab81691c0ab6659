"""Oracle: the exact ratio of each test event, which no real model knows."""

from __future__ import annotations

from typing import Any

from physbench.datasets import Split
from physbench.datasets.events import Array, Gold, Simulated
from physbench.models import Model


def fit(train: Split, validation: Split, *, seed: int) -> None:
    """Nothing to learn."""


def predict(fitted: Any, inputs: Simulated, targets: Gold) -> Array:
    """ln r (n, 21): the closed form of the process."""
    return targets.exact


MODEL = Model(
    tasks=("likelihood_ratio",),
    reference="Closed form of the dataset; no paper.",
    role="oracle",
    fit=fit,
    predict=predict,
    deterministic=True,
)
