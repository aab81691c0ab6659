"""How unusual the number of constituents is, in both directions: no learning at all.

The strongest trivial score on dark showers, since some signals have fewer constituents than QCD
jets and others more. Whatever learns has to beat it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Model


def fit(train: Split, validation: Split, *, seed: int) -> NDArray[np.int64]:
    """The sorted numbers of constituents of the training jets."""
    return np.sort(train.inputs.multiplicity)


def predict(fitted: NDArray[np.int64], inputs: Jets) -> NDArray[np.float64]:
    """|q - 1/2| with q the share of training jets with fewer constituents, ties half."""
    sides = [np.searchsorted(fitted, inputs.multiplicity, side) for side in ("left", "right")]
    return np.abs((sides[0] + sides[1]) / (2 * len(fitted)) - 0.5)


MODEL = Model(
    tasks=("dark_jets",),
    reference="Baseline without a paper: rare numbers of constituents.",
    role="floor",
    fit=fit,
    predict=predict,
    deterministic=True,
)
