"""Coarse-grained columns of a particle: densities, energies and quench lengths around it.

`neighbourhood` are sums over exponentially weighted neighbours at eleven lengths, 143 columns for
two types, and `shells` sums over Gaussian shells, 65; together the 208 of `coarse_grained_ridge`.
Inherent positions give places and energies; thermal ones the thermal energies and, as the length
of the displacement between both, how far a particle was quenched. All are invariant under
translation, rotation, reflection and relabelling.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

from physbench.datasets.liquids import A, Configuration
from physbench.models.liquids._neighbours import Pairs, pairs
from physbench.models.liquids._potential import mixture, potential_energy
from physbench.models.liquids._remembered import remembered

Array = NDArray[np.float64]

LENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
REACH = 5.0  # of exponential sums
SHELLS = (
    *((0.9, 0.1), (1.1, 0.1), (1.3, 0.1), (1.5, 0.12), (1.75, 0.15), (2.05, 0.18), (2.4, 0.2)),
    *((2.8, 0.25), (3.3, 0.3), (3.9, 0.4), (4.6, 0.5), (5.4, 0.5), (6.2, 0.5)),
)  # radius and width
WIDTHS = 3.5  # of a shell, beyond which it counts as empty
SMOOTHING = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)  # lengths over which local numbers are averaged
EMPTY = 1e-9


def quench(configuration: Configuration) -> Array:
    """(n, d): inherent minus thermal position, the short way through the boundary."""
    box = np.asarray(configuration.box, float)
    step = configuration.positions("inherent").astype(float) - configuration.thermal
    return np.asarray(step - box * np.rint(step / box), np.float64)


def kinds(configuration: Configuration) -> list[NDArray[np.bool_]]:
    """A mask of each type of the mixture that a configuration holds."""
    mixture(configuration)
    return [configuration.types == kind for kind in range(int(configuration.types.max()) + 1)]


def reach_of(configuration: Configuration, wanted: float) -> float:
    """The wanted reach, or half the box: beyond it a particle meets its own images."""
    return min(wanted, float(np.min(configuration.box)) / 2)


def exponential(near: Pairs, count: int, length: float) -> csr_array:
    """Sparse (count, count) weights exp(-r_ij/L), 1 for the particle itself; L = 0 is it alone."""
    weight = csr_array(eye_array(count))
    if length > 0:
        decay = np.exp(-near.distance / length)
        weight = weight + csr_array((decay, (near.centre, near.other)), shape=(count, count))
    return csr_array(weight)


@remembered
def neighbourhood(configuration: Configuration, structure: str) -> Array:
    """(n, 11 x (5 types + 3)) float64; see `_block` for the columns of one length."""
    near = pairs(configuration, structure, reach_of(configuration, REACH))
    moved = quench(configuration)
    length = np.linalg.norm(moved, axis=1)
    inherent, thermal = (potential_energy(configuration, name) for name in ("inherent", "thermal"))
    blocks = []
    for scale in LENGTHS:
        weight = exponential(near, len(configuration), scale)
        blocks.append(_block(weight, kinds(configuration), inherent, thermal, length, moved))
    return np.concatenate(blocks, axis=1)


def _block(
    weight: csr_array,
    masks: Sequence[NDArray[np.bool_]],
    inherent: Array,
    thermal: Array,
    length: Array,
    moved: Array,
) -> Array:
    """The columns of one length.

    Number, mean inherent energy, its variance, mean thermal energy and mean quench length of each
    type; mean energy of all, variance of A's quench lengths, length of the mean quench
    displacement.
    """
    columns: list[Array] = []
    energy, number = np.zeros(len(length)), np.zeros(len(length))
    for mask in masks:
        own = mask.astype(float)
        count = weight @ own
        safe = np.maximum(count, EMPTY)
        total = weight @ (own * inherent)
        mean = total / safe
        variance = weight @ (own * inherent**2) / safe - mean**2
        columns += [count, mean, variance, weight @ (own * thermal) / safe]
        columns.append(weight @ (own * length) / safe)
        energy, number = energy + total, number + count
    first = masks[A].astype(float)
    safe = np.maximum(weight @ first, EMPTY)
    spread = weight @ (first * length**2) / safe - (weight @ (first * length) / safe) ** 2
    coherent = np.linalg.norm((weight @ moved) / np.maximum(number, EMPTY)[:, None], axis=1)
    return np.stack([*columns, energy / np.maximum(number, EMPTY), spread, coherent], axis=1)


@remembered
def shells(configuration: Configuration, structure: str) -> Array:
    """(n, shells x (2 types + 1)): number and energy of each type, and A's quench lengths.

    Energies are taken from the mean of their type. Shells beyond half the box are left out.
    """
    largest = max(radius + WIDTHS * width for radius, width in SHELLS)
    near = pairs(configuration, structure, reach_of(configuration, largest))
    energy = potential_energy(configuration, "inherent")
    length = np.linalg.norm(quench(configuration), axis=1)
    masks = kinds(configuration)
    sources = [mask.astype(float) for mask in masks]
    sources += [np.where(mask, energy - energy[mask].mean(), 0.0) for mask in masks]
    table = np.stack([*sources, masks[A] * length], axis=1)
    count, found = len(configuration), []
    for radius, width in SHELLS:
        away = np.abs(near.distance - radius)
        kept = away < WIDTHS * width
        values = np.exp(-(away[kept] ** 2) / (2 * width**2))
        places = (near.centre[kept], near.other[kept])
        found.append(csr_array((values, places), shape=(count, count)) @ table)
    return np.concatenate(found, axis=1)


def averages(configuration: Configuration, structure: str, local: Array) -> Array:
    """Local numbers (n, f) averaged over each type around each particle, at six lengths.

    At length 0 the particle's own numbers; (n, f (1 + 5 types)).
    """
    near = pairs(configuration, structure, reach_of(configuration, REACH))
    found = [local]
    for scale in SMOOTHING[1:]:
        weight = exponential(near, len(configuration), scale)
        for mask in kinds(configuration):
            own = mask.astype(float)
            total = np.maximum(weight @ own, EMPTY)
            found.append((weight @ (own[:, None] * local)) / total[:, None])
    return np.concatenate(found, axis=1)
