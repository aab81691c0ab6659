"""From stored predictions to metrics with intervals. Pure, so it can be repeated for ever."""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.trust import opening
from physbench.datasets import Split, Splits, take
from physbench.datasets.common.streaming import Streamed
from physbench.leaderboard import predictions as stored
from physbench.leaderboard import record as records
from physbench.leaderboard import statistics
from physbench.leaderboard.record import MetricPart, Record, RecordError, Slice
from physbench.tasks import Metric, Shared, Task

RESAMPLES_RANKING = 1000
RESAMPLES_OTHER = 200
KEPT = 10_000_000  # draws of units that are held in memory; more are drawn anew for each metric
TOGETHER = 1 << 14  # numbers that are drawn in one call, whose own cost is that of a thousand
ROUNDING = 1e-9  # relative difference of two ways of adding the same numbers


def split_digest(splits: Splits) -> str:
    """Identity of the splits: sha256 of the unit ids, in order."""
    total = hashlib.sha256()
    for name in ("train", "validation", "test"):
        total.update(f"[{name}]\n".encode())
        total.update("\n".join(getattr(splits, name).ids).encode())
    return total.hexdigest()


def resamples(units: int, count: int, key: str) -> Iterator[NDArray[np.int64]]:
    """`count` bootstrap resamples of `units` units, one at a time.

    They depend on the split alone, so that every record of a board is resampled alike and
    differences between records are paired by unit.
    """
    generator = np.random.default_rng(int(key[:16], 16))
    rows = max(1, TOGETHER // max(units, 1))
    for first in range(0, count, rows):
        yield from generator.integers(0, units, size=(min(rows, count - first), units))


def evaluate(
    task: Task,
    test: Split,
    predictions: Any,
    key: str,
    *,
    intervals: bool = True,
    like: Sequence[MetricPart] = (),
) -> list[MetricPart]:
    """All metrics of the task; the first one with its bootstrap replicates.

    Without `intervals` the values and slices alone: a fraction of the work. Metrics of an older
    record in `like` keep its way of finding intervals.
    """
    derived = derive(task, test.targets, predictions)
    return measured(task, test, derived, key, intervals=intervals, like=like)


def measured(
    task: Task,
    test: Split,
    derived: Any,
    key: str,
    *,
    intervals: bool = True,
    like: Sequence[MetricPart] = (),
) -> list[MetricPart]:
    """`evaluate` of what `derive` gave."""
    draws = Draws(len(test), key, clusters_of(task, test)) if intervals else None
    older = {metric.name: metric.method for metric in like}
    return [
        _evaluate(
            metric, test, derived, draws, ranking=number == 0, older=older.get(metric.name, "")
        )
        for number, metric in enumerate(task.metrics)
    ]


def derive(task: Task, targets: Any, predictions: Any) -> Any:
    """What the metrics need; of a streamed split unit by unit, so that none has to be kept."""
    if task.by_unit is None or not isinstance(targets, Streamed):
        return task.derive(targets, predictions)
    return [task.by_unit.derive(*pair) for pair in zip(targets, predictions, strict=True)]


def clusters_of(task: Task, split: Split) -> NDArray[np.int64] | None:
    """Number of the cluster of each unit, (units,); None where every unit is on its own."""
    if task.cluster is None:
        return None
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(task.cluster(i), len(numbers)) for i in split.ids])


@dataclass(frozen=True, eq=False)
class Draws:
    """The bootstrap resamples of a split, drawn once for all of its metrics.

    Attributes
    ----------
    units:
        Number of test units.
    key:
        Digest of the split, from which all draws follow.
    clusters:
        (units,) cluster of each unit, which are drawn instead; None without.
    """

    units: int
    key: str
    clusters: NDArray[np.int64] | None = None
    _tables: dict[Any, tuple[int, list[Any]]] = field(default_factory=dict, repr=False)

    @property
    def independent(self) -> int:
        """Number of clusters, or of units."""
        return self.units if self.clusters is None else int(self.clusters.max(initial=-1)) + 1

    def first(self, count: int) -> Iterator[NDArray[np.int64]]:
        """The units of each of the first `count` resamples."""
        if self.units * RESAMPLES_RANKING <= KEPT:
            yield from self._all[:count]
        else:
            yield from self._drawn(count)

    @functools.cached_property
    def _all(self) -> list[NDArray[np.int64]]:
        return list(self._drawn(RESAMPLES_RANKING))

    def _drawn(self, count: int) -> Iterator[NDArray[np.int64]]:
        drawn = resamples(self.independent, count, self.key)
        if self.clusters is None:
            return drawn
        order = np.argsort(self.clusters, kind="stable")
        members = np.split(order, np.cumsum(np.bincount(self.clusters))[:-1])
        return (np.concatenate([members[c] for c in chosen]) for chosen in drawn)

    def shared(self, fast: Shared, targets: Any, derived: Any, count: int) -> NDArray[Any]:
        """A metric of the first resamples from the tables that it shares with others.

        Equal tables are computed once, for the most resamples that a metric has asked for so far.
        """
        known, tables = self._tables.get(fast.table, (0, []))
        if known < count:
            tables = [fast.table(targets, derived, block) for block in self.blocks(count)]
            self._tables[fast.table] = count, tables
        return np.concatenate([fast.part(table) for table in tables])[:count]

    def blocks(self, count: int) -> Iterator[NDArray[np.int32]]:
        """How often each of the first resamples has each unit, (resamples, units), some at a time.

        From the third block on each takes the place of the one before, which is gone then: there
        is nothing as slow in a short run as memory that is touched for the first time.
        """
        yield self._first[:count]
        if count <= RESAMPLES_OTHER:
            return
        drawn = itertools.islice(self.first(count), RESAMPLES_OTHER, None)
        block = np.empty_like(self._first)
        for start in range(RESAMPLES_OTHER, count, RESAMPLES_OTHER):
            yield _counted(drawn, block[: count - start])

    @functools.cached_property
    def _first(self) -> NDArray[np.int32]:
        """The first block, which all metrics need."""
        block = np.empty((RESAMPLES_OTHER, self.units), dtype=np.int32)
        return _counted(self.first(RESAMPLES_OTHER), block)


def _counted(drawn: Iterator[NDArray[np.int64]], block: NDArray[np.int32]) -> NDArray[np.int32]:
    """Fills the rows of a block with how often the next resamples have each unit."""
    for row in block:
        row[:] = np.bincount(next(drawn), minlength=len(row))
    return block


def _evaluate(
    metric: Metric,
    test: Split,
    derived: Any,
    draws: Draws | None,
    *,
    ranking: bool,
    older: str = "",
) -> MetricPart:
    value, slices = _value(metric, test.targets, derived)
    values, interval, method = np.full(0, math.nan), None, "no interval"
    if draws and metric.interval is True and math.isfinite(value) and draws.independent > 1:
        values = _replicates(metric, test.targets, derived, draws, ranking=ranking)
        scores = statistics.Scores(
            np.array([value]), values[None], draws.independent, metric.bounds
        )
        method = statistics.described(scores, older)
        interval = statistics.interval(scores, method)
    if draws and callable(metric.interval):
        interval = _own(value, *metric.interval(test.targets, derived))
        method = (metric.interval.__doc__ or "the metric's own").strip().partition("\n")[0]
    return MetricPart(
        name=metric.name,
        version=metric.version,
        value=_number(value),
        reason=None if math.isfinite(value) else "undefined on this test split",
        low=_number(interval[0]) if interval else None,
        high=_number(interval[1]) if interval else None,
        method=method if interval else "no interval",
        unit=metric.unit,
        best=metric.best,
        slices=[Slice(name=name, value=_number(v)) for name, v in slices.items()],
        replicates=records.encode(values) if ranking and len(values) else None,
    )


def _own(value: float, low: float, high: float) -> tuple[float, float] | None:
    """A metric's own interval, with its value in it; None where one of them is not finite.

    A value further outside than the interval is wide is no matter of skewness or rounding: such an
    interval is left as it is, and no record takes it.
    """
    if not all(math.isfinite(number) for number in (value, low, high)):
        return None
    if max(low - value, value - high) > high - low:
        return float(low), float(high)
    return float(min(low, value)), float(max(high, value))


def _replicates(
    metric: Metric, targets: Any, derived: Any, draws: Draws, *, ranking: bool
) -> NDArray[np.float64]:
    count = RESAMPLES_RANKING if ranking else RESAMPLES_OTHER
    if metric.replicates is None:
        return replicates(metric, targets, derived, draws.first(count))
    if isinstance(metric.replicates, Shared):
        found = draws.shared(metric.replicates, targets, derived, count)
    else:
        blocks = draws.blocks(count)
        found = np.concatenate([metric.replicates(targets, derived, block) for block in blocks])
    return np.asarray(found, dtype=np.float64)


def replicates(
    metric: Metric, targets: Any, derived: Any, draws: Iterable[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """The metric on each resample of the units, shape (resamples,)."""
    if metric.replicates is not None:
        counts = np.array([np.bincount(units, minlength=len(units)) for units in draws])
        return np.asarray(metric.replicates(targets, derived, counts), dtype=np.float64)
    truth, found = _taker(targets), _taker(derived)
    return np.array([_scalar(metric.function(truth(units), found(units))) for units in draws])


def _taker(values: Any) -> Callable[[NDArray[np.int64]], Any]:
    """`take_units` of these values, for a thousand resamples."""
    if type(values) is np.ndarray:
        return values.__getitem__
    return functools.partial(take_units if isinstance(values, Mapping) else take, values)


def take_units(predictions: Any, units: NDArray[np.int64]) -> Any:
    """Units of predictions: a mapping of arrays is resampled column by column."""
    if isinstance(predictions, Mapping):
        return {key: column[units] for key, column in predictions.items()}
    return take(predictions, units)


def _value(metric: Metric, targets: Any, predictions: Any) -> tuple[float, Mapping[str, float]]:
    result = metric.function(targets, predictions)
    slices = dict(metric.slices(targets, predictions)) if metric.slices else {}
    if isinstance(result, Mapping):
        slices = dict(result) | slices
    return _scalar(result), slices


def value(metric: Metric, targets: Any, derived: Any) -> float:
    """The number of a metric on what `Task.derive` made of the predictions."""
    return _scalar(metric.function(targets, derived))


def _scalar(result: Any) -> float:
    """The number of a metric; one that returns slices has it under the key `all`."""
    return float(result.get("all", math.nan)) if isinstance(result, Mapping) else float(result)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def ranking(task: Task, test: Split, predictions: Any) -> float:
    """The ranking metric of prepared predictions."""
    return _scalar(task.metrics[0].function(test.targets, derive(task, test.targets, predictions)))


def kept(task: Task, split: Split, prepared: Any) -> stored.Arrays:
    """Prepared predictions as the judge keeps them: condensed where the task can."""
    if task.condense is not None:
        prepared = task.condense(split.targets, prepared)
    return stored.pack(prepared)


def bind(task: Task, split: Split) -> Mapping[str, Any]:
    """The task's metrics as functions of predictions alone, on this split."""

    def bound(metric: Metric) -> Any:
        def value(predictions: Any) -> float:
            prepared = task.prepare(split.inputs, predictions)
            derived = derive(task, split.targets, prepared)
            return _scalar(metric.function(split.targets, derived))

        return value

    return {metric.name: bound(metric) for metric in task.metrics}


def score(
    paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    task: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    intervals: bool = True,
    on: Any = None,
) -> list[tuple[Record, list[MetricPart]]]:
    """Recompute the metrics of records from their stored predictions.

    `task` is needed for the records of a task that a user's own file defines, `folder` where the
    data lay in one: a record's own names and paths are not followed. Without `intervals` the
    values and slices alone are computed, in a fraction of the time. `on` is `dask://HOST:PORT` or
    a `distributed.Client`: units are read and summed up in shards on its workers, which have the
    data; the digits are the same.

    Raises RecordError when the record has no predictions or the data of its split have changed.
    """
    chosen = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    cache: dict[str, tuple[Task, Splits]] = {}
    return [_rescore(Path(path), cache, task, folder, intervals, on) for path in chosen]


def _rescore(
    path: Path,
    cache: dict[str, tuple[Task, Splits]],
    task_file: str | os.PathLike[str] | None,
    folder: str | os.PathLike[str] | None,
    intervals: bool,
    on: Any,
) -> tuple[Record, list[MetricPart]]:
    record = records.read(path)
    arrays = opening.predictions(path, record)
    key = records.sha256(
        [record.task.name, record.task.fold, record.dataset.name, record.task.protocol]
    )
    if key not in cache:
        _, task = opening.task_of(record, task_file)
        cache[key] = task, opening.splits(task, record, opening.protocol(record, folder))
    task, splits = cache[key]
    found = split_digest(splits)
    if found != record.task.split:
        raise RecordError(
            f"{path} was made on another split: its digest is {record.task.split[:12]}, "
            f"the data at hand give {found[:12]}"
        )
    predictions = task.prepare(splits.test.inputs, stored.unpack(arrays))
    if on is None:
        derived = derive(task, splits.test.targets, predictions)
    else:
        from benchmarks.sweeping import sharding

        derived = sharding.derived(on, record, predictions)
    again = measured(task, splits.test, derived, found, intervals=intervals, like=record.metrics)
    return record, again


def differing(stored: Sequence[MetricPart], again: Sequence[MetricPart]) -> list[str]:
    """Names of the metrics that only one side has or that are not `alike`."""
    old, new = ({metric.name: metric for metric in side} for side in (stored, again))
    return [
        name
        for name in {**old, **new}
        if name not in old or name not in new or not alike(old[name], new[name])
    ]


def alike(first: MetricPart, second: MetricPart) -> bool:
    """Equal up to rounding.

    Linear algebra adds in another order on another processor, which changes the last digit of a
    sum, and by that a 16-bit step of a replicate.
    """
    numbers = {"value", "low", "high", "slices", "replicates"}
    others = [f.name for f in fields(MetricPart) if f.name not in numbers]
    if any(getattr(first, name) != getattr(second, name) for name in others):
        return False
    if [s.name for s in first.slices] != [s.name for s in second.slices]:
        return False
    ours, theirs = (
        [m.value, m.low, m.high, *(s.value for s in m.slices)] for m in (first, second)
    )
    if not all(_near(a, b) for a, b in zip(ours, theirs, strict=True)):
        return False
    if first.replicates is None or second.replicates is None:
        return first.replicates == second.replicates
    drawn, redrawn = records.decode(first.replicates), records.decode(second.replicates)
    step = np.nanmax(redrawn) - np.nanmin(redrawn)
    return len(drawn) == len(redrawn) and np.allclose(
        drawn, redrawn, rtol=0, atol=2 * step / records.STEPS, equal_nan=True
    )


def _near(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return math.isclose(first, second, rel_tol=ROUNDING, abs_tol=ROUNDING)
