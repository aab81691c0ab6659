"""What the sets of the CaloChallenge share: where their files are and how they are split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from physbench.datasets import Dataset
from physbench.datasets.common import store
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
    train = _joined([files.read(base / file, grid, stop=stop) for file in names.train])
    test = _joined([files.read(base / file, grid, stop=stop) for file in names.test])
    held = np.arange(len(train)) % HELD == HELD - 1
    return Sample(train.take(~held), train.take(held), test, digests, {"read": len(train)})


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


def _joined(parts: list[Showers]) -> Showers:
    if len(parts) == 1:
        return parts[0]
    voxels, energy = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("voxels", "energy")
    )
    return replace(parts[0], voxels=voxels, energy=energy)
