"""`cite --latex`: tables of board rows for papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import registry
from benchmarks.reports import boards, citing
from physbench.leaderboard import bibtex, citations
from physbench.leaderboard import record as records
from physbench.leaderboard.board import Board, Row
from physbench.leaderboard.record import Record


def latex(names: Sequence[str]) -> str:
    r"""LaTeX tables of board rows; their methods are cited with the keys of `cite`.

    A name is a task (all its ranked rows and ceilings) or the file of a record (the row that it
    stands on). Records that stand on no board of a registered task make a table of their own. A
    comment above each table of a board is the command that gives its BibTeX.
    """
    files = [name for name in names if name.endswith(".json")]
    found = {record.id[:12]: record for record in map(records.read, map(Path, files))}
    tasks = [name for name in names if name not in files]
    tasks += [r.task.name for r in found.values() if r.task.name in registry.names("task")]
    everything, local = boards.gather() if tasks else ([], frozenset())
    parts, left = [], dict(found)
    for name in dict.fromkeys(tasks):
        for board in boards.of_task(name, everything, local):
            rows = [row for row in board.rows if _wanted(row, name in names, found)]
            if rows:
                parts.append(_rows(board, rows, everything))
            left = {i: r for i, r in left.items() if not any(i in row.records for row in rows)}
    return "\n".join([*parts, *([_records(list(left.values()))] if left else [])])


def _wanted(row: Row, whole: bool, found: Mapping[str, Record]) -> bool:
    return bool(set(row.records) & set(found)) or (whole and row.role in ("ranked", "oracle"))


def _rows(board: Board, rows: Sequence[Row], everything: Sequence[Record]) -> str:
    """The table of some rows of a board."""
    by_id = {record.id[:12]: record for record in everything}
    first = by_id[rows[0].records[0]]
    keyed = [(row, _keys(reference(by_id[row.records[0]]))) for row in rows]
    units = rows[0].scores.units or first.task.units["test"]
    cited = [by_id[row.records[0]] for row, keys in keyed if keys]
    works = [r.model.name if r.model.origin == "zoo" else r.id[:12] for r in cited]
    command = " ".join(["python -m benchmarks cite", board.task, *dict.fromkeys(works)])
    return f"% BibTeX: {command}\n{citations.table(board, keyed, first.metrics[0].unit, units)}"


def reference(record: Record) -> str:
    """What a record's model rests on: today's words of a registered one, as `cite` gives them."""
    zoo = record.model.origin == "zoo" and record.model.name in registry.names("model")
    return citing.reference("model", record.model.name) if zoo else record.model.reference


def _keys(work: str) -> list[str]:
    return [bibtex.key(work)] if work.strip().startswith("@") else []


def _records(found: Sequence[Record]) -> str:
    """A table of records, for those that stand on no board."""
    kept = bibtex.unique(entry for record in found for entry in record.cite)
    known = {bibtex.key(entry) for entry in kept}
    keyed = [(record, _keys(record.model.reference)) for record in found]
    return citations.latex([(record, [k for k in keys if k in known]) for record, keys in keyed])
