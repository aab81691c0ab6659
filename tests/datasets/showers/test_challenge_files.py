"""CaloChallenge files: layout, slices, binning, damaged and wrong files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from physbench.datasets.common.store import DataError
from physbench.datasets.showers import PARAMETRISED, Grid, Layer, Showers
from physbench.datasets.showers import _challenge_files as files

TWO = Grid(
    "two layers",
    (Layer(0, 0.0, (0, 5, 10, 30)), Layer(12, 1.0, (0, 2, 4), angles=3)),
    threshold=1.0,
    largest=1e6,
)


def some(count: int = 10) -> Showers:
    generator = np.random.default_rng(0)
    voxels = generator.exponential(10, (count, TWO.voxels)).astype(np.float32)
    voxels[voxels < 1] = 0
    return Showers(voxels, np.linspace(1e3, 2e3, count, dtype=np.float32), grid=TWO)


def test_showers_and_binning_come_back(tmp_path: Path) -> None:
    files.write(tmp_path / "a.hdf5", some())
    files.write_binning(tmp_path / "b.xml", TWO, "photon")
    assert files.read_binning(tmp_path / "b.xml") == TWO.layers
    found = files.read(tmp_path / "a.hdf5", TWO)
    assert np.array_equal(found.voxels, some().voxels)
    assert np.array_equal(found.energy, some().energy)
    assert files.count(tmp_path / "a.hdf5") == 10
    assert np.array_equal(files.conditions(tmp_path / "a.hdf5", TWO).energy, some().energy)


def test_the_ring_runs_fastest_then_the_angle_then_the_layer() -> None:
    # voxel 5 = 3 of layer 0, then ring 0 of angle 1 of layer 12 after both rings of angle 0
    assert TWO.voxels == 9
    assert TWO.radius.tolist() == [2.5, 7.5, 20, 1, 3, 1, 3, 1, 3]
    assert TWO.layers[1].angle == pytest.approx(np.repeat([-2, 0, 2], 2) * np.pi / 3)
    hot = np.zeros((1, 9), dtype=np.float32)
    hot[0, 5] = 7
    frame = Showers(hot, np.array([1e3], dtype=np.float32), grid=TWO).to_frame()
    assert frame.columns[frame.iloc[0] == 7].tolist() == ["12_1_0"]
    assert TWO.by_layer(hot).tolist() == [[0, 7]]


def test_slices_are_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK", 3 * TWO.voxels)
    path = files.write(tmp_path / "a.hdf5", some())
    found = files.read(path, TWO, 2, 7)
    assert np.array_equal(found.voxels, some().voxels[2:7])
    assert [len(part) for part in files.parts(path, TWO, 2, 7)] == [3, 2]
    with pytest.raises(DataError, match="no shower between 10"):
        files.read(path, TWO, 10)


def test_voxels_below_threshold_are_cut(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["incident_energies"] = np.array([[1e3]])
        file["showers"] = np.arange(9.0)[None] / 4
    found = files.read(tmp_path / "a.hdf5", TWO)
    assert found.voxels[0].tolist() == [0, 0, 0, 0, 1, 1.25, 1.5, 1.75, 2]


def broken(path: Path, energies: object, showers: object) -> Path:
    with h5py.File(path, "w") as file:
        file["incident_energies"] = energies
        file["showers"] = showers
    return path


def test_wrong_files_are_refused_in_words(tmp_path: Path) -> None:
    good, energy = np.ones((2, 9)), np.array([[1e3], [2e3]])
    with pytest.raises(DataError, match=r"must have shape \(2, 50\)"):
        files.read(broken(tmp_path / "a", energy, good), PARAMETRISED)
    with pytest.raises(DataError, match="looks like GeV"):
        files.read(broken(tmp_path / "b", energy / 1e3, good), TWO)
    for bad in (-3.0, np.nan):
        voxels = good.copy()
        voxels[1, 4] = bad
        with pytest.raises(DataError, match="in shower 1, voxel 4"):
            files.read(broken(tmp_path / f"c{bad}", energy, voxels), TWO)
    with h5py.File(tmp_path / "d", "w") as file:
        file["showers"] = good
    with pytest.raises(DataError, match="has no incident_energies"):
        files.read(tmp_path / "d", TWO)
    (tmp_path / "e").write_bytes((tmp_path / "a").read_bytes()[:700])
    with pytest.raises(DataError, match=r"expected HDF5 with .*truncated"):
        files.read(tmp_path / "e", TWO)
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "none", TWO)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<Bins", "expected a binning file"),
        ("<Bins><Bin/></Bins>", "no layer with rings"),
        ('<B><Layer id="0" r_edges="0,x" n_bin_alpha="1"/></B>', "as numbers"),
        ('<B><Layer id="0" r_edges="0,5,3" n_bin_alpha="1"/></B>', "do not rise"),
    ],
)
def test_wrong_binnings_are_refused_in_words(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "b.xml").write_text(text)
    with pytest.raises(DataError, match=message):
        files.read_binning(tmp_path / "b.xml")


def test_layers_that_are_not_read_out_are_left_out(tmp_path: Path) -> None:
    """The binning of set 1 lists 24 layers, most of them with a single edge."""
    (tmp_path / "b.xml").write_text(
        '<Bins><Bin pid="22" name="photon"><Layer id="3" r_edges="0,50,100" n_bin_alpha="1"/>'
        '<Layer id="4" r_edges="0" n_bin_alpha="1"/>'
        '<Layer id="12" r_edges="0,100,200" n_bin_alpha="10"/></Bin></Bins>'
    )
    layers = files.read_binning(tmp_path / "b.xml")
    assert [(layer.number, layer.voxels) for layer in layers] == [(3, 2), (12, 20)]
