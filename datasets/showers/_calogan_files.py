"""The files of CaloGAN: three layers of ATLAS-like liquid argon as images, read and written.

HDF5 with `energy` (n, 1) in GeV and `layer_0` (n, 3, 96), `layer_1` (n, 12, 12), `layer_2` (n, 12,
6) in MeV. Here an image's row is an angle and its column a ring, so that one type serves all: the
places are then rows and columns, not radii.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from physbench.datasets.common import hdf5
from physbench.datasets.common.reading import DataError
from physbench.datasets.showers import Grid, Layer, Showers

SHAPES = {"layer_0": (3, 96), "layer_1": (12, 12), "layer_2": (12, 6)}
ENERGY = "energy"
GEV = 1e3  # MeV

GRID = Grid(
    name="CaloGAN",
    layers=tuple(
        Layer(number, float(number), tuple(float(edge) for edge in range(columns + 1)), rows)
        for number, (rows, columns) in enumerate(SHAPES.values())
    ),
    threshold=1e-3,
    largest=2e5,
    steps=65_000,
    radius_unit="columns",
    depth_unit="layers",
)


def read(path: Path, start: int = 0, stop: int | None = None) -> Showers:
    """Showers start to stop of a file, energies turned into MeV; voxels in one row a shower.

    Raises DataError for missing arrays, other shapes, NaN, negative deposits, and incident
    energies that are not in GeV.
    """
    with hdf5.opened(path, f"HDF5 with {ENERGY} in GeV and {', '.join(SHAPES)}") as file:
        arrays = {name: hdf5.table(file, name, path) for name in (ENERGY, *SHAPES)}
        _check(path, arrays)
        energy = arrays[ENERGY][start:stop].reshape(-1)
        images = [arrays[name][start:stop].reshape(len(energy), -1) for name in SHAPES]
    if len(energy) and energy.max() > GEV:
        raise DataError(
            f"{path}: energy must be in GeV, 1 to 100 in CaloGAN's files; got {energy.max():g}"
        )
    voxels = np.hstack(images).astype(np.float32)
    voxels[(voxels >= 0) & (voxels < np.float32(GRID.threshold))] = 0.0
    try:
        return Showers(voxels, (GEV * energy).astype(np.float32), grid=GRID)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error


def _check(path: Path, arrays: dict[str, Any]) -> None:
    for name, shape in SHAPES.items():
        found = arrays[name].shape
        if found != (len(arrays[ENERGY]), *shape):
            raise DataError(f"{path}: {name} must have shape (showers, {shape}); got {found}")


def write(path: Path, showers: Showers) -> Path:
    """Write showers on CaloGAN's grid in its layout; returns the path."""
    import h5py

    if showers.grid != GRID:
        raise ValueError(f"showers must be on the grid 'CaloGAN'; got '{showers.grid.name}'")
    partial = path.with_name(path.name + ".part")
    with h5py.File(partial, "w") as file:
        file[ENERGY] = showers.energy[:, None] / GEV
        for layer, (name, shape) in enumerate(SHAPES.items()):
            first, last = GRID.starts[layer : layer + 2]
            cells = showers.voxels[:, first:last].reshape(-1, *shape)
            file.create_dataset(name, data=cells, compression="gzip")
    partial.replace(path)
    return path
