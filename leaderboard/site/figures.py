"""Figures of a board, drawn from its rows alone, and the same bytes from the same rows."""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import mplhep
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from physbench.leaderboard import escaping
from physbench.leaderboard.board import Board, Row
from physbench.leaderboard.site import palette, scales
from physbench.leaderboard.site.scales import Cost, Reference

MOST_ROWS = 25
# Ticks as the experiments draw them, on all sides; the rest is ours, small and quiet.
TICKS = {
    name: mplhep.style.ATLAS[name]
    for axis in ("xtick", "ytick")
    for name in (f"{axis}.direction", f"{axis}.{'top' if axis == 'xtick' else 'right'}")
}
STYLE: Any = TICKS | {
    "axes.grid": True,
    "axes.linewidth": 0.7,
    "axes.prop_cycle": cycler(color=palette.PALETTE),
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.alpha": 0.6,
    "grid.color": "#9aa3ab",
    "grid.linewidth": 0.4,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.fonttype": "path",
    "svg.hashsalt": "physbench",
}
# The colour is the model's; what it stands for is told by its mark.
MARKS = {"ceiling": "D", "ranked": "o", "classical": "s", "floor": "v", "unranked": "o"}
GREY = "#7a838b"
DARK = {"#000000": "#e6e9ec", "#ffffff": "#171b1f"}
DARK |= {"#0072b2": "#56b4e9", "#8a5a2b": "#d3a06a"}  # of what is no model
# Matplotlib leaves the fill of black text to the default, and writes other colours inline.
DARK_STYLE = "@media (prefers-color-scheme: dark) {{ svg {{ fill: {}; }} {} }}".format(
    DARK["#000000"],
    " ".join(
        f'[style*="{what}: {light}"] {{ {what}: {dark} !important; }}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    ),
)


@contextlib.contextmanager
def style(labels: Sequence[str] = (), colours: Mapping[str, str] | None = None) -> Iterator[None]:
    """The style of all our figures; lines are in the colours of the labelled rows, in order."""
    own = palette.styles(labels, colours or {})
    cycle = {"axes.prop_cycle": _cycle(own)} if own else {}
    with mpl.rc_context(STYLE | cycle):
        yield


def _cycle(styles: Sequence[Mapping[str, str]]) -> Any:
    return cycler(**{name: [one[name] for one in styles] for name in styles[0]})


def intervals(
    board: Board,
    references: Mapping[str, Reference] | None = None,
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Score of each row with its 95 % interval, best on top, each in its model's colour.

    At most 25 rows are drawn: the first ones, and all references.
    """
    known = dict(references or {})
    rows = _drawn(board.rows, known)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 1.3 + 0.28 * max(len(rows), 2)))
        axes = figure.subplots()
        for place, row in enumerate(rows):
            colour = palette.colour(row.model, colours or {})
            _interval(axes, place, row, scales.kind(row, known), colour)
        axes.set_yticks(range(len(rows)), [_name(row) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"{board.metric} ({scales.direction(board.best)})")
        # Above the labels too: the axes alone are too narrow for a long name.
        name = f"{board.task} on {board.dataset}"
        figure.suptitle(name, x=0.02, ha="left", fontweight="bold", fontsize="large")
        if scales.decades([row.score for row in rows]) > 2:
            axes.set_xscale("log")
        _zoom(axes, board, rows)
        _legend(figure, {scales.kind(row, known) for row in rows})
    return figure


def _zoom(axes: Axes, board: Board, rows: Sequence[Row]) -> None:
    """Show the leaders' scale; rows beyond it are marked by an arrow and their score."""
    low, high = scales.window(board)
    if not high > low:
        return
    axes.set_xlim(low, high)
    for place, row in enumerate(rows):
        if not low <= row.score <= high:
            left = row.score < low
            # Beside what is to be seen of its interval, not across it.
            edge, end = (low, row.high) if left else (high, row.low)
            end = end if low < end < high else edge
            axes.annotate(
                f"{'← ' if left else ''}{row.score:.3g}{'' if left else ' →'}",
                (end, place),
                xytext=(4 if left else -4, 0),
                textcoords="offset points",
                ha="left" if left else "right",
                va="center",
                fontsize=9,
            )


def _legend(figure: Figure, kinds: set[str]) -> None:
    """What the marks mean, below the axes."""
    words = {
        "ceiling": "ceiling (sees the truth)",
        "ranked": "learned",
        "classical": "classical",
        "floor": "floor",
        "unranked": "not ranked",
    }
    handles = [
        Line2D(
            [],
            [],
            marker=MARKS[kind],
            color=GREY,
            label=words[kind],
            linestyle="none",
            markerfacecolor="#ffffff" if kind == "unranked" else GREY,
        )
        for kind in words
        if kind in kinds
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=9)


def _drawn(rows: Sequence[Row], references: Mapping[str, Reference]) -> list[Row]:
    scored = [row for row in rows if math.isfinite(row.score)]
    free = MOST_ROWS - sum(scales.reference(row, references) is not None for row in scored)
    chosen: list[Row] = []
    for row in scored:
        if scales.reference(row, references) is None:
            free -= 1
            if free < 0:
                continue
        chosen.append(row)
    return chosen


def _interval(axes: Axes, place: int, row: Row, kind: str, colour: str) -> None:
    if math.isfinite(row.low) and math.isfinite(row.high):
        axes.plot([row.low, row.high], [place, place], color=colour, solid_capstyle="butt")
    filled = colour if row.role in ("ranked", "oracle") else "#ffffff"
    axes.plot(row.score, place, MARKS[kind], color=colour, markersize=5, markerfacecolor=filled)
    if kind in ("ceiling", "floor"):
        axes.axvline(row.score, color=colour, linestyle=(0, (4, 3)), linewidth=0.9, zorder=0)


def _name(row: Row) -> str:
    rank = "" if row.rank is None else f"{row.rank}{'=' if row.tied else ''}  "
    label = row.model if len(row.model) <= 34 else row.model[:33] + "…"
    return rank + escaping.picture(label)


def cost(
    board: Board,
    references: Mapping[str, Reference] | None = None,
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Score against what a row costs, a panel each: training, prediction, size.

    The lines join the Pareto fronts of the ranked rows. Oracles are shown as well: a simulation
    that is its own oracle says what a generator has to beat.
    """
    known = dict(references or {})
    rows = [r for r in _drawn(board.rows, known) if r.role != "failed"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, max(6.4, 0.2 * len(rows))))
        panels = figure.subplots(2, 2, sharey=True)
        for axes, (label, taken) in zip(panels.flat, scales.costs(board).items(), strict=True):
            _panel(axes, board, rows, taken)
            for place, row in enumerate(rows, 1):
                if math.isfinite(taken(row)):
                    colour = palette.colour(row.model, colours or {})
                    _point(axes, place, row, taken(row), MARKS[scales.kind(row, known)], colour)
            axes.set_xlabel(label)
        figure.supylabel(f"{board.metric} ({scales.direction(board.best)})", fontsize="medium")
        # Names beside the points would cover one another where rows are close.
        names = "\n".join(f"{place}  {_short(row)}" for place, row in enumerate(rows, 1))
        panels[0, 1].text(1.03, 1.0, names, transform=panels[0, 1].transAxes, va="top", fontsize=9)
        if scales.decades([row.score for row in rows]) > 2:
            panels[0, 0].set_yscale("log")
    return figure


def _short(row: Row) -> str:
    return row.model.split(" ")[0]


def _point(axes: Axes, place: int, row: Row, x: float, mark: str, colour: str) -> None:
    """A row's mark, with its number in the list of names."""
    filled = colour if row.role in ("ranked", "oracle") else "#ffffff"
    axes.plot(x, row.score, mark, color=colour, markerfacecolor=filled)
    offset = (3, 4 + 8 * (place % 2))
    axes.annotate(str(place), (x, row.score), offset, fontsize=8, textcoords="offset points")


def _panel(axes: Axes, board: Board, rows: Sequence[Row], taken: Cost) -> None:
    """The front of the ranked rows, and the axis of what they cost."""
    shown = [row for row in rows if math.isfinite(taken(row))]
    line = scales.pareto([row for row in shown if row.role == "ranked"], board.best, taken)
    x, y = [taken(row) for row in line], [row.score for row in line]
    axes.step(x, y, where="post", color="#000000", lw=0.9, zorder=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: abbreviated(value))
    narrow = 0 < scales.decades([taken(row) for row in shown]) < 1  # has few ticks, or none
    axes.xaxis.set_minor_formatter(
        (lambda value, _: abbreviated(value) if f"{value:e}"[0] in "23457" else "")
        if narrow
        else NullFormatter()
    )
    axes.margins(0.08, 0.12)


def abbreviated(value: float) -> str:
    """A round number in few characters.

    >>> [abbreviated(v) for v in (0.001, 10, 1e4, 3e6)]
    ['0.001', '10', '10k', '3M']
    """
    for factor, sign in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g}{sign}"
    return f"{value:g}"


def svg(figure: Figure) -> str:
    """The figure as SVG text on a transparent ground; light ink where dark paper is preferred."""
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    stream = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue().replace("</style>", f"{DARK_STYLE}</style>", 1)


def empty(figure: Figure) -> bool:
    """Whether no axes of the figure hold anything."""
    return not any(np.isfinite(axes.dataLim.get_points()).all() for axes in figure.axes)


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
