"""`cite`: BibTeX of exactly the works that a name or a list of records rests on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import __version__, registry
from benchmarks.reports import cards
from physbench.leaderboard import bibtex

if TYPE_CHECKING:
    from physbench.leaderboard.record import Record

SUITE = "physbench"
PUBLISHED = "2026-11-27"


def cite(names: Sequence[str]) -> str:
    """BibTeX of the suite and of each name: a task, dataset, model, or the path of a record.

    Raises UnknownName for another word, and RecordError for an altered record.
    """
    found = {name: _record(name) for name in names if name.endswith(".json")}
    entries = [bibtex.suite(__version__, [record.id for record in found.values()])]
    for name in names:
        if name in found:
            entries += found[name].cite
        elif name != SUITE:
            entries += _of_entry(name)
    return bibtex.bibtex(entries)


def _record(name: str) -> Record:
    from physbench.leaderboard import record as records  # pydantic: only where there is one

    return records.read(Path(name))


def _of_entry(name: str) -> list[str]:
    """The reference of a task or model, or the citation of a dataset."""
    return [reference(kind, name) for kind in registry.kinds_of(name)]


def reference(kind: str, name: str) -> str:
    """As its file says it; imported where that takes more than reading."""
    known = cards.reference(kind, name)
    if known is not None:
        return str(known)
    thing: Any = registry.load(kind, name).object
    return str(thing.citation if kind == "dataset" else thing.reference)
