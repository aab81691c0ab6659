"""CaloGAN's files: written, read, split, and refused in words."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from physbench.datasets.common.store import DataError
from physbench.datasets.showers import Showers, calogan
from physbench.datasets.showers import _calogan_files as files


def some(count: int = 120) -> Showers:
    generator = np.random.default_rng(0)
    voxels = (0.1 + generator.exponential(10, (count, 504))).astype(np.float32)
    energy = (1e3 * generator.uniform(1, 100, count)).astype(np.float32)
    return Showers(voxels, energy, grid=files.GRID)


def test_files_come_back_in_gev(tmp_path: Path) -> None:
    path = files.write(tmp_path / "gamma.hdf5", some())
    with h5py.File(path) as file:
        assert file["layer_0"].shape == (120, 3, 96)
        assert file["energy"][:].max() < 100
        assert file["layer_1"][3, 2, 1] == some().voxels[3, 288 + 2 * 12 + 1]
    found = files.read(path)
    assert np.array_equal(found.voxels, some().voxels)
    assert found.energy == pytest.approx(some().energy)
    assert np.array_equal(files.read(path, 5, 9).voxels, some().voxels[5:9])
    sample = calogan.load(folder=str(tmp_path))
    assert [len(p) for p in (sample.train, sample.validation, sample.test)] == [84, 12, 24]


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"eplus.hdf5 is missing(.|\n)*pvn3xc3wy5"):
        calogan.load(particle="electron", folder=str(tmp_path))
    with pytest.raises(ValueError, match="electron, photon, pion; got 'muon'"):
        calogan.load(particle="muon")
    path = files.write(tmp_path / "gamma.hdf5", some(10))
    with pytest.raises(DataError, match="at least 100 showers; got 10"):
        calogan.load(folder=str(tmp_path))
    with h5py.File(path, "r+") as file:
        file["energy"][:] *= 1e3
    with pytest.raises(DataError, match="energy must be in GeV"):
        files.read(path)
    with h5py.File(path, "r+") as file:
        del file["layer_2"]
    with pytest.raises(DataError, match="has no layer_2"):
        files.read(path)
    with pytest.raises(ValueError, match="must be on the grid 'CaloGAN'"):
        files.write(path, Showers(np.ones((1, 50), np.float32), np.full(1, 1e3, np.float32)))
