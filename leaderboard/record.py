"""The record: one run of one model with one seed on one board, as immutable JSON.

A closed pydantic model; canonical JSON (sorted keys, no NaN); `id` is the sha256 of the content
without `id`. Nothing in a record is typed in by hand. A record is untrusted input: reading one
checks its size, its names and that its numbers agree with each other; nothing in it is imported,
executed or used as a path.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import gc
import hashlib
import html
import json
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from physbench.leaderboard import files, statistics

MAX_BYTES = 20_000

Status = Literal["ok", "failed", "diverged", "timeout", "out_of_memory", "interrupted", "killed"]
Stage = Literal["load", "fit", "predict", "prepare", "score", "write"]
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"  # no folder, nothing hidden, no option of a command
Name = Annotated[str, Field(pattern=NAME, max_length=200)]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Short = Annotated[str, Field(pattern=r"^[0-9a-f]{16,64}$")]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Positive = Annotated[float, Field(ge=0)]
FIRST_YEAR = 2024
# The intervals of older records are percentiles, which may miss the value of a biased statistic by
# a hair, as one of the first does (by 1.4 % of its interval); what is written today contains it.
SLACK = 0.02
REPLICATES = 10_000
# Fields that came later are left out where they are empty: older records keep their ids.
LATER = (
    *(("task", "fold"), ("dataset", "counts"), ("dataset", "source"), ("dataset", "content")),
    *(("model", "role"), ("model", "precision"), ("failure", "traceback")),
)


class RecordError(ValueError):
    """A record that is damaged, altered or does not follow the schema."""


class Closed(BaseModel):
    """A part of a record: unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


# Of what a record has many: as models they took most of its memory.
CLOSED = ConfigDict(extra="forbid", allow_inf_nan=False)


class TaskPart(Closed):
    """Which question, under which protocol, on which split."""

    name: Name
    version: Count
    source: Hex = Field(description="sha256 of the task's source and what it imports from us")
    protocol: dict[str, Any] = Field(description="all keywords of the task's load, resolved")
    split: Hex = Field(description="sha256 of the ids of all units of the three splits")
    unit: str
    units: dict[str, Count] = Field(description="units in train, validation and test")
    fold: Count | None = Field(None, description="which of the task's folds, where it has some")


class DatasetPart(Closed):
    """The data: name, version and digests of content and files."""

    name: Name
    version: str
    digest: Hex = Field(description="sha256 of the lines `name sha256` of all files")
    files: dict[str, Short] = Field(
        description="sha256 of each file read; its first 16 digits where there are more than 32, "
        "one of all of them where there are more than 80"
    )
    counts: dict[str, Count] | None = Field(
        None, description="how many units were left after each cut"
    )
    source: Hex | None = Field(None, description="sha256 of the dataset's source")
    content: Hex | None = Field(
        None, description="sha256 of all inputs and targets of the splits, as numbers"
    )


class ModelPart(Closed):
    """The model: source, settings, size."""

    name: Name
    source: Hex
    origin: Literal["zoo", "file", "submitted"]
    reference: str
    parameters: Count | None = Field(description="number of trained parameters")
    hyper_parameters: dict[str, Any] = Field(description="all keywords of fit, defaults included")
    oracle: bool
    deterministic: bool
    role: Literal["learned", "classical", "floor", "oracle"] | None = Field(
        None, description="what the model is to the board; absent in the first records"
    )
    precision: Name | None = Field(
        None, description="arithmetic of the training, bf16-mixed for example; absent for float32"
    )

    @property
    def settings(self) -> dict[str, Any]:
        """What tells the rows of a model apart: its keywords, and another precision than usual."""
        other = {"precision": self.precision} if self.precision else {}
        return self.hyper_parameters | other


class CodePart(Closed):
    """The code that ran."""

    version: str
    commit: str | None
    dirty: bool | None
    harness: Hex


class EnvironmentPart(Closed):
    """The machine and its libraries."""

    python: str
    platform: str
    cpu: str
    cores: Count
    threads: Count
    gpu: str | None
    packages: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, config=CLOSED)
class Cost:
    """Time and memory of one stage."""

    wall_s: Positive
    cpu_s: Positive
    peak_rss_mb: Positive
    peak_gpu_mb: Positive | None = None
    units_per_s: Positive | None = None
    median_ms: Positive | None = Field(
        default=None, description="median latency of one unit alone"
    )
    p95_ms: Positive | None = Field(
        default=None, description="95 % quantile of the latency of one unit"
    )


class FilePart(Closed):
    """A file beside the record."""

    file: Name
    sha256: Hex
    bytes: Count


@dataclass(frozen=True, slots=True, kw_only=True, config=CLOSED)
class Slice:
    """A metric on a part of the units."""

    name: str
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True, config=CLOSED)
class MetricPart:
    """A metric: value, interval, how it was found."""

    name: Name
    version: Count
    value: float | None
    reason: str | None = Field(None, description="why the value is null")
    low: float | None
    high: float | None
    method: str
    unit: str
    best: Literal["max", "min", "zero"]
    slices: list[Slice] = Field(default_factory=list)
    replicates: str | None = Field(
        None,
        description="values on the bootstrap resamples of the test units: lowest, highest, and "
        "base64 of 16-bit steps between them; resample b draws the same units for every record "
        "of the board, so differences between records are paired. Kept for the ranking metric.",
    )


class Failure(Closed):
    """What ended a run, and where in the user's code."""

    stage: Stage
    type: str
    message: str
    traceback: str | None = Field(None, description="of the user's code, innermost call last")


class Lineage(Closed):
    """Links between records: `reproduces` names the record that this one verifies."""

    reproduces: Hex | None = None
    supersedes: Hex | None = None
    level: Literal["rescore", "repredict", "retrain"] | None = None
    verdict: str | None = None


class Record(Closed):
    """See the module's docstring. `physbench record/1`."""

    schema_: Literal["record/1"] = Field("record/1", alias="schema")
    id: Hex = ""
    status: Status
    failure: Failure | None = None
    cell: Hex = Field(description="sha256 of task, dataset, split, model, settings and seed")
    task: TaskPart
    dataset: DatasetPart
    model: ModelPart
    seed: Count
    code: CodePart
    environment: EnvironmentPart
    started: str
    cost: dict[str, Cost]
    predictions: FilePart | None = None
    weights: FilePart | None = None
    metrics: list[MetricPart] = []
    lineage: Lineage = Lineage()
    cite: list[str] = []

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )

    def metric(self, name: str) -> MetricPart | None:
        """The metric of that name, or None."""
        return next((m for m in self.metrics if m.name == name), None)

    @property
    def path(self) -> Path:
        """Where the record lies below its root folder."""
        return (
            Path(self.task.name)
            / self.dataset.name
            / self.model.name
            / (f"{self.seed}-{self.id[:12]}.json")
        )

    def to_frame(self) -> Any:
        """One row a metric: value, interval, unit, direction."""
        import pandas as pd

        names = ("name", "value", "low", "high", "unit", "best")
        return pd.DataFrame([{n: getattr(m, n) for n in names} for m in self.metrics])

    def __repr__(self) -> str:
        first = f", {self.metrics[0].name}={self.metrics[0].value:.4g}" if self._scored else ""
        cell = f"{self.task.name}, {self.dataset.name}, {self.model.name}, seed {self.seed}"
        return f"Record({self.id[:12]}: {cell}, {self.status}{first})"

    __str__ = __repr__

    @property
    def _scored(self) -> bool:
        return bool(self.metrics) and self.metrics[0].value is not None

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.to_frame().to_html(index=False)}"


def canonical(content: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, no NaN.

    >>> canonical({"b": 1, "a": [0.5, None]})
    '{"a":[0.5,null],"b":1}'
    """
    return _CANONICAL.encode(content)


_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def sha256(content: Any) -> str:
    """sha256 of the canonical JSON of `content`."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def body(record: Record) -> dict[str, Any]:
    """The content of a record as plain Python, without its id."""
    content = record.model_dump(mode="json", by_alias=True, exclude={"id"})
    for part, name in LATER:
        if content[part] is not None and content[part][name] is None:
            del content[part][name]
    return content


def build() -> None:
    """Build the validators of all parts now: forks that come later have them."""
    for part in Closed.__subclasses__():
        part.model_rebuild()


def sealed(record: Record) -> Record:
    """The record with the id that its content gives."""
    return record.model_copy(update={"id": sha256(body(record))})


def write(record: Record, root: Path) -> Path:
    """Write a sealed record atomically below `root` and return its path.

    Raises RecordError when the record is larger than 20 kB, its id does not match, or its numbers
    contradict each other.
    """
    if record.id != sha256(body(record)):
        raise RecordError("record is not sealed: its id does not match its content")
    text = json.dumps(
        body(record) | {"id": record.id}, sort_keys=True, indent=1, ensure_ascii=False
    )
    if len(text.encode()) > MAX_BYTES:
        raise RecordError(
            f"record has {len(text.encode())} bytes, at most {MAX_BYTES} are allowed"
        )
    wrong = contradiction(record)
    if wrong:
        raise RecordError(f"record contradicts itself: {wrong}")
    path = root / record.path
    atomic(path, text + "\n")
    return path


def atomic(path: Path, text: str) -> None:
    """Write a text file so that it is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(path: Path) -> Record:
    """Read one record.

    Raises RecordError when it is damaged, altered, larger than 20 kB, from another schema, or
    when its numbers contradict each other; FileNotFoundError when there is none.
    """
    try:
        text = files.content(path, MAX_BYTES + 1).decode("utf-8")
        record = Record.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RecordError(f"{path} is not a record: {where}: {first['msg']}") from error
    except FileNotFoundError:
        raise
    except (ValueError, OSError, RecursionError) as error:
        raise RecordError(f"{path} is not a record: {error}") from error
    found = sha256(body(record))
    if found != record.id:
        raise RecordError(
            f"{path} was altered: content gives {found[:12]}, id is {record.id[:12]}"
        )
    wrong = contradiction(record)
    if wrong:
        raise RecordError(f"{path} contradicts itself: {wrong}")
    return record


def read_all(root: Path) -> list[Record]:
    """All records below `root`, sorted by path; raises RecordError at the first bad one."""
    with _uncollected():
        return [read(path) for path in paths(root)]


def read_good(root: Path) -> tuple[list[Record], list[str]]:
    """All good records below `root`, sorted by path, and why each other file is left out."""
    found: list[Record] = []
    problems: list[str] = []
    with _uncollected():
        for path in paths(root):
            try:
                found.append(read(path))
            except (RecordError, OSError) as error:
                problems.append(str(error))
    return found, problems


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles, of which records have none: it looks at all of them again."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def paths(root: Path) -> list[Path]:
    """The files below `root` that may be records, sorted."""
    found = []
    for folder, below, names in os.walk(root):  # passes over what a run removes meanwhile
        below[:] = [name for name in below if name[0] != "."]
        found += [Path(folder, n) for n in names if n.endswith(".json") and n[0] != "."]
    return sorted(found, key=lambda path: path.parts)


def contradiction(record: Record) -> str | None:
    """What in a record cannot be, or None: intervals, replicates, counts, dates, states."""
    problems = [_dates(record.started), _states(record)]
    problems += [_interval(m) or _replicates(m) for m in record.metrics]
    names = [metric.name for metric in record.metrics]
    if len(set(names)) < len(names):
        problems.append("a metric is there twice")
    return next((problem for problem in problems if problem), None)


def _dates(started: str) -> str | None:
    try:
        moment = datetime.datetime.fromisoformat(started)
    except ValueError:
        return f"started '{started[:40]}' is no date and time"
    if moment.tzinfo is None:
        return f"started {started} has no time zone"
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    if moment.year < FIRST_YEAR or moment > tomorrow:
        return f"started {started} is before {FIRST_YEAR} or in the future"
    return None


def _states(record: Record) -> str | None:
    if (record.status == "ok") != (record.failure is None):
        return f"status {record.status} {'with' if record.failure else 'without'} a failure"
    if record.status != "ok" and record.metrics:
        return f"status {record.status} with metrics"
    if set(record.task.units) - {"train", "validation", "test"}:
        return f"units of {', '.join(record.task.units)}; splits are train, validation, test"
    if record.metrics and not record.task.units.get("test"):
        return "metrics of a test split without units"
    role = record.model.role
    if role is not None and record.model.oracle != (role == "oracle"):
        return f"role {role} and oracle {record.model.oracle}"
    return None


def _interval(metric: MetricPart) -> str | None:
    value, low, high = metric.value, metric.low, metric.high
    if low is None or high is None:
        return None if low is high else f"{metric.name}: an interval needs both ends"
    if value is None:
        return f"{metric.name}: an interval without a value"
    slack = SLACK * (high - low)
    if not low - slack <= value <= high + slack:
        return f"{metric.name}: value {value} is outside its interval [{low}, {high}]"
    return None


def _replicates(metric: MetricPart) -> str | None:
    """The stored resamples surround the value, and give the interval where it is theirs."""
    if metric.replicates is None:
        return None
    try:
        values = decode(metric.replicates)
    except (ValueError, binascii.Error):
        return f"{metric.name}: replicates cannot be decoded"
    finite = values[np.isfinite(values)]
    if not len(finite) or len(values) > REPLICATES or metric.value is None:
        return f"{metric.name}: {len(finite)} finite replicates, value {metric.value}"
    lowest, highest = float(finite.min()), float(finite.max())
    step = (highest - lowest) / (STEPS - 1)
    # Resamples of a biased statistic may all lie on one side of it, by about their own spread.
    around = highest - lowest + ROUNDING * abs(metric.value)
    if not lowest - around <= metric.value <= highest + around:
        return f"{metric.name}: value {metric.value} is not among its replicates"
    if metric.low is None or metric.high is None:
        return None
    try:
        scores = statistics.stated(metric.method, metric.value, values)
    except ValueError as error:
        return f"{metric.name}: {error}"
    ends = None if scores is None else statistics.interval(scores, metric.method)
    apart = 0.0 if ends is None else max(abs(ends[0] - metric.low), abs(ends[1] - metric.high))
    # Few units have wide tails: an error of a step in the resamples is then one of several here.
    wide = metric.high - metric.low
    if ends and apart > 2 * step + COARSE * wide + ROUNDING * abs(metric.value):
        return f"{metric.name}: {len(values)} replicates give [{ends[0]:.6g}, {ends[1]:.6g}]"
    return None


def schema() -> dict[str, Any]:
    """The JSON schema of a record."""
    return Record.model_json_schema(by_alias=True)


def digest_file(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def encode(values: NDArray[np.floating[Any]]) -> str:
    """Replicates as text: lowest and highest value, then 16-bit steps between them in base64.

    The step is 1/65535 of the range, far below the spread that the replicates describe.
    """
    values = np.asarray(values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    scaled = (values - low) / ((high - low) or 1.0) * (STEPS - 1)
    steps = np.where(np.isfinite(values), np.round(scaled), STEPS).astype("<u2")
    return f"{low!r} {high!r} {base64.b64encode(steps.tobytes()).decode()}"


STEPS = 65535  # the largest 16-bit number stands for NaN
ROUNDING = 1e-9  # relative, of a number that was written and read
COARSE = 1e-3  # of an interval's width, by which stored resamples may give another one


def decode(text: str) -> NDArray[np.float64]:
    """The inverse of `encode`, to a step; ValueError for anything that `encode` does not give.

    >>> decode(encode(np.array([0.5, 2.0, np.nan]))).tolist()
    [0.5, 2.0, nan]
    """
    low, high, data = text.split(" ")
    span = float(high) - float(low)
    if not (math.isfinite(float(low)) and math.isfinite(span) and span >= 0):
        raise ValueError(f"the lowest and highest replicate are {low} and {high}")
    raw = base64.b64decode(data, validate=True)
    steps = np.frombuffer(raw, dtype="<u2").astype(np.float64)
    values = float(low) + steps / (STEPS - 1) * span
    return np.where(steps == STEPS, np.nan, values)
