"""Floor: pairs of hits in learned windows of slope and intercept, scored by the place in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.hits import Event, Floats, Integers
from physbench.models import Model
from physbench.models.hits import _graphs as graphs

OUTSIDE = (0.0025, 0.003, 0.004, 0.006)
WIDE = 100_000  # more than any layer's number
Prediction = dict[str, NDArray[Any]]


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    pt_min: float = 0.9,
    outside: float = 0.0,
    reach: float = 0.985,
    events: int = 20,
) -> graphs.Windows:
    """Windows from the first `events` training events, see `_graphs.learn`.

    The share `outside` of a window is chosen on validation where it is 0: the purest graph that
    has `reach` of the wanted edges there. Two thirds of it may be lost with rare pairs of layers.
    """
    found = [
        graphs.learn(
            train.inputs[:events],
            train.targets[:events],
            pt_min=pt_min,
            outside=share,
            rare=share / 1.5,
        )
        for share in ([outside] if outside else OUTSIDE)
    ]
    if len(found) == 1:
        return found[0]
    return max(found, key=lambda windows: _quality(windows, validation, reach))


def _quality(windows: graphs.Windows, validation: Split, least: float) -> tuple[bool, float]:
    """Enough edges first, then pure; where none has enough, the most complete."""
    answers = predict(windows, validation.inputs)
    reach = validation.metrics["reach"](answers)
    if not reach >= least:
        return False, reach if reach == reach else 0.0
    return True, validation.metrics["masked_purity"](answers)


def predict(windows: graphs.Windows, events: Sequence[Event]) -> list[Prediction]:
    """Edges and scores of each event."""
    return [_predicted(windows, event) for event in events]


def _predicted(windows: graphs.Windows, event: Event) -> Prediction:
    edges = graphs.build(event, windows)
    # Overlapping modules are crossed in either order, and the window of either may be the one.
    scores = np.maximum(place(windows, event, edges), place(windows, event, edges[:, ::-1]))
    return {"edges": edges, "scores": scores}


def place(windows: graphs.Windows, event: Event, edges: Integers) -> Floats:
    """1 in the middle of the window of an edge's layers, 0 at its edge and without one; (m,)."""
    layer = graphs.layer_of(event)
    known = windows.layers @ np.array([WIDE, 1])
    key = layer[edges] @ np.array([WIDE, 1])
    order = np.argsort(known)
    found = order[np.searchsorted(known, key, sorter=order).clip(max=len(known) - 1)]
    away = np.zeros(len(edges))
    slope, z0, _ = graphs.geometry(event, edges)
    for values, limits in ((slope, windows.slope), (z0, windows.z0)):
        middle, half = limits.mean(axis=1), np.diff(limits)[:, 0] / 2
        away = np.maximum(away, np.abs(values - middle[found]) / np.maximum(half[found], 1e-12))
    return np.where(known[found] == key, np.clip(1 - away, 0.0, 1.0), 0.0)


MODEL = Model(
    tasks=("track_graphs",),
    role="floor",
    reference="windows in slope and intercept for each pair of layers",
    fit=fit,
    predict=predict,
    quick={"outside": 0.003},
    deterministic=True,
)
