"""`compare A B`: the difference of two rows of a board, paired by unit, in numbers and words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import registry
from benchmarks.reports import boards
from physbench.leaderboard import board as tables
from physbench.leaderboard import record as records
from physbench.leaderboard import statistics
from physbench.leaderboard.record import Record


@dataclass(frozen=True)
class Comparison:
    """Mean of A minus mean of B, with its 95 % interval and what it says."""

    first: str
    second: str
    metric: str
    estimate: statistics.Estimate
    verdict: str

    def __str__(self) -> str:
        e = self.estimate
        places = tables.digits(e.low, e.high)
        return (
            f"{self.metric}: {self.first} - {self.second} = {e.value:+.{places}f} "
            f"[{e.low:+.{places}f}, {e.high:+.{places}f}], {_chance(e.p)}\n{self.verdict}"
        )


def compare(
    first: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    second: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    task: str | None = None,
    dataset: str | None = None,
    runs: str | os.PathLike[str] | None = None,
) -> Comparison:
    """Compare two rows: each is a record file, several of one row, or a model's name on a board.

    Parameters
    ----------
    task, dataset:
        Which board is meant, when a name stands on several.

    Raises ValueError when the rows are not of one board: other units, other metric, other split.
    """
    groups = [records_of(side, task, dataset, runs) for side in (first, second)]
    identities = {tables.identity(record) for group in groups for record in group}
    if len(identities) > 1:
        one, two = groups[0][0], groups[1][0]
        raise ValueError(
            f"{_name(one)} and {_name(two)} cannot be compared: they differ in task, protocol, "
            f"split, dataset or metric versions"
        )
    scores = [tables.scores_of(group) for group in groups]
    estimate = statistics.difference(*scores)
    names = [_label(group) for group in groups]
    metric = groups[0][0].metrics[0]
    return Comparison(
        names[0], names[1], metric.name, estimate, _verdict(names, scores, estimate, metric.best)
    )


def _chance(p: float) -> str:
    """p in words: never 0."""
    return f"p < {statistics.SMALLEST_P:g}" if p <= statistics.SMALLEST_P else f"p = {p:.2g}"


def _verdict(
    names: Sequence[str],
    scores: Sequence[statistics.Scores],
    estimate: statistics.Estimate,
    best: str,
) -> str:
    seeds = " and ".join(f"{len(s.values)} seed{'s' * (len(s.values) > 1)}" for s in scores)
    if not estimate.low <= 0 <= estimate.high and estimate.p == estimate.p:
        means = [tables.badness(float(s.weights @ s.values), best) for s in scores]
        better, worse = names if means[0] < means[1] else names[::-1]
        return f"{better} is better than {worse} (paired by unit, {seeds})"
    if estimate.p != estimate.p:
        return f"nothing can be said: no bootstrap is stored with these records ({seeds})"
    need = statistics.detectable(estimate) / 2**0.5
    return (
        f"{names[0]} and {names[1]} cannot be told apart; a difference of {need:.2g} would "
        f"probably have been found (paired by unit, {seeds})"
    )


def records_of(
    side: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    task: str | None,
    dataset: str | None,
    runs: str | os.PathLike[str] | None,
) -> list[Record]:
    """The good records of a side; raises ValueError when there is none."""
    chosen = [side] if isinstance(side, str | os.PathLike) else list(side)
    if all(str(one).endswith(".json") for one in chosen):
        found = [records.read(Path(one)) for one in chosen]
        rows = {(r.model.name, records.canonical(r.model.settings)) for r in found}
        if len(rows) > 1:
            raise ValueError(f"the records of one side are of several rows: {sorted(rows)}")
    else:
        found = _of_row(str(chosen[0]), task, dataset, runs)
    good = [r for r in found if r.status == "ok" and r.metrics and r.metrics[0].value is not None]
    if not good:
        raise ValueError(f"{', '.join(str(one) for one in chosen)}: no record with a score")
    return good


def _of_row(
    label: str, task: str | None, dataset: str | None, runs: str | os.PathLike[str] | None
) -> list[Record]:
    """Records of the row with this label, on the only board that has it."""
    names = [task] if task else registry.names("task")
    below = [Path(registry.load("task", name).name) for name in names] if task else None
    everything, local = boards.gather(runs, below)
    by_id = {record.id[:12]: record for record in everything}
    found, labels, datasets = {}, set(), set()
    for board in (b for name in names for b in boards.of_task(name, everything, local)):
        datasets.add(board.dataset)
        for row in board.rows:
            labels.add(row.model)
            if label in (row.model, tables.bare(row.model)) and dataset in (None, board.dataset):
                found[board.task, board.dataset, board.split] = [by_id[i] for i in row.records]
    if dataset and dataset not in datasets:
        raise registry.unknown("dataset of a board", dataset, sorted(datasets))
    if not found:
        raise registry.unknown("row", label, sorted(labels))
    if len(found) > 1:
        places = ", ".join(f"{name} on {data}" for name, data, _ in found)
        raise ValueError(
            f"'{label}' stands on several boards ({places}); name --task and --dataset"
        )
    return next(iter(found.values()))


def _name(record: Record) -> str:
    return f"{record.task.name}/{record.dataset.name}/{record.model.name}"


def _label(group: Sequence[Record]) -> str:
    return group[0].model.name
