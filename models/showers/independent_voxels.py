"""Floor: every voxel from another training shower of nearly the same energy.

Its marginal distributions are right and its correlations are none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.showers import Conditions
from physbench.models import Model
from physbench.models.showers._neighbours import Lookup, in_parts, nearest, ordered, scaled

NEIGHBOURS = 200  # training showers that a voxel may come from


def fit(train: Split, validation: Split, *, seed: int) -> Lookup:
    """Keep the training showers."""
    return ordered(train.targets, seed)


def predict(fitted: Lookup, inputs: Conditions) -> NDArray[np.float32]:
    """Voxels drawn one by one from the 200 neighbours in energy, scaled by the energies."""
    count, columns = fitted.voxels.shape
    reach = min(NEIGHBOURS, count)
    generator = np.random.default_rng([fitted.seed, 1])

    def draw(some: Conditions) -> NDArray[np.float32]:
        first = np.clip(nearest(fitted, some) - reach // 2, 0, count - reach)
        places = first[:, None] + generator.integers(0, reach, (len(some), columns))
        return scaled(fitted, places, some)

    return in_parts(draw, inputs)


MODEL = Model(
    tasks=("calo_showers",),
    reference="Baseline without a paper: resampling of marginal distributions.",
    role="floor",
    fit=fit,
    predict=predict,
)
