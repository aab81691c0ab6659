"""The pipeline that all edge classifiers share: graph, scores, threshold, tracks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.hits import (
    Event,
    Floats,
    Integers,
    labels_of_edges,
)
from physbench.models.hits import _graphs as graphs
from physbench.models.hits import _track_building as track_building

Prediction = dict[str, NDArray[Any]]
CUTS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9)
HITS = (3, 4, 5, 6, 7, 8)
FAKES_MAX = 0.09  # on validation; the board's limit is 10 % on test


@dataclass(frozen=True)
class Pipeline:
    """A graph builder, an edge score in [0, 1], a track builder and its two thresholds.

    `cut` is the smallest score of an edge, `hits` the smallest number of hits of a track.
    """

    windows: graphs.Windows | None
    score: Callable[[Event, Integers], Floats]
    builder: str
    cut: float
    hits: int = 3


def labelled(
    split: Split, windows: graphs.Windows | None
) -> list[tuple[Event, Integers, NDArray[np.bool_]]]:
    """Event, edges and truth of the edges for each event of a split."""
    rows = []
    for event, truth in zip(split.inputs, split.targets, strict=True):
        edges = graphs.graph(event, windows)
        rows.append((event, edges, labels_of_edges(truth, edges)))
    return rows


def choose(
    validation: Split,
    windows: graphs.Windows | None,
    score: Callable[[Event, Integers], Floats],
    builder: str,
) -> Pipeline:
    """The pipeline with the thresholds that are best on validation.

    Best: highest double-majority efficiency among those with at most 9 % fakes, or the fewest
    fakes where none has so few.
    """
    scored = [(e, edges := graphs.graph(e, windows), score(e, edges)) for e in validation.inputs]
    rated = []
    for cut in CUTS:
        whole = [track_building.builder(builder)(len(e), g, s, cut) for e, g, s in scored]
        for hits in HITS:
            labels = [track_building.longer(label, hits) for label in whole]
            efficiency = validation.metrics["efficiency_dm"](labels)
            fakes = validation.metrics["fake_all"](labels)
            fakes = 1.0 if np.isnan(fakes) else fakes
            good = fakes <= FAKES_MAX
            rated.append((good, efficiency if good else -fakes, -cut, -hits))
    _, _, cut, hits = max(rated)
    return Pipeline(windows, score, builder, -cut, -hits)


def classified(classifier: Any) -> Any:
    """The probability of an edge to be true that a scikit-learn classifier gives."""

    def probability(event: Event, edges: Integers) -> Floats:
        if not len(edges):
            return np.zeros(0)
        found: Floats = classifier.predict_proba(graphs.hand_features(event, edges))[:, 1]
        return found

    return probability


def predict(pipeline: Pipeline, events: Sequence[Event]) -> list[Prediction]:
    """Labels, edges and scores of each event."""
    build = track_building.builder(pipeline.builder)
    predictions = []
    for event in events:
        edges = graphs.graph(event, pipeline.windows)
        scores = pipeline.score(event, edges) if len(edges) else np.zeros(0)
        labels = build(len(event), edges, scores, pipeline.cut)
        labels = track_building.longer(labels, pipeline.hits)
        predictions.append({"labels": labels, "edges": edges, "scores": scores})
    return predictions


def features(
    split: Split, windows: graphs.Windows | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Hand features and labels of all edges of a split."""
    rows = labelled(split, windows)
    x = np.concatenate([graphs.hand_features(event, edges) for event, edges, _ in rows])
    return x, np.concatenate([label for *_, label in rows])
