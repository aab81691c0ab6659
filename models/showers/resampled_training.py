"""Oracle: the training shower nearest in energy, scaled to it. Copies, so it is refused.

It shows what a generator that memorises would score, and that `copied_fraction` sees it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.showers import Conditions, Showers
from physbench.models import Model
from physbench.models.showers._neighbours import Lookup, in_parts, nearest, ordered, scaled


def fit(train: Split, validation: Split, *, seed: int) -> Lookup:
    """Keep the training showers."""
    return ordered(train.targets, seed)


def predict(fitted: Lookup, inputs: Conditions, targets: Showers) -> NDArray[np.float32]:
    """One whole training shower a condition."""
    return in_parts(lambda some: scaled(fitted, nearest(fitted, some)[:, None], some), inputs)


MODEL = Model(
    tasks=("calo_showers",),
    reference="Baseline without a paper: the training sample itself.",
    role="oracle",
    fit=fit,
    predict=predict,
    deterministic=True,
)
