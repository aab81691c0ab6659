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

MOST_UNITS = 2000  # that are left out in turn, each of which takes time in proportion to them all
LARGEST = 4_000_000  # numbers that say how often each unit is taken, held at once


def spaced(units: int) -> NDArray[np.int64]:
    """The places of the units that are left out in turn: all of them, or some evenly spaced."""
    return np.linspace(0, units - 1, min(units, MOST_UNITS)).astype(np.int64)


def left_out(
    metric: Metric, targets: Any, derived: Any, units: int, chosen: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The metric on all units but one, for each of the `chosen` ones, (chosen,)."""
    if metric.replicates is None:
        every = np.arange(units)
        return scoring.replicates(metric, targets, derived, [np.delete(every, k) for k in chosen])
    found = []
    for few in np.array_split(chosen, -(-len(chosen) * units // LARGEST)):
        counts = np.ones((len(few), units), dtype=np.int32)
        counts[np.arange(len(few)), few] = 0
        found.append(np.asarray(metric.replicates(targets, derived, counts), dtype=np.float64))
    return np.concatenate(found)


def changes(
    task: Task, metric: Metric, test: Split, prepared: Any, chosen: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The metric minus its value without each of the chosen units, (chosen,)."""
    derived = scoring.derive(task, test.targets, prepared)
    without = left_out(metric, test.targets, derived, len(test), chosen)
    return scoring.value(metric, test.targets, derived) - without


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

    Of a large test split 2000 are tried, evenly spaced. Raises ValueError where the rows cannot be
    compared.
    """
    records = [_median(comparing.records_of(s, task, dataset, runs)) for s in (first, second)]
    _, known = opening.task_of(records[0], None)
    splits = opening.splits(known, records[0], opening.protocol(records[0], None))
    test = splits.test
    if any(r.task.split != scoring.split_digest(splits) for r in records):
        raise ValueError("the data at hand are not those that the rows were scored on")
    chosen = spaced(len(test))
    values = [_scores(known, test, record, chosen, runs) for record in records]
    whole = values[0][0] - values[1][0]
    without = values[0][1] - values[1][1]
    order = np.argsort(-np.abs(whole - without), kind="stable")[:most]
    tried = f", {len(chosen)} of them tried" if len(chosen) < len(test) else ""
    digits = 4 if len(test) < MOST_UNITS else 7
    lines = [
        f"seeds {records[0].seed} and {records[1].seed}: {whole:+.{digits}g} on all "
        f"{len(test)} units{tried}",
        *(f"  {test.ids[chosen[k]]}: {without[k]:+.{digits}g} without it" for k in order),
    ]
    return "\n".join(lines)


def _scores(
    task: Task,
    test: Split,
    record: Record,
    chosen: NDArray[np.int64],
    runs: str | os.PathLike[str] | None,
) -> tuple[float, NDArray[np.float64]]:
    path = boards.committed_root() / record.path
    path = path if path.is_file() else boards.runs_root(runs) / record.path
    arrays = opening.predictions(Path(path), record)
    prepared = task.prepare(test.inputs, stored.unpack(arrays))
    derived = scoring.derive(task, test.targets, prepared)
    metric = task.metrics[0]
    whole = scoring.value(metric, test.targets, derived)
    return whole, left_out(metric, test.targets, derived, len(test), chosen)


def _median(found: Sequence[Record]) -> Record:
    """The record with the median score; of a task with folds, one of the first fold."""
    first = [r for r in found if not r.task.fold]
    first.sort(key=lambda r: (r.metrics[0].value or 0.0, r.seed))
    return first[(len(first) - 1) // 2]
