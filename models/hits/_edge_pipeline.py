"""The pipeline that all edge classifiers share: graph, scores, thresholds, tracks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from physbench.datasets import Split
from physbench.datasets.hits import Event, Floats, Integers, labels_of_edges
from physbench.models.common.batches import Batches
from physbench.models.hits import _graphs as graphs
from physbench.models.hits import _track_building as track_building
from physbench.models.hits import _track_fits as track_fits
from physbench.models.hits import _window_filter as window_filter

Prediction = dict[str, NDArray[Any]]
Graph = tuple[Integers, NDArray[np.float32] | None]
Score = Callable[[Event, Integers, NDArray[np.float32] | None], Floats]
Refine = Callable[[Event, Integers, Graph, Floats], Integers]

BUILDERS = ("best_in_out", "walk_through", "multicut")
# Of the log-odds of the cut, where the search begins, its steps and where it gives up.
FIRST, STEP, FURTHEST = {"multicut": 0.0}, 0.75, 9.0
# Where the search for hits, short and soft (in steps of so many GeV) begins.
STARTS, SOFTER = [(hits, 5, 6) for hits in range(3, 9)], 0.05
# On validation; the board's limits are 2 % and 5 % on test.
LIMITS = {"fake_combinatorial": 0.017, "fake_all": 0.045}


@dataclass(frozen=True)
class Choice:
    """What is chosen on validation.

    `builder` makes tracks of edges with a score above `cut`; they have at least `hits` hits, and
    those of fewer than `short` hits a fitted pT of at least `soft` GeV.
    """

    builder: str
    cut: float
    hits: int = 3
    short: int = 0
    soft: float = 0.0


@dataclass(frozen=True)
class Pipeline:
    """A graph builder (None: graphs are given), an edge score in [0, 1] and a choice.

    `score` gives (m, 1), or (m, 2): the second column is what the multicut takes. Edges with score
    0 are not in the graph: no builder sees them.
    `refine(event, labels, graph, scores)` works on the tracks before any are dropped.
    """

    graph: window_filter.Builder | None
    score: Score
    choice: Choice
    refine: Refine | None = None


def graph(event: Event, builder: window_filter.Builder | None) -> Graph:
    """Edges (m, 2) of the given graph or of the builder, and the logits of its filter."""
    if event.edge_index is not None:
        return np.ascontiguousarray(event.edge_index.T), None
    if builder is None:
        raise ValueError(f"{event.name} comes without a graph, and no builder was trained")
    return builder(event)


def labelled(
    split: Split, builder: window_filter.Builder | None
) -> list[tuple[Event, Graph, NDArray[np.bool_]]]:
    """Event, graph and truth of the edges for each event of a split."""
    rows = []
    for event, truth in zip(split.inputs, split.targets, strict=True):
        found = graph(event, builder)
        rows.append((event, found, labels_of_edges(truth, found[0])))
    return rows


def choose(
    validation: Split,
    builder: window_filter.Builder | None,
    score: Score,
    names: str,
    refine: Refine | None = None,
    *,
    reject: bool = True,
) -> Pipeline:
    """The pipeline with what is best on validation; `names` is one track builder or `best`.

    Without `reject` all tracks of three hits stay.

    Best: the highest double-majority efficiency among those with few enough fakes, or the fewest
    fakes where none has so few. The cut is searched by steps from the middle until both
    neighbours are worse, so that no end of a grid is chosen.
    """
    found = Batches(_scored(event, builder, score) for event in validation.inputs)
    wanted = BUILDERS if names == "best" else (names,)
    rated = [_climbed(validation, found, name, refine, reject) for name in wanted]
    _, choice = max(rated, key=lambda pair: pair[0])
    return Pipeline(builder, score, choice, refine)


class Scored(NamedTuple):
    """The graph of an event and the scores of its edges, as `Batches` keeps them."""

    edges: Tensor
    logit: Tensor | None
    scores: Tensor


def _scored(event: Event, builder: window_filter.Builder | None, score: Score) -> Scored:
    edges, logit = graph(event, builder)
    scores = torch.from_numpy(score(event, edges, logit))
    passed = None if logit is None else torch.from_numpy(logit)
    return Scored(torch.from_numpy(edges), passed, scores)


Rating = tuple[bool, float, float]  # few enough fakes, efficiency, fewest fakes


def _climbed(
    validation: Split, found: Batches, name: str, refine: Refine | None, reject: bool
) -> tuple[Rating, Choice]:
    """The best choice for one track builder; `found` holds the `Scored` of each event."""
    seen: dict[float, tuple[Rating, Choice]] = {}

    def at(position: float) -> Rating:
        if position not in seen:
            cut = float(1 / (1 + np.exp(-position)))
            built = [
                _tracks(*one, Choice(name, cut), refine)
                for one in zip(validation.inputs, found, strict=True)
            ]
            seen[position] = selection(validation, built, Choice(name, cut), reject=reject)
        return seen[position][0]

    here = FIRST.get(name, -1.0)
    while abs(here) < FURTHEST:
        there = max((here - STEP, here + STEP), key=at)
        if at(there) <= at(here):
            break
        here = there
    return seen[here]


def _tracks(event: Event, found: Scored, choice: Choice, refine: Refine | None) -> Integers:
    """`tracks` of what was kept."""
    logit = None if found.logit is None else found.logit.numpy()
    return tracks(event, (found.edges.numpy(), logit), found.scores.numpy(), choice, refine)


def selection(
    validation: Split, built: list[Integers], choice: Choice, *, reject: bool = True
) -> tuple[Rating, Choice]:
    """The best way to drop tracks among those `built` on validation, 0, 1, ... in each event.

    Without `reject` none is dropped.
    """
    sizes = [fitted(*pair) for pair in zip(validation.inputs, built, strict=True)]
    if not reject:
        return _worth(validation, built, sizes, choice), choice
    seen: dict[Place, tuple[Rating, Choice]] = {}

    def at(place: Place) -> Rating:
        if place not in seen:
            hits, short, soft = place
            one = replace(choice, hits=hits, short=short, soft=SOFTER * soft)
            seen[place] = _worth(validation, built, sizes, one), one
        return seen[place][0]

    here = max(STARTS, key=at)
    while True:
        there = max(_around(here), key=at)
        if at(there) <= at(here):
            return seen[here]
        here = there


Place = tuple[int, int, int]


def _around(place: Place) -> list[Place]:
    """One step in one of the three numbers; a track has three hits at least."""
    hits, short, soft = place
    ways = [(hits + k, short, soft) for k in (-1, 1)]
    ways += [(hits, short + k, soft) for k in (-1, 1)] + [(hits, short, soft + k) for k in (-1, 1)]
    return [way for way in ways if way[0] >= 3 and min(way) >= 0]


def _worth(
    validation: Split, built: list[Integers], sizes: list[tuple[Floats, Floats]], choice: Choice
) -> Rating:
    labels = [kept(one, *size, choice) for one, size in zip(built, sizes, strict=True)]
    fakes = [validation.metrics[name](labels) for name in LIMITS]
    above = np.clip(np.nan_to_num(fakes, nan=1.0) - list(LIMITS.values()), 0, None).sum()
    if above:
        return False, -float(above), 0.0
    return True, validation.metrics["efficiency_dm"](labels), -sum(fakes)


def tracks(
    event: Event, found: Graph, scores: Floats, choice: Choice, refine: Refine | None
) -> Integers:
    """Labels 0, 1, ... of all tracks of at least three hits, -1 for none."""
    build = track_building.builder(choice.builder)
    column = scores[:, -1 if choice.builder == "multicut" else 0]
    inside = column > 0
    labels = build(len(event), found[0][inside], column[inside], choice.cut)
    if refine is not None:
        labels = refine(event, labels, found, scores)
    return track_building.numbered(labels)


def fitted(event: Event, labels: Integers) -> tuple[Floats, Floats]:
    """Number of hits and fitted pT in GeV of the tracks 0, 1, ..."""
    hits = np.flatnonzero(labels >= 0)
    fits = track_fits.fit(event, hits, labels[hits])
    return fits.hits, fits.pt


def kept(labels: Integers, hits: Floats, pt: Floats, choice: Choice) -> Integers:
    """The labels without the tracks that the choice drops."""
    good = (hits >= choice.hits) & ((hits >= choice.short) | (pt >= choice.soft))
    return np.where(np.append(good, False)[labels], labels, -1)


def classified(classifier: Any) -> Score:
    """The probability of an edge to be true that a scikit-learn classifier gives, (m, 1)."""

    def probability(event: Event, edges: Integers, logit: Any) -> Floats:
        if not len(edges):
            return np.zeros((0, 1))
        found: Floats = classifier.predict_proba(hand_features(event, edges, logit))[:, 1:]
        return found

    return probability


def predict(pipeline: Pipeline, events: Sequence[Event]) -> list[Prediction]:
    """Labels, edges and scores of each event."""
    predictions = []
    for event in events:
        found = graph(event, pipeline.graph)
        scores = pipeline.score(event, *found) if len(found[0]) else np.zeros((0, 1))
        labels = tracks(event, found, scores, pipeline.choice, pipeline.refine)
        labels = kept(labels, *fitted(event, labels), pipeline.choice)
        inside = scores[:, 0] > 0
        edges, first = found[0][inside], scores[inside, 0]
        predictions.append({"labels": labels, "edges": edges, "scores": first})
    return predictions


def hand_features(event: Event, edges: Integers, logit: Any) -> NDArray[np.float32]:
    """The fourteen numbers of `graphs.hand_features`, and the logit of the filter, if any."""
    found = graphs.hand_features(event, edges)
    return found if logit is None else np.column_stack([found, logit]).astype(np.float32)


def features(
    split: Split, builder: window_filter.Builder | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Hand features and labels of all edges of a split."""
    rows = labelled(split, builder)
    x = np.concatenate([hand_features(event, *found) for event, found, _ in rows])
    return x, np.concatenate([label for *_, label in rows])
