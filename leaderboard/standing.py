"""Where the rows of a board stand: against the best, against classical methods, in the gap."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from physbench.leaderboard import statistics
from physbench.leaderboard.board import Board, Row, badness


@dataclass(frozen=True)
class Difference:
    """A row minus another one, paired by unit; `better` of the two by the board's direction.

    `p` is the chance of such a value were there no difference, `needed` what would be found.
    """

    value: float
    low: float
    high: float
    better: bool
    p: float = math.nan
    needed: float = math.nan

    def turned(self) -> Difference:
        """The other row minus this one."""
        low, high = -self.high, -self.low
        return Difference(-self.value, low, high, not self.better, self.p, self.needed)

    @property
    def clear(self) -> bool:
        """Whether the 95 % interval leaves out zero."""
        return math.isfinite(self.low) and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Standing:
    """Of one row; None for a comparison with itself or with nothing, NaN without a gap."""

    to_best: Difference | None
    to_classical: Difference | None
    share: float


def of(board: Board) -> list[Standing]:
    """The standing of each row, in the board's order."""
    best, classical = leader(board), leader(board, "classical")
    floor, ceiling = limits(board)
    return [
        Standing(
            _difference(row, best, board),
            _difference(row, classical, board),
            share(row, floor, ceiling, board.best),
        )
        for row in board.rows
    ]


def leader(board: Board, kind: str = "") -> Row | None:
    """The first ranked row, of one kind where that is given."""
    rows = (row for row in board.rows if row.role == "ranked" and kind in ("", row.kind))
    return next(rows, None)


def limits(board: Board) -> tuple[Row | None, Row | None]:
    """The best floor and the best oracle."""
    return _best(board, "floor"), _best(board, "oracle")


def _best(board: Board, kind: str) -> Row | None:
    rows: Iterable[Row] = (r for r in board.rows if r.kind == kind and math.isfinite(r.score))
    return min(rows, key=lambda row: badness(row.score, board.best), default=None)


def share(row: Row, floor: Row | None, ceiling: Row | None, best: str) -> float:
    """How much of the way from the floor to the ceiling the row has gone; NaN without both."""
    if floor is None or ceiling is None or row in (floor, ceiling) or row.kind == "oracle":
        return math.nan
    low, high, here = (badness(r.score, best) for r in (floor, ceiling, row))
    return (low - here) / (low - high) if low != high else math.nan


def _difference(row: Row, other: Row | None, board: Board) -> Difference | None:
    if other is None or row is other or row.kind == "oracle" or not row.seeds:
        return None
    return difference(row, other, board.best)


def difference(row: Row, other: Row, best: str) -> Difference:
    """The paired difference of two rows in the ranking metric."""
    found = statistics.difference(row.scores, other.scores)
    better = badness(row.score, best) < badness(other.score, best)
    needed = statistics.detectable(found) / 2**0.5
    return Difference(found.value, found.low, found.high, better, found.p, needed)


Matrix = tuple[list[Row], list[list[Difference | None]]]


def matrix(board: Board, most: int = 12) -> Matrix:
    """The first ranked rows and the best classical one; the difference of each to each other."""
    ranked, classical = [r for r in board.rows if r.role == "ranked"], leader(board, "classical")
    rows = [r for k, r in enumerate(ranked) if k < most or r is classical]
    half = {
        (k, m): difference(rows[k], rows[m], board.best)
        for k in range(len(rows))
        for m in range(k + 1, len(rows))
    }
    other = {(m, k): found.turned() for (k, m), found in half.items()}
    whole: dict[tuple[int, int], Difference] = half | other
    places = range(len(rows))
    return rows, [[whole.get((k, m)) for m in places] for k in places]


def text(found: Difference | None, digits: int = 2) -> str:
    """`-0.048` where it is significant, `(-0.004)` where it is not, nothing for None.

    >>> text(Difference(-0.048, -0.06, -0.03, False)), text(Difference(0.01, -0.1, 0.1, True))
    ('-0.048', '(+0.01)')
    """
    if found is None or math.isnan(found.value):
        return ""
    number = f"{found.value:+.{digits}g}"
    return number if found.clear else f"({number})"
