"""Splits larger than the memory: predicted and scored event by event, with the same digits."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import benchmarks
from benchmarks.running import guarded, scoring
from physbench.datasets.common.streaming import KEPT, Streamed
from physbench.datasets.hits import trackml
from physbench.leaderboard.record import Record
from physbench.tasks import tracking

LAYERS = np.array([32.0, 72, 116, 172])  # mm


def tables(particles: int) -> dict[str, pd.DataFrame]:
    """An event of straight tracks of four hits in the official format."""
    generator = np.random.default_rng(0)
    ids, turn = np.arange(1, particles + 1), generator.uniform(-np.pi, np.pi, particles)
    place = [np.outer(f(turn), LAYERS).ravel() for f in (np.cos, np.sin)]
    hits = 4 * particles
    at = dict(zip("xyz", [*place, np.tile(LAYERS / 2, particles)], strict=True))
    detector = {"volume_id": 8, "layer_id": np.tile([2, 4, 6, 8], particles), "module_id": 1}
    truth = {f"t{axis}": values for axis, values in at.items()}
    momentum = {"px": np.cos(turn), "py": np.sin(turn), "pz": 0.5, "q": 1}
    number = {"hit_id": np.arange(1, hits + 1)}
    return {
        "hits": pd.DataFrame(number | at | detector),
        "truth": pd.DataFrame(
            number | {"particle_id": np.repeat(ids, 4)} | truth | {"weight": 0.5 / hits}
        ),
        "particles": pd.DataFrame({"particle_id": ids, "vx": 0, "vy": 0, "vz": 0} | momentum),
    }


def write(folder: Path, test: int, particles: int) -> None:
    """One event for training, one for validation, and so many for testing; no two are equal."""
    folder.mkdir(parents=True)
    made = tables(particles)
    for number in (21000, 29000, *range(29800, 29800 + test)):
        for kind, table in made.items():
            column = {"hits": "z", "truth": "tz", "particles": "vz"}[kind]
            changed = table.iloc[:1].assign(**{column: table[column].iloc[0] + number * 1e-6})
            text = pd.concat([changed, table.iloc[1:2]]).to_csv(index=False)
            rest = table.iloc[2:].to_csv(index=False, header=False) if number == 21000 else None
            tail = folder / f".{kind}"
            if rest is not None:
                tail.write_text(rest)
            (folder / f"event{number:09d}-{kind}.csv").write_text(text + tail.read_text())


def made(key: int) -> Any:
    """Something to be streamed."""
    return np.full(3, key)


def test_a_stream_reads_what_is_asked_for_and_keeps_the_last() -> None:
    asked: list[int] = []

    def read(key: int) -> Any:
        asked.append(key)
        return made(key)

    stream = Streamed(read, tuple(range(20)), "d")
    assert [int(unit[0]) for unit in stream] == list(range(20)) == asked
    assert (stream[-1] is stream[19], len(asked)) == (True, 20)
    assert stream[20 - KEPT - 1][0] == 20 - KEPT - 1
    assert len(asked) == 21
    assert not stream[3].flags.writeable
    part = stream[4:8:2]
    assert [int(unit[0]) for unit in part] == [4, 6]
    assert part.digest != stream.digest != stream.take([0]).digest
    with pytest.raises(IndexError):
        stream[20]


def test_a_stream_travels_without_what_it_has_read() -> None:
    stream = Streamed(made, tuple(range(1000)), "d")
    assert stream[7][0] == 7
    again = pickle.loads(pickle.dumps(stream))
    assert (again.digest, len(again), len(again._last), again[7][0]) == ("d", 1000, 0, 7)
    assert len(pickle.dumps(stream)) < 10_000


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path / "data" / "trackml", 5, 40)
    monkeypatch.setenv("PHYSBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def ran(official: Path, model: str, runs: str) -> Record:
    (record,) = benchmarks.run("tracking", model, dataset="trackml", runs=official / runs)
    assert record.status == "ok", record.failure
    return record


def test_a_record_holds_the_digests_of_many_files(
    official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(official / "more" / "trackml", 40, 3)
    monkeypatch.setenv("PHYSBENCH_DATA", str(official / "more"))
    record = ran(official, "one_track_per_hit", "many")
    assert list(record.dataset.files) == ["126 files"]
    assert record.dataset.files["126 files"] == record.dataset.digest


@pytest.mark.parametrize("model", ["one_track_per_hit", "truth", "helix_clustering"])
def test_streamed_events_give_the_digits_of_held_ones(
    official: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    held = ran(official, model, "held")
    monkeypatch.setattr(trackml, "HELD", 3)
    streamed = ran(official, model, "streamed")
    assert streamed.metrics == held.metrics
    assert streamed.predictions == held.predictions
    assert streamed.task.split == held.task.split
    assert set(streamed.dataset.files) == {
        "train: 3 files",
        "validation: 3 files",
        "test: 15 files",
    }
    assert scoring.score(official / "streamed" / streamed.path)[0][1] == held.metrics


def test_the_pixels_alone_are_streamed_too(
    official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = tracking.TASK.splits("trackml", detector="pixel").test
    monkeypatch.setattr(trackml, "HELD", 3)
    splits = tracking.TASK.splits("trackml", detector="pixel")
    assert isinstance(splits.test.inputs, Streamed)
    for pair in ((held.inputs, splits.test.inputs), (held.targets, splits.test.targets)):
        assert [_arrays(one) for one in pair[0]] == [_arrays(one) for one in pair[1]]
    assert guarded.content(splits) != guarded.content(tracking.TASK.splits("trackml"))


def _arrays(unit: Any) -> list[bytes]:
    return [value.tobytes() for value in guarded.arrays(unit)]


def test_a_changed_event_is_another_content(
    official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackml, "HELD", 3)
    before = guarded.content(tracking.TASK.splits("trackml"))
    path = official / "data" / "trackml" / "event000029801-hits.csv"
    path.write_text(path.read_text().replace(",8,2,1", ",8,2,2", 1))
    monkeypatch.setenv("XDG_STATE_HOME", str(official / "other"))
    assert guarded.content(tracking.TASK.splits("trackml")) != before


def test_an_equal_file_in_two_splits_is_refused(
    official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackml, "HELD", 3)
    folder = official / "data" / "trackml"
    for kind in trackml.KINDS:
        one = (folder / f"event000021000-{kind}.csv").read_text()
        (folder / f"event000029802-{kind}.csv").write_text(one)
    with pytest.raises(ValueError, match="have the same content"):
        tracking.TASK.splits("trackml")


PROGRAM = """
import json, sys
from physbench.datasets.hits import trackml
trackml.HELD = int(sys.argv[2])
import benchmarks
(record,) = benchmarks.run("tracking", "one_track_per_hit", dataset="trackml", runs=sys.argv[1])
print(json.dumps({name: part.peak_rss_mb for name, part in record.cost.items()}))
"""


def peaks(folder: Path, test: int, held: int) -> dict[str, float]:
    """Peak memory in MB of the model's process and of the judge, a run in processes of its own."""
    write(folder / "data" / "trackml", test, 5000)
    own = {"PHYSBENCH_DATA": str(folder / "data"), "XDG_STATE_HOME": str(folder / "state")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder / "runs"), str(held)],
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def test_memory_does_not_grow_with_the_number_of_events(tmp_path: Path) -> None:
    """Events of 20,000 hits hold 2 MB each; what is kept of each one is its labels and sums."""
    few, many = peaks(tmp_path / "few", 10, 0), peaks(tmp_path / "many", 60, 0)
    growth = {name: (many[name] - few[name]) / 50 for name in ("predict", "metric")}
    assert max(growth.values()) < 0.6, growth
