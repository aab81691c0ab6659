"""Rows of layers that read hits of a graph's event: what is known of a hit and of its particle."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from physbench.datasets import Split
from physbench.datasets.hits import Event, EventTruth, selected
from physbench.tasks.metrics import seeding
from physbench.tasks.metrics.rows import PLANES, Rows, Table, of_hits, one_of_each, with_random


def loss(truth: Sequence[EventTruth], predictions: Sequence[object]) -> float:
    """None: a place in the latent space has no loss without its neighbours."""
    return math.nan


def hits(split: Split, predictions: object) -> Rows:
    """All hits; what is known of particles is known of those that the board asks for."""
    pairs = list(zip(split.inputs, split.targets, strict=True))
    known = _joined([of_particles(truth) for _, truth in pairs])
    arguments = _joined([of_hits(event.x, event.y, event.z) for event, _ in pairs])
    known |= {f"hit {name}": arguments[name] for name in ("r", "phi", "z")}
    known = {name: values for name, values in known.items() if np.isfinite(values).any()}
    finite = np.logical_and.reduce([np.isfinite(values) for values in known.values()])
    particle = np.concatenate(_numbered(pairs))
    apart = one_of_each(np.where(finite, particle, -1))
    return Rows(with_random(known), arguments, PLANES, np.ones(len(finite), dtype=bool), apart)


def of_particles(truth: EventTruth) -> Table:
    """q/pT (1/GeV), eta, phi (rad), d0 and z0 (mm) of each hit's particle, (hits,) each.

    NaN for noise, for particles that are not selected and for what the data do not know.
    """
    unknown = np.full(len(truth.particles), math.nan)
    charge, phi, d0, z0 = (
        unknown if values is None else values
        for values in (truth.charge, truth.phi, truth.d0, truth.z0)
    )
    columns = {"q/pT": charge / truth.pt, "eta": truth.eta, "phi": phi, "d0": d0, "z0": z0}
    owner, chosen = seeding.owners(truth), selected(truth)
    mine = (owner >= 0) & chosen[owner] if len(chosen) else np.zeros(len(truth), dtype=bool)
    return {
        name: np.where(mine, v[owner] if len(v) else math.nan, math.nan)
        for name, v in columns.items()
    }


def _joined(tables: Sequence[Table]) -> Table:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _numbered(pairs: Sequence[tuple[Event, EventTruth]]) -> list[np.ndarray]:
    """A number for each hit's particle that no other event has, -1 for noise."""
    found, first = [], 0
    for _, truth in pairs:
        owner = seeding.owners(truth)
        found.append(np.where(owner >= 0, owner + first, -1))
        first += len(truth.particles)
    return found
