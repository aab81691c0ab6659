"""Floor: the mean of the log voxels at each energy, the same shower every time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.showers import Conditions, Showers
from physbench.models import Model


@dataclass(frozen=True, eq=False)
class Fitted:
    """(3, voxels) coefficients of ln v/MeV in powers of ln E/GeV."""

    curve: NDArray[np.float64]


def fit(train: Split, validation: Split, *, seed: int) -> Fitted:
    """A quadratic in ln E through the log voxels; those below threshold count as threshold."""
    showers: Showers = train.targets
    logs = np.log(np.maximum(showers.voxels.astype(np.float64), showers.grid.threshold))
    return Fitted(
        np.asarray(np.linalg.lstsq(_powers(showers.energy), logs, rcond=None)[0], np.float64)
    )


def _powers(energy: NDArray[Any]) -> NDArray[np.float64]:
    return np.vander(np.log(energy.astype(np.float64) / 1e3), 3)


def predict(fitted: Fitted, inputs: Conditions) -> NDArray[np.float32]:
    """The curve at the energies asked for."""
    return np.exp(_powers(inputs.energy) @ fitted.curve).astype(np.float32)


MODEL = Model(
    tasks=("calo_showers",),
    reference="Baseline without a paper: the mean shower.",
    role="floor",
    fit=fit,
    predict=predict,
    deterministic=True,
)
