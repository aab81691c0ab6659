"""The TrackML format: scoring weights, and events made from the three tables.

Columns and units are those of the challenge (arXiv:1904.06778): positions in mm, momenta in
GeV/c, charge in e; `particle_id` is a 64-bit integer with 0 for noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from physbench.datasets.common.arrays import distinct
from physbench.datasets.common.runs import starts_of
from physbench.datasets.common.trackml_csv import COLUMNS
from physbench.datasets.hits import (
    Event,
    EventTruth,
    Floats,
    Integers,
    module_key,
)

if TYPE_CHECKING:
    import pandas as pd

# Importance of a track's hits in their order along it; a track of any other length interpolates.
ORDER_PROPOSAL = np.array([10.0, 8.0, 6.0, 5.0, 3.0, 3.0, 3.0, 5.0, 6.0])
MAX_HITS = 20


def order_weights(hits: int) -> Floats:
    """Weights of the hits of one track by their order; they sum to 1, shape (hits,).

    The nine-point proposal of the challenge, interpolated linearly to `hits` points at
    i (hits - 1) / 8; 0 for fewer than 4 hits; hits beyond the 20th get 0.
    Source: trackml-library, `weights.py`; arXiv:1904.06778.

    >>> order_weights(4).round(4).tolist()
    [0.411, 0.2192, 0.1233, 0.2466]
    """
    if hits < 4:
        return np.zeros(hits)
    points = min(hits, MAX_HITS)
    support = np.arange(9) * (points - 1) / 8
    weights = np.interp(np.arange(points), support, ORDER_PROPOSAL)
    return np.concatenate([weights / weights.sum(), np.zeros(hits - points)])


def pt_weight(pt: Floats) -> Floats:
    """Weight of a particle by its transverse momentum in GeV.

    0 below 0.05, 0.2 from 0.05 to 0.5, then linear to 1.0 at 3, 1 above.
    Source: trackml-library, `weights.py`.

    >>> pt_weight(np.array([0.04, 0.3, 1.0, 1.75, 5.0])).round(3).tolist()
    [0.0, 0.2, 0.36, 0.6, 1.0]
    """
    rising = np.interp(pt, [0.5, 3.0], [0.2, 1.0])
    return np.asarray(np.where(np.asarray(pt) < 0.05, 0.0, rising))


def scoring_weights(particle_id: Integers, depth: Floats, pt_of: Mapping[int, float]) -> Floats:
    """TrackML weight of every hit (accuracy phase), normalised to 1 over the event.

    weight = order weight (by rank of `depth` in the particle) x pT weight; noise has 0.

    Parameters
    ----------
    particle_id, depth:
        Particle and distance along the beam from its production vertex, |tz - vz| in mm,
        shape (hits,).
    pt_of:
        Transverse momentum in GeV by particle id.
    """
    weights = np.zeros(len(particle_id))
    order = np.lexsort((depth, particle_id))
    start = starts_of(particle_id[order])
    ids, count = particle_id[order[start]], np.diff(start, append=len(order))
    pt = pt_weight(np.array([pt_of[int(p)] if p else 0.0 for p in ids]))
    for number in np.unique(count[count >= 4]):
        alike = np.flatnonzero((count == number) & (ids != 0))
        rows = order[start[alike][:, None] + np.arange(number)]
        weights[rows] = order_weights(int(number)) * pt[alike][:, None]
    total = weights.sum()
    return weights / total if total > 0 else weights


def event_from_hits(name: str, hits: pd.DataFrame) -> Event:
    """An event from the table of its hits."""
    return Event(name, *(hits[column].to_numpy() for column in COLUMNS["hits"]))


def event_from_tables(
    name: str, hits: pd.DataFrame, truth: pd.DataFrame, particles: pd.DataFrame
) -> tuple[Event, EventTruth]:
    """An event and its truth from the three tables of the format, as `read_event` returns them.

    Weights are those of the files, normalised to 1 over the event (sub-events hold less).
    """
    particle_id = truth["particle_id"].to_numpy()
    table = particles.set_index("particle_id")
    present = distinct(particle_id[particle_id != 0])
    rows = table.reindex(particle_id)
    vertex = rows[["vx", "vy", "vz"]].fillna(0.0).to_numpy()
    path = np.linalg.norm(truth[["tx", "ty", "tz"]].to_numpy() - vertex, axis=1)
    momentum = table.loc[present, ["px", "py", "pz"]].to_numpy()
    radius = np.hypot(*table.loc[present, ["vx", "vy"]].to_numpy().T)
    pt = np.hypot(momentum[:, 0], momentum[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = np.arcsinh(momentum[:, 2] / pt)
    weight = truth["weight"].to_numpy()
    total = weight.sum()
    event = event_from_hits(name, hits)
    layer = event.volume_id * 100 + event.layer_id
    module = module_key(event.volume_id, event.layer_id, event.module_id)
    share = weight / total if total > 0 else weight
    return event, EventTruth(
        particle_id, share, path, present, pt, eta, layer, module, radius=radius
    )
