"""`cite`: BibTeX of exactly the works that a name or a list of records rests on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import __version__, registry
from physbench.datasets import Dataset
from physbench.leaderboard import citations
from physbench.leaderboard import record as records
from physbench.leaderboard.record import Record

SUITE = "physbench"


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


def latex(paths: Sequence[str]) -> str:
    r"""A LaTeX table of records; their methods are cited with the keys of `cite`."""
    found: list[Record] = [records.read(Path(path)) for path in paths]
    kept = citations.unique(entry for record in found for entry in record.cite)
    known = {citations.key(entry) for entry in kept}
    rows = []
    for record in found:
        reference = record.model.reference
        own = [citations.key(reference)] if reference.strip().startswith("@") else []
        rows.append((record, [name for name in own if name in known]))
    return citations.latex(rows)


def croissant(name: str) -> dict[str, Any]:
    """The card of a dataset as Croissant 1.0 (JSON-LD), for search engines and loaders."""
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
        "@context": {
            "@vocab": "https://schema.org/",
            "cr": "http://mlcommons.org/croissant/",
            "sc": "https://schema.org/",
            "dct": "http://purl.org/dc/terms/",
            "conformsTo": "dct:conformsTo",
            "citeAs": "cr:citeAs",
        },
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": f"{dataset.summary}. {registry.docstring('dataset', name)}",
        "version": dataset.version,
        "license": dataset.licence,
        "url": dataset.source,
        "citeAs": dataset.citation,
        "distribution": files,
    }
