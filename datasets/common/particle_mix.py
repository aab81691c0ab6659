"""Which particles tracks come from: species, spectrum and vertices of the generated datasets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# PDG code, mass in GeV, tracks of that species in the talk's TrackML test set
SPECIES = (
    (211, 0.13957039, 62457),
    (321, 0.493677, 10471),
    (2212, 0.93827209, 5149),
    (11, 0.00051099895, 205),
    (13, 0.1056583755, 63),
)
NEGATIVE_CODE = (11, 13)  # leptons, whose positive code is the negative particle
VERTEX_SPREAD = (0.0125, 0.0125, 5.5)  # mm
PT_RANGE = (0.5, 10.0)  # GeV
ETA_RANGE = 1.0
EDGES = np.array([0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0])  # bins (lo, hi] of true pT; first from 0


class Particles(NamedTuple):
    """n particles: vertex (n, 3) mm, momentum (n, 3) GeV, charge, mass and PDG code (n,)."""

    vertex: Array
    momentum: Array
    q: Array
    mass: Array
    pdg: NDArray[np.int64]
    vertex_number: NDArray[np.int64]

    def take(self, index: NDArray[np.int64]) -> Particles:
        """The particles `index`, in that order."""
        columns: Any = (column[index] for column in self)
        return Particles(*columns)


def draw(
    count: int, generator: np.random.Generator, vertices: int = 16, *, flat: float = 0.0
) -> Particles:
    """Log-uniform pT, uniform eta and phi, random charge, `vertices` collisions.

    With `flat` (mm) each particle has a vertex of its own, within it of the beam in x and y.
    """
    share = np.array([s[2] for s in SPECIES], dtype=np.float64)
    kind = generator.choice(len(SPECIES), size=count, p=share / share.sum())
    q = generator.choice([-1.0, 1.0], size=count)
    pt = np.exp(generator.uniform(float(np.log(PT_RANGE[0])), float(np.log(PT_RANGE[1])), count))
    eta = generator.uniform(-ETA_RANGE, ETA_RANGE, count)
    phi = generator.uniform(-np.pi, np.pi, count)
    momentum = pt[:, None] * np.stack([np.cos(phi), np.sin(phi), np.sinh(eta)], 1)
    number = generator.integers(vertices, size=count)
    vertex = generator.normal(0.0, VERTEX_SPREAD, (vertices, 3))[number]
    if flat:
        number = np.arange(count)
        vertex = generator.normal(0.0, VERTEX_SPREAD, (count, 3))
        vertex[:, :2] = generator.uniform(-flat, flat, (count, 2))
    code = np.array([s[0] for s in SPECIES])[kind]
    sign = np.where(np.isin(code, NEGATIVE_CODE), -q, q).astype(np.int64)
    mass = np.array([s[1] for s in SPECIES])[kind]
    return Particles(vertex, momentum, q, mass, code * sign, number)
