"""Seed finders: buckets, one bucket of everything, and events with next to nothing in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import benchmarks
from physbench.datasets import Split
from physbench.datasets.hits import Event, restrict
from physbench.models.hits import _acts_seeding as acts_seeding
from physbench.models.hits import _buckets as buckets
from physbench.models.hits import _triplets as triplets
from physbench.tasks import track_seeds

LIMITS = {"pt_min": 0.7, "outside": 0.003, "rare": 0.002, "keep": 1}


@pytest.fixture(scope="module")
def train() -> Split:
    """Three training events, a tenth of the azimuth."""
    whole = track_seeds.TASK.splits("generic_detector", events=3).train
    pairs = [
        restrict(e, t, np.abs(e.phi) < np.pi / 10)
        for e, t in zip(whole.inputs, whole.targets, strict=True)
    ]
    return Split([e for e, _ in pairs], [t for _, t in pairs], whole.ids)


def limits(train: Split) -> triplets.Limits:
    return triplets.learn(train.inputs, train.targets, **LIMITS)


def same(first: Any, second: Any) -> bool:
    return np.array_equal(
        np.unique(np.sort(first, 1), axis=0), np.unique(np.sort(second, 1), axis=0)
    )


def one_bucket(event: Event, search: str, distance: str) -> list[Any]:
    hashing = buckets.Hashing(distance, size=len(event), slices=1, search=search)
    return buckets.buckets(event, hashing)


@pytest.mark.parametrize("distance", ["dphi", "dR"])
@pytest.mark.parametrize("search", ["exact", "annoy"])
def test_one_bucket_of_everything_is_plain_seeding(
    search: str, distance: str, train: Split
) -> None:
    if search == "annoy":
        pytest.importorskip("annoy")
    event, found = train.inputs[0], limits(train)
    (bucket,) = one_bucket(event, search, distance)
    assert np.array_equal(bucket, np.arange(len(event)))
    plain = triplets.seeds(event, found)
    assert len(plain) > 20
    assert np.array_equal(triplets.seeds_in(event, [bucket], found)[0], plain)


def test_one_bucket_of_everything_is_plain_seeding_of_acts(train: Split) -> None:
    pytest.importorskip("acts")
    event, cuts = train.inputs[0], acts_seeding.cuts(1, wide=True)
    (bucket,) = one_bucket(event, "exact", "dR")
    everything = np.arange(len(event))
    plain, again = acts_seeding.seeds(event, [everything, bucket], cuts)
    assert len(plain) > 20
    assert np.array_equal(plain, again)
    (alone,) = acts_seeding.seeds(event, [everything], cuts)
    assert np.array_equal(plain, alone)


def test_buckets_hold_the_nearest_hits(train: Split) -> None:
    event = train.inputs[0]
    hashing = buckets.Hashing("dR", size=7, slices=0, search="exact")
    points = buckets.coordinates(event, "dR")
    asked = buckets.queries(event, discs=False)
    found = buckets.buckets(event, hashing)
    assert len(found) == len(asked) > 10
    for query, bucket in zip(asked.tolist(), found, strict=True):
        distance = np.linalg.norm(points - points[query], axis=1)
        assert query in bucket
        assert len(bucket) == 7
        assert distance[bucket].max() <= np.sort(distance)[6] + 1e-12


def test_super_buckets_are_unions_of_slices(train: Split) -> None:
    event = train.inputs[0]
    for axis in ("phi", "z"):
        whole = buckets.Hashing("dphi", 9, slices=5, axis=axis, search="exact")
        single = buckets.Hashing("dphi", 9, slices=0, search="exact")
        asked = buckets.queries(event, discs=False)
        label = buckets.slice_of(event, asked, whole)
        small = buckets.buckets(event, single)
        found = buckets.buckets(event, whole)
        for place, bucket in zip(np.unique(label), found, strict=True):
            union = set().union(*(small[k].tolist() for k in np.flatnonzero(label == place)))
            assert set(bucket.tolist()) == union


def test_discs_ask_for_the_forward_region(train: Split) -> None:
    event = train.inputs[0]
    more, few = buckets.queries(event, discs=True), buckets.queries(event, discs=False)
    extra = np.setdiff1d(more, few)
    assert len(extra)
    assert np.abs(event.z[extra]).min() > 550


def test_triplets_agree_with_all_pairs(train: Split) -> None:
    """A slow twin: every pair of pairs that meet in a hit."""
    event, found = train.inputs[0], limits(train)
    edges = triplets.graphs.build(event, found.windows)
    angle, bend, length = triplets.directions(event, edges)
    best: dict[int, tuple[float, tuple[int, ...]]] = {}
    for a, (i, j) in enumerate(edges.tolist()):
        for b in np.flatnonzero(edges[:, 0] == j).tolist():
            apart = abs(angle[a] - angle[b]) / found.angle
            bent = abs(bend[a] - bend[b]) / found.bend
            if min(length[a], length[b]) > 5 and max(apart, bent) < 1:
                best.setdefault(j, (np.inf, ()))
                best[j] = min(best[j], (apart + bent, (i, j, int(edges[b, 1]))))
    expected = np.array([seed for _, seed in best.values()])
    assert same(triplets.seeds(event, found), expected)


NAMES = (
    "learned_triplets",
    "hashed_seeding",
    "nearest_triplets",
    "acts_seeding",
    "embedded_seeding",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", ["nothing", "one hit", "one layer", "no first layer"])
def test_events_with_next_to_nothing_give_no_seeds(name: str, what: str, train: Split) -> None:
    if name in ("acts_seeding", "embedded_seeding"):
        pytest.importorskip("acts")
    model, event = benchmarks.model(name), train.inputs[0]
    layer = (event.volume_id == 8) & (event.layer_id == event.layer_id[event.volume_id == 8].max())
    keep = {
        "nothing": np.zeros(len(event), dtype=bool),
        "one hit": np.arange(len(event)) == 0,
        "one layer": layer,
        "no first layer": event.r > 40,
    }[what]
    part = triplets.part_of(event, np.flatnonzero(keep))
    fitted = model.fit(train, train, seed=0, **model.quick)
    answer = model.predict(fitted, [part])
    (found,) = track_seeds.prepare([part], answer)
    if what != "no first layer":
        assert len(found["seeds"]) == 0
    elif name in ("hashed_seeding", "embedded_seeding"):
        assert len(found["bucket_sizes"]) == 0  # nobody asks


def test_nothing_to_learn_from_says_so(train: Split) -> None:
    nothing = [triplets.part_of(e, np.zeros(0, dtype=np.int64)) for e in train.inputs]
    truths = [
        restrict(e, t, np.zeros(len(e), dtype=bool))[1]
        for e, t in zip(train.inputs, train.targets, strict=True)
    ]
    with pytest.raises(ValueError, match="no particle has hits on three layers"):
        triplets.learn(nothing, truths, **LIMITS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"distance": "deta"}, "distance must be one of dphi, dR"),
        ({"search": "faiss"}, "search must be one of annoy, exact"),
        ({"axis": "r"}, "axis must be one of phi, z"),
        ({"size": 0}, "size must be at least 1"),
        ({"finder": "gpu"}, "finder must be 'acts' or 'numpy'"),
        ({"per_middle": 0}, "per_middle must be at least 1"),
    ],
)
def test_unknown_settings_are_refused(
    settings: dict[str, Any], message: str, train: Split
) -> None:
    with pytest.raises(ValueError, match=message):
        benchmarks.model("hashed_seeding").fit(train, train, seed=0, **settings)
