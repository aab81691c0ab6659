"""Is a record true? Three levels, each ends in a verdict that is a record and links to the first.

- `rescore`: the stored predictions give the stored scores, on the same class of machine to the
  last digit and elsewhere up to rounding.
- `repredict`: the saved weights give the stored predictions.
- `retrain`: the same seed gives the same predictions on the same class of machine, and a score
  inside the interval elsewhere.

Verdicts: `bitwise` (equal), `numeric` (as close as harmless changes), `statistical` (inside the
interval), or `failed` with the reason.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.running import environment, scoring, stages, storing
from benchmarks.trust import opening
from physbench.datasets import Split, Splits
from physbench.leaderboard import gate
from physbench.leaderboard import predictions as stored
from physbench.leaderboard import record as records
from physbench.leaderboard.record import Lineage, MetricPart, Record, RecordError
from physbench.models import Model
from physbench.tasks import Task

Level = Literal["rescore", "repredict", "retrain"]
LEVELS: tuple[Level, ...] = ("rescore", "repredict", "retrain")
CLASS = ("python", "platform", "cpu", "threads", "gpu", "packages")  # of machines


@dataclass(frozen=True)
class Original:
    """A record to be verified, with its task, model and data."""

    path: Path
    record: Record
    task: Task
    task_name: str | os.PathLike[str]  # or the file that the user gave
    model_name: str | os.PathLike[str]
    splits: Splits
    protocol: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> Model:
        """The model that the record names."""
        return opening.model_of(self.record, self.model_name)[1]


def verify(
    path: str | os.PathLike[str],
    level: str = "rescore",
    *,
    task: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    runs: str | os.PathLike[str] | None = None,
) -> Record:
    """Verify a record and write the verdict, a record too, into `runs`.

    Raises RecordError when the record, its predictions, weights or data are altered, truncated,
    missing or of another split: nothing can be said about such a record.

    Parameters
    ----------
    path:
        Of the record; its predictions and weights lie beside it.
    level:
        `rescore`, `repredict` or `retrain`.
    task, model:
        Files of a task or model that is not registered: a record's own names are not imported.
    folder:
        Of the data, where the record was made from a folder: its own is not followed.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(LEVELS)}; got '{level}'")
    original = open_record(Path(path), task, model, folder)
    metrics, verdict = {"rescore": rescored, "repredict": repredicted, "retrain": retrained}[
        level
    ](original)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    first = original.record
    changes = {
        "id": "",
        "status": "ok",
        "code": environment.code(),
        "environment": environment.environment(),
        "started": now,
        "cost": {},
        "predictions": None,
        "weights": None,
        "metrics": metrics,
        "lineage": Lineage(reproduces=first.id, level=level, verdict=verdict),
    }
    found = records.sealed(first.model_copy(update=changes))
    folder = storing.writable(storing.runs_root(runs))
    records.write(found, folder)
    return found


def open_record(
    path: Path,
    task: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Original:
    """The record with all that verification needs; raises RecordError when something is off."""
    record = records.read(path)
    if record.status != "ok":
        raise RecordError(f"{path} has status '{record.status}'; only good records are verified")
    task_name, the_task = opening.task_of(record, task)
    model_name, _ = opening.model_of(record, model)
    protocol = opening.protocol(record, folder)
    splits = opening.splits(the_task, record, protocol)
    found = scoring.split_digest(splits)
    if found != record.task.split:
        raise RecordError(
            f"{path} was made on another split: its digest is {record.task.split[:12]}, the data "
            f"at hand give {found[:12]}"
        )
    return Original(path, record, the_task, task_name, model_name, splits, protocol)


def rescored(original: Original) -> tuple[list[MetricPart], str]:
    """Metrics from the stored predictions, and the verdict."""
    folder = original.protocol.get("folder") or None
    ((first, metrics),) = scoring.score(original.path, task=original.task_name, folder=folder)
    old = {m.name: m for m in first.metrics}
    versions = [m.name for m in metrics if m.name in old and m.version != old[m.name].version]
    if versions:
        return metrics, f"failed: {', '.join(versions)} changed its definition since; supersede it"
    different = scoring.differing(first.metrics, metrics)
    if different:
        return metrics, f"failed: {', '.join(different)} differ from the record"
    return metrics, "bitwise" if metrics == first.metrics else "numeric"


def repredicted(original: Original) -> tuple[list[MetricPart], str]:
    """Metrics of predictions from the saved weights, and the verdict."""
    fitted, prepared = from_weights(original)
    record = original.record
    assert record.predictions is not None
    same = stored.digest(stored.pack(prepared)) == record.predictions.sha256
    metrics = scoring.evaluate(
        original.task, original.splits.test, prepared, record.task.split, like=record.metrics
    )
    if same:
        return metrics, "bitwise"
    result = frozen_gate(original, fitted, prepared)
    return metrics, "numeric" if result.verdict == "PASS" else f"failed: {result.reason}"


def frozen_gate(original: Original, fitted: Any, prepared: Any) -> gate.Result:
    """G0 on the ranking metric: renewed against stored, calibrated by harmless changes."""
    task, test = original.task, original.splits.test
    value = scoring.ranking(task, test, prepared)
    first = original.record.metrics[0].value
    assert first is not None
    changed = [scoring.ranking(task, test, other) - value for other in _harmless(original, fitted)]
    return gate.frozen(abs(value - first), max(abs(step) for step in changed), first)


def _harmless(original: Original, fitted: Any) -> list[Any]:
    """Predictions with the units in reverse order, and with another number of threads."""
    test, model = original.splits.test, original.model
    order = list(range(len(test)))[::-1]
    turned = stages.predict(model, fitted, test.take(order))
    found = [prepared(original.task, test, scoring.take_units(turned, np.array(order)))]
    torch = sys.modules.get("torch")
    if torch is not None:
        before = torch.get_num_threads()
        torch.set_num_threads(2 if before == 1 else 1)
        found.append(prepared(original.task, test, stages.predict(model, fitted, test)))
        torch.set_num_threads(before)
    return found


def prepared(task: Task, test: Split, predictions: Any) -> Any:
    """As they are stored and scored."""
    arrays = scoring.kept(task, test, task.prepare(test.inputs, predictions))
    return task.prepare(test.inputs, stored.unpack(arrays))


def from_weights(original: Original) -> tuple[Any, Any]:
    """The fitted model and its prepared predictions; raises RecordError without whole weights."""
    record, model = original.record, original.model
    if record.weights is None or model.load is None:
        raise RecordError(
            f"{original.path} has no weights: model '{record.model.name}' does not save any. "
            "Verify it with --level retrain"
        )
    path = opening.weights(original.path, record.weights)
    fitted = model.load(path)
    predictions = stages.predict(model, fitted, original.splits.test)
    return fitted, prepared(original.task, original.splits.test, predictions)


def retrained(original: Original) -> tuple[list[MetricPart], str]:
    """Metrics of the same seed trained again, and the verdict."""
    import tempfile

    record = original.record
    with tempfile.TemporaryDirectory() as scratch:
        cell = stages.prepare(
            original.task_name,
            original.model_name,
            dataset=record.dataset.name,
            settings=record.model.hyper_parameters,
            protocol=original.protocol,
            runs=scratch,
            splits=original.splits,
            context=stages.asked_context(precision=record.model.precision or "32"),
        )
        again = stages.run_seed(cell, record.seed)
    if again.status != "ok":
        message = again.failure.message if again.failure else again.status
        return [], f"failed: {message[:300]}"
    assert record.predictions is not None
    assert again.predictions is not None
    if again.predictions.sha256 == record.predictions.sha256:
        return again.metrics, "bitwise"
    return again.metrics, _apart(record, again)


def _apart(record: Record, again: Record) -> str:
    """The verdict on unequal predictions of one seed."""
    first, second = record.metrics[0], again.metrics[0]
    ours, theirs = again.environment.model_dump(), record.environment.model_dump()
    other = [name for name in CLASS if ours.get(name) != theirs.get(name)]
    if record.model.source != again.model.source or record.task.source != again.task.source:
        other.append("source")
    if not other:
        return f"failed: {first.name} {second.value} instead of {first.value} on equal machines"
    if None in (first.low, first.high, second.value):
        return f"failed: no interval to compare with ({', '.join(other)} differ)"
    if first.low <= second.value <= first.high:  # type: ignore[operator]
        return "statistical"
    return (
        f"failed: {first.name} {second.value:.4g} is outside [{first.low:.4g}, {first.high:.4g}] "
        f"({', '.join(other)} differ)"
    )


def supersede(
    paths: Sequence[str | os.PathLike[str]], *, runs: str | os.PathLike[str] | None = None
) -> list[tuple[Record, Record]]:
    """Score records anew whose metrics have a newer version, into `runs`; the old ones stay.

    Returns the pairs (old, new). The new record names the old one in `lineage.supersedes`, and
    its predictions are copied beside it. Records that are up to date are passed over.
    """
    folder = storing.writable(storing.runs_root(runs))
    found = []
    for path in (Path(p) for p in paths):
        ((old, metrics),) = scoring.score(path)
        before = {m.name: m.version for m in old.metrics}
        if before == {m.name: m.version for m in metrics}:
            continue
        _, task = opening.task_of(old)
        changes = {
            "id": "",
            "metrics": metrics,
            "code": environment.code(),
            "task": old.task.model_copy(update={"version": task.version}),
            "lineage": Lineage(supersedes=old.id),
        }
        new = records.sealed(old.model_copy(update=changes))
        assert old.predictions is not None
        target = folder / new.path.parent / old.predictions.file
        arrays = opening.predictions(path, old)
        if not target.exists():
            stored.write(target, arrays)
        records.write(new, folder)
        found.append((old, new))
    return found


def changes(pairs: Sequence[tuple[Record, Record]]) -> str:
    """What superseding changed, in words: scores first, then ranks on each board."""
    if not pairs:
        return "nothing to supersede: all metrics have today's versions"
    lines = []
    for old, new in pairs:
        before = {m.name: m for m in old.metrics}
        for metric in new.metrics:
            first = before.get(metric.name)
            if first is None or first.version != metric.version:
                was = "absent" if first is None else f"{first.value} (version {first.version})"
                lines.append(
                    f"{new.model.name} seed {new.seed}: {metric.name} {was} -> {metric.value} "
                    f"(version {metric.version})"
                )
    return "\n".join([*lines, *_rank_changes(pairs)])


def _rank_changes(pairs: Sequence[tuple[Record, Record]]) -> list[str]:
    """A line for each row whose rank among the superseded ones is another one."""
    from physbench.leaderboard import board as tables

    lines = []
    for name in sorted({old.task.name for old, _ in pairs}):
        _, task = opening.task_of(next(old for old, _ in pairs if old.task.name == name))
        ranks = []
        for side in (0, 1):
            chosen = [pair[side] for pair in pairs if pair[side].task.name == name]
            groups = {tables.identity(record) for record in chosen}
            boards = [
                tables.build([r for r in chosen if tables.identity(r) == g], task.admit)
                for g in sorted(groups)
            ]
            ranks.append({row.model: row.rank for board in boards for row in board.rows})
        for model, rank in ranks[1].items():
            if ranks[0].get(model) != rank:
                lines.append(f"{name}: {model} moves from {ranks[0].get(model)} to {rank}")
    return lines or ["no rank changes"]
