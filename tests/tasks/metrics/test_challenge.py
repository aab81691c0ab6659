"""The CaloChallenge's own metrics: features and histograms by hand, and a whole small board."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physbench.datasets.common import on_disk
from physbench.datasets.common.store import DataError
from physbench.datasets.showers import Grid, Layer, Showers, calochallenge_electrons, encode
from physbench.datasets.showers import _challenge_files as files
from physbench.datasets.showers import calochallenge_photons as photons
from physbench.tasks import calo_showers
from physbench.tasks.metrics import challenge, shower_formulas, shower_table

TWO = Grid(
    "two",
    (Layer(0, 0.0, (0, 10, 30)), Layer(12, 1.0, (0, 2, 4), angles=2)),
    threshold=1.0,
    largest=1e6,
    challenge="1-photons",
)


def test_features_by_hand() -> None:
    # layer 0: 10 and 30 MeV at 5 and 20 mm; layer 12: 8 MeV at r 3 and angle -pi/2
    voxels = np.array([[10.0, 30, 0, 8, 0, 0]])
    found = challenge.features(voxels, np.array([96.0]), TWO)
    assert found["total"] == pytest.approx(np.array([[0.5]]))
    assert found["layers"] == pytest.approx(np.array([[40, 8]]))
    assert found["eta"] == pytest.approx(np.array([[0]]), abs=1e-9)
    assert found["phi"] == pytest.approx(np.array([[-3]]))
    # (10 * 5 + 30 * 20)/40 = 16.25; (10 * 25 + 30 * 400)/40 - 16.25^2 = 42.1875
    assert found["radius"] == pytest.approx(np.array([[16.25, 3]]))
    assert found["radius_width"] == pytest.approx(np.array([[np.sqrt(42.1875), 0]]), abs=1e-5)
    assert found["sparsity"] == pytest.approx(np.array([[0, 0.75]]))
    vector = challenge.vector(found, np.array([96.0]))
    assert vector[0, :3] == pytest.approx(np.log10([96, 40, 8]), abs=1e-6)
    assert vector.shape == (1, 3 + 4 + 1 + 2 + 4)
    low = challenge.low_level(voxels, np.array([100.0]))
    assert low[0] == pytest.approx([2, 10, 30, 0, 8, 0, 0])


def test_the_edges_are_those_of_the_challenge() -> None:
    reference = np.array([3.0, 100.0])
    edges = {
        (name, number): challenge.edges(name, number, reference, TWO)
        for name in ("total", "eta", "eta_width", "radius", "radius_width", "sparsity", "layers")
        for number in (0, 12)
    }
    ends = {key: (found[0], found[-1], len(found)) for key, found in edges.items()}
    assert ends["total", 0] == (0.5, 1.5, 101)
    assert ends["eta", 0] == (-100, 100, 101)
    assert ends["eta", 12] == (-500, 500, 101)
    assert ends["eta_width", 12] == (0, 400, 101)
    assert ends["radius", 0] == (0, 500, 101)
    assert ends["radius_width", 12] == (0, 1500, 101)
    assert ends["sparsity", 0] == (0, 1, 21)
    assert ends["layers", 0] == pytest.approx((1, 100, 40))
    other = replace(TWO, challenge="2")
    assert challenge.edges("phi", 0, reference, other)[[0, -1]].tolist() == [-30, 30]
    assert challenge.edges("radius_width", 0, reference, other)[-1] == 20


def test_separation_normalises_within_the_range() -> None:
    edges = np.array([0.0, 1, 2, 3])
    first = np.repeat([0.5, 1.5, 2.5, 9], [5, 3, 2, 7])
    second = np.repeat([0.5, 1.5, 2.5], [4, 4, 2])
    assert challenge.binned_separation(first, second, edges) == pytest.approx(0.012698, abs=1e-6)
    assert challenge.binned_separation(first, np.full(3, 9.0), edges) == 1
    assert challenge.binned_separation(np.full(3, 9.0), np.full(3, 9.0), edges) == 0


def test_extrapolation_removes_the_bias_of_small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenge, "FPD_SIZES", (200, 2000))
    first, second = np.random.default_rng(0).normal(size=(2, 2000, 5))
    at_200 = challenge._subset_distance(first, second, 200, np.random.default_rng(1))
    intercept = challenge.frechet_intercept(first, second)
    assert abs(intercept) < 0.2 * at_200
    shifted = challenge.frechet_intercept(first, second + 1)
    assert shifted == pytest.approx(5, rel=0.1)
    assert math.isnan(challenge.frechet_intercept(first[:300], second[:300]))


def test_the_classifier_tells_samples_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"width": 16, "layers": 2, "epochs": 5, "batch": 100, "learning_rate": 1e-2}
    monkeypatch.setattr(challenge, "NETWORK", small)
    first, second = np.random.default_rng(0).normal(size=(2, 1000, 3))
    assert challenge.classified(first, second + 1) > 0.85
    assert challenge.classified(first, second) == pytest.approx(0.5, abs=0.1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Set 1 with 400 showers in each file, and its binning."""
    generator = np.random.default_rng(0)
    for number in (1, 2):
        energy = 1e3 * 2.0 ** generator.integers(0, 8, 400)
        share = generator.dirichlet(np.full(photons.GRID.voxels, 0.3), 400)
        voxels = (share * energy[:, None]).astype(np.float32)
        showers = Showers(voxels, energy.astype(np.float32), grid=photons.GRID)
        files.write(tmp_path / f"dataset_1_photons_{number}.hdf5", showers)
    files.write_binning(tmp_path / photons.NAMES.binning, photons.GRID, "photon")
    return tmp_path


def test_a_board_of_the_challenge(folder: Path) -> None:
    splits = calo_showers.TASK.splits("calochallenge_photons", folder=str(folder), showers=100)
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [90, 10, 100]
    assert photons.GRID.voxels == 368
    test = splits.test
    codes = calo_showers.prepare(test.inputs, np.array(test.targets.voxels[::-1]))
    assert codes.dtype == np.uint16
    table = calo_showers.TASK.derive(test.targets, codes)
    found = {m.name: m.function(test.targets, table) for m in calo_showers.TASK.metrics}
    assert np.isfinite(found["judge_jsd"])
    separations = found["cc_separation"]
    assert 0 < separations["all"] <= 1
    assert set(separations) == {
        "all",
        "total",
        "layers",
        "eta",
        "eta_width",
        "phi",
        "phi_width",
        "radius",
        "radius_width",
        "sparsity",
    }
    assert math.isnan(found["cc_fpd"])  # too few showers for its definition
    assert math.isnan(found["cc_auc_low"])  # not asked for
    same = encode(test.targets.voxels, photons.GRID)
    equal = calo_showers.TASK.derive(test.targets, same)
    assert challenge.cc_separation(test.targets, equal)["all"] < 1e-3


def test_the_classifier_runs_where_it_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"width": 8, "layers": 1, "epochs": 1, "batch": 100, "learning_rate": 1e-3}
    monkeypatch.setattr(challenge, "NETWORK", small)
    splits = calo_showers.TASK.splits(
        "calochallenge_photons", folder=str(folder), showers=100, classifier=True
    )
    codes = encode(splits.test.targets.voxels, photons.GRID)
    table = shower_table.judged(splits.test.targets, codes)
    assert 0 <= challenge.cc_auc_low(None, table) <= 1
    assert 0 <= challenge.cc_auc_high(None, table) <= 1


def test_a_split_beyond_memory_is_scored_alike(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read, handed on and scored some showers at a time: the same showers, the same metrics."""
    held = calo_showers.TASK.splits("calochallenge_photons", folder=str(folder))
    monkeypatch.setattr(files, "CHUNK", 7 * photons.GRID.voxels)
    monkeypatch.setattr(on_disk, "LARGEST", 10_000)
    monkeypatch.setattr(shower_formulas, "NUMBERS", 5 * photons.GRID.voxels)
    mapped = calo_showers.TASK.splits("calochallenge_photons", folder=str(folder))
    for name in ("train", "validation", "test"):
        ours, theirs = (getattr(s, name).targets for s in (held, mapped))
        assert on_disk.place(theirs.voxels) is not None
        np.testing.assert_array_equal(ours.voxels, theirs.voxels)
        np.testing.assert_array_equal(ours.energy, theirs.energy)
    codes = encode(held.test.targets.voxels[::-1], photons.GRID)
    tables = [calo_showers.TASK.derive(s.test.targets, codes) for s in (held, mapped)]
    for metric in calo_showers.TASK.metrics:
        values = [metric.function(held.test.targets, table) for table in tables]
        first, second = (v["all"] if isinstance(v, dict) else v for v in values)
        assert second == pytest.approx(first, rel=1e-9, nan_ok=True)


def test_fine_grids_are_judged_on_their_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    voxels = np.array([[1.0, 2, 3, 4, 5, 6]])
    assert shower_table.coarse(voxels, TWO) is voxels
    monkeypatch.setattr(shower_table, "MOST_COLUMNS", 5)
    # Two rings without angles, then two rings whose two angles are added.
    assert shower_table.coarse(voxels, TWO).tolist() == [[1, 2, 3 + 5, 4 + 6]]


def test_elsewhere_the_metrics_are_undefined() -> None:
    table: Any = type("Table", (), {"challenge": None})()
    assert math.isnan(challenge.cc_fpd(None, table))
    assert math.isnan(challenge.cc_kpd(None, table))
    assert math.isnan(challenge.cc_separation(None, table)["all"])
    assert math.isnan(challenge.cc_auc_high(None, table))


def test_wrong_sets_are_refused(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset_2_1.hdf5 is missing(.|\n)*zenodo"):
        calochallenge_electrons.load(folder=str(folder))
    with pytest.raises(ValueError, match="part must be one of 2, 3; got '4'"):
        calochallenge_electrons.load(part="4")
    with pytest.raises(ValueError, match="showers must be 0"):
        photons.load(folder=str(folder), showers=-1)
    with pytest.raises(ValueError, match="particle has no meaning for this dataset"):
        calo_showers.TASK.splits("calochallenge_photons", variant="pion")
    first, second = (folder / f"dataset_1_photons_{k}.hdf5" for k in (1, 2))
    second.write_bytes(first.read_bytes())
    with pytest.raises(DataError, match="are the same file"):
        photons.load(folder=str(folder))
    (folder / photons.NAMES.binning).write_text(
        '<B><Layer id="0" r_edges="0,1" n_bin_alpha="1"/></B>'
    )
    with pytest.raises(DataError, match="has 1 layers; 'CaloChallenge photons' has 5"):
        photons.load(folder=str(folder), showers=10)


@pytest.mark.parametrize(("part", "voxels"), [("2", 6480), ("3", 40_500)])
def test_grids_of_the_electrons(part: str, voxels: int) -> None:
    assert calochallenge_electrons.grid(part).voxels == voxels
