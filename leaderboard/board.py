"""The board of one (task, dataset): rows computed from records alone, the same bytes each time."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from physbench.leaderboard import escaping, statistics
from physbench.leaderboard.record import Record, canonical, decode, sha256

MIN_SEEDS = 3


@dataclass(frozen=True)
class Row:
    """One line of a board: a model with one configuration, over its seeds."""

    rank: int | None
    tied: bool
    rank_low: int | None
    rank_high: int | None
    model: str
    note: str
    role: Literal["ranked", "unranked", "oracle", "failed"]
    seeds: int
    score: float
    low: float
    high: float
    others: Mapping[str, float]
    parameters: int | None
    train_s: float
    units_per_s: float
    records: tuple[str, ...]
    detectable: float
    scores: statistics.Scores
    latency_ms: float = math.nan
    kind: str = "learned"


@dataclass(frozen=True)
class Board:
    """A task on a dataset, with its rows in the order in which they are shown."""

    task: str
    dataset: str
    split: str
    unit: str
    metric: str
    best: Literal["max", "min", "zero"]
    rows: tuple[Row, ...]

    @property
    def columns(self) -> list[str]:
        """Names of the metrics beside the ranking one, in the task's order.

        Those that are undefined in every row (of another of the task's datasets) are left out.
        """
        known = (item for row in self.rows for item in row.others.items())
        return list(dict.fromkeys(name for name, value in known if not math.isnan(value)))

    def to_frame(self) -> Any:
        """All columns of the CSV file as a data frame."""
        import pandas as pd

        return pd.read_csv(io.StringIO(table(self)))

    def __repr__(self) -> str:
        first = next((row for row in self.rows if row.role == "ranked"), None)
        best = f", first {first.model} {shown(first)}" if first else ""
        return f"Board({self.task} on {self.dataset}, {self.metric}: {len(self.rows)} rows{best})"

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(index=False, na_rep=""))


Admit = Callable[[Mapping[str, float]], str | None]
NamedBy = Callable[[str, Mapping[str, Any]], str]


def build(
    records: Sequence[Record],
    admit: Admit = lambda metrics: None,
    local: frozenset[str] = frozenset(),
    bounds: tuple[float, float] = statistics.UNBOUNDED,
    kinds: Mapping[str, str] | None = None,
    named_by: NamedBy = lambda model, settings: "",
) -> Board:
    """The board of records that share task, dataset, split (or folds) and versions.

    `admit` gives the reason why a row is not ranked, or None. `local` are ids of records that
    are not committed: they make rows of their own, marked `(yours)`. `bounds` are the lowest and
    the highest value of the ranking metric. `kinds` says what models of records that do not say
    it are: learned, classical, floor or oracle. `named_by` gives what stands in brackets behind a
    model's name.

    Raises ValueError for an empty or a mixed set.
    """
    first = _common(records)
    rows = [
        replace(_row(group, admit, name, bounds), kind=_kind(group[0], kinds or {}))
        for name, group in sorted(_grouped(records, local, named_by).items())
    ]
    return Board(
        task=first.task.name,
        dataset=first.dataset.name,
        split=split(first) if _fold(first) is None else sha256(sorted(_folds(records).items())),
        unit=first.task.unit,
        metric=first.metrics[0].name,
        best=first.metrics[0].best,
        rows=tuple(_ranked(rows, first.metrics[0].best)),
    )


def _kind(record: Record, kinds: Mapping[str, str]) -> str:
    """What the model of a record is; what the record says of itself comes first."""
    if record.model.oracle:
        return "oracle"
    return record.model.role or kinds.get(record.model.name, "learned")


def _fold(record: Record) -> int | None:
    return record.task.fold


def _folds(records: Sequence[Record]) -> dict[int, str]:
    """The split of each fold; raises ValueError where one fold has two of them."""
    found: dict[int, str] = {}
    for record in records:
        fold = _fold(record)
        if fold is not None and found.setdefault(fold, record.task.split) != record.task.split:
            raise ValueError(f"records of one board were made on different splits of fold {fold}")
    return found


def split(record: Record) -> str:
    """What stands for the test units: the split, or the data of which the folds are parts."""
    return record.task.split if _fold(record) is None else record.dataset.digest


def identity(record: Record) -> str:
    """What records must share to stand on one board; the folds of one protocol stand together.

    An option of the protocol that is off counts as absent: records from before it followed it too.
    """
    task = record.task
    options = {name: value for name, value in task.protocol.items() if value}
    return canonical(
        [task.name, task.version, options, split(record), record.dataset.name]
        + [record.dataset.version]
        + [[m.name, m.version] for m in record.metrics]
    )


def _common(records: Sequence[Record]) -> Record:
    scored = [r for r in records if r.metrics]
    if not scored:
        raise ValueError("a board needs at least one record with metrics")
    if len({identity(r) for r in scored}) > 1:
        raise ValueError("records of different tasks, splits or metric versions on one board")
    return scored[0]


def _grouped(
    records: Sequence[Record],
    local: frozenset[str],
    named_by: NamedBy = lambda model, settings: "",
) -> dict[str, list[Record]]:
    """Records by row label.

    A label has the settings in which a variant differs from the one with the most seeds, which
    bears the bare name; without a single such one, all settings in which the variants differ.
    """
    variants: dict[str, dict[str, list[Record]]] = {}
    for record in records:
        key = canonical([record.model.settings, record.id in local])
        variants.setdefault(record.model.name, {}).setdefault(key, []).append(record)
    groups: dict[str, list[Record]] = {}
    for name, by_key in variants.items():
        usual = _compared(list(by_key.values()), local)
        for group in by_key.values():
            own = group[0].model.settings
            word = named_by(name, own)
            label = name + (f" ({word})" if word else "") + _difference(own, usual)
            if group[0].id in local:
                label += " (yours)"
            groups[label] = _latest(group)
    return groups


WORD = re.compile(r"^(\S+) \((?!yours)(\w+)\)")


def bare(label: str) -> str:
    """A row's label without the task's word behind the model's name.

    >>> bare("botan (small) width=8"), bare("botan (yours)")
    ('botan width=8', 'botan (yours)')
    """
    return WORD.sub(r"\1", label)


def _compared(groups: list[list[Record]], local: frozenset[str]) -> dict[str, set[str]]:
    """What a variant's own settings are set against: those of the main variant, or of all."""
    committed = [group for group in groups if group[0].id not in local] or groups
    seeds = [len({record.seed for record in group}) for group in committed]
    main = [g for g, count in zip(committed, seeds, strict=True) if count == max(seeds)]
    others = [group[0].model.settings for group in (main if len(main) == 1 else groups)]
    names = {name for settings in others for name in settings}
    return {name: {canonical(settings.get(name)) for settings in others} for name in names}


def _difference(own: Mapping[str, Any], usual: Mapping[str, set[str]]) -> str:
    """The variant's own settings that another one has not, or not with that value."""
    absent = {canonical(None)}
    differing = [k for k in sorted(own) if usual.get(k, absent) != {canonical(own[k])}]
    shown = ", ".join(f"{k}={own[k]}" for k in differing)
    return f" {shown}" if shown else ""


def _latest(group: Sequence[Record]) -> list[Record]:
    """One record a seed: the newest one."""
    by_seed: dict[int, Record] = {}
    for record in sorted(group, key=lambda r: (r.started, r.id)):
        by_seed[record.seed] = record
    return [by_seed[seed] for seed in sorted(by_seed)]


def _row(group: list[Record], admit: Admit, label: str, bounds: tuple[float, float]) -> Row:
    good = [r for r in group if r.status == "ok" and r.metrics and r.metrics[0].value is not None]
    if not good:
        return _failed_row(group, label)
    scores = scores_of(good, bounds)
    exact = good[0].model.oracle or good[0].model.role in ("oracle", "floor")
    if exact and scores.replicates.size and not np.ptp(scores.replicates):
        # What an oracle or a floor scores at a bound is no chance of these units.
        scores = replace(scores, bounds=statistics.UNBOUNDED)
    estimate = statistics.row(scores)
    others = {m.name: _mean([r.metric(m.name) for r in good]) for m in good[0].metrics[1:]}
    means = {good[0].metrics[0].name: estimate.value, **others}
    role, note = _role(good, len(group) - len(good), admit(means))
    cost = [r.cost for r in good]
    return Row(
        rank=None,
        tied=False,
        rank_low=None,
        rank_high=None,
        model=label,
        note=note,
        role=role,
        seeds=len(good),
        score=estimate.value,
        low=estimate.low,
        high=estimate.high,
        others=others,
        parameters=good[0].model.parameters,
        train_s=_median([c["train"].wall_s for c in cost]),
        units_per_s=_median([c["predict"].units_per_s or math.nan for c in cost]),
        records=tuple(r.id[:12] for r in good),
        detectable=statistics.detectable(estimate),
        scores=scores,
        latency_ms=_median([c["predict"].median_ms or math.nan for c in cost]),
    )


def scores_of(
    good: Sequence[Record], bounds: tuple[float, float] = statistics.UNBOUNDED
) -> statistics.Scores:
    """Scores of the ranking metric of records that have one, with their bootstrap."""
    values = np.array([r.metrics[0].value for r in good], dtype=float)
    texts = [r.metrics[0].replicates for r in good]
    whole = all(texts)
    replicates = [decode(text) for text in texts if text] if whole else np.zeros((len(good), 0))
    sizes = tuple(units_of(r) for r in good)
    folds = tuple(fold for r in good if (fold := _fold(r)) is not None)
    units = sum(dict(zip(folds, sizes, strict=True)).values()) if folds else sizes[0]
    return statistics.Scores(
        values, np.array(replicates), units, bounds, folds, sizes if folds else ()
    )


def units_of(record: Record) -> int:
    """Number of independent test units: of clusters, where the task has some."""
    return record.task.units.get("clusters", record.task.units["test"])


def _mean(metrics: Sequence[Any]) -> float:
    """Mean over seeds; NaN unless every seed has the value: no mean over unequal sets."""
    values = [m.value for m in metrics if m is not None and m.value is not None]
    return float(np.mean(values)) if len(values) == len(metrics) else math.nan


def _median(values: Sequence[float]) -> float:
    """NaN where one of them is."""
    if any(map(math.isnan, values)):
        return math.nan
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _role(
    good: list[Record], failures: int, reason: str | None
) -> tuple[Literal["ranked", "unranked", "oracle"], str]:
    notes = [f"{failures} seed(s) failed"] if failures else []
    if good[0].model.origin == "submitted":
        notes.append("submitted by its authors")
    if good[0].model.oracle:
        return "oracle", "; ".join(["oracle: sees the truth", *notes])
    if reason:
        return "unranked", "; ".join([reason, *notes])
    if len(good) < MIN_SEEDS and not good[0].model.deterministic:
        return "unranked", "; ".join([f"{len(good)} of {MIN_SEEDS} seeds", *notes])
    return "ranked", "; ".join(notes)


def _failed_row(group: list[Record], label: str) -> Row:
    first = group[0]
    why = f"{first.status}: {first.failure.message[:60]}" if first.failure else first.status
    nan = math.nan
    ids = tuple(r.id[:12] for r in group)
    none = statistics.Scores(np.zeros(0), np.zeros((0, 0)))
    costs: tuple[Any, ...] = (None, nan, nan, ids, nan, none)
    return Row(None, False, None, None, label, why, "failed", 0, nan, nan, nan, {}, *costs)


def badness(score: float, best: str) -> float:
    """A number that is smaller for better scores.

    >>> badness(0.9, "max"), badness(-0.2, "zero")
    (-0.9, 0.2)
    """
    return {"max": -score, "min": score, "zero": abs(score)}[best]


def _ranked(rows: list[Row], best: str) -> list[Row]:
    order = {"oracle": 0, "ranked": 1, "unranked": 2, "failed": 3}
    rows = sorted(rows, key=lambda r: (order[r.role], _nan_last(badness(r.score, best)), r.model))
    ranked = [r for r in rows if r.role == "ranked"]
    places = statistics.ranks([r.scores for r in ranked], best)
    by_model = dict(zip((r.model for r in ranked), places, strict=True))
    shared = [rank for rank, _, _ in places]
    result: list[Row] = []
    for row in rows:
        rank, low, high = by_model.get(row.model, (None, None, None))
        tied = rank is not None and shared.count(rank) > 1
        result.append(replace(row, rank=rank, tied=tied, rank_low=low, rank_high=high))
    return result


def _nan_last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def digits(low: float, high: float) -> int:
    """Decimals that show two digits of the interval's half width (4 without an interval).

    >>> digits(0.91, 0.95), digits(float("nan"), float("nan"))
    (3, 4)
    """
    half = (high - low) / 2
    if not math.isfinite(half) or half <= 0:
        return 4
    return min(max(1 - math.floor(math.log10(half)), 0), 6)


def shown(row: Row) -> str:
    """`score [low, high]` with the digits that the interval supports."""
    if math.isnan(row.score):
        return "–"
    places = digits(row.low, row.high)
    if math.isnan(row.low):
        return f"{row.score:.{places}f}"
    return f"{row.score:.{places}f} [{row.low:.{places}f}, {row.high:.{places}f}]"


def place(row: Row) -> str:
    """`2-4`, the range of places of a ranked row, or nothing."""
    if row.rank_low is None:
        return ""
    same = row.rank_low == row.rank_high
    return f"{row.rank_low}" if same else f"{row.rank_low}-{row.rank_high}"


def table(board: Board) -> str:
    """The board as CSV, full precision, one row a line."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["rank", "tied", "rank_low", "rank_high", "model", "role", "note", "seeds"]
        + [board.metric, "low", "high", "detectable"]
        + board.columns
        + ["parameters", "train_s", f"{board.unit}s_per_s", "records"]
    )
    for row in board.rows:
        others = [row.others.get(name, math.nan) for name in board.columns]
        numbers = [row.score, row.low, row.high, row.detectable, *others]
        writer.writerow(
            [row.rank or "", row.tied, row.rank_low or "", row.rank_high or ""]
            + [escaping.cell(row.model), row.role, escaping.cell(row.note), row.seeds]
            + ["" if math.isnan(v) else repr(v) for v in numbers]
            + [row.parameters or "", row.train_s, row.units_per_s, " ".join(row.records)]
        )
    return stream.getvalue()
