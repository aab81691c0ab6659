"""Oracles that know the truth of every edge of the shared graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.hits import Event, EventTruth, Integers
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _track_building as track_building
from physbench.models.hits import _window_filter as window_filter

Answer = Callable[[EventTruth, Integers], NDArray[np.bool_]]


def predictions(
    builder: window_filter.Builder | None,
    events: Sequence[Event],
    targets: Sequence[EventTruth],
    answer: Answer,
) -> list[edge_pipeline.Prediction]:
    """Tracks are the components of the edges that `answer` calls true; scores are 0 or 1."""
    found = []
    for event, truth in zip(events, targets, strict=True):
        edges, _ = edge_pipeline.graph(event, builder)
        true = answer(truth, edges)
        labels = track_building.labels_of(len(event), edges[true])
        found.append({"labels": labels, "edges": edges, "scores": true.astype(float)})
    return found
