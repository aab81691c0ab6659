"""What the sets of the CaloChallenge share: where their files are and how they are split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from physbench.datasets import Dataset
from physbench.datasets.common import store
from physbench.datasets.common.on_disk import Columns
from physbench.datasets.common.store import DataError
from physbench.datasets.showers import Grid, Sample, Showers
from physbench.datasets.showers import _challenge_files as files

HELD = 10  # every tenth shower of the training files is for validation


@dataclass(frozen=True)
class Names:
    """Files of a set: for training, for the test, and of the binning."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    binning: str


def load(
    name: str, dataset: Dataset, grid: Grid, names: Names, folder: str, showers: int
) -> Sample:
    """The set, with the binning of its XML where it lies beside the showers.

    Raises FileNotFoundError for missing files, DataError for equal files as train and test, a
    binning of another number of voxels, and everything that is wrong with a file.
    """
    if showers < 0:
        raise ValueError(f"showers must be 0 (all) or a number of showers; got {showers}")
    base = Path(folder).expanduser() if folder else _place(name, dataset, names)
    grid = _binned(base / names.binning, grid)
    paths = [base / file for file in (*names.train, *names.test)]
    digests = {path.name: store.digest(_there(path, name, dataset)) for path in paths}
    if len(set(digests.values())) < len(digests):
        raise DataError(f"{base}: two of {', '.join(digests)} are the same file")
    stop = showers or None
    train, held, count = _divided(_parts([base / file for file in names.train], grid, stop))
    test, _, _ = _divided(_parts([base / file for file in names.test], grid, stop), every=0)
    return Sample(train, held, test, digests, {"read": count})


def _parts(paths: list[Path], grid: Grid, stop: int | None) -> Iterator[Showers]:
    """The first showers of each file, part by part."""
    for path in paths:
        yield from files.parts(path, grid, stop=stop)


def _divided(parts: Iterator[Showers], every: int = HELD) -> tuple[Showers, Showers, int]:
    """Showers, but every so-many-th, those, and how many there are; 0 takes none apart.

    What is more than memory should hold lies on disk.
    """
    sides, count, grid = (Columns(), Columns()), 0, None
    for part in parts:
        number = np.arange(count, count + len(part))
        apart = number % every == every - 1 if every else np.zeros(len(part), dtype=bool)
        for side, chosen in zip(sides, (~apart, apart), strict=True):
            side.add(voxels=part.voxels[chosen], energy=part.energy[chosen])
        count, grid = count + len(part), part.grid
    if grid is None:
        raise DataError("no file holds a shower")
    columns = (side.arrays() for side in sides)
    kept, held = (Showers(c["voxels"], c["energy"], grid=grid) for c in columns)
    return kept, held, count


def _place(name: str, dataset: Dataset, names: Names) -> Path:
    for path in store.candidates(name, dataset):
        if (path / names.train[0]).exists():
            return path
    return store.candidates(name, dataset)[0]


def _there(path: Path, name: str, dataset: Dataset) -> Path:
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing.\n{store.advice(name, dataset)}")
    return path


def _binned(path: Path, grid: Grid) -> Grid:
    """The grid with the layers of the XML, where there is one, and the depths known here."""
    if not path.exists():
        return grid
    layers = files.read_binning(path)
    if len(layers) != len(grid.layers):
        raise DataError(f"{path} has {len(layers)} layers; '{grid.name}' has {len(grid.layers)}")
    found = zip(layers, grid.layers, strict=True)
    return replace(grid, layers=tuple(replace(a, depth=b.depth) for a, b in found))
