"""Training showers by incident energy: what samplers that only look things up share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.arrays import spans
from physbench.datasets.showers import Conditions, Showers

TOGETHER = 2**22  # voxels that are drawn at a time


@dataclass(frozen=True, eq=False)
class Lookup:
    """Training showers, their order in rising energy, and the seed of what is drawn from them.

    `energy` and `order` are sorted; shower k of them is `voxels[order[k]]`.
    """

    voxels: NDArray[np.float32]
    energy: NDArray[np.float32]
    order: NDArray[np.int64]
    seed: int


def ordered(showers: Showers, seed: int) -> Lookup:
    """The showers by energy."""
    order = np.argsort(showers.energy, kind="stable")
    return Lookup(showers.voxels, showers.energy[order], order, seed)


def nearest(table: Lookup, conditions: Conditions) -> NDArray[np.int64]:
    """Place of the training shower that is nearest in energy, (n,)."""
    right = np.clip(np.searchsorted(table.energy, conditions.energy), 1, len(table.energy) - 1)
    left_is_nearer = (
        conditions.energy - table.energy[right - 1] < table.energy[right] - conditions.energy
    )
    return right - left_is_nearer


def scaled(
    table: Lookup, places: NDArray[np.int64], conditions: Conditions
) -> NDArray[np.float32]:
    """Voxels at `places` times the ratio of energies, (n, voxels).

    `places` (n, 1) takes whole showers, (n, voxels) each voxel from a shower of its own.
    """
    columns = np.arange(table.voxels.shape[1])
    ratio = conditions.energy[:, None] / table.energy[places]
    return np.asarray(table.voxels[table.order[places], columns] * ratio, dtype=np.float32)


def in_parts(
    draw: Callable[[Conditions], NDArray[np.float32]], conditions: Conditions
) -> NDArray[np.float32]:
    """Showers (n, voxels) of `draw`, some conditions at a time."""
    found = np.empty((len(conditions), conditions.grid.voxels), dtype=np.float32)
    for rows in spans(len(conditions), TOGETHER // conditions.grid.voxels):
        found[rows] = draw(conditions.take(rows))
    return found
