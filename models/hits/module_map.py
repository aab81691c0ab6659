"""Module map: which pairs of modules true edges join, folded by the detector's symmetries.

Modules of one ring (equal layer and place along r and z) are alike up to a rotation, so a pair is
known by its two rings and the difference in azimuth of their centres; reflections of azimuth and
of z are folded as well. A map of module pairs as they are would need a hundred times more events.
The edges are those of learned windows; the score is the share of wanted ones among the edges of a
kind of pair in training. Source of the map: GNN4ITk (Exa.TrkX and L2IT).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.hits import Event, Floats, Integers, module_key
from physbench.models import Model
from physbench.models.hits import _edge_filter as edge_filter
from physbench.models.hits import _graphs as graphs

BARRELS = (8, 13, 17)
GAP = 12.0  # mm between the centres of neighbouring rings, and more than those of one scatter
STEPS = 2  # of the difference in azimuth within the pitch of a ring
Prediction = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Rings:
    """Modules with hits in training, and their rings.

    Of each module `key` (sorted), number of its `ring` and `phi` of its centre; of each ring
    `pitch` in rad and `mirror`, the ring at -z.
    """

    key: Integers
    ring: Integers
    phi: Floats
    pitch: Floats
    mirror: Integers


@dataclass(frozen=True)
class Fitted:
    """Windows, rings, and the sorted kinds of pairs with the share of wanted edges in each."""

    windows: graphs.Windows
    rings: Rings
    kind: Integers
    share: Floats


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    pt_min: float = 0.9,
    outside: float = 0.003,
    rare: float = 0.002,
) -> Fitted:
    """Rings from all hits, windows and kinds of pairs from all true edges of training events."""
    windows = graphs.learn(train.inputs, train.targets, pt_min=pt_min, outside=outside, rare=rare)
    rings = find_rings(train.inputs)
    kinds, wanted = [], []
    for event, truth in zip(train.inputs, train.targets, strict=True):
        edges = graphs.build(event, windows)
        target, weight = edge_filter.labels(truth, edges)
        kinds.append(kind_of(rings, event, edges)[weight > 0])
        wanted.append(target[weight > 0])
    kind, place = np.unique(np.concatenate(kinds), return_inverse=True)
    seen, good = np.bincount(place), np.bincount(place, weights=np.concatenate(wanted))
    return Fitted(windows, rings, kind, np.where(good > 0, (good + 0.5) / (seen + 1.0), 0.0))


def find_rings(events: Sequence[Event]) -> Rings:
    """The modules' centres from their hits, and rings of centres that lie together."""
    columns = [
        np.concatenate([getattr(event, name) for event in events])
        for name in ("volume_id", "layer_id", "module_id", "x", "y", "z")
    ]
    volume, layer, module, *place = columns
    key, first, where, count = np.unique(
        module_key(volume, layer, module),
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    x, y, z = (np.bincount(where, weights=values) / count for values in place)
    one = volume[first] * 100 + layer[first]
    along = np.where(np.isin(volume[first], BARRELS), z, np.hypot(x, y))
    order = np.lexsort((along, one))
    fresh = (np.diff(one[order], prepend=-1) != 0) | (np.diff(along[order], prepend=0.0) > GAP)
    ring = np.empty(len(key), dtype=np.int64)
    ring[order] = np.cumsum(fresh) - 1
    size = np.bincount(ring)
    middle = [np.bincount(ring, weights=values) / size for values in (np.hypot(x, y), z)]
    return Rings(key, ring, np.arctan2(y, x), 2 * np.pi / size, _mirrored(*middle))


def _mirrored(r: Floats, z: Floats) -> Integers:
    """For each ring the one nearest to its place at -z."""
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(np.column_stack([r, z])).query(np.column_stack([r, -z]))[1])


def kind_of(rings: Rings, event: Event, edges: Integers) -> Integers:
    """The kind of module pair of each edge, -1 where a module had no hit in training."""
    key = module_key(event.volume_id, event.layer_id, event.module_id)
    found = np.searchsorted(rings.key, key).clip(max=len(rings.key) - 1)
    known = rings.key[found] == key
    ring, phi, (i, j) = rings.ring[found], rings.phi[found], edges.T
    inner = np.where(event.z[i] < 0, rings.mirror[ring[i]], ring[i])
    outer = np.where(event.z[i] < 0, rings.mirror[ring[j]], ring[j])
    step = np.abs(graphs.wrap(phi[j] - phi[i])) / rings.pitch[ring[j]] * STEPS
    count = len(rings.pitch)
    kind = (inner * count + outer) * 1000 + np.round(step).astype(np.int64)
    return np.where(known[i] & known[j], kind, -1)


def predict(fitted: Fitted, events: Sequence[Event]) -> list[Prediction]:
    """Edges of kinds that were seen, and their scores, of each event."""
    return [_predicted(fitted, event) for event in events]


def _predicted(fitted: Fitted, event: Event) -> Prediction:
    edges = graphs.build(event, fitted.windows)
    kind = kind_of(fitted.rings, event, edges)
    found = np.searchsorted(fitted.kind, kind).clip(max=len(fitted.kind) - 1)
    score = np.where((fitted.kind[found] == kind) & (kind >= 0), fitted.share[found], 0.0)
    return {"edges": edges[score > 0], "scores": score[score > 0]}


MODEL = Model(
    tasks=("track_graphs",),
    reference="""@inproceedings{gnn4itk2024,
  title = {Physics Performance of the {ATLAS} {GNN4ITk} Track Reconstruction Chain},
  author = {Caillou, Sylvain and Calafiura, Paolo and Ju, Xiangyang and Murnane, Daniel and
    Pham, Tuan and Rougier, Charline and Stark, Jan and Vallier, Alexis},
  booktitle = {EPJ Web Conf.},
  volume = {295},
  pages = {03030},
  year = {2024},
  doi = {10.1051/epjconf/202429503030}
}""",
    fit=fit,
    predict=predict,
    role="classical",
    deterministic=True,
)
