"""Figures of a board, drawn from its rows alone, and the same bytes from the same rows."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from physbench.leaderboard import escaping
from physbench.leaderboard.board import Board, Row, badness, shown

Reference = Literal["ceiling", "classical", "floor"]

MOST_ROWS = 25
STYLE: Any = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.alpha": 0.6,
    "grid.color": "#9aa3ab",
    "grid.linewidth": 0.4,
    "lines.linewidth": 1.4,
    "svg.fonttype": "path",
    "svg.hashsalt": "physbench",
}
# Okabe and Ito's colours, told apart by colour-blind readers and on white and on black.
COLOURS = {
    "ranked": "#0072b2",
    "unranked": "#8a939b",
    "ceiling": "#c2410c",
    "classical": "#008a63",
    "floor": "#8a5a2b",
}
DARK = {"#000000": "#e6e9ec", "#ffffff": "#171b1f", "#0072b2": "#56b4e9", "#c2410c": "#f59e5b"}
DARK |= {"#008a63": "#3ccf9f", "#8a5a2b": "#d3a06a"}


def reference(row: Row, references: Mapping[str, Reference]) -> Reference | None:
    """What the row's model stands for on its board: ceiling, classical method, floor or None."""
    return references.get(row.model.split(" ")[0])


def intervals(board: Board, references: Mapping[str, Reference] | None = None) -> Figure:
    """Score of each row with its 95 % interval, best on top; references in colours of their own.

    At most 25 rows are drawn: the first ones, and all references.
    """
    known = dict(references or {})
    rows = _drawn(board.rows, known)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 1.3 + 0.28 * max(len(rows), 2)))
        axes = figure.subplots()
        for place, row in enumerate(rows):
            _interval(axes, place, row, _kind(row, known))
        axes.set_yticks(range(len(rows)), [_name(row) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"{board.metric} ({_direction(board.best)})")
        # Above the labels too: the axes alone are too narrow for a long name.
        name = f"{board.task} on {board.dataset}"
        figure.suptitle(name, x=0.02, ha="left", fontweight="bold", fontsize="large")
        if _decades([row.score for row in rows]) > 2:
            axes.set_xscale("log")
        _zoom(axes, board, rows)
        _legend(figure, {_kind(row, known) for row in rows})
    return figure


def _zoom(axes: Axes, board: Board, rows: Sequence[Row]) -> None:
    """Show the leaders' scale; rows beyond it are marked by an arrow and their score."""
    low, high = window(board)
    if not high > low:
        return
    axes.set_xlim(low, high)
    for place, row in enumerate(rows):
        if not low <= row.score <= high:
            left = row.score < low
            axes.annotate(
                f"{'← ' if left else ''}{row.score:.3g}{'' if left else ' →'}",
                (0.01 if left else 0.99, place), xycoords=("axes fraction", "data"),
                ha="left" if left else "right", va="center", fontsize=9,
            )  # fmt: skip


def _legend(figure: Figure, kinds: set[str]) -> None:
    """What the colours mean, below the axes."""
    words = {"ceiling": "ceiling (sees the truth)", "ranked": "learned", "classical": "classical",
             "floor": "floor", "unranked": "not ranked"}  # fmt: skip
    handles = [
        Line2D([], [], marker="o", color=COLOURS[kind], label=words[kind],
               markerfacecolor="#ffffff" if kind == "unranked" else COLOURS[kind])
        for kind in words if kind in kinds
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def window(board: Board) -> tuple[float, float]:
    """The scale on which rows are compared: that of the leaders, of classical rows and ceiling.

    The leaders are the upper half of the ranked rows, at least three. Floors are left out, and
    so is a ceiling that is decades away.
    """
    scored = [row for row in board.rows if math.isfinite(row.score)]
    ranked = [row for row in scored if row.role == "ranked" and row.kind != "floor"]
    first = ranked[: max(3, (len(ranked) + 1) // 2)] or scored
    best = min((r for r in scored if r.kind == "oracle"), default=None,
               key=lambda row: badness(row.score, board.best))  # fmt: skip
    chosen = [*first, *([best] if best else [])]
    ends = [v for row in chosen for v in (row.low, row.high, row.score) if math.isfinite(v)]
    if _decades([row.score for row in chosen]) > 2:  # a ceiling at zero has no place on this scale
        near = [row.score for row in first if row.score > 0]
        return min(near) / 2, max(near) * 2
    margin = 0.06 * (max(ends) - min(ends))
    return min(ends) - margin, max(ends) + margin


def _drawn(rows: Sequence[Row], references: Mapping[str, Reference]) -> list[Row]:
    scored = [row for row in rows if math.isfinite(row.score)]
    free = MOST_ROWS - sum(reference(row, references) is not None for row in scored)
    chosen: list[Row] = []
    for row in scored:
        if reference(row, references) is None:
            free -= 1
            if free < 0:
                continue
        chosen.append(row)
    return chosen


def _kind(row: Row, references: Mapping[str, Reference]) -> str:
    found = reference(row, references)
    if found:
        return found
    return {"ranked": "ranked", "oracle": "ceiling"}.get(row.role, "unranked")


def _interval(axes: Axes, place: int, row: Row, kind: str) -> None:
    colour = COLOURS[kind]
    if math.isfinite(row.low) and math.isfinite(row.high):
        axes.plot([row.low, row.high], [place, place], color=colour, solid_capstyle="butt")
    filled = colour if row.role in ("ranked", "oracle") else "#ffffff"
    axes.plot(row.score, place, "o", color=colour, markersize=5, markerfacecolor=filled)
    if kind in ("ceiling", "floor"):
        axes.axvline(row.score, color=colour, linestyle=(0, (4, 3)), linewidth=0.9, zorder=0)


def _name(row: Row) -> str:
    rank = "" if row.rank is None else f"{row.rank}{'=' if row.tied else ''}  "
    label = row.model if len(row.model) <= 34 else row.model[:33] + "…"
    return rank + escaping.picture(label)


def _direction(best: str) -> str:
    return {"max": "higher is better", "min": "lower is better", "zero": "zero is best"}[best]


def _decades(values: Iterable[float]) -> float:
    finite = [v for v in values if math.isfinite(v)]
    if not finite or min(finite) <= 0:
        return 0.0
    return math.log10(max(finite) / min(finite))


def cost(board: Board, references: Mapping[str, Reference] | None = None) -> Figure:
    """Score against training time; the line joins the Pareto front of the rows that are ranked.

    A row is on the front when no ranked row that trains as fast or faster scores as well.
    """
    known = dict(references or {})
    rows = [r for r in board.rows if math.isfinite(r.score) and r.role in ("ranked", "unranked")]
    first = front(board)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 4.0))
        axes = figure.subplots()
        axes.step(*_corners(first), where="post", color="#000000", linewidth=0.9, zorder=1)
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            colour = COLOURS[_kind(row, known)]
            filled = colour if row.role == "ranked" else "#ffffff"
            groups.setdefault((colour, filled), []).append(row)
        for (colour, filled), group in groups.items():
            axes.plot(*_corners(group), "o", color=colour, markerfacecolor=filled)
        for row in first:
            axes.annotate(
                row.model.split(" ")[0], (_time(row), row.score), (4, 5), fontsize=9,
                textcoords="offset points",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.margins(0.08, 0.12)
        axes.set_xlabel("training time, one run (s)")
        axes.set_ylabel(f"{board.metric} ({_direction(board.best)})")
        if _decades([row.score for row in rows]) > 2:
            axes.set_yscale("log")
    return figure


def speed(board: Board, references: Mapping[str, Reference] | None = None) -> Figure:
    """Score against prediction time: a unit alone, and a unit among all of the test split.

    Oracles are shown as well: a simulation that is its own oracle says what a generator has to
    beat. The lines join the Pareto fronts of the rows that are ranked.
    """
    known = dict(references or {})
    rows = [r for r in _drawn(board.rows, known) if r.role != "failed"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.0, max(4.2, 0.22 * len(rows))))
        left, right = figure.subplots(1, 2, sharey=True)
        _speed(left, board, rows, known, lambda row: row.latency_ms)
        _speed(right, board, rows, known, _each)
        left.set_xlabel(f"one {board.unit} alone (ms)")
        right.set_xlabel(f"a {board.unit} among the test split (ms)")
        left.set_ylabel(f"{board.metric} ({_direction(board.best)})")
        # Names beside the points would cover one another where rows are close.
        names = "\n".join(f"{place}  {_short(row)}" for place, row in enumerate(rows, 1))
        right.text(1.03, 1.0, names, transform=right.transAxes, va="top", fontsize=9)
    return figure


def _short(row: Row) -> str:
    return row.model.split(" ")[0]


def _each(row: Row) -> float:
    """Milliseconds a unit when the whole test split is predicted at once."""
    return 1e3 / row.units_per_s if row.units_per_s else math.nan


def _speed(
    axes: Axes,
    board: Board,
    rows: Sequence[Row],
    known: Mapping[str, Reference],
    time: Callable[[Row], float],
) -> None:
    shown = [row for row in rows if math.isfinite(time(row))]
    line = pareto([row for row in shown if row.role == "ranked"], board.best, time)
    axes.step(
        [time(r) for r in line], [r.score for r in line], where="post", color="#000000", lw=0.9,
        zorder=1,
    )  # fmt: skip
    for place, row in enumerate(rows, 1):
        if not math.isfinite(time(row)):
            continue
        colour = COLOURS[_kind(row, known)]
        filled = colour if row.role in ("ranked", "oracle") else "#ffffff"
        axes.plot(time(row), row.score, "o", color=colour, markerfacecolor=filled)
        axes.annotate(
            str(place), (time(row), row.score), (3, 4 + 8 * (place % 2)), fontsize=8,
            textcoords="offset points",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.margins(0.08, 0.12)


def front(board: Board) -> list[Row]:
    """The Pareto front of the ranked rows in training time and score, fastest first."""
    return pareto([row for row in board.rows if row.role == "ranked"], board.best)


def pareto(
    rows: Sequence[Row], best: str, time: Callable[[Row], float] | None = None
) -> list[Row]:
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


def _corners(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    return [_time(row) for row in rows], [row.score for row in rows]


def described(board: Board) -> str:
    """One sentence that says what the interval figure shows, for readers who do not see it."""
    first = next((row for row in board.rows if row.role == "ranked"), None)
    text = f"{board.metric} of {len(board.rows)} rows with 95 % intervals"
    return f"{text}; first is {first.model} with {shown(first)}" if first else text


def svg(figure: Figure, *, dark: bool = False) -> str:
    """The figure as SVG text on a transparent ground, in ink for light or for dark paper.

    The dark version must be asked for last: it recolours the figure.
    """
    if dark:
        recolour(figure)
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    stream = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def recolour(figure: Figure) -> None:
    """Exchange black for white, and dark inks for light ones, in all artists of a figure."""
    for artist in figure.findobj():
        for name in ("color", "edgecolor", "facecolor", "markerfacecolor", "markeredgecolor"):
            _exchange(artist, name)
    for axes in figure.axes:
        axes.tick_params(which="both", colors=DARK["#000000"])


def _exchange(artist: Any, name: str) -> None:
    getter, setter = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
    if getter is None or setter is None:
        return
    try:
        other = DARK.get(to_hex(getter()))
    except (TypeError, ValueError):  # several colours at once: data, which keep theirs
        return
    if other:
        setter(other)


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG, SVG or PDF, by the ending of `path`, on white, without a date."""
    target = Path(path)
    metadata: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".svg": {"Date": None, "Creator": None},
        ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    if target.suffix not in metadata:
        raise ValueError(f"picture must end with .png, .svg or .pdf; got '{target.name}'")
    target.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure.savefig(target, dpi=160, facecolor="#ffffff", metadata=metadata[target.suffix])
    return target
