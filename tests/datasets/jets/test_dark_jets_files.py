"""Downloaded jet datasets: exactly their formats, labels, checksums, errors."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from physbench.datasets.common import store
from physbench.datasets.jets import _jet_tables as jet_tables
from physbench.datasets.jets import darkclr_zenodo, qg_jets, top_tagging
from physbench.tasks import dark_jets
from physbench.tasks.metrics.ranking import area_under_curve


def momenta(jets: int, constituents: int, seed: int = 0) -> pd.DataFrame:
    """Random massless constituents across the seam, as the public tables store them."""
    generator = np.random.default_rng(seed)
    pt = -np.sort(-generator.exponential(20, (jets, constituents)) - 0.5, axis=1)
    pt[:, constituents // 2 :] *= generator.random((jets, 1)) < 0.5
    eta = generator.normal(0.5, 0.2, pt.shape)
    phi = np.pi + generator.normal(0, 0.2, pt.shape)
    columns = {}
    for i in range(constituents):
        columns[f"E_{i}"] = pt[:, i] * np.cosh(eta[:, i])
        columns[f"PX_{i}"] = pt[:, i] * np.cos(phi[:, i])
        columns[f"PY_{i}"] = pt[:, i] * np.sin(phi[:, i])
        columns[f"PZ_{i}"] = pt[:, i] * np.sinh(eta[:, i])
    return pd.DataFrame(columns).astype(np.float32)


def write_table(
    path: Path, frame: pd.DataFrame, label: np.ndarray, name: str = "is_signal_new"
) -> None:
    """The layout that pandas gives a table with a float and an integer block."""
    kind = np.dtype(
        [
            ("index", "<i8"),
            ("values_block_0", "<f4", (frame.shape[1],)),
            ("values_block_1", "<i8", (1,)),
        ]
    )
    rows = np.zeros(len(frame), dtype=kind)
    rows["index"] = np.arange(len(frame))
    rows["values_block_0"] = frame.to_numpy()
    rows["values_block_1"][:, 0] = label
    with h5py.File(path, "w") as archive:
        table = archive.create_dataset("table/table", data=rows, compression="gzip")
        for block, names in (("0", list(frame.columns)), ("1", [name])):
            table.attrs[f"values_block_{block}_kind"] = np.void(pickle.dumps(names, protocol=0))


def test_table_gives_back_the_jets(tmp_path: Path) -> None:
    frame, label = momenta(30, 60), np.arange(30) % 2
    write_table(tmp_path / "jets.h5", frame, label)
    jets, found = jet_tables.read_table(tmp_path / "jets.h5", first=5, last=25)
    assert (found == label[5:25]).all()
    part = frame.iloc[5:25]
    total = [sum(part[f"{c}_{i}"] for i in range(60)) for c in ("E", "PX", "PY", "PZ")]
    energy, px, py, pz = (t.to_numpy(dtype=np.float64) for t in total)
    assert jets.pt == pytest.approx(np.hypot(px, py), rel=1e-5)
    assert jets.mass == pytest.approx(np.sqrt(energy**2 - px**2 - py**2 - pz**2), rel=1e-3)
    assert np.abs(jets.constituents[..., 2]).max() < 1.5
    assert set(jets.multiplicity.tolist()) == {30, 60}
    assert jet_tables.length(tmp_path / "jets.h5") == 30


def test_a_table_written_by_pandas_itself(tmp_path: Path) -> None:
    pytest.importorskip("tables", reason="PyTables writes the reference file")
    frame, label = momenta(12, 10), np.arange(12) % 2
    written = frame.assign(ttv=0, is_signal_new=label)
    written.to_hdf(tmp_path / "pandas.h5", key="table", format="table")
    jets, found = jet_tables.read_table(tmp_path / "pandas.h5")
    write_table(tmp_path / "ours.h5", frame, label)
    again, _ = jet_tables.read_table(tmp_path / "ours.h5")
    assert (found == label).all()
    assert (jets.constituents == again.constituents).all()


def test_bad_tables_are_named(tmp_path: Path) -> None:
    path = tmp_path / "jets.h5"
    frame = momenta(4, 6)
    write_table(path, frame, np.zeros(4), name="signal")
    with pytest.raises(ValueError, match="no column 'is_signal_new'; its columns are"):
        jet_tables.read_table(path)
    write_table(path, frame, np.array([0, 1, 2, 0]))
    with pytest.raises(ValueError, match=r"must be 0 or 1; got \[0, 1, 2\]"):
        jet_tables.read_table(path)
    write_table(path, frame * (np.arange(4)[:, None] != 2), np.zeros(4))
    with pytest.raises(ValueError, match="jet 2 has no constituents"):
        jet_tables.read_table(path)
    with h5py.File(path, "w") as archive:
        archive["other"] = np.zeros(3)
    with pytest.raises(ValueError, match="one pandas table"):
        jet_tables.read_table(path)


def test_names_are_unpickled_without_importing(tmp_path: Path) -> None:
    path = tmp_path / "jets.h5"
    write_table(path, momenta(4, 6), np.zeros(4))
    with h5py.File(path, "a") as archive:
        evil = pickle.dumps(os.getcwd, protocol=0)
        archive["table/table"].attrs["values_block_0_kind"] = np.void(evil)
    with pytest.raises(ValueError, match="refused to import"):
        jet_tables.read_table(path)


def write_toptag(folder: Path) -> None:
    for seed, name in enumerate(top_tagging.FILES):
        write_table(folder / name, momenta(40, 20, seed), np.arange(40) % 2)


def test_top_tagging_in_both_directions(tmp_path: Path) -> None:
    write_toptag(tmp_path)
    for inverse, background in ((False, "qcd"), (True, "top")):
        splits = dark_jets.TASK.splits("top_tagging", folder=str(tmp_path), inverse=inverse)
        assert len(splits.train) == 20
        assert len(splits.test) == 40
        assert all(name.startswith(background) for name in splits.train.ids)
        assert set(splits.files) == set(top_tagging.FILES)
        assert splits.test.targets.signal.sum() == 20
    dirty = dark_jets.TASK.splits("top_tagging", folder=str(tmp_path), contamination=0.2)
    assert sum(name.startswith("top") for name in dirty.train.ids) == 5


def test_checksums_of_the_user_are_enforced(tmp_path: Path) -> None:
    write_toptag(tmp_path)
    path = tmp_path / "val.h5"
    row = {"bytes": path.stat().st_size, "sha256": store.digest(path)}
    (tmp_path / "checksums.json").write_text(json.dumps({"val.h5": row}))
    assert top_tagging.load(folder=str(tmp_path)).files["val.h5"] == row["sha256"]
    (tmp_path / "checksums.json").write_text(json.dumps({"val.h5": row | {"sha256": "0" * 64}}))
    with pytest.raises(store.DataError, match="sha256 0000"):
        top_tagging.load(folder=str(tmp_path))
    (tmp_path / "checksums.json").write_text("[1]")
    with pytest.raises(store.DataError, match="must be"):
        top_tagging.load(folder=str(tmp_path))
    (tmp_path / "checksums.json").unlink()
    path.unlink()
    with pytest.raises(FileNotFoundError, match="Zenodo"):
        top_tagging.load(folder=str(tmp_path))


def test_darkclr_tables(tmp_path: Path) -> None:
    write_table(tmp_path / "qcd_constit.h5", momenta(60, 55), np.zeros(60))
    write_table(tmp_path / "aachen_constit.h5", momenta(60, 55, 1), np.ones(60))
    sample = darkclr_zenodo.load(folder=str(tmp_path), train=40, test=20)
    assert np.bincount(sample.split).tolist() == [36, 4, 40]
    assert sample.truth.signals == ("aachen",)
    assert sample.jets.constituents.shape == (80, 50, 3)
    with pytest.raises(ValueError, match="none is left to test"):
        darkclr_zenodo.load(folder=str(tmp_path))
    write_table(tmp_path / "other_constit.h5", momenta(60, 55, 1), np.zeros(60))
    with pytest.raises(ValueError, match="labels contradict the file names"):
        darkclr_zenodo.load(folder=str(tmp_path), signal="other", train=40, test=20)


def test_quark_gluon_files(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x = np.zeros((50, 12, 4))
    x[:, :8, 0] = generator.exponential(50, (50, 8)) + 1
    x[:, :8, 1:3] = generator.normal(0, 0.1, (50, 8, 2)) + [0.3, 6.2]
    x[:, :8, 3] = 211
    np.savez_compressed(tmp_path / "QG_jets_1.npz", X=x, y=np.arange(50.0) % 2)
    sample = qg_jets.load(folder=str(tmp_path), file="QG_jets_1.npz")
    assert sample.truth.signals == ("quark",)
    assert (sample.jets.multiplicity == 8).all()
    np.savez_compressed(tmp_path / "QG_jets.npz", X=x, y=np.arange(50.0) % 2)
    with pytest.raises(store.DataError, match="expected 3f27a02e"):
        qg_jets.load(folder=str(tmp_path))
    np.savez_compressed(tmp_path / "QG_jets_2.npz", X=x[0], y=np.zeros(12))
    with pytest.raises(ValueError, match="X must be"):
        qg_jets.load(folder=str(tmp_path), file="QG_jets_2.npz")


def real(name: str) -> Path:
    base = Path(os.environ.get("PHYSBENCH_DATA", "absent"))
    found = [p / name for p in (base, base / "jets") if (p / name).exists()]
    if not found:
        pytest.skip(f"{name} is not below $PHYSBENCH_DATA")
    return found[0]


def test_top_tagging_pt_hardly_leaks() -> None:
    with np.load(real("toptag_test_labels_pt.npz")) as archive:
        label, pt = archive["is_signal"], archive["jet_pt_gev"]
    assert (label == 0).sum() == 201_914
    assert area_under_curve(pt[label == 0], pt[label == 1]) == pytest.approx(0.508, abs=5e-4)


def test_real_declusterings_show_that_complex_is_not_always_anomalous() -> None:
    with np.load(real("toptag_lund_500jets.npz")) as archive:
        top, count = archive["is_top"] == 1, archive["n_splittings"]
    found = area_under_curve(count[~top], count[top])
    assert found > 0.6
    assert area_under_curve(count[top], count[~top]) == pytest.approx(1 - found)


def test_real_dark_showers_have_more_tracks() -> None:
    files = sorted((real("codae_dark_showers") / "test").glob("*.npz"))
    labels, tracks = [], []
    for file in files:
        with np.load(file) as archive:
            labels.append(archive["labels"].ravel())
            tracks.append(archive["n_tracks"].ravel())
    label, track = np.concatenate(labels), np.concatenate(tracks)
    counts = [int((label == k).sum()) for k in range(3)]
    assert counts == [682, 1282, 874]
    assert area_under_curve(track[label == 0], track[label == 2]) > 0.7
