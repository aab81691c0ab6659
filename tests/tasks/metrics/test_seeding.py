"""Scores of seeds: numbers by hand, a slow twin, and what is kept of predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from physbench.datasets.hits import Event, EventTruth, selected
from physbench.tasks import track_seeds
from physbench.tasks.metrics import seeding

#                     0  1  2  3  4  5  6  7  8  9
PARTICLE = np.array([7, 7, 7, 7, 9, 9, 9, 0, 3, 3])
LAYER = np.array([1, 2, 3, 4, 1, 2, 3, 1, 1, 2])


def truth(particle: Any = PARTICLE, layer: Any = LAYER, pt: Any = (5.0, 2.0, 1.5)) -> EventTruth:
    n = len(particle)
    ids = np.unique(particle[particle > 0])
    eta = np.linspace(0.5, 3.5, len(ids))
    return EventTruth(
        particle,
        np.full(n, 1 / n),
        np.arange(n) * 1.0,
        ids,
        np.array(pt[: len(ids)]),
        eta,
        layer,
        layer,
        radius=np.linspace(0.0, 20.0, len(ids)),
    )


def event(n: int = len(PARTICLE)) -> Event:
    angle = np.linspace(-3, 3, n)
    volume = np.full(n, 8)
    return Event(
        "e",
        np.arange(n) + 1,
        30 * np.cos(angle),
        30 * np.sin(angle),
        angle,
        volume,
        LAYER[:n],
        LAYER[:n],
    )


def prepared(seeds: Any, **buckets: Any) -> Any:
    return track_seeds.prepare([event()], [{"seeds": seeds, **buckets}])


# Three seeds of 7, one of 7 and noise, one of 9 and 3 and 7; 9 is not found.
SEEDS = [[0, 1, 2], [3, 1, 0], [1, 2, 3], [0, 1, 7], [4, 8, 0]]


def test_counts_by_hand() -> None:
    found = seeding.derive([truth()], prepared(SEEDS))
    score = {name: seeding._pooled(name, [truth()], found) for name in seeding.RATIOS}
    assert score["seed_efficiency"] == 1 / 2  # 7 of (7, 9); 3 has two hits
    assert score["seed_purity"] == 3 / 5
    assert score["redundancy"] == 3
    assert score["duplication"] == 2 / 5
    assert score["seeds_per_event"] == 5
    assert all(math.isnan(score[name]) for name in score if name.startswith("bucket"))


def test_buckets_by_hand() -> None:
    hits, sizes = [0, 1, 2, 7, 4, 5, 0, 1, 3], [6, 3]
    found = prepared(SEEDS, bucket_hits=hits, bucket_sizes=sizes)
    score = {n: seeding._pooled(n, [truth()], found) for n in seeding.RATIOS if "bucket" in n}
    assert score == pytest.approx(
        {
            "bucket_efficiency": 1 / 2,  # 7 has three hits in a bucket, 9 has two
            "bucket_share": (3 / 4 + 2 / 3) / 2,
            "bucket_purity": (3 + 3) / 9,
            "bucket_size": 4.5,
            "bucket_overlap": 0.9,
        }
    )


def test_slices_by_hand() -> None:
    counts = seeding.efficiency_counts([truth()], prepared(SEEDS))
    assert counts["|eta| 2 to 3"] == (1, 1)  # 7: eta 2, r0 10 mm, 2 GeV
    assert counts["|eta| 3 to 4"] == (0, 1)  # 9: eta 3.5, r0 20 mm, 1.5 GeV
    assert counts["r0 10 to 30"] == (1, 2)
    assert counts["pt 2 to 5"] == (1, 1)
    assert math.isnan(seeding.efficiency_slices([truth()], prepared(SEEDS))["pt 5 to inf"])


def random_case(seed: int) -> tuple[EventTruth, Any]:
    draw = np.random.default_rng(seed)
    n = 40
    own = truth(draw.integers(0, 9, n), draw.integers(1, 6, n), draw.uniform(0.5, 3, 9))
    seeds = np.array([draw.choice(n, 3, replace=False) for _ in range(60)])
    sizes = draw.integers(1, 20, 7)
    hits = np.concatenate([draw.choice(n, size, replace=False) for size in sizes])
    one = Event("e", np.arange(n) + 1, *np.ones((3, n)), *np.ones((3, n), dtype=np.int64))
    values = {"seeds": seeds, "bucket_hits": hits, "bucket_sizes": sizes}
    return own, track_seeds.prepare([one], [values])


def slow(own: EventTruth, prediction: Any) -> dict[str, float]:
    """The definitions word by word, with sets and loops."""
    hits = {p: set(np.flatnonzero(own.particle_id == p).tolist()) for p in own.particles.tolist()}
    wanted = own.particles[selected(own, 1.0)].tolist()
    seeds = {tuple(sorted(s)) for s in prediction["seeds"].tolist()}
    true = {p: [s for s in seeds if set(s) <= h] for p, h in hits.items()}
    found = [p for p in hits if true[p]]
    ends = np.cumsum(prediction["bucket_sizes"])
    buckets = [set(b.tolist()) for b in np.split(prediction["bucket_hits"], ends[:-1])]
    inside = {p: [len(h & b) for b in buckets] for p, h in hits.items()}
    good = sum(map(len, true.values()))
    size = sum(map(len, buckets))
    return {
        "seed_efficiency": len(set(found) & set(wanted)) / len(wanted),
        "seed_purity": good / len(seeds),
        "redundancy": good / len(found) if found else math.nan,
        "duplication": (good - len(found)) / len(seeds),
        "seeds_per_event": len(seeds),
        "bucket_efficiency": sum(max(inside[p]) >= 3 for p in wanted) / len(wanted),
        "bucket_share": sum(max(inside[p]) / len(hits[p]) for p in wanted) / len(wanted),
        "bucket_purity": sum(k for p in hits for k in inside[p] if k >= 3) / size,
        "bucket_size": size / len(buckets),
        "bucket_overlap": size / len(own),
    }


@pytest.mark.parametrize("seed", range(20))
def test_fast_counts_agree_with_slow_ones(seed: int) -> None:
    own, prediction = random_case(seed)
    found = {name: seeding._pooled(name, [own], prediction) for name in seeding.RATIOS}
    assert found == pytest.approx(slow(own, prediction[0]), nan_ok=True)


def test_what_is_kept_scores_alike_and_is_no_prediction() -> None:
    cases = [random_case(seed) for seed in range(3)]
    targets, full = [own for own, _ in cases], [p for _, (p,) in cases]
    kept = seeding.condense(targets, full)
    again = track_seeds.prepare([event()] * 3, kept)
    assert seeding.is_condensed(again[0])
    for name in seeding.RATIOS:
        value = seeding._pooled(name, targets, again)
        assert value == seeding._pooled(name, targets, full)
    assert seeding.efficiency_slices(targets, again) == seeding.efficiency_slices(targets, full)
    with pytest.raises(ValueError, match="counts by particle are no prediction"):
        seeding.condense(targets, again)
    with pytest.raises(ValueError, match="other data"):
        seeding.derive([truth()] * 3, again)


def test_fast_bootstrap_gives_the_digits_of_the_slow_one() -> None:
    cases = [random_case(seed) for seed in range(4)]
    targets = [own for own, _ in cases]
    events = seeding.derive(targets, [p for _, (p,) in cases])
    drawn = np.random.default_rng(1).multinomial(4, [0.25] * 4, size=6)
    for name in seeding.RATIOS:
        fast = seeding.resampled(name)(targets, events, drawn)
        for counts, value in zip(drawn, fast, strict=True):
            units = np.repeat(np.arange(4), counts)
            again = seeding._pooled(name, [targets[u] for u in units], [events[u] for u in units])
            assert value == pytest.approx(again, nan_ok=True)


def test_a_seed_given_twice_in_any_order_counts_once() -> None:
    assert len(prepared([[0, 1, 2], [2, 1, 0], [1, 0, 2]])[0]["seeds"]) == 1


def test_nothing_found_is_zero_and_undefined() -> None:
    empty = prepared(np.zeros((0, 3), dtype=int))
    assert seeding.seed_efficiency([truth()], empty) == 0
    assert math.isnan(seeding.seed_purity([truth()], empty))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seeds": [0, 1, 2]}, r"expected \(k, 3\)"),
        ({"seeds": [[0, 1, 99]]}, "point to hit 99, the event has 10"),
        ({"seeds": [[0, 0, 1]]}, "hold a hit twice"),
        ({"seeds": [[0, 1, 0.5]]}, "whole numbers"),
        ({"tracks": [[0, 1, 2]]}, "a prediction has 'seeds'"),
        ({"seeds": SEEDS, "bucket_hits": [1]}, "belong together"),
        ({"seeds": SEEDS, "bucket_hits": [1, 2], "bucket_sizes": [3]}, "add up to 3"),
        ({"seeds": SEEDS, "bucket_hits": [1, 1], "bucket_sizes": [2]}, "holds a hit twice"),
        ({"seeds": SEEDS, "bucket_hits": [-1], "bucket_sizes": [1]}, "point to hit -1"),
    ],
)
def test_bad_predictions_are_refused(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        track_seeds.prepare([event()], [values])


def test_nan_and_missing_events_are_refused() -> None:
    with pytest.raises(FloatingPointError, match="NaN"):
        prepared([[0.0, 1.0, math.nan]])
    with pytest.raises(ValueError, match="got 0 for 1 events"):
        track_seeds.prepare([event()], [])


def test_impure_rows_are_not_ranked() -> None:
    assert track_seeds.admit({"seed_purity": 0.34}) == "purity 34.0% is below 35%"
    assert track_seeds.admit({"seed_purity": 0.36}) is None
