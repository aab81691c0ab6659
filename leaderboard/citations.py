"""LaTeX tables whose rows name their records and cite their works."""

from __future__ import annotations

from collections.abc import Sequence

from physbench.leaderboard import standing
from physbench.leaderboard.board import WORD, Board, Row, bare, digits
from physbench.leaderboard.escaping import latex as escaped
from physbench.leaderboard.record import Record

MOST_IDS = 3  # records of a row that a table names


def latex(rows: Sequence[tuple[Record, Sequence[str]]]) -> str:
    r"""A booktabs table: a row a record, score with 95 % interval, citations, record id.

    `rows` are records with the citation keys of their method. Needs `\usepackage{booktabs}`.
    """
    lines = [r"\begin{tabular}{lllrl}", r"\toprule"]
    lines += [r"task & dataset & model & score & record \\", r"\midrule"]
    for record, keys in rows:
        cite = f"~\\cite{{{','.join(keys)}}}" if keys else ""
        names = [escaped(record.task.name), escaped(record.dataset.name)]
        model = escaped(record.model.name) + cite
        cells = [*names, model, score(record), rf"\texttt{{{record.id[:12]}}}"]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def score(record: Record) -> str:
    r"""`$0.931\,^{+0.012}_{-0.010}$`, with the digits that the interval supports."""
    metric = record.metrics[0] if record.metrics else None
    if metric is None or metric.value is None:
        return "--"
    if metric.low is None or metric.high is None:
        return f"${metric.value:.4g}$"
    return interval(metric.value, metric.low, metric.high)


def interval(value: float, low: float, high: float) -> str:
    r"""A number with its interval; without one where that has no width.

    >>> interval(0.931, 0.905, 0.961), interval(0.5, 0.4, 0.6), interval(1.0, 1.0, 1.0)
    ('$0.931\\,^{+0.030}_{-0.026}$', '$0.50 \\pm 0.10$', '$1$')
    """
    if not high > low:
        return f"${value:.4g}$"
    places = digits(low, high)
    up, down = high - value, value - low
    if f"{up:.{places}f}" == f"{down:.{places}f}":
        return rf"${value:.{places}f} \pm {up:.{places}f}$"
    return rf"${value:.{places}f}\,^{{+{up:.{places}f}}}_{{-{down:.{places}f}}}$"


def table(board: Board, rows: Sequence[tuple[Row, Sequence[str]]], unit: str, units: int) -> str:
    r"""A booktabs table of rows of one board: rank, method, score, seeds, records; with a caption.

    `rows` come with the citation keys of their method; `unit` is the metric's, `units` the number
    of test units. The caption says what the score is, and names the classical row and the limit.
    Needs `\usepackage{booktabs}`.
    """
    head = ["rank", "method", rf"{escaped(board.metric)}{_unit(unit)}", "seeds", "records"]
    lines = [r"\begin{table}", rf"\caption{{{_caption(board, units)}}}"]
    lines += [r"\begin{tabular}{rllrl}", r"\toprule", " & ".join(head) + r" \\", r"\midrule"]
    lines += [" & ".join(_row_cells(row, keys)) + r" \\" for row, keys in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _unit(unit: str) -> str:
    return "" if unit in ("", "1") else f" [{escaped(unit)}]"


def _caption(board: Board, units: int) -> str:
    words = {"max": "higher is better", "min": "lower is better", "zero": "zero is best"}
    classical = standing.leader(board, "classical")
    ceiling = standing.limits(board)[1]
    limits = [("Best classical row", classical), ("Limit, which sees the truth", ceiling)]
    named = [
        f"{what}: {escaped(row.model)}, {interval(row.score, row.low, row.high)}."
        for what, row in limits
        if row is not None
    ]
    return (
        f"{escaped(board.task)} on {escaped(board.dataset)}: {escaped(board.metric)} "
        f"({words[board.best]}) with 95\\,\\% intervals over {units} {escaped(board.unit)}s and "
        f"seeds. Rows that share a rank do not differ significantly. {' '.join(named)} "
        f"Split \\texttt{{{board.split[:12]}}}."
    )


def _row_cells(row: Row, keys: Sequence[str]) -> list[str]:
    rank = "--" if row.rank is None else f"{row.rank}{'=' if row.tied else ''}"
    cite = f"~\\cite{{{','.join(keys)}}}" if keys else ""
    word = WORD.match(row.model)
    name, _, settings = bare(row.model).partition(" ")
    settings = ", ".join(filter(None, (word[2] if word else "", settings)))
    label = escaped(name) + cite + (f" ({escaped(settings)})" if settings else "")
    shown = interval(row.score, row.low, row.high) if row.seeds else "--"
    more = f" and {len(row.records) - MOST_IDS} more" if len(row.records) > MOST_IDS else ""
    ids = " ".join(rf"\texttt{{{one}}}" for one in row.records[:MOST_IDS]) + more
    return [rank, label, shown, str(row.seeds), ids]
