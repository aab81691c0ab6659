"""ACORN's event store and ColliderML's tables, on small files in exactly those formats."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from physbench.datasets.common.store import DataError
from physbench.datasets.hits import acorn_events, colliderml, edge_labels
from physbench.datasets.hits._torch_files import attributes
from physbench.tasks import tracking

# --- ACORN -------------------------------------------------------------------------------------


def graph(**changes: Any) -> Data:
    """Two particles of three hits and a lone hit; four of five edges are true."""
    columns: dict[str, Any] = {
        "hit_id": torch.arange(10, 17),
        "r": torch.tensor([32.0, 72.0, 116.0, 32.0, 72.0, 116.0, 172.0]),
        "phi": torch.tensor([0.0, 0.01, 0.02, 1.0, 1.02, 1.03, -2.0]),
        "z": torch.tensor([1.0, 2.0, 3.0, -5.0, -9.0, -14.0, 100.0], dtype=torch.float64),
        "track_edges": torch.tensor([[0, 1, 3, 4], [1, 2, 4, 5]]),
        "edge_index": torch.tensor([[0, 1, 3, 4, 1], [1, 2, 4, 5, 5]]),
        "y": torch.tensor([True, True, True, True, False]),
        "event_id": "000021000",
    }
    return Data(**(columns | changes))


def stored(folder: Path, **changes: Any) -> Path:
    path = folder / "trainset" / "event000021000-graph.pyg"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(graph(**changes), path)
    return path


def test_a_graph_of_acorn_is_read(tmp_path: Path) -> None:
    event, truth = acorn_events.read(stored(tmp_path))
    assert event.hit_id.tolist() == list(range(10, 17))
    assert event.r == pytest.approx([32, 72, 116, 32, 72, 116, 172])
    assert event.phi == pytest.approx([0, 0.01, 0.02, 1.0, 1.02, 1.03, -2.0], abs=1e-6)
    assert event.z.tolist() == [1, 2, 3, -5, -9, -14, 100]
    assert event.edge_index is not None
    assert event.edge_index.tolist() == [[0, 1, 3, 4, 1], [1, 2, 4, 5, 5]]
    assert truth.particle_id.tolist() == [1, 1, 1, 2, 2, 2, 0]
    assert edge_labels(truth, event.edge_index.T).tolist() == [True] * 4 + [False]
    assert truth.edge_label is not None
    assert truth.edge_label.tolist() == [True] * 4 + [False]
    assert len(np.unique(truth.layer)) == 4


def test_new_names_and_stored_particles_are_read(tmp_path: Path) -> None:
    given = graph()
    names = {f"hit_{key}": given[key] for key in ("r", "phi", "z")}
    names |= {"hit_particle_id": torch.tensor([7, 7, 7, 9, 9, 9, 9]), "edge_y": given["y"]}
    names |= {"hit_region": torch.tensor([2, 4, 6, 2, 4, 6, 8])}
    rest = dict.fromkeys(("r", "phi", "z", "y"))
    _, truth = acorn_events.read(stored(tmp_path, **names, **rest))
    assert truth.particle_id.tolist() == [7, 7, 7, 9, 9, 9, 9]
    assert truth.layer.tolist() == [2, 4, 6, 2, 4, 6, 8]


def test_folders_of_acorn_become_splits(tmp_path: Path) -> None:
    for folder in ("trainset", "valset", "testset"):
        (tmp_path / folder).mkdir()
        torch.save(graph(hit_id=torch.arange(7) + len(folder)), tmp_path / folder / "a.pyg")
    events, files = acorn_events.load(folder=tmp_path)
    assert {name: len(pairs) for name, pairs in events.items()} == {
        "train": 1,
        "validation": 1,
        "test": 1,
    }
    assert sorted(files) == ["testset/a.pyg", "trainset/a.pyg", "valset/a.pyg"]
    with pytest.raises(FileNotFoundError, match="no train/"):
        acorn_events.load(folder=tmp_path / "trainset")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edge_index": torch.tensor([[0, 1, 3, 4, 1], [1, 2, 4, 5, 9]])}, "a hit's place"),
        ({"edge_index": torch.tensor([[0, 1, 3, 4, 1], [1, 0, 4, 5, 5]])}, "a pair of hits twice"),
        ({"edge_index": torch.tensor([[0, 1, 3, 4, 5], [1, 2, 4, 5, 5]])}, "a hit with itself"),
        ({"y": torch.tensor([True, False])}, "differ in length"),
        ({"r": torch.ones(6)}, "differ in length"),
        ({"z": None}, "has no column z"),
        ({"phi": torch.full((7,), np.nan)}, "phi"),
        ({"track_edges": torch.ones(3, 2, dtype=torch.long)}, "track_edges must be"),
    ],
)
def test_wrong_graphs_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        acorn_events.read(stored(tmp_path, **changes))


class Planted:
    """What a pickle could run."""

    def __reduce__(self) -> Any:
        return print, ("planted",)


def test_nothing_in_a_file_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.pyg"
    torch.save(Planted(), path)
    with pytest.raises(DataError, match=r"print, which is not admitted"):
        attributes(path)
    path.write_bytes(pickle.dumps(Planted()))
    with pytest.raises(DataError, match="is refused"):
        attributes(path)
    assert capsys.readouterr().out == ""


def test_a_tensor_beyond_its_bytes_is_refused(tmp_path: Path) -> None:
    good, bad = stored(tmp_path), tmp_path / "bad.pyg"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[:8] if "/data/" in name else content)
    with pytest.raises(DataError, match="reaches beyond"):
        attributes(bad)


def test_slices_and_turned_tensors_come_back(tmp_path: Path) -> None:
    table = torch.arange(12.0).reshape(3, 4)
    torch.save(Data(part=table[1:, 1:3], turned=table.T, one=torch.tensor(5)), tmp_path / "a.pyg")
    found = attributes(tmp_path / "a.pyg")
    assert found["part"].tolist() == table[1:, 1:3].tolist()
    assert found["turned"].tolist() == table.T.tolist()
    assert found["one"] == 5


# --- ColliderML --------------------------------------------------------------------------------


def tables(folder: Path, events: int = 5, **changes: Any) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra [parquet] is not installed")
    from pyarrow import parquet

    whole, real = pyarrow.list_(pyarrow.uint64()), pyarrow.list_(pyarrow.float32())
    hits = {
        "x": [50.0, 30.0, 70.0, 30.0],
        "y": [0.0, 1.0, 2.0, 3.0],
        "z": [10.0, 5.0, 15.0, -5.0],
        "true_x": [50.0, 30.0, 70.0, 30.0],
        "particle_id": [4, 4, 4, 99],
        "volume_id": [17, 16, 17, 16],
        "layer_id": [4, 2, 6, 2],
        "surface_id": [5, 1, 9, 2],
    }
    particles = {
        "particle_id": [8, 4],
        "px": [3.0, 0.6],
        "py": [0.0, 0.8],
        "pz": [1.0, 0.0],
        "vx": [0.0, 3.0],
        "vy": [0.0, 4.0],
        "vz": [0.0, 1.0],
        "charge": [1.0, -1.0],
    }
    for kind, columns in (("tracker_hits", hits), ("particles", particles)):
        columns = columns | {k: v for k, v in changes.items() if k in columns}
        numbers = pyarrow.array(np.arange(7, 7 + events), pyarrow.uint32())
        rows = {"event_id": numbers} | {
            name: pyarrow.array([values] * events, whole if name.endswith("_id") else real)
            for name, values in columns.items()
            if values is not None
        }
        path = folder / f"ttbar_pu0_{kind}" / "train-00000.parquet"
        path.parent.mkdir(parents=True)
        parquet.write_table(pyarrow.table(rows), path)


def test_tables_of_colliderml_are_read(tmp_path: Path) -> None:
    tables(tmp_path)
    events, files = colliderml.load(folder=tmp_path)
    assert [len(events[name]) for name in ("train", "validation", "test")] == [3, 1, 1]
    assert len(files) == 2
    event, truth = events["train"][0]
    assert event.name == "event000000007"
    assert event.x.tolist() == [30.0, 30.0, 50.0, 70.0]
    assert event.volume_id.tolist() == [16, 16, 17, 17]
    assert event.module_id.tolist() == [1, 2, 5, 9]
    assert truth.particle_id.tolist() == [1, 0, 1, 1]  # id 99 has no row, id 8 no hit
    assert truth.pt == pytest.approx([1.0])
    assert truth.radius == pytest.approx([5.0])
    assert truth.charge is not None
    assert truth.charge.tolist() == [-1.0]
    first = np.linalg.norm([27.0, -3.0, 4.0])
    assert truth.path[0] == pytest.approx(first)
    assert tracking.TASK.splits is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surface_id": None}, "has no column surface_id"),
        ({"particle_id": [4, 4]}, "a particle is there twice|different lengths"),
        ({"y": [0.0]}, "different lengths"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    tables(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        colliderml.load(folder=tmp_path)


def test_missing_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no tracker_hits and no particles"):
        colliderml.load(folder=tmp_path)
