"""Oracle: the noise ceiling, drawn from two halves of the trajectories.

Even a perfect predictor meets a target that is a mean over finitely many trajectories. From the
halves R_1 and R_2, whose correlation over the particles is c, it predicts
R_1 + R_2 + sqrt((1 + c)/(2c)) (R_1 - R_2): sum and difference are uncorrelated, so its correlation
with the measured mean is sqrt(2c/(1 + c)) = rho_max, that of the true propensity (Spearman-Brown).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.liquids import Configuration, Mobility
from physbench.models import Model


def fit(train: Split, validation: Split, *, seed: int) -> None:
    """Nothing to learn."""


def predict(
    fitted: None, inputs: Sequence[Configuration], targets: Sequence[Mobility]
) -> list[NDArray[np.float64]]:
    """(n, t) a configuration. Raises ValueError where the dataset keeps no halves."""
    return [_ceiling(mobility) for mobility in targets]


def _ceiling(mobility: Mobility) -> NDArray[np.float64]:
    if mobility.halves is None:
        raise ValueError("this dataset keeps means alone; a noise ceiling needs two halves")
    columns = np.empty((len(mobility), len(mobility.times)))
    for kind in np.unique(mobility.types):
        chosen = mobility.types == kind
        for time in range(len(mobility.times)):
            columns[chosen, time] = _mixed(*mobility.halves[:, time][:, chosen].astype(float))
    return columns


def _mixed(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    # Halves of equal variance, so that sum and difference are uncorrelated exactly.
    middle = (first + second) / 2
    scaled = [(half - half.mean()) / (half.std() or 1.0) for half in (first, second)]
    c = float(np.mean(scaled[0] * scaled[1]))
    if c <= 0:
        return np.full(len(middle), middle.mean())
    noise = np.sqrt((1 + c) / (2 * c)) * (scaled[0] - scaled[1])
    return np.asarray(middle.mean() + (first.std() + second.std()) / 4 * (sum(scaled) + noise))


MODEL = Model(
    tasks=("glass_mobility",),
    reference="The trajectories themselves: Spearman-Brown reliability of two halves.",
    fit=fit,
    predict=predict,
    role="oracle",
    deterministic=True,
)
