"""Graphs in the event store of ACORN: one PyG `Data` file an event, from the user's own chain.

`$PHYSBENCH_DATA/acorn_events/{train,validation,test}/*.pyg` (also named `trainset`, `valset` and
`testset`, as ACORN does). A file holds `hit_id`; positions `r` and `z` in mm and `phi` in rad (in
newer files with the prefix `hit_`); `track_edges` (2, t), the consecutive hits of each particle;
`edge_index` (2, m), the graph; `y` or `edge_y` (m,), whether its edges are true; and where it is
there `particle_id` (or `hit_particle_id`) of each hit, without which a particle is a chain of
`track_edges`. `region` or `hit_region` tells layers apart, else shells of radius and depth do.
Momenta are unknown here. Files are read without running the pickles in them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset
from physbench.datasets.common import reading, store
from physbench.datasets.common.arrays import distinct
from physbench.datasets.common.reading import DataError
from physbench.datasets.hits import Event, EventTruth, Integers, chains
from physbench.datasets.hits._torch_files import attributes

FOLDERS = {
    "train": ("train", "trainset"),
    "validation": ("validation", "valset"),
    "test": ("test", "testset"),
}
Events = dict[str, list[tuple[Event, EventTruth]]]


def load(*, folder: Path | None = None) -> tuple[Events, dict[str, str]]:
    """Events by split, and the digest of each file."""
    base = folder or store.folder("acorn_events", DATASET)
    paths = {part: _files(base, names) for part, names in FOLDERS.items()}
    events = {part: [read(path) for path in found] for part, found in paths.items()}
    every = [path for found in paths.values() for path in found]
    if not every:
        raise FileNotFoundError(
            f"{base} has no train/*.pyg; {store.advice('acorn_events', DATASET)}"
        )
    return events, {str(path.relative_to(base)): store.digest(path) for path in every}


def _files(base: Path, names: tuple[str, ...]) -> list[Path]:
    return sorted(path for name in names for path in (base / name).glob("*.pyg"))


def read(path: Path) -> tuple[Event, EventTruth]:
    """One event with its graph, and its truth; DataError where the file is wrong."""
    found = attributes(path)
    hit_id, r, phi, z = (_column(path, found, name) for name in ("hit_id", "r", "phi", "z"))
    hits = len(hit_id)
    edges = _pairs(path, found, "edge_index", hits)
    label = _column(path, found, "y", "edge_y").astype(bool)
    if not len(r) == len(phi) == len(z) == hits or len(label) != edges.shape[1]:
        raise DataError(f"{path}: columns of hits or of edges differ in length")
    layer = _layers(found, r, z)
    number = hit_id.astype(np.int64)
    x, y = r * np.cos(phi), r * np.sin(phi)
    none = np.zeros(hits, dtype=np.int64)
    event = Event(path.stem, number, x, y, z.astype(float), none, layer, none, edges)
    tracks = _pairs(path, found, "track_edges", hits)
    return event, _truth(event, found, tracks, label)


def _column(path: Path, found: dict[str, Any], *names: str) -> NDArray[Any]:
    """A column of numbers under one of its names, with or without the prefix `hit_`."""
    for name in (*names, *(f"hit_{one}" for one in names)):
        if isinstance(found.get(name), np.ndarray) and found[name].ndim == 1:
            reading.check_numbers(found[name], f"{path}: {name}")
            return np.asarray(found[name])
    raise DataError(f"{path} has no column {' or '.join(names)}; found {sorted(found)}")


def _pairs(path: Path, found: dict[str, Any], name: str, hits: int) -> Integers:
    """Edges (2, m), each between two hits of the event and given once."""
    pairs = found.get(name)
    if not isinstance(pairs, np.ndarray) or pairs.ndim != 2 or pairs.shape[0] != 2:
        raise DataError(f"{path}: {name} must be (2, edges); got {getattr(pairs, 'shape', None)}")
    reading.check_range(pairs.ravel(), 0, max(hits - 1, 0), f"{path}: {name}", "a hit's place")
    low, high = np.sort(pairs, axis=0)
    if (low == high).any() or len(distinct(low * hits + high)) < len(low):
        raise DataError(f"{path}: {name} holds a pair of hits twice, or a hit with itself")
    return np.ascontiguousarray(pairs.astype(np.int64))


def _layers(found: dict[str, Any], r: NDArray[Any], z: NDArray[Any]) -> Integers:
    """An integer for each layer: the region where it is stored, else shells 20 and 50 mm wide."""
    for name in ("hit_region", "region"):
        if isinstance(found.get(name), np.ndarray):
            return np.asarray(found[name], dtype=np.int64)
    shell = np.round(r / 20).astype(np.int64) * 1000 + np.round(np.abs(z) / 50).astype(np.int64)
    return np.asarray(np.unique(shell, return_inverse=True)[1])


def _truth(event: Event, found: dict[str, Any], tracks: Integers, label: Any) -> EventTruth:
    """Particles as stored or as chains of the true edges; equal weights; momenta unknown."""
    stored = found.get("hit_particle_id", found.get("particle_id"))
    alike = isinstance(stored, np.ndarray) and stored.shape == (len(event),)
    particle = np.asarray(stored, dtype=np.int64) if alike else chains(len(event), tracks)
    particles = np.unique(particle[particle != 0])
    unknown = np.full(len(particles), np.nan)
    weight = (particle != 0) / max(int((particle != 0).sum()), 1)
    path = np.hypot(event.r, event.z)
    return EventTruth(
        particle,
        weight,
        path,
        particles,
        unknown,
        unknown,
        event.layer_id,
        np.arange(len(event)),
        label,
    )


DATASET = Dataset(
    summary="graphs in ACORN's event store, from the user's own chain",
    version="1",
    licence="that of the user's data",
    citation="""@inproceedings{acorn2024,
  title = {ACORN: A Charged Object Reconstruction Network},
  author = {{GNN4ITk collaboration}},
  year = {2024},
  note = {gitlab.cern.ch/gnn4itkteam/acorn}
}""",
    source="files that ACORN writes (gitlab.cern.ch/gnn4itkteam/acorn): put trainset, valset and "
    "testset below $PHYSBENCH_DATA/acorn_events",
    load=load,
    folders=("acorn",),
)
