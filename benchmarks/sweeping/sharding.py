"""One large split in shards on a Dask cluster: what needs the truth runs beside the data.

Each worker reads its own units and sums them up; the sums come back and are added here, in the
order of the units, so that the digits are those of one process.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

from benchmarks import registry
from benchmarks.running import scoring
from benchmarks.running.cell import data_digest
from benchmarks.sweeping import cluster
from physbench.datasets import Splits, take
from physbench.leaderboard.record import Record, RecordError
from physbench.tasks import ByUnit, Task

SHARDS = 4  # for each worker's thread: the last one does not wait long for the slowest


def derived(on: Any, record: Record, predictions: Sequence[Any]) -> list[Any]:
    """What the metrics need of each test unit of a record, by its prepared predictions.

    Raises ValueError for a task that is not summed by unit or is no registered one, and
    RecordError where a worker has other data than the record was made on.
    """
    by_unit(record.task.name)
    part = record.task
    asked = json.dumps([part.name, record.dataset.name, dict(part.protocol), part.fold])
    state = (part.split, record.dataset.digest)
    with cluster.client(on) as client:
        count = SHARDS * max(sum(client.nthreads().values()), 1)
        size = max(-(-len(predictions) // count), 1)
        starts = range(0, len(predictions), size)
        futures = [
            client.submit(shard, asked, state, start, predictions[start : start + size])
            for start in starts
        ]
        return [unit for found in client.gather(futures) for unit in found]


def by_unit(task: str) -> ByUnit:
    """What a registered task does to a unit alone; ValueError where it does not say so."""
    known = [n for n in registry.names("task") if registry.load("task", n).object.by_unit]
    if task not in known:
        raise ValueError(
            f"'{task}' is not summed by unit; in shards are scored: {', '.join(known)}"
        )
    found: ByUnit = registry.load("task", task).object.by_unit
    return found


def shard(asked: str, state: tuple[str, str], start: int, predictions: Sequence[Any]) -> list[Any]:
    """On a worker: the units from `start` on, summed up one by one."""
    splits = _splits(asked)
    here = (scoring.split_digest(splits), data_digest(splits))
    if here != state:
        raise RecordError(
            f"this worker has other data: split {here[0][:12]} and files {here[1][:12]}, the "
            f"record was made on {state[0][:12]} and {state[1][:12]}"
        )
    units = take(splits.test.targets, range(start, start + len(predictions)))
    derive = by_unit(json.loads(asked)[0]).derive
    return [derive(*pair) for pair in zip(units, predictions, strict=True)]


@functools.lru_cache(maxsize=1)
def _splits(asked: str) -> Splits:
    """The splits, read once by a worker for all of its shards."""
    name, dataset, protocol, fold = json.loads(asked)
    task: Task = registry.load("task", name).object
    return task.splits(dataset, **protocol, **({} if fold is None else {"fold": fold}))
