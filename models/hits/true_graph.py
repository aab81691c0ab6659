"""Oracle: the wanted edges and no other. Draws the ceiling, 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from physbench.datasets import Split
from physbench.datasets.hits import Event, EventTruth, Integers, selected, sequential_edges
from physbench.models import Model


def fit(train: Split, validation: Split, *, seed: int) -> None:
    """Nothing to learn."""


def predict(
    fitted: None, events: Sequence[Event], targets: Sequence[EventTruth]
) -> list[Integers]:
    """(m, 2) consecutive hits of selected particles."""
    return [_edges(truth) for truth in targets]


def _edges(truth: EventTruth) -> Integers:
    edges = sequential_edges(truth)
    return edges[np.isin(truth.particle_id[edges[:, 0]], truth.particles[selected(truth)])]


MODEL = Model(
    tasks=("track_graphs",),
    reference="the truth",
    fit=fit,
    predict=predict,
    role="oracle",
    deterministic=True,
)
