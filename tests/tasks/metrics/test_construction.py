"""Scores of graphs: numbers by hand, a slow twin, and what is kept of predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from physbench.datasets.hits import Event, EventTruth, selected, sequential_edges
from physbench.tasks import track_graphs
from physbench.tasks.metrics import construction

#                     0  1  2  3  4  5  6  7  8
PARTICLE = np.array([7, 7, 7, 7, 9, 9, 9, 0, 0])
LAYER = np.array([1, 2, 3, 4, 1, 2, 3, 1, 2])


def truth(particle: Any = PARTICLE, layer: Any = LAYER, pt: Any = (2.0, 0.5)) -> EventTruth:
    n, ids = len(particle), np.unique(particle[particle > 0])
    return EventTruth(
        particle,
        np.ones(n),
        np.arange(n) * 1.0,
        ids,
        np.array(pt[: len(ids)]),
        np.linspace(0.5, 3.5, len(ids)),
        layer,
        layer,
        radius=np.linspace(0.0, 20.0, len(ids)),
    )


def event(n: int = len(PARTICLE)) -> Event:
    return Event("e", np.arange(n) + 1, *np.ones((3, n)), *np.ones((3, n), dtype=np.int64))


def prepared(edges: Any, scores: Any = None) -> Any:
    given = {"edges": edges} | ({} if scores is None else {"scores": scores})
    return track_graphs.prepare([event()], [given])


# Wanted: 0-1, 1-2, 2-3 (9 is soft). Masked: 4-5 (soft), 0-2 (skips). False: 0-7, 7-8, 3-4.
EDGES = [[0, 1], [2, 1], [2, 3], [4, 5], [0, 2], [0, 7], [7, 8], [3, 4]]


def values(predictions: Any, targets: Any = None) -> dict[str, float]:
    targets = targets or [truth()]
    names = [*construction.RATIOS, "reach"]
    return {name: getattr(construction, name)(targets, predictions) for name in names}


def test_shares_by_hand() -> None:
    assert values(prepared(EDGES)) == pytest.approx(
        {
            "masked_purity": 3 / 6,
            "efficiency": 1,
            "target_purity": 3 / 8,
            "sequential_purity": 4 / 8,
            "particle_purity": 5 / 8,
            "edges_per_hit": 8 / 9,
            "reach": 1,
        }
    )


def test_the_cut_keeps_98_percent_and_no_more() -> None:
    scores = [0.9, 0.8, 0.5, 0.6, 0.1, 0.7, 0.4, 0.3]  # the last wanted edge has 0.5
    found = values(prepared(EDGES, scores))
    assert found["masked_purity"] == 3 / 4  # 0-7 stays with it, 7-8 and 3-4 go
    assert found["particle_purity"] == 4 / 5
    assert found["efficiency"] == found["reach"] == 1


def test_a_graph_that_lacks_edges_is_not_cut_and_not_ranked() -> None:
    found = values(prepared(EDGES[1:], np.linspace(1, 0, 7)))
    assert found["efficiency"] == found["reach"] == pytest.approx(2 / 3)
    assert found["masked_purity"] == 2 / 5
    assert track_graphs.admit(found) == "holds 66.7% of the wanted edges, 98% are asked"
    assert track_graphs.admit({"reach": 0.98}) is None


def test_slices_by_hand() -> None:
    counts = construction.efficiency_counts([truth()], prepared(EDGES[1:]))
    assert counts["pt 1.5 to 3"] == counts["r0 0 to 1"] == counts["|eta| 0 to 1"] == (2, 3)
    assert counts["pt 3 to inf"] == (0, 0)
    assert math.isnan(construction.efficiency_slices([truth()], prepared(EDGES))["pt 3 to inf"])


def test_nothing_proposed_is_zero_and_undefined() -> None:
    found = values(prepared(np.zeros((0, 2), dtype=int)))
    assert found["efficiency"] == found["reach"] == found["edges_per_hit"] == 0
    assert math.isnan(found["masked_purity"])


def test_events_without_wanted_edges_or_hits_are_undefined() -> None:
    soft = truth(pt=(0.5, 0.5))
    assert math.isnan(construction.efficiency([soft], prepared(EDGES)))
    none = np.zeros(0, dtype=np.int64)
    empty = track_graphs.prepare([event(0)], [np.zeros((0, 2), dtype=int)])
    assert math.isnan(values(empty, [truth(none, none)])["edges_per_hit"])


def random_case(seed: int, n: int = 40) -> tuple[EventTruth, Event, Any]:
    draw = np.random.default_rng(seed)
    own = truth(draw.integers(0, 6, n), draw.integers(1, 7, n), draw.uniform(0.5, 3, 6))
    low, high = np.triu_indices(n, 1)
    chosen = draw.random(len(low)) < 0.6
    wanted = {tuple(sorted(e)) for e in sequential_edges(own).tolist()}
    good = [(a, b) in wanted for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    chosen |= np.array(good)
    edges = np.stack([low, high], axis=1)[chosen]
    scores = np.round(draw.random(len(edges)) * 0.6 + 0.4 * np.array(good)[chosen], 2)
    return own, event(n), {"edges": edges, "scores": scores}


def slow(targets: list[EventTruth], predictions: list[Any]) -> dict[str, float]:
    """The definitions word by word: every cut is tried, with sets and loops."""
    pools: list[tuple[float, str]] = []
    wanted = 0
    for own, p in zip(targets, predictions, strict=True):
        good = set(own.particles[selected(own)].tolist())
        pairs = {tuple(sorted(e)) for e in sequential_edges(own).tolist()}
        wanted += sum(own.particle_id[a] in good for a, _ in pairs)
        for (a, b), score in zip(p["edges"].tolist(), p["scores"].tolist(), strict=True):
            same = own.particle_id[a] == own.particle_id[b] != 0
            kind = "masked" if same else "false"
            if (a, b) in pairs:
                kind = "target" if own.particle_id[a] in good else "sequential"
            pools.append((score, kind))
    for cut in sorted({score for score, _ in pools}, reverse=True):
        kept = [kind for score, kind in pools if score >= cut]
        if kept.count("target") >= 0.98 * wanted:
            break
    count = {kind: kept.count(kind) for kind in ("target", "sequential", "masked", "false")}
    return {
        "masked_purity": count["target"] / (count["target"] + count["false"]),
        "efficiency": count["target"] / wanted,
        "target_purity": count["target"] / len(kept),
        "sequential_purity": (count["target"] + count["sequential"]) / len(kept),
        "particle_purity": 1 - count["false"] / len(kept),
        "edges_per_hit": len(kept) / sum(len(own) for own in targets),
    }


@pytest.mark.parametrize("seed", range(10))
def test_fast_counts_agree_with_slow_ones(seed: int) -> None:
    cases = [random_case(10 * seed + k) for k in range(3)]
    targets, events, given = (list(column) for column in zip(*cases, strict=True))
    found = values(track_graphs.prepare(events, given), targets)
    assert found.pop("reach") == 1
    assert found == pytest.approx(slow(targets, given))


def test_what_is_kept_scores_alike_and_is_no_prediction() -> None:
    targets, events, given = (list(c) for c in zip(*map(random_case, range(3)), strict=True))
    full = track_graphs.prepare(events, given)
    again = track_graphs.prepare(events, construction.condense(targets, full))
    assert construction.is_condensed(again[0])
    assert values(again, targets) == values(full, targets)
    slices = construction.efficiency_slices
    assert slices(targets, again) == pytest.approx(slices(targets, full), nan_ok=True)
    with pytest.raises(ValueError, match="levels of target edges are no prediction"):
        construction.condense(targets, again)
    with pytest.raises(ValueError, match="other data"):
        construction.derive([truth()] * 3, again)


def test_stored_edges_are_prepared_to_the_same() -> None:
    _, events, given = (list(c) for c in zip(*map(random_case, range(2)), strict=True))
    full = track_graphs.prepare(events, given)
    for one, other in zip(track_graphs.prepare(events, full), full, strict=True):
        for name in ("edges", "levels"):
            np.testing.assert_array_equal(one[name], other[name])


def test_only_the_order_of_scores_matters() -> None:
    own, one, given = random_case(5)
    squared = given | {"scores": given["scores"] ** 3 / 2}
    turned = given | {"edges": given["edges"][:, ::-1]}
    first = values(track_graphs.prepare([one], [given]), [own])
    assert values(track_graphs.prepare([one], [squared]), [own]) == first
    assert values(track_graphs.prepare([one], [turned]), [own]) == first


def test_fast_bootstrap_gives_the_digits_of_the_slow_one() -> None:
    cases = [random_case(seed) for seed in range(4)]
    targets, events, given = (list(column) for column in zip(*cases, strict=True))
    built = construction.derive(targets, track_graphs.prepare(events, given))
    drawn = np.random.default_rng(1).multinomial(4, [0.25] * 4, size=5)
    fast = {
        name: construction.resampled(name)(targets, built, drawn) for name in construction.RATIOS
    }
    fast["reach"] = construction.resampled_reach(targets, built, drawn)
    for row, counts in enumerate(drawn):
        units = np.repeat(np.arange(4), counts)
        again = values([built[u] for u in units], [targets[u] for u in units])
        assert again == pytest.approx({name: fast[name][row] for name in again})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0, 1], r"expected \(m, 2\)"),
        ([[0, 99]], "point to hit 99, the event has 9"),
        ([[0, 0]], "1 edges join a hit to itself"),
        ([[0, 1], [0, 1]], "1 edges are given twice or in both directions"),
        ([[0, 1], [1, 0]], "1 edges are given twice or in both directions"),
        ([[0, 0.5]], "whole numbers"),
        ({"labels": [0] * 9}, "a prediction has 'edges' and 'scores'"),
        ({"edges": EDGES, "scores": [0.5]}, "8 edges need as many scores"),
        ({"edges": [[0, 1]], "scores": [1.5]}, r"must lie in \[0, 1\]"),
        ({"edges": [[0, 1]], "levels": [5000]}, "levels must be 0 to 1023"),
    ],
)
def test_bad_predictions_are_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        track_graphs.prepare([event()], [given])


def test_nan_and_mixed_predictions_are_refused() -> None:
    with pytest.raises(FloatingPointError, match="NaN"):
        prepared([[0, 1]], [math.nan])
    with pytest.raises(ValueError, match="give all or none"):
        track_graphs.prepare([event()] * 2, [{"edges": EDGES}, {"edges": [[0, 1]], "scores": [1]}])
    with pytest.raises(ValueError, match="got 0 for 1 events"):
        track_graphs.prepare([event()], [])
