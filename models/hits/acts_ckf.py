"""The classical way of the field: ACTS seeding, combinatorial Kalman filter, ambiguity resolution.

Live with the extra `[acts]`; the committed record keeps its labels, so that the board needs no
ACTS. Seeds are pixel triplets; with `strips` a second pass seeds in the short strips with the hits
that the first one left, for particles made outside the pixels. Seeds a middle point, the smallest
number of measurements and which tracks are dropped are chosen on validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from physbench.datasets import Split
from physbench.datasets.common import acts_chain
from physbench.datasets.hits import Event, Integers
from physbench.models import Model
from physbench.models.hits import _acts_ckf as ckf
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _track_building as track_building

START = (2, 3)  # seeds a middle point (doubled or halved a step) and fewest measurements
MOST = 8


@dataclass(frozen=True)
class Setting:
    """What is chosen; `strips` is whether there is a second pass."""

    per_middle: int
    hits_min: int
    strips: bool
    choice: edge_pipeline.Choice


def fit(
    train: Split, validation: Split, *, seed: int, strips: bool = True, tune: bool = True
) -> Setting:
    """Search from 2 seeds a middle point and 3 measurements until no neighbour is better.

    With `tune` off the reference setting stays: 1 seed, 4 measurements.
    """
    empty = edge_pipeline.Choice("kalman", 0.0)
    if not tune:
        return _rated(validation, Setting(1, 4, strips, empty))[1]
    seen: dict[tuple[int, int], tuple[edge_pipeline.Rating, Setting]] = {}

    def at(place: tuple[int, int]) -> edge_pipeline.Rating:
        if place not in seen:
            seen[place] = _rated(validation, Setting(*place, strips, empty))
        return seen[place][0]

    here = START
    while True:
        seeds, hits = here
        around = [(2 * seeds, hits), (max(seeds // 2, 1), hits), (seeds, hits + 1)]
        there = max((place for place in around if place[0] <= MOST), key=at)
        if at(there) <= at(here):
            return seen[here][1]
        here = there


def _rated(validation: Split, setting: Setting) -> tuple[edge_pipeline.Rating, Setting]:
    """The setting with its best choice of tracks."""
    found = cluster(validation.inputs, setting)
    rating, choice = edge_pipeline.selection(validation, found, setting.choice)
    return rating, replace(setting, choice=choice)


def cluster(events: Sequence[Event], setting: Setting) -> list[Integers]:
    """Labels of all tracks that ACTS finds in the events."""
    detector = ckf.detector()
    filled = [k for k, event in enumerate(events) if len(event)]
    hits = [ckf.measured(events[k], detector) for k in filled]
    seeding = ckf.PIXELS._replace(per_middle=setting.per_middle)
    passes = [
        ckf.labelled(len(code), one)
        for (code, *_), one in zip(
            hits, ckf.tracks(hits, detector, seeding, setting.hits_min), strict=True
        )
    ]
    if setting.strips:
        passes = _second(hits, passes, detector, setting)
    found = [np.full(len(event), -1, dtype=np.int64) for event in events]
    for k, labels in zip(filled, passes, strict=True):
        found[k] = track_building.numbered(track_building.longer(labels, 3))
    return found


def _second(
    hits: Sequence[ckf.Measured],
    labels: list[Integers],
    detector: ckf.Detector,
    setting: Setting,
) -> list[Integers]:
    """Labels with the tracks of the second pass, which sees the hits of no track."""
    free = [np.flatnonzero(one < 0) for one in labels]
    rest = [
        (code[rows], local[rows], variance[rows])
        for (code, local, variance), rows in zip(hits, free, strict=True)
    ]
    again = ckf.tracks(rest, detector, ckf.STRIPS, max(setting.hits_min, 4))
    joined = []
    for one, rows, found in zip(labels, free, again, strict=True):
        more = one.copy()
        more[rows] = ckf.labelled(len(rows), found, first=int(one.max(initial=-1)) + 1)
        joined.append(more)
    return joined


def predict(setting: Setting, events: Sequence[Event]) -> list[Integers]:
    """Labels of the hits of each event."""
    return [
        edge_pipeline.kept(labels, *edge_pipeline.fitted(event, labels), setting.choice)
        for event, labels in zip(events, cluster(events, setting), strict=True)
    ]


MODEL = Model(
    tasks=("tracking",),
    role="classical",
    reference=acts_chain.CITATION,
    fit=fit,
    predict=predict,
    quick={"tune": False, "strips": False},
    deterministic=True,
)
