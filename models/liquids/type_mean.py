"""Floor: the mean propensity of the particle's type; it orders nothing within a type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.liquids import Configuration
from physbench.models import Model


def fit(train: Split, validation: Split, *, seed: int) -> NDArray[np.float64]:
    """(3, t): mean propensity of each type at each time; zero for a type never seen."""
    means = np.zeros((3, len(train.targets[0].times)))
    for kind in range(3):
        values = [m.propensity[:, m.types == kind] for m in train.targets]
        joined = np.concatenate(values, axis=1)
        if joined.size:
            means[kind] = joined.mean(1)
    return means


def predict(
    fitted: NDArray[np.float64], inputs: Sequence[Configuration]
) -> list[NDArray[np.float64]]:
    """(n, t) a configuration."""
    return [fitted[configuration.types] for configuration in inputs]


MODEL = Model(
    tasks=("glass_mobility",),
    role="floor",
    reference="The trivial baseline: one number a type.",
    fit=fit,
    predict=predict,
    deterministic=True,
)
