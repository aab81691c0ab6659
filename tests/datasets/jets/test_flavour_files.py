"""Files of the user: JetClass and the flavour tagging set, written here in their formats."""

import numpy as np
import pytest

from physbench.datasets.common import on_disk
from physbench.datasets.common.reading import DataError
from physbench.datasets.jets import (
    TEST,
    TRAIN,
    VALIDATION,
    _root_files,
    flavour_zenodo,
    jetclass,
    qg_jets,
)
from physbench.models.jets import _flavour_features
from physbench.tasks import jet_flavour
from physbench.tasks.metrics import flavour

awkward = pytest.importorskip("awkward", reason="needs the extra [root]")
uproot = pytest.importorskip("uproot", reason="needs the extra [root]")


def write(path, columns, table="tree"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        file.mktree(table, {name: awkward.type(c).content for name, c in columns.items()})
        file[table].extend(columns)


def jagged(values, count):
    return awkward.unflatten(np.asarray(values, dtype=np.float32), count)


def of_jetclass(kind, n=12, seed=0):
    """Columns of JetClass, one class a file."""
    random = np.random.default_rng(seed)
    count = random.integers(1, 5, n)
    m = count.sum()
    phi, pt = random.uniform(-3, 3, m), random.uniform(1, 50, m)
    columns = {
        "jet_pt": random.uniform(500, 1000, n).astype(np.float32),
        "jet_eta": random.choice([-1.0, 1.0], n).astype(np.float32),
        "part_px": jagged(pt * np.cos(phi), count),
        "part_py": jagged(pt * np.sin(phi), count),
        "part_energy": jagged(1.5 * pt, count),
        "part_deta": jagged(random.normal(0, 0.1, m), count),
        "part_dphi": jagged(random.normal(0, 0.1, m), count),
        "part_charge": jagged(random.choice([-1, 0, 1], m), count),
        "part_d0val": jagged(random.normal(0, 0.1, m), count),
        "part_d0err": jagged(random.choice([0.0, 0.02], m), count),
        "part_dzval": jagged(random.normal(0, 0.1, m), count),
        "part_dzerr": jagged(np.full(m, 0.05), count),
    }
    columns |= {f"part_is{k}": jagged(random.integers(0, 2, m), count) for k in jetclass.KINDS}
    return columns | {
        f"label_{k}": np.full(n, int(k == kind), dtype=np.int32) for k in jetclass.CLASSES
    }


@pytest.fixture
def jetclass_folder(tmp_path):
    for number, name in enumerate(jetclass.FOLDERS.values()):
        for k, kind in enumerate(jetclass.CLASSES):
            write(tmp_path / name / f"{kind}_000.root", of_jetclass(kind, seed=10 * number + k))
    return tmp_path


def test_jetclass_is_read(jetclass_folder):
    sample = jetclass.load(folder=str(jetclass_folder), jets=8)
    assert np.bincount(sample.split).tolist() == [80, 80, 80]
    assert np.bincount(sample.truth.label).tolist() == [24] * 10
    assert len(set(sample.ids)) == len(set(sample.truth.event)) == 240
    raw = of_jetclass("Hbb", seed=0)
    at = sample.ids.index("train_100M/Hbb_000-3")
    pt = np.hypot(raw["part_px"][3], raw["part_py"][3])
    order = np.argsort(-np.asarray(pt))
    filled = sample.jets.mask[at]
    tracks = sample.jets.tracks[at, filled]
    np.testing.assert_allclose(tracks[:, 0], pt[order], rtol=1e-6)
    deta = np.asarray(raw["part_deta"][3])[order] * np.sign(raw["jet_eta"][3])
    np.testing.assert_allclose(tracks[:, 1], deta, rtol=1e-6)
    np.testing.assert_allclose(tracks[:, 4], np.asarray(raw["part_d0val"][3])[order], rtol=1e-6)
    energy = np.asarray(raw["part_energy"][3])[order]
    np.testing.assert_allclose(
        sample.jets.extra[at, filled, 0], 0.7 * (np.log(energy) - 2), rtol=1e-5
    )
    assert (sample.jets.errors()[0] > 0).all()


def test_jets_beyond_memory_are_the_same_jets(jetclass_folder, monkeypatch):
    held = jet_flavour.TASK.splits("jetclass", folder=str(jetclass_folder))
    monkeypatch.setattr(_root_files, "STEP", 5)
    monkeypatch.setattr(on_disk, "LARGEST", 1000)
    mapped = jet_flavour.TASK.splits("jetclass", folder=str(jetclass_folder))
    for name in ("train", "validation", "test"):
        first, second = getattr(held, name), getattr(mapped, name)
        assert first.ids == second.ids
        assert on_disk.place(second.inputs.tracks)
        for column in ("tracks", "pt", "eta", "sigma", "extra"):
            ours, theirs = (getattr(s.inputs, column) for s in (first, second))
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(first.targets.label, second.targets.label)


def test_the_number_of_jets_of_each_file_can_be_chosen(jetclass_folder):
    splits = jet_flavour.TASK.splits("jetclass", folder=str(jetclass_folder), jets=3)
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [30, 30, 30]
    with pytest.raises(ValueError, match=r"jets must be 0 .* got -1"):
        jet_flavour.TASK.splits("jetclass", folder=str(jetclass_folder), jets=-1)


def test_jetclass_runs_through_the_task(jetclass_folder):
    splits = jet_flavour.TASK.splits("jetclass", folder=str(jetclass_folder))
    assert splits.train.targets.classes == jetclass.CLASSES
    L = np.zeros((len(splits.test), 10))
    kept = jet_flavour.prepare(splits.test.inputs, L)
    derived = jet_flavour.TASK.derive(splits.test.targets, kept)
    values = {m.name: m.function(splits.test.targets, derived) for m in jet_flavour.TASK.metrics}
    assert values["accuracy"] == pytest.approx(0.1)
    assert values["log_rejection"] == 0.0
    assert np.isnan(values["rejection_c_70"])


def test_jetclass_wants_one_label_a_jet_and_all_branches(tmp_path):
    path = tmp_path / "bad.root"
    write(path, of_jetclass("none"))
    with pytest.raises(DataError, match="exactly one label"):
        list(jetclass._read(path, TRAIN, 10, "bad"))
    columns = of_jetclass("QCD")
    del columns["part_dzval"]
    write(path, columns)
    with pytest.raises(DataError, match=r"has no branch part_dzval; its branches: .*jet_pt"):
        list(jetclass._read(path, TRAIN, 10, "bad"))


def test_a_folder_without_files_names_the_archive(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Zenodo 10\.5281/zenodo.6619768"):
        jetclass.load(folder=str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"Zenodo 10\.5281/zenodo.13350327"):
        flavour_zenodo.load(folder=str(tmp_path))


def of_zenodo(n=12, seed=0, **changes):
    random = np.random.default_rng(seed)
    count = random.integers(0, 5, n)
    m = count.sum()
    columns = {
        "jet_pt": random.uniform(20, 200, n).astype(np.float32),
        "jet_eta": random.uniform(-2, 2, n).astype(np.float32),
        "jet_phi": random.uniform(-3, 3, n).astype(np.float32),
        "jet_M": np.full(n, 5, np.float32),
        "jet_flav": np.resize([5, 4, 0, 15], n).astype(np.int32),
        "trk_pt": jagged(random.uniform(1, 20, m), count),
        "trk_eta": jagged(random.uniform(-2, 2, m), count),
        "trk_phi": jagged(random.uniform(-3, 3, m), count),
        "trk_charge": jagged(random.choice([-1, 1], m), count),
        "trk_d0": jagged(random.normal(0, 0.1, m), count),
        "trk_z0": jagged(random.normal(0, 0.1, m), count),
        "trk_d0err": jagged(np.full(m, 0.02), count),
        "trk_z0err": jagged(np.full(m, 0.05), count),
        "trk_ptQerr": jagged(np.full(m, 0.05), count),
    }
    return columns | changes


@pytest.fixture
def zenodo_folder(tmp_path):
    for number, name in enumerate(("train_small", "validate_small", "test_small")):
        write(tmp_path / f"{name}.root", of_zenodo(seed=number), "jets")
    return tmp_path


def test_flavour_zenodo_is_read_with_the_lifetime_sign(zenodo_folder):
    sample = flavour_zenodo.load(folder=str(zenodo_folder), codes="5,4,0")
    assert np.bincount(sample.split).tolist() == [9, 9, 9]  # those with code 15 are left out
    assert sample.truth.classes == ("b", "c", "light")
    assert [int((sample.split == k).sum()) for k in (TRAIN, VALIDATION, TEST)] == [9, 9, 9]
    raw = of_zenodo(seed=0)
    at = sample.ids.index("train_small-4")
    order = np.argsort(-np.asarray(raw["trk_pt"][4]))
    d0, phi = (np.asarray(raw[k][4])[order] for k in ("trk_d0", "trk_phi"))
    wanted = np.abs(d0) * np.sign(d0 * np.sin(phi - raw["jet_phi"][4]))
    filled = sample.jets.mask[at]
    np.testing.assert_allclose(sample.jets.tracks[at, filled, 4], wanted, rtol=1e-5)
    assert np.abs(sample.jets.tracks[..., 2]).max() <= np.pi
    assert sample.jets.errors()[0][at, filled] == pytest.approx(0.02)
    splits = jet_flavour.TASK.splits("flavour_zenodo", folder=str(zenodo_folder), codes="5,4,0")
    assert len(splits.test) == 9


def test_codes_are_asked_for_with_what_the_file_holds(zenodo_folder):
    with pytest.raises(DataError, match=r"jet_flav holds 0 \(3 jets\), 4 \(3 jets\).*codes="):
        flavour_zenodo.load(folder=str(zenodo_folder))
    with pytest.raises(DataError, match='got "5,4,1"'):
        flavour_zenodo.load(folder=str(zenodo_folder), codes="5,4,1")


def test_branches_that_are_not_clear_are_printed(tmp_path):
    path = tmp_path / "train.root"
    columns = of_zenodo()
    columns["trk_d0Relerr"] = columns["trk_d0err"]
    write(path, columns)
    with pytest.raises(DataError, match=r"found trk_d0Relerr, trk_d0err among jet_M, jet_eta"):
        flavour_zenodo._read(path, TRAIN, "5,4,0", 1.0, 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"jet_pt": np.full(12, 50_000, np.float32)}, "pass --protocol scale=0.001"),
        ({"jet_eta": np.full(12, np.nan, np.float32)}, "jet_eta of jet 0 is not finite"),
        ({"trk_d0err": of_zenodo()["trk_d0err"] * 0}, "trk_d0err must be positive"),
        ({"trk_z0": of_zenodo()["trk_z0"] * np.nan}, "trk_z0 holds NaN"),
        ({"trk_z0": of_zenodo(seed=5)["trk_z0"]}, "differ in length"),
    ],
)
def test_implausible_files_are_refused(tmp_path, changes, message):
    path = tmp_path / "train.root"
    write(path, of_zenodo(**changes))
    with pytest.raises(DataError, match=message):
        flavour_zenodo._read(path, TRAIN, "5,4,0", 1.0, 12)


def test_two_tables_in_a_file_are_not_guessed(tmp_path):
    path = tmp_path / "two.root"
    with uproot.recreate(path) as file:
        for name in ("one", "two"):
            file.mktree(name, {"x": "float32"})
            file[name].extend({"x": np.zeros(3, np.float32)})
    with pytest.raises(DataError, match="must hold one table of jets; found one, two"):
        flavour_zenodo._read(path, TRAIN, "5,4,0", 1.0, 10)


def test_two_classes_of_the_quark_gluon_files(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    x = np.zeros((60, 7, 4))
    x[..., :3] = random.uniform(0.1, 1, (60, 7, 3)) * [80, 0.3, 0.3]
    np.savez_compressed(tmp_path / "QG_jets.npz", X=x, y=np.arange(60.0) % 2)
    monkeypatch.setattr(qg_jets, "SHA256", {})
    splits = jet_flavour.TASK.splits("qg_jets", folder=str(tmp_path))
    assert splits.train.targets.classes == ("quark", "gluon")
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [36, 6, 18]
    assert np.bincount(splits.train.targets.label).tolist() == [18, 18]
    assert splits.test.ids[0] == "gluon-42"
    assert splits.test.targets.label[0] == 1
    assert (splits.train.inputs.tracks[..., 3:] == 0).all()
    assert _flavour_features.network_inputs(splits.train.inputs).shape == (36, 50, 12)
    kept = jet_flavour.prepare(splits.test.inputs, np.zeros((18, 2)))
    derived = jet_flavour.TASK.derive(splits.test.targets, kept)
    assert flavour.log_rejection(splits.test.targets, derived) == 0.0


def test_a_dataset_says_what_it_does_not_take(tmp_path):
    with pytest.raises(ValueError, match="this dataset does not take codes"):
        jet_flavour.TASK.splits("jetclass", folder=str(tmp_path), codes="1,2")
