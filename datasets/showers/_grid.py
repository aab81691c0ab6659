"""Where the voxels of a shower are: layers along its axis, rings and angles across it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """One layer of the calorimeter.

    Attributes
    ----------
    number:
        Its number in the detector.
    depth:
        Depth of its middle, in the grid's unit of depth.
    rings:
        Edges of the rings from the inside, in the grid's unit of radius; (rings + 1,).
    angles:
        Number of equal bins in angle, from -pi to pi.
    """

    number: int
    depth: float
    rings: tuple[float, ...]
    angles: int = 1

    @property
    def voxels(self) -> int:
        """Number of voxels: rings times angles."""
        return (len(self.rings) - 1) * self.angles

    @property
    def radius(self) -> Floats:
        """Middle of the ring of each voxel; (voxels,), the ring runs fastest."""
        edges = np.array(self.rings)
        return np.tile((edges[1:] + edges[:-1]) / 2, self.angles)

    @property
    def angle(self) -> Floats:
        """Middle of the angle of each voxel in rad; (voxels,)."""
        width = 2 * np.pi / self.angles
        middles = -np.pi + width * (np.arange(self.angles) + 0.5)
        return np.repeat(middles, len(self.rings) - 1)


@dataclass(frozen=True)
class Grid:
    """The voxels of a calorimeter in the order of the arrays: layer, then angle, then ring.

    Attributes
    ----------
    name:
        The detector's name.
    layers:
        Its layers from the front.
    threshold, largest:
        Smallest energy of a voxel that is read out, and the largest that a code can hold, in MeV.
    steps:
        Number of logarithmic steps between the two in stored predictions: 254 fit into one byte.
    radius_unit, depth_unit:
        Units of the rings and of the depths.
    challenge:
        Which set of the CaloChallenge this is (`1-photons`, `2`, `3`), or empty.
    """

    name: str
    layers: tuple[Layer, ...]
    threshold: float
    largest: float
    steps: int = 254
    radius_unit: str = "mm"
    depth_unit: str = "X0"
    challenge: str = ""

    @property
    def voxels(self) -> int:
        """Number of voxels of a shower."""
        return sum(layer.voxels for layer in self.layers)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Index of the first voxel of each layer, and the number of voxels; (layers + 1,)."""
        return np.cumsum([0, *(layer.voxels for layer in self.layers)])

    @property
    def depth(self) -> Floats:
        """Depth of each layer; (layers,)."""
        return np.array([layer.depth for layer in self.layers])

    @property
    def radius(self) -> Floats:
        """Radius of each voxel; (voxels,)."""
        return np.concatenate([layer.radius for layer in self.layers])

    def by_layer(self, voxels: NDArray[Any]) -> Floats:
        """Sum over the voxels of each layer: (n, voxels) -> (n, layers)."""
        sums: Floats = np.add.reduceat(voxels, self.starts[:-1], axis=1, dtype=np.float64)
        return sums
