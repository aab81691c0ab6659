"""Neighbours of particles in a periodic box, by SciPy's k-d tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from physbench.datasets.liquids import Configuration, wrapped

CLOSEST = 0.3  # sigma_AA: nothing in a liquid comes closer; two of one place have no direction


@dataclass(frozen=True, eq=False)
class Pairs:
    """Directed pairs with a distance below a cutoff, sorted by `centre`, without self pairs.

    Attributes
    ----------
    centre, other:
        (e,) int64: particle and neighbour.
    vector:
        (e, d) float64: minimum image of x_other - x_centre.
    distance:
        (e,) float64.
    """

    centre: NDArray[np.int64]
    other: NDArray[np.int64]
    vector: NDArray[np.float64]
    distance: NDArray[np.float64]


def pairs(configuration: Configuration, structure: str, cutoff: float) -> Pairs:
    """All pairs closer than `cutoff` in the positions named by `structure`.

    Raises ValueError for a box smaller than twice the cutoff (a particle would meet two images of
    another) and for overlapping particles.
    """
    box = np.asarray(configuration.box, float)
    if not cutoff > 0:
        raise ValueError(f"cutoff must be positive; got {cutoff}")
    if box.min() < 2 * cutoff:
        raise ValueError(
            f"the box ({box.min():.3f}) is smaller than twice the cutoff ({cutoff}); use a "
            "smaller cutoff or a larger configuration"
        )
    place = wrapped(configuration.positions(structure), box).astype(np.float64)
    tree = cKDTree(place, boxsize=box)
    found = tree.query_pairs(cutoff, output_type="ndarray")
    both = np.concatenate([found, found[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    vector = place[both[:, 1]] - place[both[:, 0]]
    vector -= box * np.rint(vector / box)
    distance = np.linalg.norm(vector, axis=1)
    if len(distance) and distance.min() < CLOSEST:
        worst = int(distance.argmin())
        raise ValueError(
            f"particles {both[worst, 0]} and {both[worst, 1]} overlap: distance "
            f"{distance[worst]:.3g}, expected at least {CLOSEST}; the configuration is damaged"
        )
    below = distance < cutoff  # the tree counts the cutoff itself
    return Pairs(both[below, 0], both[below, 1], vector[below], distance[below])
