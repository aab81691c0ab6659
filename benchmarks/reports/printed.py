"""What is printed after a run: the score beside the references of its board."""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmarks import registry
from benchmarks.reports import boards
from benchmarks.running.stages import Done
from physbench.leaderboard.board import Board, Row, shown
from physbench.leaderboard.record import Failure, Record


def after_run(found: Sequence[Done], runs: str | os.PathLike[str] | None = None) -> str:
    """A short table: each seed, then the board's oracle, best, classical and trivial rows."""
    lines = [f"{'seed':>5}  {'status':14s} {'score [95 %]':34s} record"]
    for done in found:
        record, path = done.record, done.path or "(could not be written)"
        lines.append(f"{record.seed:5d}  {record.status:14s} {_score(record):34s} {path}")
        if record.failure:
            lines += _why(record.failure)
    board = _board_of(found[-1].record, runs)
    if board is not None:
        lines += ["", f"{board.task} on {board.dataset}, {board.metric} ({board.best} is best):"]
        lines += [_reference(row) for row in board.rows]
    return "\n".join(lines)


def _why(failure: Failure) -> list[str]:
    """What went wrong, and where in the user's code."""
    lines = [f"       {failure.stage}: {failure.type}: {failure.message}"]
    return lines + [f"         {line}" for line in (failure.traceback or "").splitlines()]


def _score(record: Record) -> str:
    if not record.metrics or record.metrics[0].value is None:
        return "–"
    metric = record.metrics[0]
    interval = f" [{metric.low:.4f}, {metric.high:.4f}]" if metric.low is not None else ""
    return f"{metric.value:.4f}{interval}"


def _reference(row: Row) -> str:
    rank = "" if row.rank is None else f"{row.rank}{'=' if row.tied else ''}"
    return f"  {rank:>3} {row.model:40.40s} {shown(row):28s} {row.note}"


def _board_of(record: Record, runs: str | os.PathLike[str] | None) -> Board | None:
    if record.task.name not in registry.names("task"):
        return None
    same = [
        b
        for b in boards.board(record.task.name, runs=runs)
        if b.dataset == record.dataset.name and b.split == record.task.split
    ]
    return same[0] if same else None
