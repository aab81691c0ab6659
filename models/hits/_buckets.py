"""Buckets of neighbouring hits, in which seeds are searched one bucket at a time.

Each hit of the first layers is a query; its nearest hits in angle are a small bucket. Queries that
lie in one slice of azimuth (or of z) share a super-bucket, the union of theirs. Nearest is meant
in azimuth alone (`dphi`) or in azimuth and pseudorapidity (`dR`), both Euclidean after azimuth has
become a point of the unit circle. This is the hashing of ACTS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from physbench.datasets.common.arrays import distinct
from physbench.datasets.hits import Event, Floats, Integers

FIRST_LAYER = (25.0, 40.0)  # mm: radii of the queries
BARREL_LENGTH = 550.0  # mm: |z| of the queries in the barrel
TREES = {"dphi": 2, "dR": 4}  # of Annoy, as ACTS has it: two times the number of features
SEED = 123456789


@dataclass(frozen=True)
class Hashing:
    """How buckets are made.

    `distance`: `dphi` or `dR`; `size`: neighbours of a query; `slices` of `axis` (`phi` or `z`)
    share a super-bucket, 0 slices: every query has its own; `discs`: hits of the end caps inside
    the first layer's radii are queries too; `search`: `annoy`, or `exact` with a k-d tree.
    """

    distance: str = "dphi"
    size: int = 100
    slices: int = 100
    axis: str = "phi"
    discs: bool = False
    search: str = "annoy"

    def __post_init__(self) -> None:
        known = {"distance": tuple(TREES), "axis": ("phi", "z"), "search": tuple(SEARCHES)}
        for name, values in known.items():
            if getattr(self, name) not in values:
                got = getattr(self, name)
                raise ValueError(f"{name} must be one of {', '.join(values)}; got '{got}'")
        if self.size < 1 or self.slices < 0:
            raise ValueError(
                f"size must be at least 1 and slices at least 0; got {self.size}, {self.slices}"
            )


def coordinates(event: Event, distance: str) -> Floats:
    """(hits, 2 or 3): the point on the unit circle, for `dR` with pseudorapidity."""
    columns = [np.cos(event.phi), np.sin(event.phi)]
    if distance == "dR":
        columns.append(np.arcsinh(event.z / np.maximum(event.r, 1e-9)))
    return np.column_stack(columns)


def queries(event: Event, discs: bool) -> Integers:
    """Hits whose neighbours make a bucket."""
    low, high = FIRST_LAYER
    inside = np.abs(event.z) <= BARREL_LENGTH
    first = (event.r > low) & (event.r < high) & inside
    return np.flatnonzero(first | (discs & ~inside & (event.r < high)))


def buckets(event: Event, hashing: Hashing) -> list[Integers]:
    """Sorted hit positions of each bucket; empty without queries."""
    asked = queries(event, hashing.discs)
    if not len(asked):
        return []
    points = coordinates(event, hashing.distance)
    near = SEARCHES[hashing.search](points, asked, min(hashing.size, len(event)))
    return merged(near, slice_of(event, asked, hashing))


def slice_of(event: Event, asked: Integers, hashing: Hashing) -> Integers:
    """The super-bucket of each query."""
    if not hashing.slices:
        return np.arange(len(asked))
    low, high, values = -np.pi, np.pi, event.phi[asked]
    if hashing.axis == "z":
        low, high, values = -BARREL_LENGTH, BARREL_LENGTH, event.z[asked]
    place = np.floor((values - low) / (high - low) * hashing.slices).astype(np.int64)
    return np.asarray(place.clip(0, hashing.slices - 1))


def merged(near: Integers, label: Integers) -> list[Integers]:
    """The different hits of all rows of `near` (n, k) that bear one label."""
    width = int(near.max()) + 1
    both = distinct(np.repeat(label, near.shape[1]) * width + near.ravel())
    bucket, hit = np.divmod(both, width)
    return np.split(hit, np.flatnonzero(np.diff(bucket)) + 1)


def _annoy(points: Floats, asked: Integers, size: int) -> Integers:
    """Approximate neighbours of each query; the same in every run."""
    try:
        from annoy import AnnoyIndex
    except ImportError as error:
        raise ImportError(
            "hashing with Annoy needs it: pip install 'physbench[hashing]', or search='exact'"
        ) from error
    index = AnnoyIndex(points.shape[1], "euclidean")
    index.set_seed(SEED)
    for number, point in enumerate(points.tolist()):
        index.add_item(number, point)
    index.build(TREES["dphi"] if points.shape[1] == 2 else TREES["dR"], n_jobs=1)
    found = [index.get_nns_by_item(number, size) for number in asked.tolist()]
    shortest = min(map(len, found))  # an approximate search may end before it has enough
    return np.array([row[:shortest] for row in found], dtype=np.int64)


def _exact(points: Floats, asked: Integers, size: int) -> Integers:
    from scipy.spatial import cKDTree

    _, found = cKDTree(points).query(points[asked], k=size)
    return np.asarray(found, dtype=np.int64).reshape(len(asked), size)


SEARCHES: dict[str, Callable[..., Any]] = {"annoy": _annoy, "exact": _exact}
