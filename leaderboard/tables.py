"""A board as Markdown: what a reader needs first, in at most eight columns."""

from __future__ import annotations

import math
from collections.abc import Sequence

from physbench.leaderboard import escaping, standing
from physbench.leaderboard.board import Board, Row, shown
from physbench.leaderboard.standing import Standing

MARKS = {"oracle": "ceiling", "classical": "classical", "floor": "floor"}
WORDS = {"max": "higher is better", "min": "lower is better", "zero": "zero is best"}


def markdown(board: Board, *, linked: bool = False) -> str:
    """The board as a Markdown table; `linked` for a file in `leaderboard/boards`.

    Everything else (all metrics, records, latency) is in the CSV file of the same name.
    """
    classical = standing.leader(board, "classical")
    against = [f"to {classical.model.split(' ')[0]}"] if classical else []
    head = ["rank", "model", f"{board.metric} [95 %]", "to the best", *against]
    head += ["of the gap", "seeds", "training"]
    lines = [f"### {board.task} on {board.dataset}", "", _line(head), _line(["---"] * len(head))]
    rows = zip(board.rows, standing.of(board), strict=True)
    lines += [_line(_cells(board, row, where, linked), bool(linked)) for row, where in rows]
    return "\n".join([*lines, "", _words(board)]) + "\n"


def _words(board: Board) -> str:
    floor, ceiling = standing.limits(board)
    gap = (
        f"`of the gap` is the share of the way from {floor.model} to {ceiling.model}. "
        if floor and ceiling
        else ""
    )
    return (
        f"{board.metric}: {WORDS[board.best]}. Intervals: 95 %, bootstrap over {board.unit}s "
        "crossed with seeds. Rows that share a rank (=) do not differ significantly (paired by "
        "unit, Holm over all pairs). Differences are paired by unit; in brackets where their 95 % "
        f"interval holds zero. {gap}Split `{board.split[:12]}`."
    )


def _cells(board: Board, row: Row, where: Standing, linked: bool) -> list[str]:
    rank = "" if row.rank is None else f"{row.rank}{'=' if row.tied else ''}"
    against = [standing.text(where.to_classical)] if standing.leader(board, "classical") else []
    share = "" if math.isnan(where.share) else f"{where.share:.0%}"
    cost = [_seeds(board, row, linked), duration(row.train_s)] if row.seeds else ["0", ""]
    return [rank, _model(row), shown(row), standing.text(where.to_best), *against, share, *cost]


def _model(row: Row) -> str:
    marks = [MARKS[row.kind]] if row.kind in MARKS else []
    notes = [row.note] if row.note and row.kind != "oracle" else []
    rest = ", ".join(marks + notes)
    return f"{row.model} ({rest})" if rest else row.model


def _seeds(board: Board, row: Row, linked: bool) -> str:
    own = "(yours)" in row.model
    folder = f"../records/{board.task}/{board.dataset}/{row.model.split(' ')[0]}"
    return f"[{row.seeds}]({folder})" if linked and not own else str(row.seeds)


def duration(seconds: float) -> str:
    """A time for reading.

    >>> duration(0.0000123), duration(0.0123), duration(99.6), duration(600.0), duration(9000.0)
    ('0.012 ms', '12 ms', '99.6 s', '10 min', '2.5 h')
    """
    if math.isnan(seconds):
        return "–"
    for limit, unit, divisor in ((0.1, "ms", 1e-3), (120, "s", 1), (7200, "min", 60)):
        if 0 < seconds < limit:
            return f"{seconds / divisor:.{3 if seconds >= 99.5 * divisor else 2}g} {unit}"
    return f"{seconds / 3600:.3g} h" if seconds else "0 s"


def _line(cells: Sequence[str], linked: bool = False) -> str:
    """A row of the table; the second but last cell of a linked one is a link of our own."""
    safe = [
        cell if linked and number == len(cells) - 2 else escaping.markdown(cell)
        for number, cell in enumerate(cells)
    ]
    return "| " + " | ".join(safe) + " |"
