"""Which test units make the difference of two rows: what it would be without each of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.reports import boards
from benchmarks.running import scoring
from benchmarks.trust import comparing, opening
from physbench.datasets import Split
from physbench.leaderboard import predictions as stored
from physbench.leaderboard.record import Record
from physbench.tasks import Metric, Task

MOST_UNITS = 2000  # each one is left out in turn, which takes time in proportion to their square


def left_out(metric: Metric, targets: Any, derived: Any, units: int) -> NDArray[np.float64]:
    """The metric on all units but one, for each of them, (units,)."""
    if metric.replicates is not None:
        counts = 1 - np.eye(units, dtype=np.int64)
        return np.asarray(metric.replicates(targets, derived, counts), dtype=np.float64)
    every = np.arange(units)
    return scoring.replicates(metric, targets, derived, [np.delete(every, k) for k in every])


def differing(
    first: str | Sequence[str],
    second: str | Sequence[str],
    *,
    most: int = 10,
    task: str | None = None,
    dataset: str | None = None,
    runs: str | os.PathLike[str] | None = None,
) -> str:
    """The units that most change the difference of two rows, by the median seed of each.

    Raises ValueError where the rows cannot be compared, or the test split has too many units.
    """
    records = [_median(comparing.records_of(s, task, dataset, runs)) for s in (first, second)]
    _, known = opening.task_of(records[0], None)
    splits = opening.splits(known, records[0], opening.protocol(records[0], None))
    test = splits.test
    if any(r.task.split != scoring.split_digest(splits) for r in records):
        raise ValueError("the data at hand are not those that the rows were scored on")
    if len(test) > MOST_UNITS:
        raise ValueError(f"{len(test)} units are too many to leave out in turn ({MOST_UNITS})")
    values = [_scores(known, test, record, runs) for record in records]
    whole = values[0][0] - values[1][0]
    without = values[0][1] - values[1][1]
    order = np.argsort(-np.abs(whole - without), kind="stable")[:most]
    lines = [
        f"seeds {records[0].seed} and {records[1].seed}: {whole:+.4g} on all {len(test)} units",
        *(f"  {test.ids[k]}: {without[k]:+.4g} without it" for k in order),
    ]
    return "\n".join(lines)


def _scores(
    task: Task, test: Split, record: Record, runs: str | os.PathLike[str] | None
) -> tuple[float, NDArray[np.float64]]:
    path = boards.committed_root() / record.path
    path = path if path.is_file() else boards.runs_root(runs) / record.path
    arrays = opening.predictions(Path(path), record)
    prepared = task.prepare(test.inputs, stored.unpack(arrays))
    derived = scoring.derive(task, test.targets, prepared)
    metric = task.metrics[0]
    whole = scoring.value(metric, test.targets, derived)
    return whole, left_out(metric, test.targets, derived, len(test))


def _median(found: Sequence[Record]) -> Record:
    """The record with the median score; of a task with folds, one of the first fold."""
    first = [r for r in found if not r.task.fold]
    first.sort(key=lambda r: (r.metrics[0].value or 0.0, r.seed))
    return first[(len(first) - 1) // 2]
