"""A split scored in shards on a cluster: the digits of one process, or an error that says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.reports import boards
from benchmarks.running import scoring
from benchmarks.sweeping import sharding
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
