"""Pixel hits of an event to seeds of three: where the search for tracks begins.

A model returns for each event an integer array (k, 3) of hit positions, or a mapping with `seeds`
and, where it searched in subsets of the hits, `bucket_hits` (the hits of all buckets one after the
other) and `bucket_sizes` (hits of each). The order of a seed's hits means nothing, and a seed that
is given twice counts once.

The inputs hold pixel hits alone, noise included. Selected particles: pT > 1 GeV, |eta| < 4, hits
on at least 3 pixel layers. Rank: the share of them with a seed of their hits alone, pooled over
events; rows of which less than 35 % of the seeds are of one particle are shown unranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import SPLITS, Dataset, Splits
from physbench.datasets.common import acts_chain
from physbench.datasets.common.arrays import distinct, whole
from physbench.datasets.hits import Event, generic_detector, generic_pixels, split_of
from physbench.tasks import FRACTION, POSITIVE, Field, Metric, Task
from physbench.tasks.metrics import seeding, seeding_figures

PURITY_MIN = 0.35
KNOWN = {"seeds", "bucket_hits", "bucket_sizes"}
COLUMNS = tuple(f"seeds_{k}" for k in range(3))


def load(dataset: Dataset, *, events: int = 100) -> Splits:
    """Splits of a dataset, restricted to the pixel volumes; the unit is the event.

    Test events of `generic_pixels` are its dense ones, 200 collisions at once; models learn at 60.
    `events`: at most so many of each split, the first ones. Raises ValueError for less than one.
    """
    if events < 1:
        raise ValueError(f"events must be at least 1; got {events}")
    parts, files = dataset.load()
    *learned, test = SPLITS
    names = (*learned, generic_pixels.DENSE if dataset is generic_pixels.DATASET else test)
    train, validation, test_split = (split_of(parts[name], events, pixels=True) for name in names)
    return Splits(train, validation, test_split, files)


def prepare(inputs: Sequence[Event], predictions: Any) -> list[Mapping[str, NDArray[Any]]]:
    """Check seeds and buckets; each seed sorted and once, in the smallest integer type.

    What `seeding.condense` made passes as it is. Raises ValueError for a wrong length, shape,
    type or position and FloatingPointError for NaN.
    """
    if len(predictions) != len(inputs):
        raise ValueError(f"predictions: got {len(predictions)} for {len(inputs)} events")
    found = [_prepared(event, p) for event, p in zip(inputs, predictions, strict=True)]
    if len({seeding.is_condensed(p) for p in found}) > 1:
        raise ValueError("predictions: some events are condensed, some are not")
    return found


def _prepared(event: Event, prediction: Any) -> Mapping[str, NDArray[Any]]:
    mapping = prediction if isinstance(prediction, Mapping) else {"seeds": prediction}
    if seeding.is_condensed(mapping):
        return {name: np.asarray(mapping[name]) for name in seeding.SHORT}
    if set(mapping) == set(COLUMNS):
        mapping = {"seeds": np.stack([np.asarray(mapping[name]) for name in COLUMNS], axis=1)}
    if "seeds" not in mapping or set(mapping) - KNOWN:
        raise ValueError(
            f"{event.name}: a prediction has 'seeds' and optionally 'bucket_hits' and "
            f"'bucket_sizes'; got {sorted(mapping)}"
        )
    if ("bucket_hits" in mapping) != ("bucket_sizes" in mapping):
        raise ValueError(f"{event.name}: 'bucket_hits' and 'bucket_sizes' belong together")
    small = np.uint16 if len(event) <= np.iinfo(np.uint16).max else np.int32
    hits, sizes = _buckets(event, mapping)
    return {
        "seeds": _seeds(event, mapping["seeds"]).astype(small),
        "bucket_hits": hits.astype(small),
        "bucket_sizes": sizes.astype(np.int32),
    }


def _seeds(event: Event, seeds: Any) -> NDArray[np.int64]:
    """(k, 3) sorted positions of three different hits, each set once."""
    what = f"{event.name}: seeds"
    array = np.asarray(seeds)
    if array.ndim != 2 or array.shape[1] != seeding.HITS:
        raise ValueError(
            f"{what} have shape {array.shape}, expected (k, 3): positions of three hits; "
            "(0, 3) for none"
        )
    array = np.sort(whole(seeds, what), axis=1)
    _check_positions(event, array, what)
    repeated = (array[:, 1:] == array[:, :-1]).any(axis=1)
    if repeated.any():
        first = array[np.argmax(repeated)].tolist()
        raise ValueError(
            f"{what}: {int(repeated.sum())} hold a hit twice, the first is {first}; a seed has "
            "three different hits"
        )
    return np.unique(array, axis=0)


def _check_positions(event: Event, array: NDArray[np.int64], what: str) -> None:
    if array.size and (array.min() < 0 or array.max() >= len(event)):
        wrong = array.min() if array.min() < 0 else array.max()
        raise ValueError(
            f"{what} point to hit {wrong}, the event has {len(event)} (positions from 0, not "
            "hit_id)"
        )


def _buckets(
    event: Event, mapping: Mapping[str, Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hits and sizes of buckets that fit together; each hit at most once in a bucket."""
    hits = whole(mapping.get("bucket_hits", ()), f"{event.name}: bucket_hits").ravel()
    sizes = whole(mapping.get("bucket_sizes", ()), f"{event.name}: bucket_sizes").ravel()
    _check_positions(event, hits, f"{event.name}: bucket_hits")
    if (len(sizes) and sizes.min() < 1) or sizes.sum() != len(hits):
        raise ValueError(
            f"{event.name}: bucket_sizes must be at least 1 and add up to the {len(hits)} "
            f"bucket_hits; they add up to {sizes.sum()}"
        )
    bucket = np.repeat(np.arange(len(sizes)), sizes)
    if len(distinct(bucket * len(event) + hits)) < len(hits):
        raise ValueError(f"{event.name}: a bucket holds a hit twice; give each hit once")
    return hits, sizes


def admit(values: Mapping[str, float]) -> str | None:
    """Rows with less than 35 % true seeds are not ranked: all triplets would find everything."""
    purity = values.get("seed_purity", 1.0)
    if purity < PURITY_MIN:
        return f"purity {purity:.1%} is below {PURITY_MIN:.0%}"
    return None


def _metric(function: Any, unit: str, best: Any, **more: Any) -> Metric:
    return Metric(function, unit, best, replicates=seeding.resampled(function.__name__), **more)


TASK = Task(
    summary="pixel hits of an event to seeds of three hits, ranked by particles with a true seed",
    reference=acts_chain.CITATION,
    inputs=Event,
    predicts=(
        Field("seeds", "(k, 3) an event", "int", "1", "positions of three hits, in any order"),
        Field("bucket_hits", "(total,) an event", "int", "1", "optional: hits of all buckets"),
        Field("bucket_sizes", "(buckets,) an event", "int", "1", "optional: hits of each bucket"),
    ),
    unit="event",
    datasets=(generic_pixels, generic_detector),
    load=load,
    prepare=prepare,
    condense=seeding.condense,
    derive=seeding.derive,
    admit=admit,
    metrics=(
        _metric(
            seeding.seed_efficiency,
            "1",
            "max",
            slices=seeding.efficiency_slices,
            bounds=FRACTION,
            label="efficiency",
        ),
        _metric(seeding.seed_purity, "1", "max", bounds=FRACTION, label="purity"),
        _metric(seeding.seeds_per_event, "1", "min", bounds=POSITIVE),
        _metric(seeding.redundancy, "1", "min", bounds=(1.0, np.inf)),
        _metric(seeding.duplication, "1", "min", bounds=FRACTION),
        _metric(seeding.bucket_efficiency, "1", "max", bounds=FRACTION),
        _metric(seeding.bucket_share, "1", "max", bounds=FRACTION),
        _metric(seeding.bucket_purity, "1", "max", bounds=FRACTION),
        _metric(seeding.bucket_size, "1", "min", bounds=POSITIVE),
        _metric(seeding.bucket_overlap, "1", "min", bounds=POSITIVE),
    ),
    figures={
        "efficiency against eta": seeding_figures.against_eta,
        "efficiency against radius": seeding_figures.against_radius,
        "efficiency against seeds": seeding_figures.against_seeds,
    },
    curves={"efficiency against seeds": 24},
)
