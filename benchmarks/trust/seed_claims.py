"""What was said of hashed seeding, against committed records: differences of rows, by event.

Statements of the talk of Couthures (CTD 2023) on buckets in ACTS; the rows are those of
`track_seeds`, the events those of its boards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.reports import boards
from physbench.leaderboard import board as tables
from physbench.leaderboard import predictions as stored
from physbench.leaderboard import statistics
from physbench.leaderboard.record import Record

Value = tuple[float, float, float]
Row = Callable[..., list[Record]]
Counts = NDArray[np.float64]  # (events, 4): what is divided by what, twice

DENSE, MILD = "generic_pixels", "generic_detector"
RESAMPLES = 4000
FORWARD, CENTRAL = (3.0, 4.0), (0.0, 1.0)  # |eta|


@cache
def _truths(dataset: str) -> list[Any]:
    """Truth of the test events of a board."""
    from physbench.tasks import track_seeds

    found: list[Any] = track_seeds.TASK.splits(dataset).test.targets
    return found


def _events(record: Record) -> list[Any]:
    """The counted events of a record's first seed, from its stored predictions."""
    from physbench.tasks.metrics import seeding

    assert record.predictions is not None
    path = boards.committed_root() / record.path.parent / record.predictions.file
    short = stored.unpack(stored.read(path, record.predictions.sha256))
    return seeding.derive(_truths(record.dataset.name), short)


def _scores(table: Counts, value: Callable[[Counts], NDArray[Any]]) -> statistics.Scores:
    """A number of summed counts and its bootstrap over events, the same for every row."""
    units = len(table)
    drawn = np.random.default_rng(20230601).multinomial(units, [1 / units] * units, RESAMPLES)
    whole, resamples = table.sum(axis=0)[None], drawn @ table
    return statistics.Scores(value(whole), value(resamples)[None], units)


def _apart(first: statistics.Scores, second: statistics.Scores) -> Value:
    found = statistics.difference(first, second)
    return found.value, found.low, found.high


def more_seeds(first: list[Record], second: list[Record]) -> Value:
    """Seeds of one row over those of another, minus 1."""
    rows = [
        np.array([[event.counts["seeds"]] for event in _events(row[0])], dtype=float)
        for row in (first, second)
    ]
    found = _apart(*(_scores(table, lambda sums: np.log(sums[:, 0])) for table in rows))
    value, low, high = (math.expm1(number) for number in found)
    return value, low, high


def more_efficient(first: list[Record], second: list[Record]) -> Value:
    """Difference of the efficiencies, as the board has it."""
    return _apart(tables.scores_of(first), tables.scores_of(second))


def more_forward(first: list[Record], second: list[Record]) -> Value:
    """Gain in efficiency at 3 < |eta| < 4 minus the gain at |eta| < 1."""
    sides = [
        _scores(_by_region(row[0]), lambda s: s[:, 0] / s[:, 1] - s[:, 2] / s[:, 3])
        for row in (first, second)
    ]
    return _apart(*sides)


def _by_region(record: Record) -> Counts:
    """Found and all selected particles of each event, forward and central."""
    rows = []
    for truth, event in zip(_truths(record.dataset.name), _events(record), strict=True):
        eta = np.abs(truth.eta)
        regions = [event.chosen & (eta >= a) & (eta < b) for a, b in (FORWARD, CENTRAL)]
        rows.append([n for r in regions for n in (int((r & event.hit).sum()), int(r.sum()))])
    return np.array(rows, dtype=float)


def slower(first: list[Record], second: list[Record]) -> Value:
    """CPU of prediction over another row's, minus 1; the range over pairs of runs."""
    ratios = [
        one.cost["predict"].cpu_s / other.cost["predict"].cpu_s - 1
        for one in first
        for other in second
    ]
    return float(np.median(ratios)), min(ratios), max(ratios)


HASHED: Mapping[str, Mapping[str, Any]] = {
    "dphi": {"distance": "dphi", "discs": False},
    "dR": {"distance": "dR", "discs": False},
    "discs": {"distance": "dR", "discs": True},
}
TALK = {"size": 100, "axis": "phi", "search": "annoy", "finder": "acts", "wide": False}


def checks(row: Row) -> dict[str, Callable[[], Value]]:
    """The statements by name; `row(task, dataset, model, **settings)` finds records."""

    def plain(dataset: str, per_middle: int) -> list[Record]:
        return row("track_seeds", dataset, "acts_seeding", per_middle=per_middle, wide=False)

    def against(compare: Callable[..., Value], kind: str) -> Callable[[], Value]:
        settings = {**TALK, **HASHED[kind]}
        return lambda: compare(
            row("track_seeds", DENSE, "hashed_seeding", **settings), plain(DENSE, 1)
        )

    def kept(dataset: str) -> Callable[[], Value]:
        return lambda: more_efficient(plain(dataset, 5), plain(dataset, 1))

    return {
        "seeds_more_dphi": against(more_seeds, "dphi"),
        "seeds_more_dr": against(more_seeds, "dR"),
        "seeds_efficient_dphi": against(more_efficient, "dphi"),
        "seeds_efficient_dr": against(more_efficient, "dR"),
        "seeds_efficient_discs": against(more_efficient, "discs"),
        "seeds_forward_discs": against(more_forward, "discs"),
        "seeds_slower": against(slower, "dphi"),
        "seeds_per_middle_dense": kept(DENSE),
        "seeds_per_middle_mild": kept(MILD),
    }
