"""Oracle: the particle of each hit, noise left out. Draws the ceiling, 1.0 everywhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from physbench.datasets import Split
from physbench.datasets.hits import Event, EventTruth, Integers
from physbench.models import Model


def fit(train: Split, validation: Split, *, seed: int) -> None:
    """Nothing to learn."""


def predict(
    fitted: None, events: Sequence[Event], targets: Sequence[EventTruth]
) -> list[Integers]:
    """The particle id as label, -1 for noise."""
    return [np.where(truth.particle_id == 0, -1, truth.particle_id) for truth in targets]


MODEL = Model(
    tasks=("tracking",),
    reference="the truth",
    fit=fit,
    predict=predict,
    role="oracle",
    deterministic=True,
)
