"""The files of the CaloChallenge: showers as HDF5 and the binning as XML, read and written.

HDF5 holds `incident_energies` (n, 1) and `showers` (n, voxels), both in MeV; the ring runs
fastest, then the angle, then the layer. Files are read in slices, so that a set of 40,500 voxels
needs memory for the showers that are asked for and no others. The XML lists the edges of the rings
and the number of angles of each layer; a layer with a single edge is not read out.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from physbench.datasets.common import hdf5
from physbench.datasets.common.reading import DataError, content, reading
from physbench.datasets.showers import Conditions, Grid, Layer, Showers

ENERGIES, SHOWERS = "incident_energies", "showers"
CHUNK = 2**24  # voxels read at a time
LARGEST_BINNING = 1 << 24  # bytes
MOST_ANGLES = 10_000


def read_binning(path: Path) -> tuple[Layer, ...]:
    """Layers of a binning file; the depth of a layer is its place, 0, 1, 2, ...

    Raises DataError for a file that is no binning, naming what is wrong.
    """
    with reading(path, "a binning file of the CaloChallenge"):
        root = ElementTree.fromstring(content(path, LARGEST_BINNING))
    found = [_layer(node, path) for node in root.iter("Layer")]
    layers = [layer for layer in found if layer is not None]
    if not layers:
        raise DataError(f'{path} has no layer with rings; expected <Layer r_edges="0,5,...">')
    return tuple(
        Layer(number, float(place), rings, angles)
        for place, (number, rings, angles) in enumerate(layers)
    )


def _layer(node: Any, path: Path) -> tuple[int, tuple[float, ...], int] | None:
    try:
        rings = tuple(float(edge) for edge in node.attrib["r_edges"].split(","))
        number, angles = int(node.attrib["id"]), int(node.attrib["n_bin_alpha"])
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{path}: a layer needs id, r_edges and n_bin_alpha as numbers; got {node.attrib}"
        ) from error
    if len(rings) < 2:
        return None
    if any(b <= a for a, b in itertools.pairwise(rings)) or not 1 <= angles <= MOST_ANGLES:
        raise DataError(
            f"{path}: layer {number} has edges {rings} that do not rise, or {angles} angles"
        )
    return number, rings, angles


def write_binning(path: Path, grid: Grid, particle: str) -> None:
    """Write the rings and angles of a grid as the XML of the CaloChallenge."""
    root = ElementTree.Element("Bins")
    bins = ElementTree.SubElement(root, "Bin", name=particle)
    for layer in grid.layers:
        edges = ",".join(f"{edge:g}" for edge in layer.rings)
        ElementTree.SubElement(
            bins, "Layer", id=str(layer.number), r_edges=edges, n_bin_alpha=str(layer.angles)
        )
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path)


def count(path: Path) -> int:
    """Number of showers in a file."""
    with _opened(path) as file:
        return len(hdf5.table(file, ENERGIES, path))


def read(path: Path, grid: Grid, start: int = 0, stop: int | None = None) -> Showers:
    """Showers start to stop of a file, voxels below the grid's threshold set to zero.

    Raises what `parts` does, and DataError where there are none.
    """
    found = list(parts(path, grid, start, stop))
    if not found:
        raise DataError(f"{path} has no shower between {start} and {stop}")
    voxels, energy = (
        np.concatenate([getattr(part, name) for part in found]) for name in ("voxels", "energy")
    )
    return Showers(voxels, energy, grid=grid)


def parts(path: Path, grid: Grid, start: int = 0, stop: int | None = None) -> Iterator[Showers]:
    """`read` in parts of at most `CHUNK` voxels, or of one shower.

    Raises DataError for a file without the two arrays, another grid, NaN, negative energies, or
    incident energies that look like GeV.
    """
    with _opened(path) as file:
        energies, showers = _arrays(path, file, grid)
        last = min(len(energies), stop if stop is not None else len(energies))
        step = max(CHUNK // grid.voxels, 1)
        for begin in range(start, last, step):
            end = min(begin + step, last)
            voxels = showers[begin:end].astype(np.float32)
            voxels[(voxels >= 0) & (voxels < np.float32(grid.threshold))] = 0.0
            energy = energies[begin:end].reshape(-1).astype(np.float32)
            try:
                yield Showers(voxels, energy, grid=grid)
            except ValueError as error:
                raise DataError(f"{path}, showers {begin} to {end - 1}: {error}") from error


def _opened(path: Path) -> Any:
    return hdf5.opened(path, f"HDF5 with {ENERGIES} (n, 1) and {SHOWERS} (n, voxels) in MeV")


def _arrays(path: Path, file: Any, grid: Grid) -> tuple[Any, Any]:
    """Energies and showers of an open file, not read yet; DataError for other shapes."""
    energies, showers = (hdf5.table(file, name, path) for name in (ENERGIES, SHOWERS))
    expected = (len(energies), grid.voxels)
    if showers.shape != expected:
        raise DataError(
            f"{path}: {SHOWERS} must have shape {expected} (grid '{grid.name}'); got "
            f"{showers.shape}"
        )
    return energies, showers


def write(path: Path, showers: Showers) -> Path:
    """Write showers in the layout of the CaloChallenge, compressed; returns the path."""
    import h5py

    partial = path.with_name(path.name + ".part")
    with h5py.File(partial, "w") as file:
        file.create_dataset(ENERGIES, data=showers.energy[:, None], compression="gzip")
        file.create_dataset(SHOWERS, data=showers.voxels, compression="gzip")
    partial.replace(path)
    return path


def conditions(path: Path, grid: Grid) -> Conditions:
    """The incident energies of a file alone."""
    with _opened(path) as file:
        energies, _ = _arrays(path, file, grid)
        return Conditions(energies[:].reshape(-1).astype(np.float32), grid)
