"""Showers in a calorimeter, as tasks and models see them.

A generative task asks for showers under given *conditions*: the conditions are its inputs, the
showers of the same conditions its targets.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import described
from physbench.datasets.common.on_disk import taken
from physbench.datasets.showers._codes import code_type, decode, encode, levels
from physbench.datasets.showers._grid import Grid, Layer

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

__all__ = [
    "PARAMETRISED",
    "Conditions",
    "Grid",
    "Layer",
    "Sample",
    "Showers",
    "code_type",
    "decode",
    "encode",
    "levels",
]

Floats = NDArray[np.float32]

RINGS = (0.0, 0.3, 0.7, 1.2, 2.0, 4.0)
LAYERS, THICKNESS = 10, 2.4
# The layers touch: layer l reaches from 2.4 l to 2.4 (l + 1) X0.
PARAMETRISED = Grid(
    name="parametrised lead",
    layers=tuple(Layer(k, round(THICKNESS * (k + 0.5), 3), RINGS) for k in range(LAYERS)),
    threshold=0.5,
    largest=5e4,
    radius_unit="R_M",
)


@dataclass(frozen=True, eq=False)
class Conditions:
    """What a shower is asked for: the energy of the incident particle.

    `take(index)` chooses units, `to_frame()`, `to_numpy()` and `to_torch()` hand them on.
    """

    energy: Floats = described("(n,)", "MeV", "energy of the incident particle")
    grid: Grid = described("", "", "where the voxels are", default=PARAMETRISED)

    def __post_init__(self) -> None:
        check_energies(self.energy)

    def __len__(self) -> int:
        return len(self.energy)

    def take(self, index: Any) -> Conditions:
        """The units `index` (integers, a slice or a mask), in that order."""
        return replace(self, energy=self.energy[index])

    def to_frame(self) -> pd.DataFrame:
        """One row a shower, with its energy in MeV."""
        import pandas as pd

        return pd.DataFrame({"energy": self.energy})

    def to_numpy(self) -> Floats:
        """(n, 1) energies in MeV."""
        return self.energy[:, None]

    def to_torch(self) -> Tensor:
        """(n, 1) energies in MeV."""
        import torch

        return torch.from_numpy(self.to_numpy().copy())


@dataclass(frozen=True, eq=False)
class Showers:
    """Showers: the energy in every voxel, with the condition that it was drawn for.

    In a test split `second` holds another draw at the same conditions, and `training` the showers
    that models were trained on, which `take` leaves whole.
    """

    voxels: Floats = described("(n, voxels)", "MeV", "energies: layer, then angle, then ring")
    energy: Floats = described("(n,)", "MeV", "energy of the incident particle")
    second: Floats | None = described(
        "(n, voxels)",
        "MeV",
        "another draw at the same energies (test split)",
        default=None,
    )
    classifier: bool = described("", "", "whether the CaloChallenge's test is run", default=False)
    training: Showers | None = described("", "", "training showers, to find copies", default=None)
    grid: Grid = described("", "", "where the voxels are", default=PARAMETRISED)

    def __post_init__(self) -> None:
        check_energies(self.energy)
        check_voxels(self.voxels, len(self.energy), self.grid)
        if self.second is not None:
            check_voxels(self.second, len(self.energy), self.grid)

    def __len__(self) -> int:
        return len(self.energy)

    def take(self, index: Any) -> Showers:
        """The units `index` (integers, a slice or a mask), in that order."""
        second = None if self.second is None else taken(self.second, index)
        voxels = taken(self.voxels, index)
        return replace(self, voxels=voxels, energy=self.energy[index], second=second)

    def conditions(self) -> Conditions:
        """The conditions of these showers, in memory of their own."""
        return Conditions(self.energy.copy(), self.grid)

    def to_frame(self) -> pd.DataFrame:
        """One row a shower: energy, and `layer_angle_ring` for every voxel, in MeV."""
        import pandas as pd

        names = [
            f"{layer.number}_{angle}_{ring}"
            for layer in self.grid.layers
            for angle in range(layer.angles)
            for ring in range(len(layer.rings) - 1)
        ]
        frame = pd.DataFrame(self.voxels, columns=names)
        frame.insert(0, "energy", self.energy)
        return frame

    def to_numpy(self) -> Floats:
        """(n, voxels) energies in MeV."""
        return self.voxels

    def to_torch(self) -> Tensor:
        """(n, voxels) energies in MeV."""
        import torch

        return torch.from_numpy(self.voxels.copy())


@dataclass(frozen=True, eq=False)
class Sample:
    """What the shower datasets load: three parts, and the sha256 of every file read."""

    train: Showers
    validation: Showers
    test: Showers
    files: dict[str, str]
    counts: dict[str, int] = field(default_factory=dict)


def check_energies(energy: NDArray[Any]) -> None:
    """Raise ValueError unless the energies are a column of finite positive numbers in MeV.

    Incident energies below 100 MeV are taken for GeV: no calorimeter here is asked for them.
    """
    if energy.ndim != 1 or energy.dtype.kind != "f":
        raise ValueError(
            f"energy must be real numbers of shape (showers,); got {energy.dtype} of shape "
            f"{energy.shape}"
        )
    if len(energy) and not (np.isfinite(energy).all() and energy.min() > 0):
        bad = int(np.argmin(np.isfinite(energy) & (energy > 0)))
        raise ValueError(f"energy must be finite and > 0 MeV; got {energy[bad]} for shower {bad}")
    if len(energy) and energy.max() < 100:
        raise ValueError(
            f"energy must be in MeV; the largest is {energy.max():g}, which looks like GeV. "
            "Multiply by 1,000"
        )


def check_voxels(voxels: NDArray[Any], showers: int, grid: Grid) -> None:
    """Raise ValueError unless the voxels fit the grid and hold finite energies >= 0."""
    if voxels.shape != (showers, grid.voxels):
        raise ValueError(
            f"voxels must have shape ({showers}, {grid.voxels}): {showers} showers on the grid "
            f"'{grid.name}'; got {voxels.shape}"
        )
    if (voxels.size and not voxels.min() >= 0) or not np.isfinite(voxels.max(initial=0.0)):
        bad = np.argwhere(~(np.isfinite(voxels) & (voxels >= 0)))[0].tolist()
        raise ValueError(
            f"voxels must be finite energies >= 0 MeV; got {voxels[tuple(bad)]} in shower "
            f"{bad[0]}, voxel {bad[1]}"
        )
