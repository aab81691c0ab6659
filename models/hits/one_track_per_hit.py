"""Floor: every hit is a track of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from physbench.datasets import Split
from physbench.datasets.hits import Event, Integers
from physbench.models import Model


def fit(train: Split, validation: Split, *, seed: int) -> None:
    """Nothing to learn."""


def predict(fitted: None, events: Sequence[Event]) -> list[Integers]:
    """Labels 0, 1, 2, ..."""
    return [np.arange(len(event)) for event in events]


MODEL = Model(
    tasks=("tracking",),
    role="floor",
    reference="trivial baseline",
    fit=fit,
    predict=predict,
    deterministic=True,
)
