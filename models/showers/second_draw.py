"""Oracle: the simulation's own second draw at the same energies. What no generator can pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.showers import Conditions, Showers
from physbench.models import Model


def fit(train: Split, validation: Split, *, seed: int) -> None:
    """Nothing to learn."""


def predict(fitted: None, inputs: Conditions, targets: Showers) -> NDArray[Any]:
    """Other showers than the targets, from the same simulation."""
    if targets.second is None:
        raise ValueError(
            "targets need a second draw of the simulation; this dataset has none in this split"
        )
    return np.array(targets.second)


MODEL = Model(
    tasks=("calo_showers",),
    reference="the simulation itself",
    role="oracle",
    fit=fit,
    predict=predict,
    deterministic=True,
)
