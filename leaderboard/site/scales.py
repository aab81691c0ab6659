"""What figures and tables of a board show alike: marks, scales, costs, fronts. Draws nothing."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from physbench.leaderboard.board import Board, Row, badness, shown

Reference = Literal["ceiling", "classical", "floor"]
Cost = Callable[[Row], float]


def reference(row: Row, references: Mapping[str, Reference]) -> Reference | None:
    """What the row's model stands for on its board: ceiling, classical method, floor or None."""
    return references.get(row.model.split(" ")[0])


def kind(row: Row, references: Mapping[str, Reference]) -> str:
    """What a mark of the row stands for: `ranked`, `unranked` or a reference."""
    found = reference(row, references)
    if found:
        return found
    return {"ranked": "ranked", "oracle": "ceiling"}.get(row.role, "unranked")


def direction(best: str) -> str:
    """The best direction of a metric in words."""
    return {"max": "higher is better", "min": "lower is better", "zero": "zero is best"}[best]


def decades(values: Iterable[float]) -> float:
    """Powers of ten between the smallest and the largest value; 0 unless all are positive."""
    finite = [v for v in values if math.isfinite(v)]
    if not finite or min(finite) <= 0:
        return 0.0
    return math.log10(max(finite) / min(finite))


def window(board: Board) -> tuple[float, float]:
    """The scale on which rows are compared: that of the leaders, of classical rows and ceiling.

    The leaders are the upper half of the ranked rows, at least three. Floors are left out, and
    so is a ceiling that is decades away.
    """
    scored = [row for row in board.rows if math.isfinite(row.score)]
    ranked = [row for row in scored if row.role == "ranked" and row.kind != "floor"]
    first = ranked[: max(3, (len(ranked) + 1) // 2)] or scored
    best = min(
        (r for r in scored if r.kind == "oracle"),
        default=None,
        key=lambda row: badness(row.score, board.best),
    )
    chosen = [*first, *([best] if best else [])]
    ends = [v for row in chosen for v in (row.low, row.high, row.score) if math.isfinite(v)]
    if decades([row.score for row in chosen]) > 2:  # a ceiling at zero has no place on this scale
        near = [row.score for row in first if row.score > 0]
        return min(near) / 2, max(near) * 2
    margin = 0.06 * (max(ends) - min(ends))
    return min(ends) - margin, max(ends) + margin


def costs(board: Board) -> dict[str, Cost]:
    """What a row may cost, by label; NaN where that is not known."""
    return {
        "training, one run (s)": _time,
        "parameters": lambda row: row.parameters or math.nan,
        f"one {board.unit} alone (ms)": lambda row: row.latency_ms,
        f"each {board.unit} of the test split (ms)": _each,
    }


TIERS = {
    "parameters": (
        (1e3, "1 thousand"),
        (1e4, "10 thousand"),
        (1e5, "100 thousand"),
        (1e6, "1 million"),
    ),
    "latency": ((0.1, "0.1 ms"), (1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1e3, "1 s")),
}


def tiers(board: Board) -> list[tuple[str, str, Row]]:
    """The best ranked row, no floor, within each budget: its kind, the limit and the row.

    A limit is left out where no row keeps it, or where it lets in no better one than the last.
    """
    taken: dict[str, Cost] = {
        "parameters": lambda row: row.parameters or math.nan,
        "latency": lambda row: row.latency_ms,
    }
    real = [row for row in board.rows if row.role == "ranked" and row.kind != "floor"]
    found: list[tuple[str, str, Row]] = []
    for kind, limits in TIERS.items():
        last = None
        for limit, name in limits:
            rows = (r for r in real if taken[kind](r) <= limit)
            best = min(rows, key=lambda row: badness(row.score, board.best), default=None)
            if best is not None and best is not last:
                found.append((kind, name, best))
            last = best
    return found


def _each(row: Row) -> float:
    """Milliseconds a unit when the whole test split is predicted at once."""
    return 1e3 / row.units_per_s if row.units_per_s else math.nan


def front(board: Board) -> list[Row]:
    """The Pareto front of the ranked rows in training time and score, fastest first."""
    return pareto([row for row in board.rows if row.role == "ranked"], board.best)


def pareto(rows: Sequence[Row], best: str, time: Cost | None = None) -> list[Row]:
    """The rows that no other row beats in both time and score, fastest first.

    `time` of a row is by default that of its training.
    """
    taken = time or _time
    best_so_far: list[Row] = []
    for row in sorted(rows, key=lambda r: (taken(r), badness(r.score, best), r.model)):
        if not best_so_far or badness(row.score, best) < badness(best_so_far[-1].score, best):
            best_so_far.append(row)
    return best_so_far


def _time(row: Row) -> float:
    """Training time in seconds; a logarithmic axis begins at a millisecond."""
    return max(row.train_s, 1e-3) if math.isfinite(row.train_s) else 1e-3


def described(board: Board) -> str:
    """One sentence that says what the interval figure shows, for readers who do not see it."""
    first = next((row for row in board.rows if row.role == "ranked"), None)
    text = f"{board.metric} of {len(board.rows)} rows with 95 % intervals"
    return f"{text}; first is {first.model} with {shown(first)}" if first else text


def key(*parts: object) -> str:
    """What decides a picture, as one digest: its parts, our style, Matplotlib's version."""
    text = repr([_style(), *parts])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def _style() -> list[object]:
    here = Path(__file__)
    names = ("figures.py", "palette.py")
    return [
        importlib.metadata.version("matplotlib"),
        here.read_bytes(),
        *(here.with_name(name).read_bytes() for name in names),
    ]
