"""100 real TrackML barrel graphs of HEPTrkX type: truth-cut at pT > 1 GeV, noise removed.

Accuracy-phase events 1000 to 1099; 10 barrel layers, one hit per particle and layer, edges
between neighbouring layers after geometric cuts (52 % are true). Data of arXiv:2109.12636,
re-encoded. Particle ids are not in the files: the particle of a hit is its chain of true
edges, so a true edge that the cuts lost splits a particle in two. Momenta are unknown (NaN, all
above 1 GeV); selected are all chains of at least three hits. Scoring weights are
equal, 1 / hits of chains. The truth is made from the graph, so that the graph-construction
efficiency is 1 here by definition.

Files `event*_g000.npz` with `X` (n, 3) = r / 1 m, phi / pi, z / 1 m; `edge_index` (2, m), inner
hit first; `y` (m). Split: `train` sorted, first 40 train, last 10 validation; `valid` test.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from physbench.datasets import Dataset, File
from physbench.datasets.common import reading, store
from physbench.datasets.common.arrays import distinct
from physbench.datasets.common.reading import DataError
from physbench.datasets.common.streaming import Deferred
from physbench.datasets.hits import Event, EventTruth, Floats, Integers, chains

# Radii in mm half way between the ten barrel layers, and their (volume, layer).
BETWEEN = np.array([52.0, 94.0, 144.0, 216.0, 310.0, 430.0, 580.0, 740.0, 920.0])
LAYERS = np.array(
    [(8, 2), (8, 4), (8, 6), (8, 8), (13, 2), (13, 4), (13, 6), (13, 8), (17, 2), (17, 4)]
)
TRAIN = 40

Events = dict[str, Deferred]


def load() -> tuple[Events, dict[str, str]]:
    """Events by split, and the digest of each file."""
    paths = store.checked("trackml_graphs", DATASET)
    train = sorted(name for name in paths if name.startswith("train/"))
    test = sorted(name for name in paths if name.startswith("valid/"))
    names = {"train": train[:TRAIN], "validation": train[TRAIN:], "test": test}
    events = {part: _deferred([paths[n] for n in chosen]) for part, chosen in names.items()}
    return events, {name: store.digest(path) for name, path in paths.items()}


def _deferred(paths: list[Path]) -> Deferred:
    return Deferred(tuple(map(_name, paths)), lambda k: read(paths[k]))


def _name(path: Path) -> str:
    return path.name.partition("_")[0]


def read(path: Path) -> tuple[Event, EventTruth]:
    """One graph file as an event with its edges, and its truth; DataError where it is wrong."""
    arrays = reading.arrays(path, "X", "edge_index", "y")
    nodes, edges = arrays["X"].astype(np.float64), arrays["edge_index"].astype(np.int64)
    label = arrays["y"].astype(bool)
    if nodes.ndim != 2 or nodes.shape[1] != 3 or edges.shape != (2, label.size):
        raise DataError(
            f"{path}: X must be (hits, 3), edge_index (2, edges) and y (edges,); got "
            f"{nodes.shape}, {edges.shape}, {label.shape}"
        )
    reading.check_range(edges.ravel(), 0, len(nodes) - 1, f"{path}: edge_index", "a hit's place")
    reading.check_range(arrays["y"], 0, 1, f"{path}: y", "false or true")
    reading.check_range(nodes[:, 0], 0.0, 1.2, f"{path}: X[:, 0]", "r in m")
    reading.check_range(nodes[:, 1], -1.0, 1.0, f"{path}: X[:, 1]", "phi / pi")
    reading.check_range(nodes[:, 2], -3.2, 3.2, f"{path}: X[:, 2]", "z in m")
    r, phi, z = nodes[:, 0] * 1000.0, nodes[:, 1] * np.pi, nodes[:, 2] * 1000.0
    detector = LAYERS[np.searchsorted(BETWEEN, r)]
    hits = len(nodes)
    event = Event(
        _name(path),
        np.arange(1, hits + 1),
        r * np.cos(phi),
        r * np.sin(phi),
        z,
        detector[:, 0],
        detector[:, 1],
        np.zeros(hits, dtype=np.int64),
        edges,
    )
    return event, _truth(event, edges[:, label], label, np.hypot(r, z))


def _truth(event: Event, true_edges: Integers, label: Integers, path: Floats) -> EventTruth:
    """Particles as connected components of the true edges, numbered from 1; 0 for lone hits."""
    hits = len(event)
    particle_id = chains(hits, true_edges)
    particles = distinct(particle_id[particle_id != 0])
    unknown = np.full(len(particles), np.nan)
    weight = (particle_id != 0) / max(int((particle_id != 0).sum()), 1)
    layer = event.volume_id * 100 + event.layer_id
    return EventTruth(
        particle_id,
        weight,
        path,
        particles,
        unknown,
        unknown,
        layer,
        np.arange(hits),
        label.astype(bool),
    )


def _files() -> tuple[File, ...]:
    """The hundred files with their digests, from the list beside this module."""
    listed = json.loads((store.FROZEN / "trackml_graphs.json").read_text(encoding="utf-8"))
    return tuple(File(**entry) for entry in listed)


DATASET = Dataset(
    summary="100 real TrackML barrel graphs with edges given, pT > 1 GeV, no noise",
    version="1",
    licence="unconfirmed (TrackML challenge data; attributed samples, not redistributed)",
    citation="""@article{qtrkx2021,
  title = {Hybrid Quantum Classical Graph Neural Networks for Particle Track Reconstruction},
  author = {T{\\"u}ys{\\"u}z, Cenk and Rieger, Carla and Novotny, Kristiane and Demirk{\\"o}z,
    Bilge and Dobos, Daniel and Potamianos, Karolos and Vallecorsa, Sofia and Vlimant, Jean-Roch
    and Forster, Richard},
  year = {2021},
  eprint = {2109.12636},
  archivePrefix = {arXiv}
}""",
    source="github.com/QTrkX/qtrkx-gnn-tracking, data/{train,valid}/event*_g000.npz, re-encoded "
    "(edge_index and uint8 y in place of incidence matrices)",
    load=load,
    files=_files(),
    folders=("trackml/real_hitgraphs_barrel_pt1", "real_hitgraphs_barrel_pt1"),
)
