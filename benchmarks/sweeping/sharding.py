"""One large split in shards on a Dask cluster: what needs the truth runs beside the data.

Each worker reads its own units, predicts them where they are not predicted yet, and sums them up;
the sums come back and are added here, in the order of the units, so that the digits are those of
one process. A model is trained once, with the first shard; the others get its weights.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.running import judging, measure, scoring, stages, storing
from benchmarks.running.cell import Cell, Subject, data_digest
from benchmarks.running.judging import Outcome
from benchmarks.sweeping import cluster
from benchmarks.sweeping.local import Job, Result, described
from physbench.datasets import Splits, take
from physbench.leaderboard import predictions as stored
from physbench.leaderboard.record import Cost, FilePart, Record, RecordError
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


# --- cells --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """What a worker knows of some test units: the answers of the model's process, and the sums."""

    told: Mapping[str, Any]
    arrays: stored.Arrays | None = None
    sums: Sequence[Any] = ()
    weights: bytes | None = None


def check(task: Any, model: Subject) -> None:
    """Raise ValueError where a cell cannot be predicted and scored in shards."""
    by_unit(task.name)
    card = model.card
    if card["role"] == "oracle" or not (card["saves"] or card["deterministic"]):
        raise ValueError(
            f"'{model.name}' cannot be predicted in shards: that takes a model that saves and "
            "loads its weights, or a deterministic one that each worker fits anew, and no oracle"
        )


def submitted(client: Any, job: Job, plan: Any) -> tuple[Cell, list[Any]]:
    """The cell, and a future for each part of its test units; the first one trains."""
    cell: Cell = plan.cell((job.task, job.dataset, job.model), job.seed)
    asked = json.dumps([cell.task.name, cell.dataset, dict(cell.protocol), cell.fold])
    state = (cell.split, data_digest(cell.splits))
    count = len(cell.splits.test)
    size = max(-(-count // job.shards), 1)
    spans = [(start, min(start + size, count)) for start in range(0, count, size)]
    first = client.submit(part, job, asked, state, spans[0], None, pure=False)
    weights = client.submit(_weights, first) if cell.model.card["saves"] else None
    others = [client.submit(part, job, asked, state, s, weights, pure=False) for s in spans[1:]]
    return cell, [first, *others]


def _weights(first: Part) -> bytes | None:
    return first.weights


def part(
    job: Job, asked: str, state: tuple[str, str], span: tuple[int, int], weights: bytes | None
) -> Part:
    """On a worker: the units of a span predicted in a process without truth, then summed up."""
    with tempfile.TemporaryDirectory() as scratch:
        given = Path(scratch) / "weights"
        if weights is not None:
            given.write_bytes(weights)
        told = cluster.asked(
            replace(job, runs=str(Path(scratch) / "runs")),
            units=span,
            weights=None if weights is None else str(given),
        )
        if told["failure"]:
            return Part(told)
        arrays = stored.read(Path(told["predictions"]), told["sha256"])
        fitted = Path(told["weights"]).read_bytes() if told["weights"] else None
    task: Task = registry.load("task", job.task).object
    inputs = take(_splits(asked).test.inputs, range(*span))
    prepared = task.prepare(inputs, stored.unpack(arrays))
    return Part(told, arrays, shard(asked, state, span[0], prepared), fitted)


def together(job: Job, cell: Cell, parts: Sequence[Part], started: str) -> Result:
    """One record of all parts, as one process would have made it."""
    outcome, first = Outcome(cell, job.seed, started), parts[0].told
    outcome.cost = {stage: Cost(**cost) for stage, cost in first["cost"].items()}
    for name in ("parameters", "threads", "gpu", "late"):
        setattr(outcome, name, first[name])
    for one in parts:
        if one.told["failure"]:
            stage, kind, message = (one.told["failure"][n] for n in ("stage", "type", "message"))
            where = one.told["failure"]["traceback"] or ""
            outcome.fail(one.told["status"], stage, kind, message, where)
    if outcome.failure is None:
        _keep(outcome, parts)
    record, path = judging.write(outcome)
    return Result(job, **described(stages.Done(record, path)))


def _keep(outcome: Outcome, parts: Sequence[Part]) -> None:
    """Predictions, weights, costs and scores of a cell whose parts all went well."""
    cell, test = outcome.cell, outcome.cell.splits.test
    units = [unit for one in parts for unit in stored.unpack(one.arrays or {})]
    judging.keep(outcome, stored.pack(units))
    if parts[0].weights is not None:
        outcome.weights = _stored_weights(cell, outcome, parts[0].weights)
    outcome.cost["predict"] = added((Cost(**p.told["cost"]["predict"]) for p in parts), len(test))
    sums = list(itertools.chain.from_iterable(one.sums for one in parts))
    begin = measure.cpu_seconds()
    outcome.metrics = scoring.measured(cell.task.object, test, sums, cell.split)
    spent = measure.cpu_seconds() - begin
    outcome.cost["metric"] = measure.group(measure.cost(spent, spent, len(test)))


def added(costs: Iterable[Cost], units: int) -> Cost:
    """The cost of work that was done in parts: times are added, the highest peak counts.

    >>> halves = [Cost(wall_s=1, cpu_s=1, peak_rss_mb=5), Cost(wall_s=3, cpu_s=2, peak_rss_mb=4)]
    >>> found = added(halves, 8)
    >>> found.wall_s, found.peak_rss_mb, found.units_per_s
    (4.0, 5.0, 2.0)
    """
    found = list(costs)
    wall = sum(cost.wall_s for cost in found)
    return replace(
        found[0],
        wall_s=wall,
        cpu_s=sum(cost.cpu_s for cost in found),
        peak_rss_mb=max(cost.peak_rss_mb for cost in found),
        units_per_s=round(units / wall, 3) if wall > 0 else None,
    )


def _stored_weights(cell: Cell, outcome: Outcome, content: bytes) -> FilePart:
    digest = hashlib.sha256(content).hexdigest()
    scratch = f".{outcome.seed}-{digest[:12]}-{outcome.nonce[:8]}"
    job = {"runs": str(cell.runs), "below": str(cell.below), "scratch": scratch}
    name = f"{outcome.seed}-{digest[:12]}.weights"
    storing.kept(job, name, lambda path: _write(path, content))
    return FilePart(file=name, sha256=digest, bytes=len(content))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
