"""Rows of layers that read events: a hit, or an edge between hits; and the loss of edges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.hits import EventTruth, labels_of_edges
from physbench.tasks.metrics.rows import PLANES, Rows, Table, of_hits, one_of_each, with_random


def loss(truth: Sequence[EventTruth], predictions: Sequence[Any]) -> float:
    """Cross entropy of the edges in nats; NaN for a model that scores no edges."""
    if not (isinstance(predictions[0], Mapping) and "scores" in predictions[0]):
        return math.nan
    pairs = zip(truth, predictions, strict=True)
    label = np.concatenate([labels_of_edges(one, found["edges"]) for one, found in pairs])
    score = np.clip(np.concatenate([found["scores"] for found in predictions]), 1e-7, 1 - 1e-7)
    return float(-np.log(np.where(label, score, 1 - score)).mean())


def hits_of_events(split: Split, predictions: object) -> Rows:
    """All hits."""
    tables = [
        (of_particles(truth, np.arange(len(event))), of_hits(event.x, event.y, event.z))
        for event, truth in zip(split.inputs, split.targets, strict=True)
    ]
    return _joined(split, tables, [np.arange(len(event)) for event in split.inputs])


def edges_of_events(split: Split, predictions: Sequence[Any]) -> Rows | None:
    """Edges as seen from their inner hits; None for a model without edges."""
    if not (isinstance(predictions[0], Mapping) and "edges" in predictions[0]):
        return None
    tables, inner = [], []
    for event, truth, found in zip(split.inputs, split.targets, predictions, strict=True):
        first, last = np.asarray(found["edges"]).T
        known = of_particles(truth, first)
        known["true edge"] = labels_of_edges(truth, found["edges"]).astype(np.float64)
        turn = np.angle(np.exp(1j * (event.phi[last] - event.phi[first])))
        step = {
            "dr": event.r[last] - event.r[first],
            "dphi": turn,
            "dz": event.z[last] - event.z[first],
        }
        tables.append((known, of_hits(event.x[first], event.y[first], event.z[first]) | step))
        inner.append(first)
    return _joined(split, tables, inner)


def of_particles(truth: EventTruth, hits: NDArray[np.int64]) -> Table:
    """pT and eta of the particles of hits; NaN for noise and particles that are not known."""
    found = np.isin(truth.particle_id[hits], truth.particles)
    place = np.searchsorted(truth.particles, truth.particle_id[hits])
    place = np.clip(place, 0, max(len(truth.particles) - 1, 0))
    return {
        "particle pT": np.where(found, truth.pt[place], np.nan),
        "particle eta": np.where(found, truth.eta[place], np.nan),
    }


def _joined(
    split: Split, tables: Sequence[tuple[Table, Table]], hits: Sequence[NDArray[np.int64]]
) -> Rows:
    known, arguments = (
        {name: np.concatenate([table[side][name] for table in tables]) for name in tables[0][side]}
        for side in (0, 1)
    )
    known |= {f"hit {name}": arguments[name] for name in ("r", "phi", "z")}
    # A truth-cut graph knows no momenta.
    known = {name: values for name, values in known.items() if np.isfinite(values).any()}
    finite = np.logical_and.reduce([np.isfinite(values) for values in known.values()])
    owner = [
        np.stack([np.full(len(own), number), truth.particle_id[own]], 1)
        for number, (truth, own) in enumerate(zip(split.targets, hits, strict=True))
    ]
    _, particle = np.unique(np.concatenate(owner), axis=0, return_inverse=True)
    apart = one_of_each(np.where(finite, particle.ravel(), -1))
    real = np.ones(len(finite), dtype=bool)
    return Rows(with_random(known), arguments, PLANES, real, apart)
