"""Official TrackML events: any directory of `event*-hits.csv[.gz]` with truth and particles.

Both phases of the challenge share the format (the throughput phase has one more column in its
particle files, and weights that are zero for secondaries). Events are read from
`$PHYSBENCH_DATA/trackml` or any folder below it; the three files of an event lie in one folder.
Folders whose name begins with `simulated` are passed over: they hold look-alikes in the same
format. Split by event number, as gnn_tracking and hepattn do for the throughput phase: 21000 to
28999 train, 29000 to 29099 validation, 29800 to 29899 test, when each of them has an event and no
event is from elsewhere. Otherwise the sorted events are split 80/10/10, each part with one event
at least; fewer than three events are all for testing. Of each split the first
events by number are read, 100 by default: a full event takes about 14 MB of memory. More than
128 events in all are streamed: each is read when it is asked for. Weights are those of the files,
normalised to 1 over each event.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from physbench.datasets import Dataset, check_distinct
from physbench.datasets.common import store, trackml_csv, trackml_events
from physbench.datasets.common.streaming import Streamed
from physbench.datasets.common.trackml_csv import read_csv, read_event
from physbench.datasets.hits import Event, EventTruth
from physbench.datasets.hits._trackml_format import event_from_hits, event_from_tables

PHASE = {"train": (21000, 28999), "validation": (29000, 29099), "test": (29800, 29899)}
KINDS = trackml_csv.KINDS
OFFICIAL = (21000, 29999)  # all events of the throughput phase
EVENTS = 100
HELD = 128  # events in all that are held in memory; more are streamed

Events = Mapping[str, list[tuple[Event, EventTruth]] | Streamed]


def load(*, folder: Path | None = None, events: int = EVENTS) -> tuple[Events, dict[str, str]]:
    """Events by split, at most `events` of each, and the digest of each file read.

    More than `HELD` events in all are streams of pairs, and a split's files have one digest.

    Raises FileNotFoundError when there is no event, or none with truth, and DataError when a
    file is wrong, has changed since its first use, or an event is there twice.
    """
    base = folder or store.folder("trackml", DATASET)
    found = find(base)
    chosen = {part: numbers[:events] for part, numbers in split(sorted(found)).items()}
    wanted = [path for part in chosen.values() for n in part for path in found[n].values()]
    with store.pinned(base, wanted) as digests:
        if len(wanted) > HELD * len(KINDS):
            return _streams({p: [found[n] for n in chosen[p]] for p in chosen}, digests, base)
        return {part: [read(found[n]) for n in chosen[part]] for part in chosen}, digests


def _streams(
    chosen: Mapping[str, list[dict[str, Path]]], digests: Mapping[str, str], base: Path
) -> tuple[Events, dict[str, str]]:
    """Streams of the events of each split, and one digest of all files of a split."""
    check_distinct(digests)
    parts, files = {}, {}
    for part, events in chosen.items():
        names = [path.relative_to(base).as_posix() for one in events for path in one.values()]
        lines = "".join(f"{name} {digests[name]}\n" for name in names)
        digest = hashlib.sha256(f"{part}\n{lines}".encode()).hexdigest()
        parts[part] = Streamed(read, tuple(events), digest)
        files[f"{part}: {len(names)} files"] = digest
    return parts, files


def find(base: Path) -> dict[int, dict[str, Path]]:
    """Files of each complete event below `base` by kind; refuses those that are there twice."""
    return trackml_events.find(base, DATASET)


def split(numbers: list[int]) -> dict[str, list[int]]:
    """Event numbers by split; the rules stand in the module's docstring.

    >>> split([1])
    {'train': [], 'validation': [], 'test': [1]}
    >>> split([7, 8, 9])
    {'train': [7], 'validation': [8], 'test': [9]}
    """
    parts = {name: [n for n in numbers if low <= n <= high] for name, (low, high) in PHASE.items()}
    official = all(OFFICIAL[0] <= n <= OFFICIAL[1] for n in numbers)
    if official and all(parts.values()):
        _tell_unused(numbers, parts)
        return parts
    if len(numbers) < 3:
        return {"train": [], "validation": [], "test": numbers}
    test = max(1, round(0.1 * len(numbers)))
    cut = len(numbers) - 2 * test
    return {
        "train": numbers[:cut],
        "validation": numbers[cut : cut + test],
        "test": numbers[cut + test :],
    }


def _tell_unused(numbers: list[int], parts: dict[str, list[int]]) -> None:
    """Say which events of the throughput phase belong to no split."""
    unused = sorted(set(numbers) - {n for part in parts.values() for n in part})
    if unused:
        print(
            f"trackml: {len(unused)} events ({unused[0]} to {unused[-1]}) are in no split of the "
            "throughput phase and are not used",
            file=sys.stderr,
        )


def read(files: dict[str, Path]) -> tuple[Event, EventTruth]:
    """One event from its three files; raises DataError naming the file that is wrong."""
    return event_from_tables(name_of(files), *read_event(files))


def hits_of(files: dict[str, Path]) -> Event:
    """The hits of an event alone, from one file of the three."""
    return event_from_hits(name_of(files), read_csv(files["hits"], "hits"))


def truth_of(files: dict[str, Path]) -> EventTruth:
    """The truth of an event."""
    return read(files)[1]


def name_of(files: dict[str, Path]) -> str:
    """Name of an event, as its files have it."""
    return files["hits"].name.partition("-")[0]


DATASET = Dataset(
    summary="official TrackML events of both phases, from the user's own download",
    version="1",
    licence=trackml_events.LICENCE,
    citation=trackml_events.CITATION,
    source=trackml_events.SOURCE,
    load=load,
    folders=trackml_events.FOLDERS,
)
