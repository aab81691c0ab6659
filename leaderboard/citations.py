"""BibTeX of the works that numbers rest on, and LaTeX tables whose rows name their records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from physbench.leaderboard.board import digits
from physbench.leaderboard.escaping import check_bibtex
from physbench.leaderboard.escaping import latex as escaped
from physbench.leaderboard.record import Record

ENTRY = re.compile(r"@(\w+)\s*\{\s*([A-Za-z0-9_:.+/-]+)\s*,")
SUITE = """@misc{{physbench,
  title = {{Physbench: reproducible benchmarks of machine learning in physics}},
  author = {{{{The Physbench developers}}}},
  version = {{{version}}},
  note = {{{note}}}
}}"""


def key(entry: str) -> str:
    """The citation key of a BibTeX entry; raises ValueError for anything else.

    >>> key("@article{Noether:1918, title = {Invariante Variationsprobleme}}")
    'Noether:1918'
    """
    match = ENTRY.match(entry.strip())
    if match is None:
        raise ValueError(f"not a BibTeX entry: {entry[:60]!r}")
    return match[2]


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
    places = digits(metric.low, metric.high)
    up, down = metric.high - metric.value, metric.value - metric.low
    if f"{up:.{places}f}" == f"{down:.{places}f}":
        return rf"${metric.value:.{places}f} \pm {up:.{places}f}$"
    return rf"${metric.value:.{places}f}\,^{{+{up:.{places}f}}}_{{-{down:.{places}f}}}$"
