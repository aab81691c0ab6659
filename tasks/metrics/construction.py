"""Graphs of hits: which edges are proposed, how many of the wanted ones, and what they cost.

Wanted (*target*) edges join consecutive hits of selected particles (pT > 0.9 GeV, |eta| < 4, three
layers). An edge of two hits of one particle that is no target (it skips a hit, or the particle is
not selected) is *masked*: it does no harm to who comes next and is no merit either. All others are
*false*. With the edges cut by score so that 98 % of the targets are kept,

    masked purity = targets / (targets + false),

pooled over events. Predictions are sequences of mappings with `edges` (m, 2) and `levels` (m,),
the rank of an edge's score in 1,024 steps over all events. `condense` keeps of them the level of
each target edge and how many of the others have which level.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.runs import among
from physbench.datasets.hits import (
    EventTruth,
    Floats,
    Integers,
    edge_keys,
    edge_labels,
    selected,
    sequential_edges,
)
from physbench.tasks.metrics import bootstrap

Prediction = Mapping[str, NDArray[Any]]
Targets = Sequence[EventTruth]

EFFICIENCY = 0.98
LEVELS = 1024
SHORT = ("target", "other")
CLASSES = ("target", "sequential", "same", "false")
CHUNK = 250  # resamples at a time: their histograms fill 8 MB
BINS: Mapping[str, tuple[float, ...]] = {
    "pt": (0.9, 1.5, 3.0, math.inf),
    "|eta|": (0.0, 1.0, 2.0, 3.0, 4.0),
    "r0": (0.0, 1.0, 10.0, 30.0, 100.0, math.inf),
}


def ranked(scores: Sequence[Floats]) -> list[Integers]:
    """Levels 0 to 1023 of the scores of all events: equal numbers of edges in each.

    Order is kept and ties stay ties; any growing function of the scores gives the same.

    >>> [level.tolist() for level in ranked([np.array([0.1, 0.9]), np.array([0.9, 0.2])])]
    [[0, 512], [512, 256]]
    """
    together = np.concatenate([np.zeros(0), *scores])
    _, place, count = np.unique(together, return_inverse=True, return_counts=True)
    below = np.cumsum(count) - count
    level = below[place] * LEVELS // max(len(together), 1)
    return np.split(level, np.cumsum([len(part) for part in scores])[:-1])


def target_edges(truth: EventTruth) -> Integers:
    """(targets, 2) consecutive hits of selected particles."""
    edges = sequential_edges(truth)
    chosen = truth.particles[selected(truth)]
    return edges[among(truth.particle_id[edges[:, 0]], chosen)]


def condense(targets: Targets, predictions: Sequence[Prediction]) -> list[Prediction]:
    """Each prediction as it is kept.

    Per event: `target` (targets,), one more than the level of each target edge, 0 for one that is
    not proposed; `other` (1024, 3), numbers of other edges by level: consecutive hits of particles
    that are not selected, other pairs of one particle, false. Raises ValueError for a prediction
    that is condensed already.
    """
    for number, prediction in enumerate(predictions):
        if is_condensed(prediction):
            raise ValueError(
                f"event {number}: levels of target edges are no prediction; return 'edges' (m, 2) "
                "and 'scores' (m,)"
            )
    return [condensed(truth, p) for truth, p in zip(targets, predictions, strict=True)]


def is_condensed(prediction: Prediction) -> bool:
    """Whether `condense` made it."""
    return set(prediction) == set(SHORT)


def condensed(truth: EventTruth, prediction: Prediction) -> Prediction:
    """One event of `condense`."""
    edges, levels = prediction["edges"].astype(np.int64), prediction["levels"].astype(np.int64)
    key, wanted = (edge_keys(e, len(truth)) for e in (edges, target_edges(truth)))
    order = np.argsort(key)
    place = np.searchsorted(key[order], wanted).clip(max=max(len(key) - 1, 0))
    found = key[order][place] == wanted if len(key) else np.zeros(len(wanted), dtype=bool)
    target = np.where(found, levels[order][place] + 1 if len(key) else 0, 0)
    kind = classes(truth, edges)
    rest = kind != CLASSES.index("target")
    other = np.bincount(levels[rest] * 3 + kind[rest] - 1, minlength=3 * LEVELS)
    return {"target": target.astype(np.uint16), "other": other.reshape(-1, 3).astype(np.int32)}


def classes(truth: EventTruth, edges: Integers) -> Integers:
    """Place in `CLASSES` of each edge (m, 2)."""
    one, two = truth.particle_id[edges].T
    same = (one == two) & (one != 0)
    chosen = np.isin(one, truth.particles[selected(truth)])
    sequential = edge_labels(truth, edges)
    return np.select([sequential & chosen, sequential, same], [0, 1, 2], 3)


@dataclass(frozen=True, eq=False)
class Built:
    """One event: what every metric needs.

    `short`: the condensed prediction. `counts` (1024, 4): edges by level and class. `wanted`:
    targets. `hits`: of the event.
    """

    short: Prediction
    counts: Integers
    wanted: int
    hits: int


def derive(targets: Targets, predictions: Sequence[Prediction | Built]) -> list[Built]:
    """Each event counted once, for all metrics; what is counted already passes as it is."""
    return [
        p if isinstance(p, Built) else _built(truth, p)
        for truth, p in zip(targets, predictions, strict=True)
    ]


def _built(truth: EventTruth, prediction: Prediction) -> Built:
    short = prediction if is_condensed(prediction) else condensed(truth, prediction)
    wanted = len(target_edges(truth))
    if len(short["target"]) != wanted:
        raise ValueError(
            f"levels of {len(short['target'])} target edges for an event that has {wanted}: made "
            "on other data"
        )
    proposed = short["target"].astype(np.int64) - 1
    mine = np.bincount(proposed[proposed >= 0], minlength=LEVELS)
    return Built(short, np.column_stack([mine, short["other"]]), wanted, len(truth))


def _kept(counts: Floats, wanted: Floats) -> tuple[Floats, Integers]:
    """Edges by class (b, 4) above the cut of 98 %, and its level (b,), from histograms (b, L, 4).

    Where all edges together hold fewer targets, none is cut.
    """
    above = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]  # edges at this level or higher
    enough = above[:, :, 0] >= EFFICIENCY * wanted[:, None]
    level = np.where(enough, np.arange(counts.shape[1]), 0).max(axis=1)
    return np.take_along_axis(above, level[:, None, None], axis=1)[:, 0], level


def _pooled(built: Sequence[Built]) -> tuple[Floats, int]:
    """Kept edges by class, (4,), and the level of the cut over all events."""
    total = np.sum([b.counts for b in built], axis=0, dtype=float)[None]
    kept, level = _kept(total, np.array([float(sum(b.wanted for b in built))]))
    return kept[0], int(level[0])


# name of the metric: (classes above, classes below); `wanted` and `hits` are of the events
RATIOS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "masked_purity": (("target",), ("target", "false")),
    "efficiency": (("target",), ("wanted",)),
    "target_purity": (("target",), CLASSES),
    "sequential_purity": (("target", "sequential"), CLASSES),
    "particle_purity": (("target", "sequential", "same"), CLASSES),
    "edges_per_hit": (CLASSES, ("hits",)),
}


def _share(name: str, kept: Floats, wanted: Any, hits: Any) -> Floats:
    """A ratio of `RATIOS` from kept edges (b, 4), NaN where there is nothing below."""
    known = dict(zip(CLASSES, kept.T, strict=True)) | {"wanted": wanted, "hits": hits}
    above, below = (sum(known[part] for part in side) for side in RATIOS[name])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.asarray(below) > 0, np.asarray(above) / below, math.nan)


def _value(name: str, targets: Targets, predictions: Any) -> float:
    built = derive(targets, predictions)
    kept, _ = _pooled(built)
    wanted, hits = np.array([[b.wanted, b.hits] for b in built], dtype=float).sum(axis=0)[:, None]
    return float(_share(name, kept[None], wanted, hits)[0])


def resampled(name: str) -> Callable[[Targets, Any, NDArray[Any]], Floats]:
    """The fast bootstrap: histograms weighted by how often each event was drawn, cut anew."""

    def replicates(targets: Targets, predictions: Any, drawn: NDArray[Any]) -> Floats:
        built = derive(targets, predictions)
        table = np.array([b.counts for b in built], dtype=float).reshape(len(built), -1)
        sums = np.array([[b.wanted, b.hits] for b in built], dtype=float)
        found = [np.zeros(0)]
        for first in range(0, len(drawn), CHUNK):
            weight = drawn[first : first + CHUNK].astype(float)
            wanted, hits = (weight @ sums).T
            kept, _ = _kept((weight @ table).reshape(len(weight), LEVELS, 4), wanted)
            found.append(_share(name, kept, wanted, hits))
        return np.concatenate(found)

    return replicates


def masked_purity(targets: Targets, predictions: Any) -> float:
    """Targets / (targets + false edges), cut where 98 % of all targets are kept."""
    return _value("masked_purity", targets, predictions)


def efficiency(targets: Targets, predictions: Any) -> float:
    """Targets that are kept / targets: 98 % and what a level's step adds, or all of them."""
    return _value("efficiency", targets, predictions)


def reach(targets: Targets, predictions: Any) -> float:
    """Targets among all proposed edges / targets: what a looser cut could give."""
    built = derive(targets, predictions)
    wanted = sum(b.wanted for b in built)
    return float(sum(b.counts[:, 0].sum() for b in built) / wanted) if wanted else math.nan


def resampled_reach(targets: Targets, predictions: Any, drawn: NDArray[Any]) -> Floats:
    """The fast bootstrap of `reach`."""
    built = derive(targets, predictions)
    table = [[b.counts[:, 0].sum(), b.wanted] for b in built]
    return bootstrap.ratio_of_sums(table, drawn)


def target_purity(targets: Targets, predictions: Any) -> float:
    """Targets / all kept edges."""
    return _value("target_purity", targets, predictions)


def sequential_purity(targets: Targets, predictions: Any) -> float:
    """Edges of consecutive hits of any particle / all kept edges."""
    return _value("sequential_purity", targets, predictions)


def particle_purity(targets: Targets, predictions: Any) -> float:
    """Edges of two hits of one particle / all kept edges."""
    return _value("particle_purity", targets, predictions)


def edges_per_hit(targets: Targets, predictions: Any) -> float:
    """Kept edges / hits, noise included: what the next stage has to carry."""
    return _value("edges_per_hit", targets, predictions)


def efficiency_slices(targets: Targets, predictions: Any) -> dict[str, float]:
    """Kept targets in bins of pT (GeV), |eta| and production radius (mm); empty bins are NaN."""
    counts = efficiency_counts(targets, predictions)
    return {name: hit / total if total else math.nan for name, (hit, total) in counts.items()}


def efficiency_counts(targets: Targets, predictions: Any) -> dict[str, tuple[int, int]]:
    """(Kept, all) targets by bin: `pt 0.9 to 1.5`, ..."""
    built = derive(targets, predictions)
    _, level = _pooled(built)
    hit = np.concatenate([np.zeros(0, dtype=bool), *(b.short["target"] > level for b in built)])
    values = [_quantities(truth) for truth in targets]
    counts = {}
    for quantity, edges in BINS.items():
        pooled = np.concatenate([np.zeros(0), *(v[quantity] for v in values)])
        for low, high in itertools.pairwise(edges):
            inside = (pooled >= low) & (pooled < high)
            counts[f"{quantity} {low:g} to {high:g}"] = int(hit[inside].sum()), int(inside.sum())
    return counts


def _quantities(truth: EventTruth) -> dict[str, Floats]:
    """What the efficiency is binned in, of the particle of each target edge, (targets,) each."""
    mine = np.searchsorted(truth.particles, truth.particle_id[target_edges(truth)[:, 0]])
    unknown = np.full(len(truth.particles), math.nan)
    radius = truth.radius if truth.radius is not None else unknown
    return {"pt": truth.pt[mine], "|eta|": np.abs(truth.eta[mine]), "r0": radius[mine]}


def curve(targets: Targets, predictions: Any) -> tuple[Floats, Floats]:
    """Efficiency and masked purity at every cut, from tight to loose."""
    built = derive(targets, predictions)
    total = np.sum([b.counts for b in built], axis=0, dtype=float)
    above = np.cumsum(total[::-1], axis=0)
    wanted = np.full(len(above), float(sum(b.wanted for b in built)))
    shares = [_share(name, above, wanted, wanted) for name in ("efficiency", "masked_purity")]
    return shares[0], shares[1]
