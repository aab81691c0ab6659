"""Official TrackML events: any directory of `event*-hits.csv[.gz]` with truth and particles.

Both phases of the challenge share the format (the throughput phase has one more column in its
particle files, and weights that are zero for secondaries). Events are read from
`$PHYSBENCH_DATA/trackml` or any folder below it; the three files of an event lie in one folder.
Folders whose name begins with `simulated` are passed over: they hold look-alikes in the same
format. Split by event number, as gnn_tracking and hepattn do for the throughput phase: 21000 to
28999 train, 29000 to 29099 validation, 29800 to 29899 test, when each of them has an event and no
event is from elsewhere. Otherwise the sorted events are split 80/10/10, each part with one event
at least; fewer than three events are all for testing. Of each split the first
events by number are read, 100 by default: a full event takes about 10 MB of memory. Weights are
those of the files, normalised to 1 over each event.
"""

from __future__ import annotations

import sys
from pathlib import Path

from physbench.datasets import Dataset
from physbench.datasets.common import store, trackml_csv, trackml_events
from physbench.datasets.common.trackml_csv import read_event
from physbench.datasets.hits import Event, EventTruth
from physbench.datasets.hits._trackml_format import event_from_tables

PHASE = {"train": (21000, 28999), "validation": (29000, 29099), "test": (29800, 29899)}
KINDS = trackml_csv.KINDS
OFFICIAL = (21000, 29999)  # all events of the throughput phase
EVENTS = 100

Events = dict[str, list[tuple[Event, EventTruth]]]


def load(*, folder: Path | None = None, events: int = EVENTS) -> tuple[Events, dict[str, str]]:
    """Events by split, at most `events` of each, and the digest of each file read.

    Raises FileNotFoundError when there is no event, or none with truth, and DataError when a
    file is wrong, has changed since its first use, or an event is there twice.
    """
    base = folder or store.folder("trackml", DATASET)
    found = find(base)
    chosen = {part: numbers[:events] for part, numbers in split(sorted(found)).items()}
    wanted = [path for part in chosen.values() for n in part for path in found[n].values()]
    with store.pinned(base, wanted) as digests:
        return {part: [read(found[n]) for n in chosen[part]] for part in chosen}, digests


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
    name = files["hits"].name.partition("-")[0]
    return event_from_tables(name, *read_event(files))


DATASET = Dataset(
    summary="official TrackML events of both phases, from the user's own download",
    version="1",
    licence=trackml_events.LICENCE,
    citation=trackml_events.CITATION,
    source=trackml_events.SOURCE,
    load=load,
    folders=trackml_events.FOLDERS,
)
