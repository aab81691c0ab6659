"""A split scored in shards on a cluster: the digits of one process, or an error that says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import registry
from benchmarks.__main__ import main
from benchmarks.reports import boards
from benchmarks.running import scoring
from benchmarks.sweeping import local, sharding
from benchmarks.sweeping.cluster import address
from physbench.leaderboard import record as records
from physbench.leaderboard.record import RecordError


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="needs the extra [dask]")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(processes=True, **options) as found:
        yield found


def first(task: str, dataset: str, model: str) -> Path:
    return min((boards.committed_root() / task / dataset / model).glob("*.json"))


def test_shards_give_the_digits_of_one_process(cluster: Any, capsys: Any) -> None:
    path = first("tracking", "generic_detector", "gated_network")
    with cluster.get_client() as client:
        ((record, metrics),) = scoring.score(path, on=client)
    assert metrics == record.metrics
    address = cluster.scheduler_address.replace("tcp://", "dask://")
    assert main(["score", str(path), "--on", address]) == 0
    assert "the same digits" in capsys.readouterr().out


MODEL = '''"""Hits in one direction are a track; the width of a direction is drawn in the fit."""
from pathlib import Path
import numpy as np
from physbench.models import Model


def fit(train, validation, *, seed):
    return np.random.default_rng(seed).integers(40, 60, 2)


def predict(bins, inputs):
    return [directions(event, *bins) for event in inputs]


def directions(event, first, second):
    r = np.hypot(event.x, event.y)
    phi, slope = np.arctan2(event.y, event.x), np.arcsinh(event.z / r)
    cells = np.round(phi * first).astype(int) * 1000 + np.round(slope * second).astype(int)
    return np.unique(cells, return_inverse=True)[1]


def save(bins, path):
    Path(path).write_bytes(bins.tobytes())


MODEL = Model(tasks=("tracking",), reference="none", fit=fit, predict=predict, save=save,
              load=lambda path: np.frombuffer(Path(path).read_bytes(), dtype=np.int64))
'''


@pytest.mark.slow
def test_a_cell_in_shards_is_that_of_one_process(cluster: Any, tmp_path: Path) -> None:
    """Fitted once, predicted and scored on two workers: the same predictions, weights, metrics."""
    model = tmp_path / "drawn.py"
    model.write_text(MODEL)
    common = {"models": [str(model)], "seeds": 1, "report": lambda text: None}
    address = cluster.scheduler_address.replace("tcp://", "dask://")
    (whole,) = local.sweep(["tracking"], runs=tmp_path / "whole", jobs=1, **common).results
    common |= {"runs": tmp_path / "parts", "on": address, "shards": 3}
    (parts,) = local.sweep(["tracking"], **common).results
    assert (whole.status, parts.status) == ("ok", "ok"), (whole.message, parts.message)
    one, other = (records.read(Path(str(r.record))) for r in (whole, parts))
    assert float(one.metrics[0].value or 0) > 0
    assert other.metrics == one.metrics
    assert other.predictions == one.predictions
    assert (other.cell, other.weights, other.model) == (one.cell, one.weights, one.model)
    assert local.sweep(["tracking"], **common).results[0].skipped


def test_what_cannot_be_cut_says_so(tmp_path: Path) -> None:
    common = {"runs": tmp_path, "seeds": 1, "report": lambda text: None}
    with pytest.raises(ValueError, match="shards must be 1, or more with on='dask"):
        local.sweep(["tracking"], shards=2, **common)
    subject = SimpleNamespace(name="any", card={"role": "learned", "saves": True})
    with pytest.raises(ValueError, match="not summed by unit"):
        sharding.check(registry.load("task", "dark_jets"), subject)
    subject.card |= {"saves": False, "deterministic": False}
    with pytest.raises(ValueError, match="'any' cannot be predicted in shards"):
        sharding.check(registry.load("task", "tracking"), subject)


def test_a_task_that_is_not_summed_by_unit_says_so() -> None:
    path = first("dark_jets", "dark_showers", "pca_mahalanobis")
    with pytest.raises(ValueError, match=r"'dark_jets' is not summed by unit; .*tracking"):
        scoring.score(path, on="dask://nowhere:1")


def test_another_scheduler_than_dask_is_refused() -> None:
    path = first("tracking", "generic_detector", "one_track_per_hit")
    for malformed in ("dask://", "dask://here", "dask://here:port", "dask://:1", "dask://a:99999"):
        with pytest.raises(ValueError, match=f"on must be 'dask://HOST:PORT'.*'{malformed}'"):
            address(malformed)
    assert address("dask://[::1]:8786") == "tcp://[::1]:8786"
    with pytest.raises(ValueError, match="on must be 'dask://HOST:PORT'"):
        scoring.score(path, on="slurm://head")


def test_a_worker_with_other_data_refuses() -> None:
    record = records.read(first("tracking", "generic_detector", "one_track_per_hit"))
    asked = json.dumps(["tracking", "generic_detector", dict(record.task.protocol), None])
    with pytest.raises(RecordError, match="this worker has other data"):
        sharding.shard(asked, (record.task.split, "0" * 64), 0, [])
    assert sharding.shard(asked, (record.task.split, record.dataset.digest), 0, []) == []
