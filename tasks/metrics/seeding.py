"""Seeds of three pixel hits: how many particles get one, how clean, how often, at what price.

Notation per event: a seed is *true* when its three hits belong to one particle (the strict rule);
a particle is *found* when it has a true seed. Selected particles have pT > 1 GeV, |eta| < 4 and
hits on at least three pixel layers. Counts are pooled over events; an undefined ratio is NaN.

A bucket is a subset of an event's hits within which seeds are searched; buckets may overlap.

Predictions are sequences of mappings with `seeds` (k, 3), hit positions, `bucket_hits` (total,),
the hits of all buckets one after the other, and `bucket_sizes` (buckets,). `condense` turns each
into what the truth leaves of it: seeds of each particle, numbers of seeds and of hits of buckets.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.hits import Bools, EventTruth, Floats, Integers, selected
from physbench.tasks.metrics import bootstrap

Prediction = Mapping[str, NDArray[Any]]
Targets = Sequence[EventTruth]

PT_MIN = 1.0  # GeV
HITS = 3  # of a seed; a bucket with as many hits of a particle can give one
SHORT = ("true", "total", "bucket_sizes", "bucket_useful", "bucket_best")
BINS: Mapping[str, tuple[float, ...]] = {
    "|eta|": (0.0, 1.0, 2.0, 3.0, 4.0),
    "r0": (0.0, 1.0, 10.0, 30.0, math.inf),
    "pt": (1.0, 2.0, 5.0, math.inf),
}


def condense(targets: Targets, predictions: Sequence[Prediction]) -> list[Prediction]:
    """Each prediction as it is kept.

    Per event: `true` (particles,), true seeds of each particle; `total` (1,), seeds;
    `bucket_sizes` (buckets,), `bucket_useful` (buckets,), hits of particles with at least three
    hits in the bucket; `bucket_best` (particles,), most hits of the particle in one bucket, empty
    without buckets. Raises ValueError for a prediction that is condensed already.
    """
    for number, prediction in enumerate(predictions):
        if is_condensed(prediction):
            raise ValueError(
                f"event {number}: counts by particle are no prediction; return 'seeds' (k, 3)"
            )
    return [condensed(truth, p) for truth, p in zip(targets, predictions, strict=True)]


def is_condensed(prediction: Prediction) -> bool:
    """Whether `condense` made it."""
    return set(prediction) == set(SHORT)


def condensed(truth: EventTruth, prediction: Prediction) -> Prediction:
    """One event of `condense`."""
    owner = owners(truth)
    seeds = prediction["seeds"]
    mine = owner[seeds].reshape(-1, HITS)
    true = (mine[:, 0] == mine[:, 1]) & (mine[:, 1] == mine[:, 2]) & (mine[:, 0] >= 0)
    of_each = np.bincount(mine[true, 0], minlength=len(truth.particles))
    useful, best = _buckets(owner, prediction, len(truth.particles))
    return {
        "true": of_each.astype(np.uint16),
        "total": np.array([len(seeds)], dtype=np.int64),
        "bucket_sizes": prediction["bucket_sizes"].astype(np.int32),
        "bucket_useful": useful.astype(np.int32),
        "bucket_best": best.astype(np.uint16),
    }


def owners(truth: EventTruth) -> Integers:
    """Position of each hit's particle in `truth.particles`, -1 for noise; shape (hits,)."""
    place = np.searchsorted(truth.particles, truth.particle_id).clip(
        max=max(len(truth.particles) - 1, 0)
    )
    if not len(truth.particles):
        return np.full(len(truth), -1)
    return np.where(truth.particles[place] == truth.particle_id, place, -1)


def _buckets(owner: Integers, prediction: Prediction, particles: int) -> tuple[Integers, Integers]:
    """Useful hits of each bucket, and most hits of each particle in one bucket."""
    sizes = prediction["bucket_sizes"].astype(np.int64)
    if not len(sizes):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    bucket, mine = np.repeat(np.arange(len(sizes)), sizes), owner[prediction["bucket_hits"]]
    pairs, count = np.unique((bucket * particles + mine)[mine >= 0], return_counts=True)
    where, who = np.divmod(pairs, max(particles, 1))
    enough = np.where(count >= HITS, count, 0)
    useful = np.bincount(where, weights=enough, minlength=len(sizes)).astype(np.int64)
    best = np.zeros(particles, dtype=np.int64)
    np.maximum.at(best, who, count)
    return useful, best


@dataclass(frozen=True, eq=False)
class Seeded:
    """One event: what every metric needs.

    Attributes
    ----------
    short:
        The condensed prediction.
    chosen, hit:
        Selected particles, and those of all particles that have a true seed; (particles,).
    counts:
        What the metrics sum over events, by name.
    """

    short: Prediction
    chosen: Bools
    hit: Bools
    counts: Mapping[str, float]


def derive(targets: Targets, predictions: Sequence[Prediction | Seeded]) -> list[Seeded]:
    """Each event counted once, for all metrics; what is counted already passes as it is."""
    return [
        p if isinstance(p, Seeded) else _seeded(truth, p)
        for truth, p in zip(targets, predictions, strict=True)
    ]


def _seeded(truth: EventTruth, prediction: Prediction) -> Seeded:
    short = prediction if is_condensed(prediction) else condensed(truth, prediction)
    if len(short["true"]) != len(truth.particles):
        raise ValueError(
            f"counts of {len(short['true'])} particles for an event that has "
            f"{len(truth.particles)}: made on other data"
        )
    chosen, hit = selected(truth, PT_MIN), short["true"] > 0
    counts = {
        "events": 1,
        "hits": len(truth),
        "selected": int(chosen.sum()),
        "found_selected": int((chosen & hit).sum()),
        "found": int(hit.sum()),
        "seeds": int(short["total"][0]),
        "true": int(short["true"].sum(dtype=np.int64)),
    }
    return Seeded(short, chosen, hit, counts | _bucket_counts(truth, short, chosen))


def _bucket_counts(truth: EventTruth, short: Prediction, chosen: Bools) -> dict[str, float]:
    """Sums over buckets; all 0 without buckets, so that ratios are undefined."""
    sizes, best = short["bucket_sizes"], short["bucket_best"]
    if not len(sizes):
        names = ("buckets", "bucketed", "useful", "reachable", "share", "asked", "over")
        return dict.fromkeys(names, 0)
    own = owners(truth)
    total = np.bincount(own[own >= 0], minlength=len(truth.particles))
    return {
        "buckets": len(sizes),
        "bucketed": int(sizes.sum(dtype=np.int64)),
        "useful": int(short["bucket_useful"].sum(dtype=np.int64)),
        "reachable": int((best[chosen] >= HITS).sum()),
        "share": float((best[chosen] / total[chosen]).sum()),
        "asked": int(chosen.sum()),
        "over": len(truth),
    }


# name of the metric: (summed over events above, below, what is subtracted above)
RATIOS = {
    "seed_efficiency": ("found_selected", "selected", ""),
    "seed_purity": ("true", "seeds", ""),
    "redundancy": ("true", "found", ""),
    "duplication": ("true", "seeds", "found"),
    "seeds_per_event": ("seeds", "events", ""),
    "bucket_efficiency": ("reachable", "asked", ""),
    "bucket_share": ("share", "asked", ""),
    "bucket_purity": ("useful", "bucketed", ""),
    "bucket_size": ("bucketed", "buckets", ""),
    "bucket_overlap": ("bucketed", "over", ""),
}


def _pooled(name: str, targets: Targets, predictions: Any) -> float:
    above, below, minus = RATIOS[name]
    counts = [event.counts for event in derive(targets, predictions)]
    top = sum(c[above] - (c[minus] if minus else 0) for c in counts)
    return _ratio(top, sum(c[below] for c in counts))


def _ratio(above: float, below: float) -> float:
    return above / below if below else math.nan


def resampled(name: str) -> Callable[[Targets, Any, NDArray[Any]], Floats]:
    """The fast bootstrap of a metric: sums over events weighted by how often each was drawn."""
    above, below, minus = RATIOS[name]

    def replicates(targets: Targets, predictions: Any, drawn: NDArray[Any]) -> Floats:
        counts = [event.counts for event in derive(targets, predictions)]
        table = [[c[above] - (c[minus] if minus else 0), c[below]] for c in counts]
        return bootstrap.ratio_of_sums(table, drawn)

    return replicates


def seed_efficiency(targets: Targets, predictions: Any) -> float:
    """Selected particles with a true seed / selected particles (the strict rule of ACTS)."""
    return _pooled("seed_efficiency", targets, predictions)


def seed_purity(targets: Targets, predictions: Any) -> float:
    """True seeds, of whatever particle / seeds."""
    return _pooled("seed_purity", targets, predictions)


def redundancy(targets: Targets, predictions: Any) -> float:
    """True seeds / found particles: how often a particle that is found is found."""
    return _pooled("redundancy", targets, predictions)


def duplication(targets: Targets, predictions: Any) -> float:
    """(True seeds - found particles) / seeds: share of the seeds that say nothing new."""
    return _pooled("duplication", targets, predictions)


def seeds_per_event(targets: Targets, predictions: Any) -> float:
    """Different seeds an event: what a track finder has to follow."""
    return _pooled("seeds_per_event", targets, predictions)


def bucket_efficiency(targets: Targets, predictions: Any) -> float:
    """Selected particles with at least three hits in one bucket / selected particles."""
    return _pooled("bucket_efficiency", targets, predictions)


def bucket_share(targets: Targets, predictions: Any) -> float:
    """Largest share of a particle's hits in one bucket, mean over selected particles."""
    return _pooled("bucket_share", targets, predictions)


def bucket_purity(targets: Targets, predictions: Any) -> float:
    """Hits of particles with at least three hits in the bucket / hits, over all buckets."""
    return _pooled("bucket_purity", targets, predictions)


def bucket_size(targets: Targets, predictions: Any) -> float:
    """Mean hits of a bucket."""
    return _pooled("bucket_size", targets, predictions)


def bucket_overlap(targets: Targets, predictions: Any) -> float:
    """Mean number of buckets that a hit of the event is in."""
    return _pooled("bucket_overlap", targets, predictions)


def efficiency_slices(targets: Targets, predictions: Any) -> dict[str, float]:
    """Efficiency in bins of |eta|, production radius (mm) and pT (GeV); an empty bin is NaN."""
    counts = efficiency_counts(targets, predictions)
    return {name: _ratio(hit, total) for name, (hit, total) in counts.items()}


def efficiency_counts(targets: Targets, predictions: Any) -> dict[str, tuple[int, int]]:
    """(Found, all) selected particles by bin: `|eta| 0 to 1`, ..."""
    events = derive(targets, predictions)
    pairs = list(zip(targets, events, strict=True))
    hit = np.concatenate([np.zeros(0, dtype=bool), *(e.hit[e.chosen] for _, e in pairs)])
    counts = {}
    for quantity, edges in BINS.items():
        values = np.concatenate(
            [np.zeros(0), *(quantities(truth)[quantity][e.chosen] for truth, e in pairs)]
        )
        for low, high in itertools.pairwise(edges):
            inside = (values >= low) & (values < high)
            counts[f"{quantity} {low:g} to {high:g}"] = int(hit[inside].sum()), int(inside.sum())
    return counts


def quantities(truth: EventTruth) -> dict[str, Floats]:
    """What the efficiency is binned in, (particles,) each; NaN where the data do not know it."""
    unknown = np.full(len(truth.particles), math.nan)
    radius = truth.radius if truth.radius is not None else unknown
    return {"|eta|": np.abs(truth.eta), "r0": radius, "pt": truth.pt}
