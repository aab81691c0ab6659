"""One run: fit, predict, store the predictions, score them, write a record, whatever happens."""

from __future__ import annotations

import datetime
import inspect
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import registry
from benchmarks.registry import Entry, UnknownName
from benchmarks.running import environment, scoring, tracking_wandb
from physbench.datasets import Dataset, Split, Splits
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
    Stage,
    Status,
    TaskPart,
)
from physbench.models import Context, Model
from physbench.tasks import Task

NO_SETTINGS = ("seed", "context")  # keywords of `fit` that are no hyper-parameters
FULL_DIGESTS = 32  # datasets with more files list 16 digits of each digest, to bound the record


@dataclass(frozen=True)
class Cell:
    """A board cell ready to run: objects, not names, with all settings resolved."""

    task: Entry
    dataset: str
    dataset_object: Dataset
    model: Entry
    settings: Mapping[str, Any]
    protocol: Mapping[str, Any]
    splits: Splits
    runs: Path

    @property
    def split(self) -> str:
        return scoring.split_digest(self.splits)


def run(
    task: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    seeds: int | Sequence[int] = 1,
    settings: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    runs: str | os.PathLike[str] | None = None,
    again: bool = False,
    timeout: float | None = None,
) -> list[Record]:
    """Run a model on a task, once a seed, and return one record a seed.

    Parameters
    ----------
    task, model:
        Registered names, or paths of files that end with `TASK = ...` or `MODEL = ...`.
    dataset:
        One of the task's datasets; the default is the task's first.
    seeds:
        A number of seeds (0, 1, ...) or the seeds themselves.
    settings, protocol:
        Keywords of the model's `fit` and of the task's `load` that differ from the defaults.
    runs:
        Folder of the records; default `$PHYSBENCH_RUNS` or `runs`.
    again:
        Run although a finished record of the same content exists.
    timeout:
        Seconds after which a seed is given up, with status `timeout`.

    Raises
    ------
    UnknownName, FileNotFoundError, DataError, TypeError, OSError
        Before anything is run. What goes wrong later is in the record's `status`.
    """
    cell = prepare(task, model, dataset=dataset, settings=settings, protocol=protocol, runs=runs)
    tracking_wandb.check()
    chosen = range(seeds) if isinstance(seeds, int) else seeds
    if not len(chosen):
        raise ValueError(f"seeds must name at least one seed; got {seeds!r}")
    found = []
    for seed in chosen:
        previous = None if again else finished(cell, seed)
        found.append(previous or run_seed(cell, seed, timeout=timeout))
        if found[-1].status == "interrupted":
            break
    return found


def prepare(
    task: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    runs: str | os.PathLike[str] | None = None,
    splits: Splits | None = None,
) -> Cell:
    """Names to objects, settings to a full configuration, data to checked splits.

    `splits` are what the task's load gave for this dataset and protocol, where it is known.
    """
    the_task, the_model = registry.load("task", task), registry.load("model", model)
    known = the_task.object.named
    name = dataset or next(iter(known))
    if name not in known:
        raise registry.unknown(f"dataset of task '{the_task.name}'", name, list(known))
    if the_task.name not in the_model.object.tasks:
        raise UnknownName(
            f"model '{the_model.name}' does not do task '{the_task.name}'; "
            f"its tasks: {', '.join(the_model.object.tasks)}"
        )
    preset = the_model.object.presets.get(name, {})
    configuration = resolve(
        the_model.object.fit,
        dict(preset) | dict(settings or {}),
        f"setting of {the_model.name}",
        skip=NO_SETTINGS,
    )
    options = resolve(the_task.object.load, protocol or {}, f"protocol of {the_task.name}")
    folder = writable(Path(runs or os.environ.get("PHYSBENCH_RUNS") or "runs"))
    splits = splits or the_task.object.load(known[name], **options)
    splits = _without_test_metrics(the_task.object, splits)
    return Cell(the_task, name, known[name], the_model, configuration, options, splits, folder)


def _without_test_metrics(task: Task, splits: Splits) -> Splits:
    """Metrics are bound to validation alone: nothing may be tuned on the test split."""
    return replace(
        splits,
        train=replace(splits.train, metrics={}),
        validation=replace(splits.validation, metrics=scoring.bind(task, splits.validation)),
        test=replace(splits.test, metrics={}),
    )


def resolve(
    function: Any, given: Mapping[str, Any], what: str, skip: Sequence[str] = ()
) -> dict[str, Any]:
    """All keyword-only parameters of `function`: defaults, overridden by `given`.

    Raises UnknownName for a parameter that does not exist and TypeError for one whose type
    differs from its default's.
    """
    parameters = {
        name: p.default
        for name, p in inspect.signature(function).parameters.items()
        if p.kind is p.KEYWORD_ONLY and name not in skip
    }
    for name, value in given.items():
        if name not in parameters:
            raise registry.unknown(what, name, list(parameters))
        parameters[name] = _typed(name, value, parameters[name], what)
    missing = [name for name, value in parameters.items() if value is inspect.Parameter.empty]
    if missing:
        raise TypeError(f"{what}: {', '.join(missing)} must be set (they have no default)")
    return {name: _plain(value) for name, value in parameters.items()}


def _typed(name: str, value: Any, default: Any, what: str) -> Any:
    if default is inspect.Parameter.empty or default is None or value is None:
        return value
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if isinstance(default, list | tuple) and isinstance(value, list | tuple):
        return value
    if type(value) is not type(default):
        raise TypeError(
            f"{what} '{name}' must be {type(default).__name__} (default {default!r}); "
            f"got {value!r}"
        )
    return value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def writable(folder: Path) -> Path:
    """The folder, made if absent; raises OSError before a run that could not be stored."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0" * 65536)
            probe.flush()
    except OSError as error:
        raise OSError(
            f"cannot write records into {folder.resolve()}: {error}. Free some space or choose "
            "another folder with --runs or $PHYSBENCH_RUNS"
        ) from error
    return folder


def cell_id(cell: Cell, seed: int) -> str:
    """sha256 of everything that decides the result of this cell."""
    return records.sha256(
        {
            "task": [cell.task.name, cell.task.object.version],
            "task_source": registry.source_digest(cell.task.path),
            "protocol": dict(cell.protocol),
            "dataset": [cell.dataset, _data_digest(cell.splits)],
            "split": cell.split,
            "model_source": registry.source_digest(cell.model.path),
            "settings": dict(cell.settings),
            "seed": seed,
            "threads": environment.threads(),
        }
    )


def _data_digest(splits: Splits) -> str:
    return records.sha256([f"{name} {digest}" for name, digest in sorted(splits.files.items())])


def finished(cell: Cell, seed: int) -> Record | None:
    """A record of the same content with status ok whose predictions are there."""
    key = cell_id(cell, seed)
    folder = cell.runs / cell.task.name / cell.dataset / cell.model.name
    for path in sorted(folder.glob(f"{seed}-*.json")):
        try:
            record = records.read(path)
        except records.RecordError as error:
            print(f"ignored: {error}", file=sys.stderr)
            continue
        whole = record.predictions and (folder / record.predictions.file).exists()
        if record.cell == key and record.status == "ok" and whole:
            return record
    return None


@dataclass
class Outcome:
    """What a run has produced so far; whatever happens, the record is made from it."""

    stage: Stage = "fit"
    cost: dict[str, Cost] = field(default_factory=dict)
    parameters: int | None = None
    predictions: FilePart | None = None
    weights: FilePart | None = None
    metrics: list[MetricPart] = field(default_factory=list)
    status: Status = "ok"
    failure: Failure | None = None


def run_seed(cell: Cell, seed: int, *, timeout: float | None = None) -> Record:
    """One seed of a cell: always returns a record, which has been written."""
    name = f"{cell.task.name}/{cell.dataset}/{cell.model.name}/{seed}"
    config = {"seed": seed, **cell.settings, "protocol": dict(cell.protocol)}
    with tracking_wandb.tracked(name, config) as log:
        record = _recorded(cell, seed, timeout)
        log(record, _write(record, cell.runs))
    return record


def _recorded(cell: Cell, seed: int, timeout: float | None) -> Record:
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    outcome = Outcome()
    try:
        with environment.seeded(seed), _interruptible(timeout):
            _execute(cell, seed, outcome)
    except BaseException as error:
        outcome.status = status_of(error)
        text = str(error) or type(error).__name__
        outcome.failure = Failure(
            stage=outcome.stage,
            type=type(error).__name__,
            message=text[:2000],
        )
    return records.sealed(_record(cell, seed, started, outcome))


def given_up(cell: Cell, seed: int, started: str, status: Status, message: str) -> Record:
    """Write the record of a seed whose process was killed and could not do so itself."""
    failure = Failure(stage="fit", type="Killed", message=message[:2000])
    record = records.sealed(_record(cell, seed, started, Outcome(status=status, failure=failure)))
    _write(record, cell.runs)
    return record


def status_of(error: BaseException) -> Status:
    """The status that a record gets for an exception.

    >>> status_of(FloatingPointError("loss is NaN")), status_of(MemoryError())
    ('diverged', 'out_of_memory')
    """
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "interrupted"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, FloatingPointError):
        return "diverged"
    memory = isinstance(error, RuntimeError) and "alloc" in str(error) and "memory" in str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or memory:
        return "out_of_memory"
    return "failed"


@contextmanager
def _interruptible(timeout: float | None) -> Iterator[None]:
    """SIGTERM interrupts like Ctrl-C, SIGALRM ends a run that takes too long."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: Any) -> None:
        raise KeyboardInterrupt("terminated")

    def expire(number: int, frame: Any) -> None:
        raise TimeoutError(f"gave up after {timeout:g} s")

    before = signal.signal(signal.SIGTERM, terminate), signal.signal(signal.SIGALRM, expire)
    if timeout:
        signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGALRM, before[1])


def _execute(cell: Cell, seed: int, outcome: Outcome) -> None:
    """Fit, predict, store, score: each stage leaves its result in `outcome`."""
    model: Model = cell.model.object
    with _measured(outcome, "train", len(cell.splits.train)):
        given = {"seed": seed, **context(model), **cell.settings}
        fitted = model.fit(cell.splits.train, cell.splits.validation, **given)
    outcome.parameters = model.parameters(fitted) if model.parameters else None
    outcome.stage = "predict"
    test = cell.splits.test
    with _measured(outcome, "predict", len(test)):
        predictions = _predict(model, fitted, test)
    if model.save:
        outcome.weights = _save_weights(cell, seed, model, fitted)
    outcome.stage = "prepare"
    prepared = _store(cell, seed, predictions, outcome)
    outcome.stage = "score"
    with _measured(outcome, "metric", len(test)):
        outcome.metrics = scoring.evaluate(cell.task.object, test, prepared, cell.split)
    if not model.oracle:
        outcome.cost["predict"] = _latency(model, fitted, test, outcome.cost["predict"])


def context(model: Model) -> dict[str, Context]:
    """The keyword `context` for a `fit` that declares one."""
    if "context" not in inspect.signature(model.fit).parameters:
        return {}
    device, tracker = (os.environ.get(f"PHYSBENCH_{n}", "") for n in ("DEVICE", "TRACK"))
    return {"context": Context(device or "auto", threads=environment.threads(), tracker=tracker)}


def _predict(model: Model, fitted: Any, test: Split) -> Any:
    if model.oracle:
        return model.predict(fitted, test.inputs, test.targets)
    return model.predict(fitted, test.inputs)


def _store(cell: Cell, seed: int, predictions: Any, outcome: Outcome) -> Any:
    """Write predictions before anything else can fail; those that prepare refuses, as they are."""
    test = cell.splits.test
    try:
        if hasattr(predictions, "__len__") and not isinstance(predictions, Mapping):
            _check_length(len(predictions), len(test), cell)
        prepared = cell.task.object.prepare(test.inputs, predictions)
        # What is scored is what is stored: the same precision, the same digits when re-scored.
        arrays = stored.pack(prepared)
    except Exception:
        try:
            outcome.predictions = _write_predictions(cell, seed, stored.pack(predictions))
        except (TypeError, ValueError) as error:
            print(f"predictions could not be stored: {error}", file=sys.stderr)
        raise
    outcome.predictions = _write_predictions(cell, seed, arrays)
    return cell.task.object.prepare(test.inputs, stored.unpack(arrays))


def _check_length(found: int, expected: int, cell: Cell) -> None:
    if found != expected:
        raise ValueError(
            f"model '{cell.model.name}' returned {found} predictions for {expected} "
            f"{cell.task.object.unit}s of the test split; predict must return one a unit, in order"
        )


def _cell_folder(cell: Cell) -> Path:
    return cell.runs / cell.task.name / cell.dataset / cell.model.name


def _write_predictions(cell: Cell, seed: int, arrays: stored.Arrays) -> FilePart:
    digest = stored.digest(arrays)
    path = rescued(_cell_folder(cell)) / f"{seed}-{digest[:12]}.npz"
    stored.write(path, arrays)
    return FilePart(file=path.name, sha256=digest, bytes=path.stat().st_size)


def rescued(folder: Path) -> Path:
    """The folder if it can be written, else one in the system's temporary folder."""
    try:
        return writable(folder)
    except OSError as error:
        other = (
            Path(tempfile.gettempdir())
            / "physbench-rescue"
            / folder.relative_to(folder.parents[2])
        )
        print(f"{error}\nresults are kept in {other} instead", file=sys.stderr)
        return writable(other)


def _save_weights(cell: Cell, seed: int, model: Model, fitted: Any) -> FilePart:
    assert model.save is not None
    folder = rescued(_cell_folder(cell))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / "weights"
        model.save(fitted, path)
        digest = records.digest_file(path)
        target = folder / f"{seed}-{digest[:12]}.weights"
        os.replace(path, target)
    return FilePart(file=target.name, sha256=digest, bytes=target.stat().st_size)


@contextmanager
def _measured(outcome: Outcome, name: str, units: int) -> Iterator[None]:
    """Wall time, CPU time and peak memory of a stage, even when it fails."""
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        outcome.cost[name] = Cost(
            wall_s=round(wall, 4),
            cpu_s=round(cpu, 4),
            peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            peak_gpu_mb=_peak_gpu_mb(),
            units_per_s=round(units / wall, 3) if wall > 0 else None,
        )


def _peak_gpu_mb() -> float | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return round(float(torch.cuda.max_memory_allocated()) / 2**20, 1)


def _latency(model: Model, fitted: Any, test: Split, cost: Cost) -> Cost:
    """Median and 95 % latency of single units: 3 to warm up, then at most 20 or 5 s."""
    times: list[float] = []
    begin = time.perf_counter()
    for number in range(min(23, len(test) * 3)):
        one = test.take([number % len(test)])
        start = time.perf_counter()
        model.predict(fitted, one.inputs)
        if number >= 3:
            times.append(time.perf_counter() - start)
        if time.perf_counter() - begin > 5 and times:
            break
    if not times:
        return cost
    median, p95 = np.quantile(times, [0.5, 0.95]) * 1000
    return cost.model_copy(
        update={"median_ms": round(float(median), 3), "p95_ms": round(float(p95), 3)}
    )


def _record(cell: Cell, seed: int, started: str, outcome: Outcome) -> Record:
    task, model, splits = cell.task.object, cell.model.object, cell.splits
    files = dict(sorted(splits.files.items()))
    if len(files) > FULL_DIGESTS:
        files = {name: digest[:16] for name, digest in files.items()}
    return Record(
        status=outcome.status,
        failure=outcome.failure,
        cell=cell_id(cell, seed),
        task=TaskPart(
            name=cell.task.name,
            version=task.version,
            source=registry.source_digest(cell.task.path),
            protocol=dict(cell.protocol),
            split=cell.split,
            unit=task.unit,
            units={n: len(getattr(splits, n)) for n in ("train", "validation", "test")},
        ),
        dataset=DatasetPart(
            name=cell.dataset,
            version=cell.dataset_object.version,
            digest=_data_digest(splits),
            files=files,
            counts=dict(splits.counts) or None,
        ),
        model=ModelPart(
            name=cell.model.name,
            source=registry.source_digest(cell.model.path),
            origin="zoo" if registry.folder("model") in cell.model.path.parents else "file",
            reference=model.reference,
            parameters=outcome.parameters,
            hyper_parameters=dict(cell.settings),
            oracle=model.oracle,
            deterministic=model.deterministic,
            role=model.role,
        ),
        seed=seed,
        code=environment.code(),
        environment=environment.environment(),
        started=started,
        cost=outcome.cost,
        predictions=outcome.predictions,
        weights=outcome.weights,
        metrics=outcome.metrics,
        cite=[
            r for r in (task.reference, cell.dataset_object.citation, model.reference) if "@" in r
        ],
    )


def _write(record: Record, runs: Path) -> Path:
    """Write the record, into a rescue folder when the disk is full."""
    folder = rescued((runs / record.path).parent)
    return records.write(record, folder.parents[2])
