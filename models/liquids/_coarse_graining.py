"""Coarse-grained structure: density, energy, its variance and the surface of Voronoi cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Voronoi

from physbench.datasets.liquids import A, B, Configuration, wrapped
from physbench.models.liquids._neighbours import pairs
from physbench.models.liquids._potential import potential_energy
from physbench.models.liquids._remembered import remembered

Array = NDArray[np.float64]

CUTOFF = 4.6  # of the sums, or half the box
SKIN = 3.0  # width of the layer of periodic images around the box: wider than any cell


@remembered
def features(configuration: Configuration, structure: str, *, lengths: Sequence[float]) -> Array:
    """(n, 4 x lengths x 3): for A, B and all neighbours, and for each length L.

    rho = sum_j exp(-r_ij/L), mean energy sum_j E_j exp(-r_ij/L)/rho, the same of the Voronoi
    surface, and the variance of the energy. The particle itself is counted (r = 0); L = 0 is the
    particle alone. Where there is nobody the mean is 0. Jung et al., PRL 130, 238202.
    """
    from scipy.sparse import csr_array, eye_array

    near = pairs(configuration, structure, min(CUTOFF, float(configuration.box.min()) / 2))
    count = len(configuration)
    energy = potential_energy(configuration, structure)
    surface = cell_surfaces(configuration, structure)
    kinds = [configuration.types == A, configuration.types == B, np.ones(count, dtype=bool)]
    columns = []
    for length in lengths:
        weight = eye_array(count, format="csr")
        if length > 0:
            decay = np.exp(-near.distance / length)
            weight = weight + csr_array((decay, (near.centre, near.other)), shape=(count, count))
        for kind in kinds:
            own = kind.astype(float)
            density = weight @ own
            safe = np.maximum(density, 1e-12)
            mean = weight @ (own * energy) / safe
            variance = weight @ (own * energy**2) / safe - mean**2
            columns += [density, mean, weight @ (own * surface) / safe, variance]
    return np.stack(columns, axis=1)


def cell_surfaces(configuration: Configuration, structure: str) -> Array:
    """(n,): surface area of each particle's Voronoi cell (perimeter in two dimensions).

    Periodic images in a layer around the box close the cells at its faces.
    """
    box = np.asarray(configuration.box, float)
    place = wrapped(configuration.positions(structure), box).astype(float)
    count, dimension = place.shape
    images, owner = place, np.arange(count)
    for axis in range(dimension):
        for sign in (1, -1):
            value = images[:, axis]
            layer = value < SKIN if sign > 0 else (value > box[axis] - SKIN) & (value <= box[axis])
            moved = images[layer].copy()
            moved[:, axis] += sign * box[axis]
            images = np.concatenate([images, moved])
            owner = np.concatenate([owner, owner[layer]])
    cells = Voronoi(images)
    total = np.zeros(len(images))
    for (first, second), corners in zip(cells.ridge_points, cells.ridge_vertices, strict=True):
        if (first < count or second < count) and -1 not in corners:
            area = _area(cells.vertices[corners])
            total[first] += area
            total[second] += area
    return total[:count]


def _area(corners: Array) -> float:
    """Length of an edge in two dimensions, area of a convex polygon in three."""
    if corners.shape[1] == 2:
        return float(np.linalg.norm(corners[1] - corners[0]))
    spokes = corners[1:] - corners[0]
    return float(np.linalg.norm(np.cross(spokes[:-1], spokes[1:]).sum(0)) / 2)
