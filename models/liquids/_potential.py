"""Pair potentials of the Kob-Andersen mixtures, their derivatives, and energies of particles.

Three dimensions, types A and B: Lennard-Jones with value and force shifted to zero at 2.5 sigma
(Shiba et al., J. Chem. Phys. 158, 084503). Two dimensions, types A, B and C: Lennard-Jones with an
even polynomial that takes value and two derivatives to zero there (Jung, Biroli, Berthier, Phys.
Rev. Lett. 130, 238202). Reduced units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.liquids import Configuration
from physbench.models.liquids._neighbours import pairs
from physbench.models.liquids._remembered import remembered

Array = NDArray[np.float64]

CUTOFF = 2.5  # in units of sigma of the pair


@dataclass(frozen=True)
class Mixture:
    """epsilon and sigma of pairs of types, and c such that u(x) = x^-12 - x^-6 + sum_k c_k x^k."""

    epsilon: tuple[tuple[float, ...], ...]
    sigma: tuple[tuple[float, ...], ...]
    smoothing: tuple[tuple[int, float], ...]


SHIFT = 2.5**-12 - 2.5**-6
FORCE = -12 * 2.5**-13 + 6 * 2.5**-7

MIXTURES = {
    3: Mixture(
        ((1.0, 1.5), (1.5, 0.5)),
        ((1.0, 0.8), (0.8, 0.88)),
        ((0, -SHIFT + CUTOFF * FORCE), (1, -FORCE)),
    ),
    2: Mixture(
        ((1.0, 1.5, 0.75), (1.5, 0.5, 1.5), (0.75, 1.5, 0.75)),
        ((1.0, 0.8, 0.9), (0.8, 0.88, 0.8), (0.9, 0.8, 0.94)),
        ((0, 0.04049023795), (2, -0.00970155098), (4, 0.00062012616)),
    ),
}


def mixture(configuration: Configuration) -> Mixture:
    """The potential of a configuration; raises ValueError for a type that it does not have."""
    found = MIXTURES[len(configuration.box)]
    if configuration.types.max(initial=0) >= len(found.sigma):
        raise ValueError(
            f"the potential in {len(configuration.box)} dimensions knows types 0 to "
            f"{len(found.sigma) - 1}; got {np.unique(configuration.types).tolist()}"
        )
    return found


def reduced(x: Array, found: Mixture, order: int) -> Array:
    """The derivative of u(x) of the given order, 0 to 3, before the cutoff.

    >>> float(abs(reduced(np.array([2.5]), MIXTURES[3], 1))[0]) < 1e-12
    True
    """
    total = np.zeros_like(x)
    for power, factor in ((-12, 1.0), (-6, -1.0), *found.smoothing):
        for step in range(order):
            factor *= power - step
        if factor:
            total += factor * x ** float(power - order)
    return total


@dataclass(frozen=True, eq=False)
class Bonds:
    """Pairs within the potential's reach, each once.

    Attributes
    ----------
    first, second:
        (m,) int64: the particles.
    direction:
        (m, d): unit vector from the first to the second.
    distance:
        (m,).
    derivatives:
        V, V', V'', V''' of the pair, each (m,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    direction: Array
    distance: Array
    derivatives: tuple[Array, Array, Array, Array]


def bonds(configuration: Configuration, structure: str) -> Bonds:
    """All interacting pairs with the derivatives of their energy."""
    found = mixture(configuration)
    sigma, epsilon = np.array(found.sigma), np.array(found.epsilon)
    near = pairs(configuration, structure, CUTOFF * float(sigma.max()))
    types = configuration.types
    width = sigma[types[near.centre], types[near.other]]
    kept = (near.centre < near.other) & (near.distance < CUTOFF * width)
    first, second, distance = near.centre[kept], near.other[kept], near.distance[kept]
    width, depth = width[kept], 4 * epsilon[types[first], types[second]]
    derivatives = tuple(
        depth / width**order * reduced(distance / width, found, order) for order in range(4)
    )
    direction = near.vector[kept] / distance[:, None]
    return Bonds(first, second, direction, distance, derivatives)


def per_particle(found: Bonds, values: Array, count: int) -> Array:
    """Sum over the bonds of each particle of a value (m,); (count,)."""
    ends = np.concatenate([found.first, found.second])
    return np.asarray(np.bincount(ends, np.concatenate([values, values]), count), np.float64)


@remembered
def potential_energy(configuration: Configuration, structure: str) -> Array:
    """Half of the pair energies of each particle, (n,)."""
    found = bonds(configuration, structure)
    return per_particle(found, found.derivatives[0] / 2, len(configuration))
