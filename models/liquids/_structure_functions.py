"""The 166 structure functions of softness: 100 radial, 66 angular (Behler and Parrinello)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.liquids import Configuration
from physbench.models.liquids import _structure as structure


def describe(
    configuration: Configuration, positions: str, radial_last: float, angular_cutoff: float
) -> NDArray[np.float64]:
    """(n, 166): radial functions by type of neighbour, angular ones by types of the pair."""
    grid = ((0.1, radial_last, 0.1, 0.1),)
    columns: Sequence[NDArray[np.float64]] = (
        structure.radial(configuration, positions, grids=grid),
        structure.angular(configuration, positions, cutoff=angular_cutoff),
    )
    return np.concatenate(columns, axis=1)
