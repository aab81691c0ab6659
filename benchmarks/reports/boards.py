"""Boards of all tasks from the committed records and the user's own."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.running import storing
from benchmarks.running.settings import resolve
from physbench.leaderboard import board as boards
from physbench.leaderboard import escaping, tables
from physbench.leaderboard import record as records
from physbench.leaderboard.board import Board
from physbench.leaderboard.record import Record
from physbench.tasks import Metric, Task

MOST_TOLD = 5  # damaged files of the user that are named one by one


def committed_root() -> Path:
    """Folder of the committed records."""
    import physbench.leaderboard

    return Path(str(physbench.leaderboard.__file__)).parent / "records"


def runs_root(runs: str | os.PathLike[str] | None = None) -> Path:
    """Folder of the user's own records."""
    return storing.runs_root(runs)


def board(
    tasks: Sequence[str] | str | None = None, *, runs: str | os.PathLike[str] | None = None
) -> list[Board]:
    """The boards of the tasks (all without a name; names or files), sorted by task and dataset.

    Raises UnknownName for an unknown task and RecordError for a damaged committed record.
    """
    chosen = [tasks] if isinstance(tasks, str) else list(tasks or registry.names("task"))
    for name in chosen:
        if name not in registry.names("task") and not name.endswith(".py"):
            raise registry.unknown("task", name, registry.names("task"))
    below = [Path(registry.load("task", name).name) for name in chosen] if tasks else None
    everything, local = gather(runs, below)
    return [found for name in chosen for found in of_task(name, everything, local)]


def gather(
    runs: str | os.PathLike[str] | None = None, below: Sequence[Path] | None = None
) -> tuple[list[Record], frozenset[str]]:
    """Records, the committed ones first, and the ids of those that are not committed.

    All of them, or those in folders `below` (task, or task/dataset), where runs are written.
    A damaged file of the user's folder is told on stderr and left out; a damaged committed one
    raises RecordError.
    """
    places = [Path()] if below is None else list(dict.fromkeys(below))
    committed = [r for place in places for r in records.read_all(committed_root() / place)]
    own: list[Record] = []
    problems: list[str] = []
    for place in places:
        good, bad = records.read_good(runs_root(runs) / place)
        own, problems = own + good, problems + bad
    for problem in problems[:MOST_TOLD]:
        print(f"left out: {escaping.visible(problem)}", file=sys.stderr)
    if len(problems) > MOST_TOLD:
        print(f"left out: {len(problems) - MOST_TOLD} more files", file=sys.stderr)
    known = {record.id for record in committed}
    local = frozenset(record.id for record in own if record.id not in known)
    return committed + [record for record in own if record.id in local], local


def of_task(name: str, everything: Sequence[Record], local: frozenset[str]) -> list[Board]:
    """The boards of one task, given by its name or file."""
    entry = registry.load("task", name)
    task: Task = entry.object
    groups: dict[tuple[int, str, str], list[Record]] = {}
    for record in everything:
        if record.task.name == entry.name and current(record, task):
            place = list(task.named).index(record.dataset.name)
            key = (place, record.dataset.version, boards.split(record))
            groups.setdefault(key, []).append(record)
    return [
        boards.build(group, task.admit, local, task.metrics[0].bounds, kinds(group), task.named_by)
        for _, group in sorted(groups.items())
        if any(record.metrics for record in group)
    ]


def kinds(found: Sequence[Record]) -> dict[str, str]:
    """What the registered models are of which the records do not say it."""
    silent = {record.model.name for record in found if record.model.role is None}
    return {name: registry.role(name) for name in silent & set(registry.names("model"))}


def current(record: Record, task: Task) -> bool:
    """Whether a record belongs on today's board: default protocol, today's definitions."""
    versions = _versions(task.metrics)
    return (
        record.task.version == task.version
        and resolved(task, record.task.protocol) == resolved(task, {})
        and record.dataset.name in task.named
        and record.lineage.reproduces is None
        and {m.name: m.version for m in record.metrics} in (versions, {})
    )


@functools.lru_cache(maxsize=64)
def _versions(metrics: tuple[Metric, ...]) -> dict[str, int]:
    return {metric.name: metric.version for metric in metrics}


def resolved(task: Task, protocol: Mapping[str, Any]) -> dict[str, Any] | None:
    """All keywords of a protocol; None for one with a keyword that the task no longer has.

    A keyword that came later has its default: an old record followed it too.
    """
    return _resolved(task.load, records.canonical(protocol))


@functools.lru_cache(maxsize=256)
def _resolved(load: Callable[..., Any], protocol: str) -> dict[str, Any] | None:
    try:
        return resolve(load, json.loads(protocol), "protocol", skip=("fold",))
    except (registry.UnknownName, TypeError):
        return None


def write(found: Sequence[Board], folder: Path) -> list[Path]:
    """Write each board as Markdown and CSV; returns the paths."""
    paths = []
    for number, item in enumerate(found):
        same = [b for b in found[:number] if (b.task, b.dataset) == (item.task, item.dataset)]
        stem = f"{item.task}-{item.dataset}" + (f"-{item.split[:8]}" if same else "")
        for suffix, text in (
            (".md", tables.markdown(item, linked=True)),
            (".csv", boards.table(item)),
        ):
            records.atomic(folder / f"{stem}{suffix}", text)
            paths.append(folder / f"{stem}{suffix}")
    return paths


def hepdata(found: Sequence[Board], folder: Path) -> list[Path]:
    """Write boards as a HEPData submission; returns the paths."""
    from physbench.leaderboard import hepdata as submission

    units = {
        item.task: registry.load("task", item.task).object.metrics[0].unit
        for item in found
        if item.task in registry.names("task")
    }
    return submission.write(found, units, folder)


def picture(
    tasks: Sequence[str], path: Path, *, runs: str | os.PathLike[str] | None = None
) -> Path:
    """Draw the first board of one task, as on its page of the site, as .png, .svg or .pdf."""
    from benchmarks.reports import drawings
    from benchmarks.reports.pages import references
    from physbench.leaderboard.site import figures

    if len(tasks) != 1:
        raise ValueError(f"--picture draws one task's board; got {len(tasks)} tasks")
    everything, local = gather(runs, [Path(registry.load("task", tasks[0]).name)])
    found = of_task(tasks[0], everything, local)
    if not found:
        raise ValueError(f"task '{tasks[0]}' has no records to draw")
    marks = references(found[0])
    return figures.save(figures.intervals(found[0], marks, drawings.colours()), path)
