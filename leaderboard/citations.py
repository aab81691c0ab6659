"""BibTeX of the works that numbers rest on, and LaTeX tables whose rows name their records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from physbench.leaderboard import standing
from physbench.leaderboard.board import Board, Row, digits
from physbench.leaderboard.escaping import check_bibtex
from physbench.leaderboard.escaping import latex as escaped
from physbench.leaderboard.record import Record

ENTRY = re.compile(r"@(\w+)\s*\{\s*([A-Za-z0-9_:.+/-]+)\s*,")
SUITE = """@misc{{physbench,
  title = {{Physbench: reproducible benchmarks of machine learning in physics}},
  author = {{{{The Physbench authors}}}},
  year = {{2026}},
  version = {{{version}}},
  note = {{{note}}}
}}"""
MOST_IDS = 3  # records of a row that a table names


def key(entry: str) -> str:
    """The citation key of a BibTeX entry; raises ValueError for anything else.

    >>> key("@article{Noether:1918, title = {Invariante Variationsprobleme}}")
    'Noether:1918'
    """
    match = ENTRY.match(entry.strip())
    if match is None:
        raise ValueError(f"not a BibTeX entry: {entry[:60]!r}")
    return match[2]


def address(entry: str) -> str:
    """Where the work of a BibTeX entry can be read: its DOI, its preprint or its url, or nothing.

    >>> address("@article{a, eprint = {2103.16701}, archiveprefix = {arXiv}}")
    'https://arxiv.org/abs/2103.16701'
    """
    found: dict[str, str] = dict(
        re.findall(r"\b(doi|eprint|url)\s*=\s*[{\"]([^}\"\s]+)[}\"]", entry.lower())
    )
    for name, place in (("doi", "https://doi.org/"), ("eprint", "https://arxiv.org/abs/")):
        if re.fullmatch(r"[\w./()<>;:-]+", found.get(name, "")):
            return place + found[name]
    url = found.get("url", "")
    return url if re.fullmatch(r"https://[\w./-]+", url) else ""


def unique(entries: Iterable[str]) -> list[str]:
    """Entries in order, each work once: same key, or same DOI or eprint under another key.

    Raises ValueError for an entry whose key or commands could do more than name a work.
    """
    seen: set[str] = set()
    kept = []
    for entry in (check_bibtex(e.strip()) for e in entries if e.strip().startswith("@")):
        names = {key(entry).lower(), *_identifiers(entry)}
        if not names & seen:
            kept.append(entry)
        seen |= names
    return kept


def _identifiers(entry: str) -> set[str]:
    found = re.findall(r"\b(doi|eprint)\s*=\s*[{\"]([^}\"]+)[}\"]", entry, flags=re.IGNORECASE)
    return {f"{kind.lower()}:{value.strip().lower()}" for kind, value in found}


def suite(version: str, records: Sequence[Record] = ()) -> str:
    """The entry of this suite; the ids of the records in its note."""
    ids = ", ".join(record.id[:12] for record in records)
    note = f"records {ids}" if ids else "benchmark suite"
    return SUITE.format(version=version, note=note)


def bibtex(entries: Iterable[str]) -> str:
    """A `.bib` file of the works, each once."""
    return "\n\n".join(unique(entries)) + "\n"


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
        for what, row in limits if row is not None
    ]  # fmt: skip
    return (
        f"{escaped(board.task)} on {escaped(board.dataset)}: {escaped(board.metric)} "
        f"({words[board.best]}) with 95\\,\\% intervals over {units} {escaped(board.unit)}s and "
        f"seeds. Rows that share a rank do not differ significantly. {' '.join(named)} "
        f"Split \\texttt{{{board.split[:12]}}}."
    )


def _row_cells(row: Row, keys: Sequence[str]) -> list[str]:
    rank = "--" if row.rank is None else f"{row.rank}{'=' if row.tied else ''}"
    cite = f"~\\cite{{{','.join(keys)}}}" if keys else ""
    name, _, settings = row.model.partition(" ")
    label = escaped(name) + cite + (f" ({escaped(settings)})" if settings else "")
    shown = interval(row.score, row.low, row.high) if row.seeds else "--"
    more = f" and {len(row.records) - MOST_IDS} more" if len(row.records) > MOST_IDS else ""
    ids = " ".join(rf"\texttt{{{one}}}" for one in row.records[:MOST_IDS]) + more
    return [rank, label, shown, str(row.seeds), ids]
