"""`cite`: BibTeX of exactly the works that a name or a list of records rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import __version__, registry
from benchmarks.reports import boards
from physbench.datasets import Dataset, description
from physbench.leaderboard import citations
from physbench.leaderboard import record as records
from physbench.leaderboard.board import Board, Row
from physbench.leaderboard.record import Record
from physbench.tasks import Task

SUITE = "physbench"
PUBLISHED = "2026-11-27"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        name: f"cr:{name}"
        for name in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty",
            "fileObject", "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key",
            "md5", "parentField", "path", "recordSet", "references", "regex", "repeated",
            "replace", "samplingRate", "separator", "source", "subField", "transform",
        )
    },
}  # fmt: skip


def cite(names: Sequence[str]) -> str:
    """BibTeX of the suite and of each name: a task, dataset, model, or the path of a record.

    Raises UnknownName for another word, and RecordError for an altered record.
    """
    found = [records.read(Path(name)) for name in names if name.endswith(".json")]
    entries = [citations.suite(__version__, found)]
    for name in names:
        if name.endswith(".json"):
            entries += records.read(Path(name)).cite
        elif name != SUITE:
            entries += _of_entry(name)
    return citations.bibtex(entries)


def _of_entry(name: str) -> list[str]:
    """The reference of a task or model, or the citation of a dataset."""
    entries: list[str] = []
    for kind in registry.kinds_of(name):
        thing: Any = registry.load(kind, name).object
        entries.append(thing.citation if isinstance(thing, Dataset) else thing.reference)
    return entries


def latex(names: Sequence[str]) -> str:
    r"""LaTeX tables of board rows; their methods are cited with the keys of `cite`.

    A name is a task (all its ranked rows and ceilings) or the file of a record (the row that it
    stands on). Records that stand on no board of a registered task make a table of their own.
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
    keyed = [(row, _keys(by_id[row.records[0]])) for row in rows]
    units = rows[0].scores.units or first.task.units["test"]
    return citations.table(board, keyed, first.metrics[0].unit, units)


def _keys(record: Record) -> list[str]:
    reference = record.model.reference
    return [citations.key(reference)] if reference.strip().startswith("@") else []


def _records(found: Sequence[Record]) -> str:
    """A table of records, for those that stand on no board."""
    kept = citations.unique(entry for record in found for entry in record.cite)
    known = {citations.key(entry) for entry in kept}
    return citations.latex([(r, [k for k in _keys(r) if k in known]) for r in found])


def croissant(name: str) -> dict[str, Any]:
    """The card of a dataset as Croissant 1.0 (JSON-LD), for search engines and loaders.

    Its record sets say what a model gets of it, field by field with shape and unit, and what the
    metrics compare it with: the files themselves are arrays that Croissant cannot extract from.
    """
    dataset: Dataset = registry.load("dataset", name).object
    files = [
        {
            "@type": "cr:FileObject",
            "@id": file.name,
            "name": file.name,
            "contentUrl": file.url or f"datasets/frozen/{file.name}",
            "contentSize": f"{file.bytes} B",
            "encodingFormat": "application/octet-stream",
            "sha256": file.sha256,
        }
        for file in dataset.files
    ]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": f"{dataset.summary}. {registry.docstring('dataset', name)}",
        "version": dataset.version if dataset.version.count(".") else f"{dataset.version}.0.0",
        "license": dataset.licence,
        "url": dataset.source,
        "datePublished": PUBLISHED,
        "citeAs": dataset.citation or citations.suite(__version__),
        "distribution": files,
        "recordSet": [_record_set(task) for task in registry.names("task") if _uses(task, name)],
    }


def _uses(task: str, dataset: str) -> bool:
    return dataset in registry.load("task", task).object.named


def _record_set(name: str) -> dict[str, Any]:
    """The fields of a task's inputs and predictions, as rows of a table of words."""
    task: Task = registry.load("task", name).object
    rows = [("input", *row) for row in (description(task.inputs) if task.inputs else [])]
    rows += [("prediction", f.name, f.shape, f.unit, f.meaning) for f in task.predicts]
    columns = ("part", "name", "shape", "unit", "meaning")
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"What a model of {name} gets and returns: {task.summary}",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": column,
                "dataType": "sc:Text",
            }
            for column in columns
        ],
        "data": [
            {f"{name}/{c}": value for c, value in zip(columns, row, strict=True)} for row in rows
        ],
    }
