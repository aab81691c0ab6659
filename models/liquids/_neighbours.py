"""Neighbours of particles in a periodic box, by SciPy's k-d tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from physbench.datasets.common.runs import stable_order
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
    found = cKDTree(place, boxsize=box).query_pairs(cutoff, output_type="ndarray")
    first, second = np.ascontiguousarray(found.T)
    vector, distance = _images(place, box, first, second)
    _check_apart(first, second, distance)
    if distance.max(initial=0.0) >= cutoff:  # the tree counts the cutoff itself
        below = distance < cutoff
        first, second, distance = (v[below] for v in (first, second, distance))
        vector = vector[:, below]
    centre, other = np.concatenate([first, second]), np.concatenate([second, first])
    order = stable_order(centre * len(place) + other)
    return Pairs(
        centre[order],
        other[order],
        np.concatenate([vector.T, -vector.T]).take(order, axis=0),
        np.concatenate([distance, distance])[order],
    )


def _images(
    place: NDArray[np.float64],
    box: NDArray[np.float64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minimum images (d, pairs) from the first to the second, and their lengths.

    Coordinates lie together and arrays are used again, for speed.
    """
    columns, side = np.ascontiguousarray(place.T), box[:, None]
    vector = columns[:, second]
    vector -= columns[:, first]
    turns = vector / side
    np.rint(turns, out=turns)
    turns *= side
    vector -= turns
    squares = np.multiply(vector, vector, out=turns)
    return vector, np.sqrt(squares.sum(axis=0))


def _check_apart(
    first: NDArray[np.int64], second: NDArray[np.int64], distance: NDArray[np.float64]
) -> None:
    """Raise ValueError for overlapping particles."""
    if len(distance) and distance.min() < CLOSEST:
        worst = int(distance.argmin())
        raise ValueError(
            f"particles {first[worst]} and {second[worst]} overlap: distance "
            f"{distance[worst]:.3g}, expected at least {CLOSEST}; the configuration is damaged"
        )
