"""The parametrised showers: physics of the generator, codes, types, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physbench.datasets import description
from physbench.datasets.common import store
from physbench.datasets.showers import (
    PARAMETRISED,
    Conditions,
    Sample,
    Showers,
    decode,
    encode,
    levels,
    parametrised_showers,
)
from physbench.datasets.showers import _parametrisation as parametrisation


@pytest.fixture(scope="module")
def sample() -> Sample:
    return parametrised_showers.load()


def profile(voxels: Any, axis: int) -> Any:
    cells = voxels.reshape(-1, 10, 5).sum((0, axis))
    return cells / cells.sum()


LAYERS = {
    "photon": [0.006, 0.076, 0.184, 0.229, 0.199, 0.139, 0.085, 0.046, 0.024, 0.012],
    "electron": [0.020, 0.133, 0.231, 0.229, 0.170, 0.106, 0.059, 0.030, 0.015, 0.007],
}
RINGS = {
    "photon": [0.682, 0.174, 0.076, 0.043, 0.025],
    "electron": [0.680, 0.174, 0.076, 0.044, 0.025],
}
# (containment, resolution, occupancy) that the reference page measured
KNOWN = {"photon": (0.983, 0.110, 0.852), "electron": (0.985, 0.0996, 0.877)}


@pytest.mark.parametrize("particle", ["photon", "electron"])
def test_showers_have_the_known_profile_containment_and_resolution(particle: Any) -> None:
    generator = np.random.default_rng(5)
    energy = parametrisation.energies(8000, generator, 1, 50)
    voxels = parametrisation.showers(energy, generator, particle)
    response = voxels.sum(1) / energy / 1e3
    containment, resolution, occupancy = KNOWN[particle]
    assert response.mean() == pytest.approx(containment, abs=0.005)
    spread = float(((response - response.mean()) * np.sqrt(energy)).std())
    assert spread == pytest.approx(resolution, abs=0.004)
    assert (voxels > 0).mean() == pytest.approx(occupancy, abs=0.01)
    assert profile(voxels, 2) == pytest.approx(LAYERS[particle], abs=0.004)
    assert profile(voxels, 1) == pytest.approx(RINGS[particle], abs=0.003)
    assert voxels.min() == 0
    assert voxels[voxels > 0].min() >= 0.5


def test_conversion_depth_and_shower_maximum() -> None:
    generator = np.random.default_rng(1)
    depth = parametrisation.conversion_depth(100_000, generator, "photon")
    assert depth.mean() == pytest.approx(9 / 7, rel=0.01)
    assert not parametrisation.conversion_depth(5, generator, "electron").any()
    # <ln T> = ln(ln(E/E_c) - 0.812): at 10 GeV, E_c 7.36 MeV, ln(7.2143 - 0.812) = 1.85666
    maximum, alpha, mean_alpha = parametrisation.longitudinal(np.full(100_000, 10.0), generator)
    assert np.log(maximum).mean() == pytest.approx(1.85666, abs=0.001)
    # <alpha> = 0.81 + (0.458 + 2.26/82) 7.2143 = 4.31298
    assert mean_alpha[0] == pytest.approx(4.31298, abs=1e-4)
    # rho = 0.705 - 0.023 * 7.2143 = 0.53907
    correlation = np.corrcoef(np.log(maximum), np.log(alpha))[0, 1]
    assert correlation == pytest.approx(0.53907, abs=0.01)


def test_a_layer_holds_its_mean_energy_with_the_stochastic_width() -> None:
    generator = np.random.default_rng(1)
    ones = np.ones(50_000)
    depth = np.tile([0.0, 4.0, 1e3], (50_000, 1))
    found = parametrisation.layer_energies(9 * ones, depth, 5 * ones, 4 * ones, generator)
    # P(4, 3/5 * 4) = 0.22128: mean 9 * 0.22128, variance 0.01 of it
    assert found[:, 0].mean() == pytest.approx(1.99148, rel=0.002)
    assert found[:, 0].var() == pytest.approx(0.0199148, rel=0.03)


@pytest.mark.parametrize("energy", [1.0, 50.0])
def test_the_ends_of_the_energy_range(energy: float) -> None:
    voxels = parametrisation.showers(np.full(500, energy), np.random.default_rng(0), "photon")
    assert np.isfinite(voxels).all()
    assert 0.9 < np.median(voxels.sum(1)) / energy / 1e3 < 1.05


def test_equal_seeds_draw_equal_bytes_and_the_frozen_file(sample: Sample) -> None:
    arrays = parametrised_showers.draw(seed=1)
    assert np.array_equal(arrays["test_energy"], sample.test.energy)
    assert np.array_equal(decode(arrays["train_codes"], PARAMETRISED), sample.train.voxels)
    assert sample.test.second is not None
    assert np.array_equal(decode(arrays["second_codes"], PARAMETRISED), sample.test.second)
    other = parametrised_showers.draw(seed=2, scale=0.02)
    assert not np.array_equal(other["test_codes"], arrays["test_codes"][:100])


def test_make_writes_what_load_reads(tmp_path: Path, capsys: Any) -> None:
    path = parametrised_showers.make(tmp_path, seed=3, scale=0.02, hdf5=True)
    assert "a CPU second" in capsys.readouterr().out
    found = parametrised_showers.load(folder=str(tmp_path))
    assert [len(p) for p in (found.train, found.validation, found.test)] == [800, 200, 100]
    assert found.files == {path.name: store.digest(path)}
    assert {p.name for p in tmp_path.glob("*.hdf5")} == {
        "train.hdf5",
        "validation.hdf5",
        "test.hdf5",
        "second.hdf5",
    }


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="particle must be one of photon, electron; got 'pion'"):
        parametrised_showers.load(particle="pion")
    with pytest.raises(FileNotFoundError, match="data make parametrised_showers"):
        parametrised_showers.load(folder=str(tmp_path))
    with pytest.raises(ValueError, match="scale must leave 100 test showers"):
        parametrised_showers.make(tmp_path, scale=0.001)


def test_codes_keep_their_worked_values_and_are_stable() -> None:
    energies = np.array([0.0, 0.5, 1, 10, 1000, 20_000, 1e9])
    codes = encode(energies, PARAMETRISED)
    assert codes.tolist() == [0, 1, 16, 67, 169, 235, 255]
    assert codes.dtype == np.uint8
    expected = [0, 0.5, 0.98684, 9.95824, 1014.04, 20196.2, 5e4]
    assert decode(codes, PARAMETRISED) == pytest.approx(expected, rel=1e-5)
    every = np.arange(256)
    assert np.array_equal(encode(levels(PARAMETRISED)[every], PARAMETRISED), every)


def test_types_describe_themselves_and_hand_their_data_on(sample: Sample) -> None:
    assert [row[0] for row in description(Showers)][:2] == ["voxels", "energy"]
    few = sample.test.take(np.arange(3))
    assert few.to_frame().shape == (3, 51)
    assert few.to_frame().columns[[0, 1, 6]].tolist() == ["energy", "0_0_0", "1_0_0"]
    assert few.to_torch().shape == (3, 50)
    assert few.conditions().to_numpy().shape == (3, 1)
    assert np.array_equal(few.conditions().to_torch()[:, 0], few.energy)
    assert few.second is not None
    assert few.second.shape == (3, 50)


def test_bad_energies_and_voxels_are_refused_in_words() -> None:
    energy = np.array([1e3, 2e3], dtype=np.float32)
    voxels = np.ones((2, 50), dtype=np.float32)
    with pytest.raises(ValueError, match="looks like GeV"):
        Conditions(energy / 1e3)
    with pytest.raises(ValueError, match="finite and > 0 MeV; got nan for shower 1"):
        Conditions(np.array([1e3, np.nan], dtype=np.float32))
    with pytest.raises(ValueError, match=r"shape \(2, 50\).*got \(2, 49\)"):
        Showers(voxels[:, 1:], energy)
    for bad in (-1.0, np.nan, np.inf):
        broken = voxels.copy()
        broken[1, 7] = bad
        with pytest.raises(ValueError, match="in shower 1, voxel 7"):
            Showers(broken, energy)
