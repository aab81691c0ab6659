"""One collision event as tasks and models see it, and its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Event:
    """The hits of one event; all arrays have one element a hit, in the order of `hit_id`.

    Attributes
    ----------
    name:
        Name of the event, e.g. `event000001000`.
    hit_id:
        Identifier of each hit, unique in the event.
    x, y, z:
        Global position in mm; z along the beam and the field.
    volume_id, layer_id, module_id:
        Detector element in TrackML numbering.
    edge_index:
        Given graph as (2, m) hit positions (not ids), inner hit first, or None where the model
        builds its own.
    """

    name: str
    hit_id: Integers
    x: Floats
    y: Floats
    z: Floats
    volume_id: Integers
    layer_id: Integers
    module_id: Integers
    edge_index: Integers | None = None

    def __len__(self) -> int:
        return len(self.hit_id)

    @property
    def r(self) -> Floats:
        """Distance from the beam axis in mm."""
        return np.hypot(self.x, self.y)

    @property
    def phi(self) -> Floats:
        """Azimuth in rad, in (-pi, pi]."""
        return np.arctan2(self.y, self.x)


@dataclass(frozen=True, eq=False)
class EventTruth:
    """Truth of one event.

    Attributes
    ----------
    particle_id:
        Particle of each hit, 0 for noise; int64 (ids exceed 2**53, never read them as floats).
    weight:
        TrackML scoring weight of each hit; sums to 1 over an event that has scored particles.
    path:
        Distance of each hit from its particle's production vertex in mm: the order of hits.
    particles:
        Ids of the particles that have hits, sorted, without noise.
    pt, eta:
        Transverse momentum in GeV and pseudorapidity at production, one a particle.
    layer:
        An integer for each hit that differs between detector layers (volume and layer).
    edge_label:
        Truth of each edge of a given graph (m,), or None.
    """

    particle_id: Integers
    weight: Floats
    path: Floats
    particles: Integers
    pt: Floats
    eta: Floats
    layer: Integers
    edge_label: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.particle_id)
