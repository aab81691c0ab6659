"""Oracle: three hits of each particle. Draws the ceiling: 1 but for what the rule forbids."""

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
    """The first three hits of each particle by distance from its origin."""
    return [_seeds(truth) for truth in targets]


def _seeds(truth: EventTruth) -> Integers:
    order = np.lexsort((truth.path, truth.particle_id))
    order = order[truth.particle_id[order] != 0]
    _, first, count = np.unique(truth.particle_id[order], return_index=True, return_counts=True)
    starts = first[count >= 3]
    return np.asarray(order[starts[:, None] + np.arange(3)])


MODEL = Model(
    tasks=("track_seeds",),
    reference="the truth",
    fit=fit,
    predict=predict,
    role="oracle",
    deterministic=True,
)
