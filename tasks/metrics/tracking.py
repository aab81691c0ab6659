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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.runs import among, stable_order, starts_of
from physbench.datasets.hits import (
    EventTruth,
    Floats,
    Integers,
    edge_keys,
    edge_labels,
    place_of,
    selected,
    sequential_edges,
)
from physbench.tasks.metrics import bootstrap

Prediction = Mapping[str, NDArray[Any]]
Targets = Sequence[EventTruth]
Bools = NDArray[np.bool_]

HITS_MIN = 3
PT_BINS = (0.9, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, math.inf)
ETA_BINS = tuple(np.arange(-4.0, 4.01, 0.5).tolist())
RADIUS_BINS = (0.0, 1.0, 10.0, 30.0, 100.0, 300.0, math.inf)  # mm
DENSITY_BINS = (0.0, 1.0, 2.0, 4.0, math.inf)
CONE = 0.1  # in (eta, phi), where neighbours of a particle are counted
EDGE_HITS = 400  # hits of an event whose edges are scored; of larger events a sample is
THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class Grouped:
    """The hits of an event sorted by particle.

    Attributes
    ----------
    order:
        Hits, those of one particle together, particles by ascending id; shape (hits,).
    starts:
        Where each particle begins in that order, shape (particles,).
    particle:
        Number of the particle of each hit in that order, shape (hits,).
    ids, hits:
        Id of each particle, noise included, and its hits in the event, shape (particles,).
    weight:
        Share of each hit, in that order, in the scoring weight of the event.
    scored:
        Whether the event has any scoring weight.
    """

    order: Integers
    starts: Integers
    particle: NDArray[np.int32]
    ids: Integers
    hits: Integers
    weight: Floats
    scored: bool


def grouped(truth: EventTruth) -> Grouped:
    """Sort the hits of an event by particle."""
    order = stable_order(truth.particle_id)
    sorted_ids = truth.particle_id[order]
    starts = starts_of(sorted_ids)
    hits = np.diff(starts, append=len(order))
    particle = np.repeat(np.arange(len(starts), dtype=np.int32), hits)
    total = float(truth.weight.sum())
    weight = truth.weight[order] / (total or 1.0)
    return Grouped(order, starts, particle, sorted_ids[starts], hits, weight, total > 0)


@dataclass(frozen=True, eq=False)
class Matches:
    """Tracks of one event against its particles; all shapes are (tracks,).

    Attributes
    ----------
    size, shared:
        Hits of the track, and hits that it shares with its majority particle.
    majority, total:
        Id of the majority particle, and that particle's hits in the event.
    weight:
        Scoring weight of the shared hits, over that of the event.
    scored:
        Whether the event has any scoring weight.
    """

    size: Integers
    shared: Integers
    majority: Integers
    total: Integers
    weight: Floats
    scored: bool

    @property
    def purity(self) -> Floats:
        """Share of the track that the particle owns."""
        return self.shared / self.size

    @property
    def completeness(self) -> Floats:
        """Share of the particle that the track holds."""
        return self.shared / self.total

    @functools.cached_property
    def valid(self) -> Bools:
        """Tracks of at least three hits."""
        return self.size >= HITS_MIN

    @functools.cached_property
    def pure(self) -> Bools:
        """Purity > 1/2, majority particle not noise."""
        return np.asarray((2 * self.shared > self.size) & (self.majority != 0))

    @functools.cached_property
    def double(self) -> Bools:
        """Double majority: purity > 1/2 and completeness > 1/2, majority particle not noise."""
        return np.asarray(self.pure & (2 * self.shared > self.total))

    @property
    def combinatorial(self) -> Bools:
        """No real particle owns more than half of the track."""
        return np.asarray(~self.pure)

    @property
    def fragment(self) -> Bools:
        """More than half of it is of one particle, of which it holds at most half."""
        return np.asarray(self.pure & ~self.double)

    @property
    def lhc(self) -> Bools:
        """Purity > 3/4."""
        return np.asarray(4 * self.shared > 3 * self.size)

    @property
    def perfect(self) -> Bools:
        """All hits of the majority particle and no other."""
        return np.asarray((self.shared == self.size) & (self.shared == self.total))

    def found(self, at: tuple[Integers, Bools], chosen: Bools, good: Bools) -> Bools:
        """`chosen` particles that are the majority of a valid track among `good` ones.

        `at` is `place_of` the majority particles.
        """
        place, known = at
        hit = np.zeros(len(chosen), dtype=bool)
        hit[place[known & good & self.valid]] = True
        return chosen & hit


@dataclass(frozen=True, eq=False)
class Matched:
    """One event with its tracks matched to its particles: what every metric needs, when it does.

    Attributes
    ----------
    truth, prediction:
        As they were given: `labels` and perhaps `edges` and `scores`.
    runs:
        The hits in the order of their particles, and where each particle begins.
    matches:
        The tracks against the particles.
    """

    truth: EventTruth
    prediction: Prediction
    runs: tuple[Integers, Integers]
    matches: Matches

    @functools.cached_property
    def chosen(self) -> Bools:
        """Which particles are selected, shape (particles,)."""
        return selected(self.truth, runs=self.runs)

    @functools.cached_property
    def counts(self) -> Mapping[str, float]:
        """What the metrics sum over events, by name."""
        return count(self.truth, self.chosen, self.matches)

    @property
    def score(self) -> float:
        """The event's TrackML score."""
        return event_score(self.matches)

    @functools.cached_property
    def slices(self) -> Mapping[str, tuple[int, int]]:
        """(Found, all) selected particles by bin."""
        at = place_of(self.truth, self.matches.majority)
        found = self.matches.found(at, self.chosen, self.matches.double)[self.chosen]
        return binned(found, quantities(self.truth, self.chosen))

    @functools.cached_property
    def edges(self) -> tuple[Bools, Floats] | None:
        """Labels and scores of the sampled edges; None without edges."""
        return labelled_edges(self.truth, self.prediction, self._sequential)

    @functools.cached_property
    def graph(self) -> Construction | None:
        """How the graph covers the truth; None without edges."""
        return construction(self.truth, self.prediction, self._sequential)

    @functools.cached_property
    def _sequential(self) -> Integers | None:
        """The true edges, where there are edges to compare with them."""
        return sequential_edges(self.truth) if "edges" in self.prediction else None


@dataclass(frozen=True, eq=False)
class Summed:
    """What the metrics need of one event and no more: a few kB, see `Matched` for the fields."""

    counts: Mapping[str, float]
    score: float
    slices: Mapping[str, tuple[int, int]]
    edges: tuple[Bools, Floats] | None
    graph: Construction | None


Predictions = Sequence[Prediction | Matched | Summed]


def derive(targets: Targets, predictions: Predictions) -> list[Matched | Summed]:
    """Each event matched once, for all metrics; what is matched already passes as it is."""
    known = [p for p in predictions if isinstance(p, Matched | Summed)]
    if len(known) == len(predictions):
        return known  # without a look at targets that may have to be read
    return [
        p if isinstance(p, Matched | Summed) else _matched(truth, p)
        for truth, p in zip(targets, predictions, strict=True)
    ]


def summed(truth: EventTruth, prediction: Prediction) -> Summed:
    """One event, of which neither truth nor prediction has to be kept."""
    event = _matched(truth, prediction)
    return Summed(event.counts, event.score, event.slices, event.edges, event.graph)


def _matched(truth: EventTruth, prediction: Prediction) -> Matched:
    hits = _checked(truth, prediction["labels"])
    found = _match(hits, np.asarray(prediction["labels"]))
    return Matched(truth, prediction, (hits.order, hits.starts), found)


def match(truth: EventTruth, labels: NDArray[Any]) -> Matches:
    """Match the tracks of one event to its particles.

    Raises ValueError when there is not one label a hit.
    """
    return _match(_checked(truth, labels), np.asarray(labels))


def _checked(truth: EventTruth, labels: NDArray[Any]) -> Grouped:
    if len(labels) != len(truth):
        raise ValueError(f"labels: got {len(labels)} for {len(truth)} hits; one a hit is needed")
    return grouped(truth)


def _match(truth: Grouped, labels: NDArray[Any]) -> Matches:
    """One stable sort by track of hits sorted by particle; the rest is sums over runs."""
    labels = labels[truth.order]
    used = stable_order(labels)[np.count_nonzero(labels < 0) :]  # below 0: of no track, first
    track, particle = labels[used], truth.particle[used]
    starts = starts_of(track, particle)  # runs of one particle in one track
    shared = np.diff(starts, append=len(used))
    weight = _sums(truth.weight[used], starts)
    track, particle = track[starts], particle[starts]
    first = starts_of(track)
    # Most hits first, then the smallest id: both in one integer, so that the best is a maximum.
    rank = shared * len(truth.ids) - particle
    highest = np.maximum.reduceat(rank, first) if len(first) else rank
    best = np.flatnonzero(rank == np.repeat(highest, np.diff(first, append=len(track))))
    return Matches(
        size=_sums(shared, first),
        shared=shared[best],
        majority=truth.ids[particle[best]],
        total=truth.hits[particle[best]],
        weight=weight[best],
        scored=truth.scored,
    )


def _sums(values: NDArray[Any], starts: Integers) -> NDArray[Any]:
    """Sum of each run of `values`."""
    return np.add.reduceat(values, starts) if len(starts) else values[:0]


def count(truth: EventTruth, chosen: Bools, m: Matches) -> Mapping[str, float]:
    """What the metrics sum over events, by name; `chosen` are the selected particles."""
    at = place, known = place_of(truth, m.majority)
    clean = m.valid & known
    clean[clean] = chosen[place[clean]]
    pure = m.valid & m.pure
    masks = {
        "selected": chosen,
        "found_dm": m.found(at, chosen, m.double),
        "found_lhc": m.found(at, chosen, m.lhc),
        "found_perfect": m.found(at, chosen, m.perfect),
        "valid": m.valid,
        "fake": m.valid & ~m.double,
        "combinatorial": m.valid & m.combinatorial,
        "fragment": m.valid & m.fragment,
        "clean": clean,
        "clean_dm": clean & m.double,
        "clean_lhc": clean & m.lhc,
        "pure": pure,
    }
    counts = {name: int(mask.sum()) for name, mask in masks.items()}
    majority = np.sort(m.majority[pure])
    return counts | {"pure_particles": int((np.diff(majority) != 0).sum() + (len(majority) > 0))}


def event_score(m: Matches) -> float:
    """TrackML score of one event, NaN without any scored particle."""
    good = (2 * m.shared > m.size) & (2 * m.shared > m.total)
    return float(m.weight[good].sum()) if m.scored else math.nan


def ratio(numerator: float, denominator: float) -> float:
    """Numerator over denominator, NaN when nothing was counted.

    >>> ratio(1, 4), ratio(0, 0)
    (0.25, nan)
    """
    return numerator / denominator if denominator else math.nan


def _share(targets: Targets, predictions: Predictions, part: str, whole: str) -> float:
    """Pooled count `part` over pooled count `whole`."""
    counts = [m.counts for m in derive(targets, predictions)]
    return ratio(sum(c[part] for c in counts), sum(c[whole] for c in counts))


def resampled(
    part: str, whole: str, *, minus: str = "", inverse: bool = False
) -> Callable[[Targets, Predictions, NDArray[Any]], Floats]:
    """The fast bootstrap of a ratio of counts, see `Metric.replicates`.

    Sums over events weighted by how often each was drawn: (part - minus)/whole, or one minus it.
    """

    def replicates(targets: Targets, predictions: Predictions, drawn: NDArray[Any]) -> Floats:
        counts = [m.counts for m in derive(targets, predictions)]
        table = [[c[part] - (c[minus] if minus else 0), c[whole]] for c in counts]
        share = bootstrap.ratio_of_sums(table, drawn)
        return 1.0 - share if inverse else share

    return replicates


def resampled_score(targets: Targets, predictions: Predictions, drawn: NDArray[Any]) -> Floats:
    """The fast bootstrap of `trackml_score`."""
    scores = [m.score for m in derive(targets, predictions)]
    return bootstrap.mean(scores, drawn)


def efficiency_dm(targets: Targets, predictions: Predictions) -> float:
    """Double-majority efficiency: selected particles with a double-majority track / selected.

    A track matches when it holds more than half of the particle's hits and more than half of
    its own hits are the particle's. Source: gnn_tracking (arXiv:2309.16754), TrackML.
    """
    return _share(targets, predictions, "found_dm", "selected")


def efficiency_lhc(targets: Targets, predictions: Predictions) -> float:
    """LHC efficiency: selected particles with a track of purity > 3/4 / selected particles.

    Per particle, as in DeZoort et al. (arXiv:2103.16701); see `lhc_per_cluster`.
    """
    return _share(targets, predictions, "found_lhc", "selected")


def efficiency_perfect(targets: Targets, predictions: Predictions) -> float:
    """Perfect efficiency: selected particles with a track of all their hits and no other."""
    return _share(targets, predictions, "found_perfect", "selected")


def lhc_per_cluster(targets: Targets, predictions: Predictions) -> float:
    """Clean tracks of purity > 3/4 / clean tracks (gnn_tracking's LHC, per cluster).

    Clean: at least three hits and a selected majority particle.
    """
    return _share(targets, predictions, "clean_lhc", "clean")


def fake_dm(targets: Targets, predictions: Predictions) -> float:
    """1 - clean double-majority tracks / clean tracks (gnn_tracking).

    Tracks whose majority particle is not selected are ignored: a combination of noise hits is
    no fake here. `fake_all` has no such escape.
    """
    return 1.0 - _share(targets, predictions, "clean_dm", "clean")


def fake_all(targets: Targets, predictions: Predictions) -> float:
    """Tracks of at least three hits without a double-majority match to any particle / all such."""
    return _share(targets, predictions, "fake", "valid")


def fake_combinatorial(targets: Targets, predictions: Predictions) -> float:
    """Tracks of at least three hits of which no real particle owns more than half / all such.

    The part of `fake_all` that no merging can mend: hits of several particles, or of noise.
    """
    return _share(targets, predictions, "combinatorial", "valid")


def fragments(targets: Targets, predictions: Predictions) -> float:
    """Tracks that hold at most half of the particle that owns most of them / all tracks.

    Of tracks with at least three hits. The rest of `fake_all`.
    """
    return _share(targets, predictions, "fragment", "valid")


def duplicate_rate(targets: Targets, predictions: Predictions) -> float:
    """(Matched tracks - matched particles) / matched tracks.

    Matched: at least three hits, purity > 1/2, not noise. Particles are counted per event.
    """
    counts = [m.counts for m in derive(targets, predictions)]
    tracks = sum(c["pure"] for c in counts)
    return ratio(tracks - sum(c["pure_particles"] for c in counts), tracks)


def trackml_score(targets: Targets, predictions: Predictions) -> float:
    """TrackML score, mean over events; 1 is perfect.

    Sum over tracks with purity > 1/2 and completeness > 1/2 of the weights of their majority
    particle's hits, over the total weight of the event. Hits without a track count as one junk
    track there and here they cannot score. An event without any scored particle has no score.
    Source: LAL/trackml-library, `score.py`.
    """
    scores = [m.score for m in derive(targets, predictions)]
    defined = [score for score in scores if not math.isnan(score)]
    return sum(defined) / len(defined) if defined else math.nan


def efficiency_slices(targets: Targets, predictions: Predictions) -> dict[str, float]:
    """Double-majority efficiency in bins of what `quantities` gives; an empty bin is NaN."""
    slices = {}
    for name, (hit, total) in efficiency_counts(targets, predictions).items():
        slices[name] = ratio(hit, total)
    return slices


BINS = {"pt": PT_BINS, "eta": ETA_BINS, "radius": RADIUS_BINS, "density": DENSITY_BINS}


def efficiency_counts(targets: Targets, predictions: Predictions) -> dict[str, tuple[int, int]]:
    """(Found, all) selected particles by bin: `pt 0.9 to 1.2`, ..."""
    total: dict[str, tuple[int, int]] = {}
    for event in derive(targets, predictions):
        for name, (found, all_) in event.slices.items():
            hit, whole = total.get(name, (0, 0))
            total[name] = hit + found, whole + all_
    return total


def binned(found: Bools, rows: Mapping[str, Floats]) -> dict[str, tuple[int, int]]:
    """(Found, all) particles of one event by bin of what `quantities` gives."""
    counts = {}
    for name, values in rows.items():
        for low, high in itertools.pairwise(BINS[name]):
            inside = (values >= low) & (values < high)
            counts[f"{name} {low} to {high}"] = int(found[inside].sum()), int(inside.sum())
    return counts


def quantities(truth: EventTruth, chosen: Bools) -> dict[str, Floats]:
    """What efficiency is binned in, for the chosen particles.

    `pt` (GeV), `eta`, and where the truth knows them `radius` of production (mm) and `density`,
    see `neighbours`.
    """
    found = {"pt": truth.pt[chosen], "eta": truth.eta[chosen]}
    if truth.radius is not None:
        found["radius"] = truth.radius[chosen]
    if truth.phi is not None:
        found["density"] = neighbours(truth.eta[chosen], truth.phi[chosen])
    return found


def neighbours(eta: Floats, phi: Floats) -> Floats:
    """How many others lie within 0.1 in (eta, phi) of each particle.

    >>> neighbours(np.array([0.0, 0.05, 2.0]), np.array([3.1, -3.15, 3.1])).tolist()
    [1.0, 1.0, 0.0]
    """
    order = np.argsort(eta, kind="stable")
    x, y = eta[order], phi[order]
    near = np.searchsorted(x, x + CONE, side="right") - np.arange(1, len(x) + 1)
    first = np.repeat(np.arange(len(x)), near)  # all pairs in a strip of eta
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(near) - near, near)
    turn = np.remainder(y[second] - y[first] + np.pi, 2 * np.pi) - np.pi
    close = (x[second] - x[first]) ** 2 + turn**2 <= CONE**2
    found = np.zeros(len(x))
    found[order] = sum(np.bincount(end[close], minlength=len(x)) for end in (first, second))
    return found


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


def sampled(hits: int, edges: Integers) -> Bools:
    """Which edges (m, 2) of an event enter the edge metrics, whichever way round they are given.

    All edges of every k-th hit, counted where it is the first of the two in the event, with k such
    that about 400 hits remain: edges of all events count, and a record stays small.
    """
    return np.asarray(edges.min(axis=1, initial=hits) % max(1, hits // EDGE_HITS) == 0)


def labelled_edges(
    truth: EventTruth, prediction: Prediction, sequential: Integers | None = None
) -> tuple[Bools, Floats] | None:
    """Labels and scores of the sampled edges of an event; None without edges."""
    if "edges" not in prediction:
        return None
    kept = sampled(len(truth), prediction["edges"])
    scores = np.asarray(prediction["scores"], dtype=np.float64)[kept]
    return edge_labels(truth, prediction["edges"][kept], sequential), scores


def _of_events(targets: Targets, predictions: Predictions, name: str, one: Any) -> list[Any]:
    """An attribute of each matched event, or `one` of its truth and prediction; where known."""
    known = [getattr(p, name) for p in predictions if isinstance(p, Matched | Summed)]
    if len(known) < len(predictions):
        known = [one(truth, p) for truth, p in zip(targets, predictions, strict=True)]
    return [found for found in known if found is not None]


def _pooled_edges(targets: Targets, predictions: Predictions) -> tuple[Bools, Floats]:
    """Labels and scores of the sampled edges of all events."""
    parts = _of_events(targets, predictions, "edges", labelled_edges)
    labels = [np.zeros(0, dtype=bool), *(labels for labels, _ in parts)]
    return np.concatenate(labels), np.concatenate([np.zeros(0), *(s for _, s in parts)])


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


def construction(
    truth: EventTruth,
    prediction: Mapping[str, NDArray[Any]],
    sequential: Integers | None = None,
) -> Construction | None:
    """How a graph covers the sequential truth edges of the selected particles, see `sampled`.

    None for a prediction without edges.
    """
    if "edges" not in prediction:
        return None
    kept = sampled(len(truth), prediction["edges"])
    edges, scores = prediction["edges"][kept], np.asarray(prediction["scores"])[kept]
    true = sequential_edges(truth) if sequential is None else sequential
    wanted = true[sampled(len(truth), true)]
    chosen = truth.particles[selected(truth)]
    wanted = wanted[among(truth.particle_id[wanted[:, 0]], chosen)]
    key, want = (edge_keys(each, len(truth)) for each in (edges, wanted))
    return Construction(
        edges=len(edges),
        true=int(edge_labels(truth, edges, true).sum()),
        targets=len(want),
        present=int(among(want, key).sum()),
        kept=int(among(want, key[scores > THRESHOLD]).sum()),
    )


def _constructions(targets: Targets, predictions: Predictions) -> list[Construction]:
    return _of_events(targets, predictions, "graph", construction)


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
