"""Two rows of a board side by side: their scores, costs, paired difference and single units."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.leaderboard import board as boards
from physbench.leaderboard import statistics, tables
from physbench.leaderboard.board import Board, Row
from physbench.leaderboard.standing import Difference, Matrix

MOST_UNITS = 5  # shown of a pair, in favour of either row


@dataclass(frozen=True)
class Single:
    """Single test units that were left out in turn.

    `units` are the names of those that were, out of `total`; `changes` say by how much each of
    them moves the score of a row: the score minus the score without it, (units,), by row.
    """

    total: int
    units: Sequence[str]
    changes: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Units:
    """The single units of a board: found anew only when `key`, all that decides them, changes.

    `find` returns None where the data or predictions are not on this machine.
    """

    key: str
    find: Callable[[Sequence[str]], Single | None]


def anchor(one: str, other: str) -> str:
    """The place of a pair on the page, whichever of them comes first.

    >>> anchor("kan", "gru width=8"), anchor("gru width=8", "kan")
    ('gru_width-8..kan', 'gru_width-8..kan')
    """
    return "..".join(sorted(re.sub(r"[^\w.]+", "-", n.replace(" ", "_")) for n in (one, other)))


def told(one: Row, other: Row, found: Difference, board: Board) -> str:
    """The paired difference in a sentence, with its interval and its significance."""
    if math.isnan(found.p):
        return "No bootstrap is stored with these records: nothing can be said of the difference."
    places = boards.digits(found.low, found.high)
    chance = f"p < {statistics.SMALLEST_P:g}" if found.p <= statistics.SMALLEST_P else ""
    numbers = (
        f"{found.value:+.{places}f} {board.metric} [{found.low:+.{places}f}, "
        f"{found.high:+.{places}f}], {chance or f'p = {found.p:.2g}'}"
    )
    if found.low <= 0 <= found.high:
        return f"Not told apart: {numbers}; {found.needed:.2g} would probably have been found."
    return f"{(one if found.better else other).model} is better: {numbers}."


def lines(one: Row, other: Row, board: Board) -> list[tuple[str, str, str, str]]:
    """Name, both values and their difference of every metric beside the ranking one, and cost."""
    found = []
    for name in board.columns:
        first, second = (row.others.get(name, math.nan) for row in (one, other))
        found.append((name, _number(first), _number(second), _signed(first - second)))
    for name, show in (
        ("parameters", lambda row: "–" if row.parameters is None else f"{row.parameters:,}"),
        ("training", lambda row: tables.duration(row.train_s)),
        (f"one {board.unit} alone", _latency),
        ("seeds", lambda row: str(row.seeds)),
    ):
        found.append((name, show(one), show(other), ""))
    return found


def _latency(row: Row) -> str:
    return "–" if math.isnan(row.latency_ms) else tables.duration(row.latency_ms / 1e3)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.2g}"


def units_of(board: Board, rows: Sequence[Row], units: Units, path: Path, earlier: Path) -> Any:
    """What to show of single units, as it stands in `path`; copied from an earlier site's file.

    `{"total", "looked", "pairs": {anchor: [[unit, change of the first row, of the second]]}}`,
    the first row being the better placed one; None where nothing is known.
    """
    try:
        known = json.loads(earlier.read_text(encoding="utf-8"))
        fresh = known["key"] == units.key
    except (OSError, ValueError, KeyError, TypeError):
        fresh = False
    if not fresh:
        found = units.find([row.model for row in rows])
        if found is None:
            return None
        known = {"key": units.key, **_chosen(board, rows, found)}
    path.write_text(json.dumps(known, indent=0) + "\n", encoding="utf-8")
    return known


def _chosen(board: Board, rows: Sequence[Row], found: Single) -> dict[str, Any]:
    """For each pair the units that speak most for the first row, then those for the second."""
    pairs = {}
    for number, one in enumerate(rows):
        for other in rows[number + 1 :]:
            if one.model in found.changes and other.model in found.changes:
                changes = [found.changes[row.model] for row in (one, other)]
                gain = np.subtract(*map(_gain, changes, (one, other), [board.best] * 2))
                order = np.argsort(-gain, kind="stable")
                ends = [k for k in order[:MOST_UNITS] if gain[k] > 0]
                ends += [k for k in order[-MOST_UNITS:] if gain[k] < 0]
                pairs[anchor(one.model, other.model)] = [
                    [found.units[k], *(float(f"{change[k]:.3g}") for change in changes)]
                    for k in ends
                ]
    return {"total": found.total, "looked": len(found.units), "pairs": pairs}


def _gain(change: NDArray[np.float64], row: Row, best: str) -> NDArray[np.float64]:
    """How much better a row is for each unit, (units,)."""
    if best == "zero":
        return np.asarray(np.abs(row.score - change) - abs(row.score), dtype=np.float64)
    return change if best == "max" else -change


def sections(
    board: Board, matrix: Matrix, known: Any, bars: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Every pair of the rows, the better placed one first."""
    found = []
    rows, cells = matrix
    for number, one in enumerate(rows):
        for other, own in zip(rows[number + 1 :], cells[number][number + 1 :], strict=True):
            assert own is not None
            place = anchor(one.model, other.model)
            found.append(
                {
                    "anchor": place,
                    "names": (one.model, other.model),
                    "scores": [boards.shown(row) for row in (one, other)],
                    "bars": [bars[row.model] for row in (one, other)],
                    "difference": f"{own.value:+.3g}",
                    "told": told(one, other, own, board),
                    "lines": lines(one, other, board),
                    "records": [row.records for row in (one, other)],
                    "units": [
                        (name, f"{a:+.2g}", f"{b:+.2g}", f"{a - b:+.2g}")
                        for name, a, b in (known["pairs"].get(place, []) if known else [])
                    ],
                }
            )
    return found
