"""Tracking metrics: hits to tracks, edges to scores. Conventions of the field, each written out.

Notation per event: particle p has n_p hits, track t has n_t hits, n_pt of them shared. The
majority particle of a track is the one with most of its hits; ties go to the smallest id, and
noise (id 0) counts as a particle there. purity = n_mt / n_t, completeness = n_mt / n_m. All
thresholds are strict. Counts are pooled over events; an undefined ratio is NaN.

Targets are sequences of `EventTruth`; predictions are sequences of mappings with `labels` (n,),
-1 for no track, and optionally `edges` (m, 2) and `scores` (m,) in [0, 1].
"""

from __future__ import annotations

import functools
import itertools
import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.events import (
    EventTruth,
    Floats,
    Integers,
    edge_labels,
    selected,
    sequential_edges,
)

Predictions = Sequence[Mapping[str, NDArray[Any]]]
Targets = Sequence[EventTruth]
Bools = NDArray[np.bool_]

HITS_MIN = 3
PT_BINS = (0.9, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, math.inf)
ETA_BINS = tuple(np.arange(-4.0, 4.01, 0.5).tolist())
THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class Matches:
    """Tracks of one event against its particles.

    Attributes
    ----------
    size, shared, majority, total:
        For each track: its hits, the hits of its majority particle, that particle's id and
        that particle's hits in the event. Shape (tracks,).
    weight:
        Scoring weight of the majority particle's hits in the track, shape (tracks,).
    truth:
        The event's truth, for its particles.
    """

    size: Integers
    shared: Integers
    majority: Integers
    total: Integers
    weight: Floats
    truth: EventTruth

    @functools.cached_property
    def selected(self) -> Bools:
        """Which of the particles are selected."""
        return selected(self.truth)

    @property
    def purity(self) -> Floats:
        return self.shared / self.size

    @property
    def completeness(self) -> Floats:
        return self.shared / self.total

    @property
    def valid(self) -> Bools:
        """Tracks of at least three hits."""
        return self.size >= HITS_MIN

    @property
    def signal(self) -> Bools:
        """Tracks whose majority particle is selected."""
        return np.isin(self.majority, self.truth.particles[self.selected])

    @property
    def double(self) -> Bools:
        """Double majority: purity > 1/2 and completeness > 1/2, majority particle not noise."""
        both = (2 * self.shared > self.size) & (2 * self.shared > self.total)
        return np.asarray(both & (self.majority != 0))


# The bootstrap scores the same events a thousand times: an event is matched once. The keys are
# weak, and the truth is checked by identity, so nothing outlives its arrays.
_matched: weakref.WeakKeyDictionary[EventTruth, tuple[Any, Matches]] = weakref.WeakKeyDictionary()


def match(truth: EventTruth, labels: NDArray[Any]) -> Matches:
    """Match the tracks of one event to its particles.

    Raises ValueError when there is not one label a hit.
    """
    known = _matched.get(truth)
    if known is not None and known[0] is labels:
        return known[1]
    if len(labels) != len(truth):
        raise ValueError(f"labels: got {len(labels)} for {len(truth)} hits; one a hit is needed")
    found = _match(truth, np.asarray(labels))
    _matched[truth] = labels, found
    return found


def _match(truth: EventTruth, labels: NDArray[Any]) -> Matches:
    """A sparse table of shared hits, tracks x particles: built in linear time, no sort of hits."""
    import pandas as pd
    from scipy.sparse import coo_array

    particle, ids = pd.factorize(truth.particle_id, sort=True)
    used = labels >= 0
    track, names = pd.factorize(labels[used], sort=True)
    shape = len(names), max(len(ids), 1)
    if not len(names):
        nothing = np.zeros(0, dtype=np.int64)
        return Matches(nothing, nothing, nothing, nothing, np.zeros(0), truth)
    ones = np.ones(len(track), dtype=np.int64)
    shared = coo_array((ones, (track, particle[used])), shape=shape).tocsr()
    weight = coo_array((truth.weight[used], (track, particle[used])), shape=shape).tocsr()
    for table in (shared, weight):
        table.sum_duplicates()  # sorts the particles of each track: ties go to the smallest id
    rows = np.repeat(np.arange(shape[0]), np.diff(shared.indptr))
    most = np.maximum.reduceat(shared.data, shared.indptr[:-1])
    candidates = np.flatnonzero(shared.data == most[rows])
    _, first = np.unique(rows[candidates], return_index=True)
    best = candidates[first]
    majority = shared.indices[best]
    hits_of = np.bincount(particle, minlength=shape[1])
    return Matches(
        np.bincount(track), most, ids[majority], hits_of[majority], weight.data[best], truth
    )


def _all(targets: Targets, predictions: Predictions) -> list[Matches]:
    return [match(t, p["labels"]) for t, p in zip(targets, predictions, strict=True)]


def ratio(numerator: float, denominator: float) -> float:
    """Numerator over denominator, NaN when nothing was counted.

    >>> ratio(1, 4), ratio(0, 0)
    (0.25, nan)
    """
    return numerator / denominator if denominator else math.nan


def found(m: Matches, good: Bools) -> Bools:
    """Selected particles that are the majority of at least one of the `good` tracks."""
    return m.selected & np.isin(m.truth.particles, m.majority[good])


def _efficiency(
    targets: Targets, predictions: Predictions, rule: Callable[[Matches], Bools]
) -> float:
    matches = _all(targets, predictions)
    hit = sum(int(found(m, rule(m) & m.valid).sum()) for m in matches)
    return ratio(hit, sum(int(m.selected.sum()) for m in matches))


def efficiency_dm(targets: Targets, predictions: Predictions) -> float:
    """Double-majority efficiency: selected particles with a double-majority track / selected.

    A track matches when it holds more than half of the particle's hits and more than half of
    its own hits are the particle's. Source: gnn_tracking (arXiv:2309.16754), TrackML.
    """
    return _efficiency(targets, predictions, lambda m: m.double)


def efficiency_lhc(targets: Targets, predictions: Predictions) -> float:
    """LHC efficiency: selected particles with a track of purity > 3/4 / selected particles.

    Per particle, as in DeZoort et al. (arXiv:2103.16701); see `lhc_per_cluster`.
    """
    return _efficiency(targets, predictions, lambda m: 4 * m.shared > 3 * m.size)


def efficiency_perfect(targets: Targets, predictions: Predictions) -> float:
    """Perfect efficiency: selected particles with a track of all their hits and no other."""
    return _efficiency(
        targets, predictions, lambda m: (m.shared == m.size) & (m.shared == m.total)
    )


def lhc_per_cluster(targets: Targets, predictions: Predictions) -> float:
    """Clean tracks of purity > 3/4 / clean tracks (gnn_tracking's LHC, per cluster).

    Clean: at least three hits and a selected majority particle.
    """
    matches = _all(targets, predictions)
    clean = [m.valid & m.signal for m in matches]
    good = [
        int((c & (4 * m.shared > 3 * m.size)).sum()) for c, m in zip(clean, matches, strict=True)
    ]
    return ratio(sum(good), sum(int(c.sum()) for c in clean))


def fake_dm(targets: Targets, predictions: Predictions) -> float:
    """1 - clean double-majority tracks / clean tracks (gnn_tracking).

    Tracks whose majority particle is not selected are ignored: a combination of noise hits is
    no fake here. `fake_all` has no such escape.
    """
    matches = _all(targets, predictions)
    clean = [m.valid & m.signal for m in matches]
    good = sum(int((c & m.double).sum()) for c, m in zip(clean, matches, strict=True))
    total = sum(int(c.sum()) for c in clean)
    return 1.0 - good / total if total else math.nan


def fake_all(targets: Targets, predictions: Predictions) -> float:
    """Tracks of at least three hits without a double-majority match to any particle / all such."""
    matches = _all(targets, predictions)
    bad = sum(int((m.valid & ~m.double).sum()) for m in matches)
    return ratio(bad, sum(int(m.valid.sum()) for m in matches))


def duplicate_rate(targets: Targets, predictions: Predictions) -> float:
    """(Matched tracks - matched particles) / matched tracks, matched: purity > 1/2, not noise."""
    matches = _all(targets, predictions)
    tracks = particles = 0
    for m in matches:
        good = m.valid & (2 * m.shared > m.size) & (m.majority != 0)
        tracks += int(good.sum())
        particles += len(np.unique(m.majority[good]))
    return ratio(tracks - particles, tracks)


def trackml_score(targets: Targets, predictions: Predictions) -> float:
    """TrackML score, mean over events; 1 is perfect.

    Sum over tracks with purity > 1/2 and completeness > 1/2 of the weights of their majority
    particle's hits, over the total weight of the event. Hits without a track count as one junk
    track there and here they cannot score. Source: LAL/trackml-library, `score.py`.
    """
    scores = []
    for truth, m in zip(targets, _all(targets, predictions), strict=True):
        good = (2 * m.shared > m.size) & (2 * m.shared > m.total)
        scores.append(ratio(float(m.weight[good].sum()), float(truth.weight.sum())))
    return float(np.mean(scores)) if scores else math.nan


def efficiency_slices(targets: Targets, predictions: Predictions) -> dict[str, float]:
    """Double-majority efficiency in bins of pT (GeV) and eta; an empty bin is NaN."""
    slices = {}
    for name, (hit, total) in efficiency_counts(targets, predictions).items():
        slices[name] = ratio(hit, total)
    return slices


def efficiency_counts(targets: Targets, predictions: Predictions) -> dict[str, tuple[int, int]]:
    """(Found, all) selected particles by bin: `pt 0.9 to 1.2`, ..."""
    matches = _all(targets, predictions)
    passed = np.concatenate([found(m, m.double & m.valid)[m.selected] for m in matches])
    counts = {}
    for quantity, edges in (("pt", PT_BINS), ("eta", ETA_BINS)):
        values = np.concatenate([getattr(m.truth, quantity)[m.selected] for m in matches])
        for low, high in itertools.pairwise(edges):
            inside = (values >= low) & (values < high)
            counts[f"{quantity} {low} to {high}"] = int(passed[inside].sum()), int(inside.sum())
    return counts


def bin_edges(name: str) -> tuple[float, float]:
    """Edges of a bin from the second part of its name.

    >>> bin_edges("-4.0 to -3.5")
    (-4.0, -3.5)
    """
    low, _, high = name.partition(" to ")
    return float(low), float(high)


def clopper_pearson(passed: int, total: int, level: float = 0.6827) -> tuple[float, float]:
    """Exact binomial interval of passed / total; (nan, nan) without trials.

    Lower end: the `(1 - level) / 2` quantile of Beta(passed, total - passed + 1); upper end the
    mirror of it. Source: Clopper and Pearson, Biometrika 26 (1934) 404.

    >>> [round(v, 4) for v in clopper_pearson(8, 10, 0.95)]
    [0.4439, 0.9748]
    """
    from scipy.stats import beta

    if total == 0:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low = beta.ppf(tail, passed, total - passed + 1) if passed else 0.0
    high = beta.ppf(1 - tail, passed + 1, total - passed) if passed < total else 1.0
    return float(low), float(high)


# --- edges -------------------------------------------------------------------------------------


def _pooled_edges(targets: Targets, predictions: Predictions) -> tuple[Bools, Floats]:
    """Labels and scores of all stored edges of all events."""
    labels, scores = [np.zeros(0, dtype=bool)], [np.zeros(0)]
    for truth, prediction in zip(targets, predictions, strict=True):
        if "edges" in prediction:
            labels.append(edge_labels(truth, prediction["edges"]))
            scores.append(np.asarray(prediction["scores"], dtype=np.float64))
    return np.concatenate(labels), np.concatenate(scores)


def edge_efficiency(targets: Targets, predictions: Predictions) -> float:
    """True edges of the graph with score > 0.5 / true edges of the graph (recall)."""
    labels, scores = _pooled_edges(targets, predictions)
    return ratio(int((labels & (scores > THRESHOLD)).sum()), int(labels.sum()))


def edge_purity(targets: Targets, predictions: Predictions) -> float:
    """True edges with score > 0.5 / edges with score > 0.5 (precision)."""
    labels, scores = _pooled_edges(targets, predictions)
    kept = scores > THRESHOLD
    return ratio(int((labels & kept).sum()), int(kept.sum()))


def edge_auc(targets: Targets, predictions: Predictions) -> float:
    """Area under the ROC curve of the edges, micro-averaged; NaN if one class is missing."""
    return auc(*_pooled_edges(targets, predictions))


def auc(labels: Bools, scores: Floats) -> float:
    """Rank statistic: P(score of a true one > score of a false one), ties count 1/2.

    AUC = (sum of the ranks of the true ones - n(n + 1) / 2) / (n m), with mean ranks for ties.
    Source: Mann and Whitney, Ann. Math. Stat. 18 (1947) 50.

    >>> auc(np.array([1, 1, 1, 0, 1, 0], bool), np.array([0.9, 0.8, 0.6, 0.7, 0.4, 0.2]))
    0.75
    """
    true = int(labels.sum())
    false = len(labels) - true
    if not true or not false:
        return math.nan
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    total = float(ranks[place][labels].sum())
    return (total - true * (true + 1) / 2) / (true * false)


@dataclass(frozen=True)
class Construction:
    """Counts of one graph: edges, true edges, target edges, targets present, targets kept."""

    edges: int
    true: int
    targets: int
    present: int
    kept: int


def construction(truth: EventTruth, prediction: Mapping[str, NDArray[Any]]) -> Construction | None:
    """How a graph covers the sequential truth edges of the selected particles.

    None for an event without stored edges: it says nothing about the graph.
    """
    edges = prediction.get("edges")
    if edges is None or not len(edges):
        return None
    wanted = sequential_edges(truth)
    chosen = truth.particles[selected(truth)]
    wanted = wanted[np.isin(truth.particle_id[wanted[:, 0]], chosen)]
    n = len(truth)
    key = np.sort(edges.astype(np.int64), axis=1) @ np.array([n, 1])
    want = np.sort(wanted, axis=1) @ np.array([n, 1])
    kept = key[np.asarray(prediction["scores"]) > THRESHOLD]
    return Construction(
        edges=len(edges),
        true=int(edge_labels(truth, edges).sum()),
        targets=len(want),
        present=int(np.isin(want, key).sum()),
        kept=int(np.isin(want, kept).sum()),
    )


def _constructions(targets: Targets, predictions: Predictions) -> list[Construction]:
    pairs = zip(targets, predictions, strict=True)
    return [c for t, p in pairs if (c := construction(t, p)) is not None]


def graph_construction_efficiency(targets: Targets, predictions: Predictions) -> float:
    """Sequential truth edges of selected particles in the graph / all of them."""
    counts = _constructions(targets, predictions)
    return ratio(sum(c.present for c in counts), sum(c.targets for c in counts))


def graph_construction_purity(targets: Targets, predictions: Predictions) -> float:
    """True edges of the graph / edges of the graph."""
    counts = _constructions(targets, predictions)
    return ratio(sum(c.true for c in counts), sum(c.edges for c in counts))


def end_to_end_edge_efficiency(targets: Targets, predictions: Predictions) -> float:
    """Sequential truth edges of selected particles in the graph with score > 0.5 / all of them."""
    counts = _constructions(targets, predictions)
    return ratio(sum(c.kept for c in counts), sum(c.targets for c in counts))
