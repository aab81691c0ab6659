"""The judge: from what a model's process has left to a score and to exactly one record.

Nothing here has run the model's code. Predictions are scored as they are stored.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from benchmarks.running import environment, measure, reading, scoring, storing, worker
from benchmarks.running.cell import Cell, cell_id, data_digest
from benchmarks.running.processes import Attempt, exit_text
from physbench.leaderboard import predictions as stored
from physbench.leaderboard import record as records
from physbench.leaderboard.record import (
    Cost,
    DatasetPart,
    Failure,
    FilePart,
    MetricPart,
    ModelPart,
    Record,
    RecordError,
    Stage,
    Status,
    TaskPart,
)

if TYPE_CHECKING:
    from benchmarks.running.stages import Stop

FULL_DIGESTS = 32  # datasets with more files list 16 digits of each digest, to bound the record
LISTED = 48  # datasets with more files have one digest of them all
MARGIN = 0.8  # of the largest size: a record is indented when it is written
SHORT = 300  # characters of a message in a record that is too large
STAGES = ("load", "fit", "predict", "prepare", "score", "write")


@dataclass
class Outcome:
    """What a seed has produced; whatever happens, the record is made from it."""

    cell: Cell
    seed: int
    started: str
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    status: Status = "ok"
    failure: Failure | None = None
    cost: dict[str, Cost] = field(default_factory=dict)
    parameters: int | None = None
    predictions: FilePart | None = None
    weights: FilePart | None = None
    folder: Path | None = None
    metrics: list[MetricPart] = field(default_factory=list)
    threads: int = 1
    gpu: str | None = None
    late: dict[str, str] = field(default_factory=dict)

    def fail(self, status: str, stage: str, kind: str, message: str, where: str = "") -> None:
        """The first failure is the one that counts."""
        if self.failure is None:
            self.status = cast("Status", status)
            self.failure = Failure(
                stage=cast("Stage", stage if stage in STAGES else "load"),
                type=kind[:100] or "Error",
                message=message[: worker.TEXT] or kind or "no message",
                traceback=where[-worker.TEXT :] or None,
            )

    def take(self, attempt: Attempt, ended: str) -> None:
        """Everything that the model's process said, and how it ended."""
        self.threads = self.cell.context.threads
        for line in attempt.said:
            try:
                _TAKEN.get(line["event"], _nothing)(self, line)
            except (KeyError, TypeError, ValueError) as error:
                self.fail(
                    "failed",
                    attempt.stage,
                    type(error).__name__,
                    f"an answer of the model's process makes no sense: {error}",
                )
        _ending(self, attempt, ended)


def _nothing(outcome: Outcome, line: dict[str, Any]) -> None:
    """Lines that say nothing for the record."""


def _take_cost(outcome: Outcome, line: dict[str, Any]) -> None:
    outcome.cost[str(line["name"])] = measure.group(line)


def _take_latency(outcome: Outcome, line: dict[str, Any]) -> None:
    times = {name: line[name] for name in ("median_ms", "p95_ms") if name in line}
    outcome.cost["predict"] = replace(outcome.cost["predict"], **times)


def _take_parameters(outcome: Outcome, line: dict[str, Any]) -> None:
    outcome.parameters = line["count"]


def _take_predictions(outcome: Outcome, line: dict[str, Any]) -> None:
    outcome.predictions, outcome.folder = _file(line, outcome.cell)


def _take_weights(outcome: Outcome, line: dict[str, Any]) -> None:
    outcome.weights, _ = _file(line, outcome.cell)


def _take_end(outcome: Outcome, line: dict[str, Any]) -> None:
    outcome.threads, outcome.gpu = int(line["threads"]), line["gpu"]
    known = outcome.cell.model.sources
    outcome.late = {p: d for p, d in line["late"].items() if p not in known}


def _take_failure(outcome: Outcome, line: dict[str, Any]) -> None:
    outcome.fail(line["status"], line["stage"], line["type"], line["message"], line["traceback"])


_TAKEN = {
    "cost": _take_cost,
    "latency": _take_latency,
    "parameters": _take_parameters,
    "predictions": _take_predictions,
    "weights": _take_weights,
    "end": _take_end,
    "failure": _take_failure,
}


def _file(line: dict[str, Any], cell: Cell) -> tuple[FilePart, Path]:
    """A file that the model's process wrote, if it lies where such files lie."""
    path = Path(line["path"])
    allowed = (cell.folder, storing.rescue(cell.runs) / cell.below)
    if path.parent not in allowed or path.name != line["file"] or path.is_symlink():
        raise ValueError(f"{path} is no place for results")
    part = FilePart(file=line["file"], sha256=line["sha256"], bytes=path.stat().st_size)
    return part, path.parent


def _ending(outcome: Outcome, attempt: Attempt, ended: str) -> None:
    """What the end of the process says beyond its own words."""
    if ended == "timeout":
        outcome.failure = None
        where = _dump(attempt.tail)
        outcome.fail(
            "timeout",
            attempt.stage,
            "TimeoutError",
            f"gave up in {attempt.stage}{_innermost(where)}",
            where,
        )
    elif ended == "interrupted":
        told = (outcome.failure and outcome.failure.traceback) or ""
        outcome.failure = None
        outcome.fail(
            "interrupted",
            attempt.stage,
            "KeyboardInterrupt",
            f"interrupted in {attempt.stage}",
            told,
        )
    elif attempt.find("end") is None and outcome.failure is None:
        status = "killed" if (attempt.exit or 0) < 0 else "failed"
        outcome.fail(
            status,
            attempt.stage,
            "Killed" if status == "killed" else "Exit",
            f"the model's process ended with {exit_text(attempt.exit or 0)} in {attempt.stage}, "
            f"before it had answered\n{_dump(attempt.tail)}".strip(),
        )


def _dump(tail: str) -> str:
    """The end of the output, from where faulthandler's report begins if there is one."""
    for mark in ("Fatal Python error", "Current thread"):
        if mark in tail:
            lines = tail[tail.rindex(mark) :].splitlines()
            return "\n".join(line for line in lines if not _ours(line))
    return tail


def _innermost(report: str) -> str:
    """The file and line of the innermost call in faulthandler's report."""
    found = re.search(r'File "([^"]+)", line (\d+)', report)
    return f", at {Path(found[1]).name}:{found[2]}" if found else ""


def _ours(line: str) -> bool:
    """Whether a line of faulthandler's report names the harness."""
    return "benchmarks/running" in line or 'File "<string>"' in line


def score(outcome: Outcome, stop: Stop) -> None:
    """Score the stored predictions of a run that went well so far."""
    if outcome.failure is not None:
        return
    stage = "prepare"
    try:
        with stop.breakable():
            prepared = _read(outcome)
            stage = "score"
            wall, cpu = time.perf_counter(), measure.cpu_seconds()
            test = outcome.cell.splits.test
            task, split = outcome.cell.task.object, outcome.cell.split
            outcome.metrics = scoring.evaluate(task, test, prepared, split)
            wall, cpu = time.perf_counter() - wall, measure.cpu_seconds() - cpu
            outcome.cost["metric"] = measure.group(measure.cost(wall, cpu, len(test)))
    except BaseException as error:  # noqa: BLE001 - a model's code raises anything
        found = worker.told(error)
        outcome.fail(found["status"], stage, found["type"], found["message"], found["traceback"])


def _read(outcome: Outcome) -> Any:
    """Predictions as they are stored, prepared again: what is scored is what is stored."""
    if outcome.predictions is None or outcome.folder is None:
        raise ValueError("the model's process said that it was done, and stored no predictions")
    test, task = outcome.cell.splits.test, outcome.cell.task.object
    part = outcome.predictions
    arrays = stored.read(outcome.folder / part.file, part.sha256)
    prepared = task.prepare(test.inputs, stored.unpack(arrays))
    if task.condense is None:
        return prepared
    arrays = scoring.kept(task, test, prepared)
    _replace(outcome, arrays)
    return task.prepare(test.inputs, stored.unpack(arrays))


def _replace(outcome: Outcome, arrays: stored.Arrays) -> None:
    """Keep condensed predictions in place of those that the model's process wrote."""
    assert outcome.predictions is not None
    assert outcome.folder is not None
    old = outcome.folder / outcome.predictions.file
    if old != keep(outcome, arrays):
        old.unlink(missing_ok=True)


def keep(outcome: Outcome, arrays: stored.Arrays) -> Path:
    """Store predictions as those of the outcome."""
    cell = outcome.cell
    digest = stored.digest(arrays)
    job = {"runs": str(cell.runs), "below": str(cell.below)}
    job["scratch"] = f".{outcome.seed}-{digest[:12]}-{outcome.nonce[:8]}"
    name = f"{outcome.seed}-{digest[:12]}.npz"
    path = storing.kept(job, name, lambda place: stored.write(place, arrays))
    outcome.predictions = FilePart(file=name, sha256=digest, bytes=path.stat().st_size)
    outcome.folder = path.parent
    return path


def sealed(outcome: Outcome) -> Record:
    """The record; where it could not be written or read as it is, one that says so."""
    try:
        record = records.sealed(_record(outcome))
        size = len(records.canonical(records.body(record)).encode())
        why = records.contradiction(record)
        if size > records.MAX_BYTES * MARGIN:
            slices = sum(len(m.slices) for m in outcome.metrics)
            why = f"{len(outcome.metrics)} metrics with {slices} slices are more than it holds"
    except ValueError as error:
        why = str(error)
    if why is None:
        return record
    status = "failed" if outcome.status == "ok" else outcome.status
    outcome.failure, outcome.metrics, outcome.cost = None, [], {}
    outcome.parameters = None
    outcome.fail(status, "write", "RecordError", f"no record can hold the result: {why}"[:SHORT])
    return records.sealed(_record(outcome))


def _record(outcome: Outcome) -> Record:
    cell = outcome.cell
    task, splits, model = cell.task.object, cell.splits, cell.model
    files = dict(sorted(splits.files.items()))
    if len(files) > LISTED:
        files = {f"{len(files)} files": data_digest(splits)}
    elif len(files) > FULL_DIGESTS:
        files = {name: digest[:16] for name, digest in files.items()}
    return Record(
        status=outcome.status,
        failure=outcome.failure,
        cell=cell_id(cell, outcome.seed, outcome.late),
        task=TaskPart(
            name=cell.task.name,
            version=task.version,
            source=cell.task_source,
            protocol=dict(cell.protocol),
            split=cell.split,
            unit=task.unit,
            units={n: len(getattr(splits, n)) for n in ("train", "validation", "test")},
            fold=cell.fold,
        ),
        dataset=DatasetPart(
            name=cell.dataset,
            version=cell.dataset_object.version,
            digest=data_digest(splits),
            files=files,
            counts=dict(splits.counts) or None,
            source=cell.dataset_source,
            content=cell.content,
        ),
        model=_model_part(outcome),
        seed=outcome.seed,
        code=environment.code(),
        environment=environment.environment(outcome.threads, outcome.gpu),
        started=outcome.started,
        cost=outcome.cost,
        predictions=outcome.predictions,
        weights=outcome.weights,
        metrics=outcome.metrics,
        cite=[
            r
            for r in (task.reference, cell.dataset_object.citation, model.card["reference"])
            if "@" in r
        ],
    )


def _model_part(outcome: Outcome) -> ModelPart:
    model, context = outcome.cell.model, outcome.cell.context
    return ModelPart(
        name=model.name,
        source=model.source,
        origin=cast("Any", model.origin),
        reference=model.card["reference"],
        parameters=outcome.parameters,
        hyper_parameters=dict(outcome.cell.settings),
        oracle=model.card["role"] == "oracle",
        deterministic=model.card["deterministic"],
        role=model.card["role"],
        precision=None if context.precision == "32" else context.precision,
    )


def write(outcome: Outcome) -> tuple[Record, Path | None]:
    """Write the record beside its predictions; the path is None where nothing could be written."""
    record = sealed(outcome)
    name = record.path.name
    scratch = f".{outcome.seed}-{record.cell[:12]}-{outcome.nonce[:8]}"
    cell = outcome.cell
    home = outcome.folder or cell.folder
    root = cell.runs if home == cell.folder else storing.rescue(cell.runs)
    job = {"runs": str(root), "below": str(cell.below), "scratch": scratch}
    try:
        if outcome.late:
            storing.kept(job, notes(cell, outcome.seed), lambda p: reading.note(p, outcome.late))
        path = storing.kept(job, name, lambda path: _write(record, path))
    except OSError as error:
        print(f"the record could not be written: {error}", file=sys.stderr)
        return record, None
    if path.parent != home:
        _beside(record, home, path.parent)
    return record, path


def notes(cell: Cell, seed: int) -> str:
    """Name of the file that says what a run of this cell has read."""
    return f"{seed}-{cell_id(cell, seed)[:12]}.reads"


def _write(record: Record, path: Path) -> None:
    written = records.write(record, path.parent / "root")
    os.replace(written, path)


def _beside(record: Record, home: Path, other: Path) -> None:
    """Copies of a record's files beside it, as far as there is room."""
    for part in (record.predictions, record.weights):
        if part is not None and (home / part.file).is_file():
            try:
                shutil.copyfile(home / part.file, other / part.file)
            except OSError as error:
                print(f"{home / part.file} stays where it is: {error}", file=sys.stderr)


def whole(record: Record, folder: Path) -> bool:
    """Whether a record is good and its predictions lie beside it, unharmed."""
    if record.status != "ok" or record.predictions is None:
        return False
    path = folder / record.predictions.file
    try:
        stored.read(path, record.predictions.sha256)
    except (ValueError, OSError, RecordError) as error:
        print(f"ignored: {error}", file=sys.stderr)
        return False
    return True


def brought_home(record: Record, path: Path, cell: Cell) -> Path:
    """The path of a record; one that was rescued is moved to its folder when there is room."""
    if path.parent == cell.folder:
        return path
    names = [part.file for part in (record.predictions, record.weights) if part]
    try:
        cell.folder.mkdir(parents=True, exist_ok=True)
        for name in [*names, path.name]:
            if (path.parent / name).is_file():
                partial = cell.folder / f".{name}-home"
                shutil.copyfile(path.parent / name, partial)
                os.replace(partial, cell.folder / name)
        for name in [*names, path.name]:
            (path.parent / name).unlink(missing_ok=True)
    except OSError as error:
        print(f"{path} stays where it is: {error}", file=sys.stderr)
        return path
    return cell.folder / path.name
