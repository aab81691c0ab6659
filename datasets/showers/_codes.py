"""Energies of voxels as logarithmic codes: what datasets freeze and records store.

    code = 0                                        for v < threshold
    code = rint(steps ln(v/threshold) / ln(largest/threshold)) + 1,  at most steps + 1
    v    = threshold exp((code - 1) ln(largest/threshold) / steps)

With 254 steps from 0.5 MeV to 50 GeV a code is one byte and a step 4.6 %.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.showers._grid import Grid


def code_type(grid: Grid) -> type[np.uint8] | type[np.uint16]:
    """One byte where the steps fit into it, else two."""
    return np.uint8 if grid.steps < 255 else np.uint16


def encode(voxels: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Codes of voxel energies in MeV, any shape; energies above the largest get the last code.

    >>> from physbench.datasets.showers import PARAMETRISED
    >>> encode(np.array([0.49, 0.5, 1.0, 10.0, 1e3, 2e4, 9e9]), PARAMETRISED).tolist()
    [0, 1, 16, 67, 169, 235, 255]
    """
    threshold = np.float64(np.float32(grid.threshold))
    energies = np.asarray(voxels, dtype=np.float64)
    scale = grid.steps / np.log(grid.largest / grid.threshold)
    steps = np.rint(np.log(np.maximum(energies, threshold) / threshold) * scale)
    codes = np.where(energies < threshold, 0, np.minimum(steps, grid.steps) + 1)
    return codes.astype(code_type(grid))


def decode(codes: NDArray[Any], grid: Grid) -> NDArray[np.float32]:
    """Energies in MeV of codes, any shape.

    >>> from physbench.datasets.showers import PARAMETRISED
    >>> [f"{v:.5f}" for v in decode(np.array([0, 1, 16, 67]), PARAMETRISED)]
    ['0.00000', '0.50000', '0.98684', '9.95824']
    """
    return np.asarray(levels(grid)[codes], dtype=np.float32)


def levels(grid: Grid) -> NDArray[np.float32]:
    """Energy in MeV of every code; (steps + 2,)."""
    width = np.log(grid.largest / grid.threshold) / grid.steps
    energies = grid.threshold * np.exp(width * np.arange(grid.steps + 1))
    return np.concatenate([[0.0], energies]).astype(np.float32)
