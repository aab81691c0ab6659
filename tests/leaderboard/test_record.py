"""The record: schema, id, refusal of altered and oversized ones; the store of predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmarks
from physbench.leaderboard import predictions, record

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(toy: tuple[Path, Path], tmp_path: Path) -> Path:
    (found,) = benchmarks.run(*toy)
    return Path(tmp_path / "runs" / found.path)


def test_published_schema_is_the_current_one() -> None:
    published = json.loads((ROOT / "leaderboard" / "record.schema.json").read_text())
    assert published == record.schema()


def test_record_reads_back_with_its_id(path: Path) -> None:
    found = record.read(path)
    assert found.id[:12] in path.name
    assert path.stat().st_size < record.MAX_BYTES
    assert found.environment.threads == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r["metrics"][0].update(value=0.0),
        lambda r: r.update(seed=7),
        lambda r: r.update(surprise=1),
        lambda r: r.pop("cost"),
        lambda r: r["metrics"][0].update(value="high"),
    ],
)
def test_altered_record_is_refused(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(record.RecordError):
        record.read(path)


def test_truncated_record_is_refused(path: Path) -> None:
    path.write_text(path.read_text()[:500])
    with pytest.raises(record.RecordError, match="is not a record"):
        record.read(path)


def test_unsealed_and_oversized_records_are_not_written(path: Path, tmp_path: Path) -> None:
    found = record.read(path)
    with pytest.raises(record.RecordError, match="not sealed"):
        record.write(found.model_copy(update={"seed": 9}), tmp_path)
    big = record.sealed(found.model_copy(update={"cite": ["x" * 30_000]}))
    with pytest.raises(record.RecordError, match="at most 20000"):
        record.write(big, tmp_path)


def test_nan_cannot_enter_a_record(path: Path) -> None:
    with pytest.raises(ValueError, match="finite"):
        record.Cost(wall_s=float("nan"), cpu_s=0.0, peak_rss_mb=1.0)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0).reshape(3, 2),
        {"a": np.arange(3), "b": np.ones(3)},
        [np.arange(2), np.zeros(0, dtype=int), np.arange(3)],
        [{"labels": np.arange(2), "edges": np.ones((1, 2))}] * 2,
    ],
)
def test_predictions_come_back_as_they_went(value: Any, tmp_path: Path) -> None:
    arrays = predictions.pack(value)
    predictions.write(tmp_path / "p.npz", arrays)
    back = predictions.unpack(predictions.read(tmp_path / "p.npz", predictions.digest(arrays)))
    assert type(back) is type(value)
    for one, other in zip(_leaves(value), _leaves(back), strict=True):
        np.testing.assert_array_equal(one, other)


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def test_predictions_of_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="got int"):
        predictions.pack(3)
    with pytest.raises(TypeError, match="Python objects"):
        predictions.pack(np.array([None, 1], dtype=object))
    with pytest.raises(TypeError, match="unit 1 has keys"):
        predictions.pack([{"a": np.ones(1)}, {"b": np.ones(1)}])


def test_damaged_predictions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    arrays = {"values": np.arange(1000.0)}
    predictions.write(path, arrays)
    expected = predictions.digest(arrays)
    with pytest.raises(ValueError, match="were altered"):
        predictions.read(path, "0" * 64)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match="file damaged"):
        predictions.read(path, expected)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="belong beside the record"):
        predictions.read(path, expected)
