"""Floor: each hit with the hits nearest in angle on the layers before and after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from physbench.datasets import Split
from physbench.datasets.hits import Event, Integers
from physbench.models import Model
from physbench.models.hits import _graphs as graphs


def fit(train: Split, validation: Split, *, seed: int) -> None:
    """Nothing to learn."""


def predict(fitted: None, events: Sequence[Event]) -> list[Integers]:
    """(k, 3) hit positions for each event."""
    return [_seeds(event) for event in events]


def _seeds(event: Event) -> Integers:
    """Of each hit on an inner layer of a volume, the nearest on the two layers that follow."""
    eta = np.arcsinh(event.z / np.maximum(event.r, 1e-9))
    angles = np.column_stack([np.cos(event.phi), np.sin(event.phi), eta])
    layer = graphs.layer_of(event)
    found = [np.zeros((0, 3), dtype=np.int64)]
    for volume in np.unique(event.volume_id):
        layers = np.unique(layer[event.volume_id == volume])
        for chain in zip(layers, layers[1:], layers[2:], strict=False):
            found.append(_nearest(angles, [np.flatnonzero(layer == k) for k in chain]))
    return np.concatenate(found)


def _nearest(angles: np.ndarray, hits: list[Integers]) -> Integers:
    """The middle hits with their nearest neighbours on either side."""
    from scipy.spatial import cKDTree

    first, middle, last = hits
    sides = [cKDTree(angles[side]).query(angles[middle])[1] for side in (first, last)]
    return np.column_stack([first[sides[0]], middle, last[sides[1]]])


MODEL = Model(
    tasks=("track_seeds",),
    role="floor",
    reference="trivial baseline",
    fit=fit,
    predict=predict,
    deterministic=True,
)
