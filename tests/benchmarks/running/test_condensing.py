"""What the judge keeps where predictions are large: a short form that only the truth can make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks.running import scoring
from physbench.leaderboard import predictions as stored
from physbench.tasks import track_seeds
from physbench.tasks.metrics import seeding

FORGER = '''"""Claims the counts of a perfect finder instead of giving seeds."""
import numpy as np
from physbench.models import Model

def fit(train, validation, *, seed):
    """Nothing."""

def predict(fitted, events):
    none = np.zeros(0, dtype=np.int32)
    return [
        {"true": np.ones(900, np.uint16), "total": np.array([900]), "bucket_sizes": none,
         "bucket_useful": none, "bucket_best": none}
        for _ in events
    ]

MODEL = Model(tasks=("track_seeds",), reference="x", fit=fit, predict=predict)
'''


def test_a_record_keeps_counts_that_score_alike(tmp_path: Path) -> None:
    (record,) = benchmarks.run(
        "track_seeds",
        "nearest_triplets",
        dataset="generic_detector",
        protocol={"events": 2},
        runs=tmp_path,
    )
    assert record.status == "ok", record.failure
    folder = tmp_path / record.path.parent
    (path,) = folder.glob("*.npz")  # what the model's process wrote is gone
    assert record.predictions is not None
    assert path.name == record.predictions.file
    assert path.stat().st_size == record.predictions.bytes < 20_000
    arrays = stored.read(path, record.predictions.sha256)
    assert {name.partition(".")[0] for name in arrays} == set(seeding.SHORT)
    ((_, again),) = scoring.score(tmp_path / record.path)
    assert again == list(record.metrics)
    test = track_seeds.TASK.splits("generic_detector", events=2).test
    raw = benchmarks.model("nearest_triplets").predict(None, test.inputs)
    assert scoring.ranking(track_seeds.TASK, test, track_seeds.prepare(test.inputs, raw)) == (
        pytest.approx(record.metrics[0].value)
    )
    verdict = benchmarks.verify(tmp_path / record.path, "retrain", runs=tmp_path / "again")
    assert verdict.lineage is not None
    assert verdict.lineage.verdict == "bitwise"


def test_a_model_cannot_hand_in_the_short_form(tmp_path: Path) -> None:
    path = tmp_path / "forger.py"
    path.write_text(FORGER)
    (record,) = benchmarks.run(
        "track_seeds", path, dataset="generic_detector", protocol={"events": 1}, runs=tmp_path
    )
    assert record.status == "failed"
    assert record.failure is not None
    assert "counts by particle are no prediction" in record.failure.message
    assert not record.metrics


def test_seeds_are_handed_in_as_a_table(tmp_path: Path) -> None:
    test = track_seeds.TASK.splits("generic_detector", events=2).test
    lines = ["unit,seeds_0,seeds_1,seeds_2"]
    for name, event in zip(test.ids, test.inputs, strict=True):
        seeds = benchmarks.model("nearest_triplets").predict(None, [event])[0][:50]
        lines += [f"{name},{i},{j},{k}" for i, j, k in np.asarray(seeds).tolist()]
    (tmp_path / "seeds.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "card.toml").write_text(
        'name = "table"\nauthors = "A"\npaper = "P"\ntraining_data = "none"\n'
    )
    record = benchmarks.submit(
        "track_seeds",
        tmp_path / "seeds.csv",
        card=tmp_path / "card.toml",
        dataset="generic_detector",
        protocol={"events": 2},
        runs=tmp_path / "runs",
    )
    assert record.status == "ok"
    seeds = record.metric("seeds_per_event")
    assert seeds is not None
    assert seeds.value == 50
    ((_, again),) = scoring.score(tmp_path / "runs" / record.path)
    assert [m.value for m in again] == [m.value for m in record.metrics]
