"""What is printed after a run: each seed, their mean and what it means, the board's references."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks import registry
from benchmarks.reports import boards
from benchmarks.running.stages import Done
from physbench.leaderboard import board as tables
from physbench.leaderboard import standing
from physbench.leaderboard.board import Board, Row, shown
from physbench.leaderboard.record import Failure, Record


def after_run(found: Sequence[Done], runs: str | os.PathLike[str] | None = None) -> str:
    """A short table: each seed, the mean of its row in words, and the rows of the board."""
    lines = [f"{'seed':>5}  {'status':14s} {'score [95 %]':34s} record"]
    for done in found:
        record, path = done.record, done.path or "(could not be written)"
        lines.append(f"{record.seed:5d}  {record.status:14s} {_score(record):34s} {path}")
        if record.failure:
            lines += _why(record.failure)
    board = _board_of(found[-1].record, runs)
    if board is not None:
        lines += meaning(board, [done.record.id[:12] for done in found])
        lines += ["", f"{board.task} on {board.dataset}, {board.metric} ({board.best} is best):"]
        lines += [_reference(row) for row in board.rows]
    return "\n".join(lines)


def meaning(board: Board, ids: Sequence[str]) -> list[str]:
    """The mean of the row that holds the records `ids`, and where it stands, in words."""
    own = next((row for row in board.rows if set(row.records) & set(ids)), None)
    if own is None or not own.seeds:
        return []
    lines = ["", f"mean over {own.seeds} seed{'s' * (own.seeds > 1)}: {shown(own)}"]
    lines += _share(board, own)
    others = [row for row in board.rows if row.role == "ranked" and row is not own]
    if others:
        lines.append(_against("the best other row", others[0], own, board.best))
    classical = [row for row in others if row.kind == "classical"]
    if classical and classical[0] is not others[0]:
        lines.append(_against("the best classical row", classical[0], own, board.best))
    return lines


def _share(board: Board, own: Row) -> list[str]:
    """How much of the way from the best floor to the best oracle the row has gone."""
    floor, ceiling = standing.limits(board)
    share = standing.share(own, floor, ceiling, board.best)
    if math.isnan(share) or floor is None or ceiling is None:
        return []
    return [f"closes {share:.0%} of the gap between {floor.model} and {ceiling.model}"]


def _against(what: str, other: Row, own: Row, best: str) -> str:
    found = standing.difference(own, other, best)
    return (
        f"{abs(found.value):.3g} {'above' if found.better else 'below'} {what} ({other.model}), "
        f"{'significant' if found.clear else 'not significant'}"
    )


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
    below = Path(record.task.name) / record.dataset.name
    same = [
        b
        for b in boards.of_task(record.task.name, *boards.gather(runs, [below]))
        if b.dataset == record.dataset.name and b.split == tables.split(record)
    ]
    return same[0] if same else None
