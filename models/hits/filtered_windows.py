"""Learned windows, then a small network that scores the edges they leave.

With `context` the network also knows how well the best neighbouring edge continues each edge: two
hits of a chance pair are rarely continued, those of a track nearly always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.hits import Event
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.common.training import HERE
from physbench.models.hits import _edge_filter as edge_filter
from physbench.models.hits import _graphs as graphs

Prediction = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Fitted:
    """The windows and the network."""

    windows: graphs.Windows
    filter: edge_filter.Filter


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = HERE,
    neighbours: bool = False,
    pt_min: float = 0.7,
    outside: float = 0.003,
    rare: float = 0.002,
    events: int = 16,
    width: int = 48,
    epochs: int = 6,
    learning_rate: float = 5e-3,
) -> Fitted:
    """Windows and network from the first `events` training events.

    `neighbours` adds what the best neighbouring edges say; windows as in `_graphs.learn`.
    """
    windows = graphs.learn(
        train.inputs[:events], train.targets[:events], pt_min=pt_min, outside=outside, rare=rare
    )
    sides = [
        [
            (event, truth, graphs.build(event, windows))
            for event, truth in zip(part.inputs[:events], part.targets[:events], strict=True)
        ]
        for part in (train, validation)
    ]
    found = edge_filter.fit(
        *sides,
        seed=seed,
        width=width,
        epochs=epochs,
        learning_rate=learning_rate,
        context=neighbours,
        run=context,
    )
    return Fitted(windows, found)


def predict(fitted: Fitted, events: Sequence[Event]) -> list[Prediction]:
    """Edges and scores of each event."""
    found = []
    for event in events:
        edges = graphs.build(event, fitted.windows)
        found.append({"edges": edges, "scores": fitted.filter.scores(event, edges)})
    return found


def save(fitted: Fitted, path: Path) -> None:
    """Weights, scaling and windows."""
    windows = {name: values.tolist() for name, values in vars(fitted.windows).items()}
    training.save(fitted.filter.network, path, fitted.filter.plain() | {"windows": windows})


def load(path: Path) -> Fitted:
    """The inverse of `save`."""
    state, extra = training.load(path)
    windows = {name: np.array(values) for name, values in extra.pop("windows").items()}
    return Fitted(graphs.Windows(**windows), edge_filter.rebuilt(state, extra))


MODEL = Model(
    tasks=("track_graphs",),
    reference="windows in slope and intercept, and a network of two layers on each edge",
    fit=fit,
    predict=predict,
    quick={
        "events": 2,
        "epochs": 1,
        "width": 8,
        "neighbours": True,
        "pt_min": 1.5,
        "outside": 0.02,
    },
    save=save,
    load=load,
    parameters=lambda fitted: training.parameters(fitted.filter.network),
)
