"""Tracking metrics by hand-computed numbers and against slow twins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from physbench.datasets.hits import (
    EventTruth,
    edge_labels,
    selected,
    sequential_edges,
)
from physbench.datasets.hits._trackml_format import order_weights, scoring_weights
from physbench.tasks import Metric, Variant
from physbench.tasks.metrics import tracking as metrics
from physbench.tasks.tracking import TASK

# A = hits 1-5 (weight .12 each), B = 6-9 (.10 each), C = 10-12 (weight 0), noise = 13, 14.
PARTICLE = np.array([1] * 5 + [2] * 4 + [3] * 3 + [0] * 2)
WEIGHT = np.array([0.12] * 5 + [0.10] * 4 + [0.0] * 5)
TRACKS = {"T1": (1, 2, 3, 4), "T2": (5, 6, 7), "T3": (8, 9), "T4": (10, 11, 12), "T5": (13, 14)}


def truth_of(particle: np.ndarray, weight: np.ndarray | None = None) -> EventTruth:
    """Truth with hits in order along each particle, one layer a hit, all particles at 1 GeV."""
    particles = np.unique(particle[particle != 0])
    order = np.arange(len(particle), dtype=float)
    ones = np.ones(len(particles))
    layer = np.arange(len(particle))
    equal = np.full(len(particle), 1 / max(len(particle), 1))
    return EventTruth(
        particle,
        equal if weight is None else weight,
        order,
        particles,
        ones,
        0 * ones,
        layer,
        layer,
    )


def labels_of(tracks: dict[str, tuple[int, ...]], hits: int = 14) -> np.ndarray:
    labels = np.full(hits, -1)
    for number, members in enumerate(tracks.values()):
        labels[np.array(members) - 1] = number
    return labels


def value(metric: Any, labels: np.ndarray, truth: EventTruth | None = None) -> float:
    known = truth_of(PARTICLE, WEIGHT) if truth is None else truth
    return float(metric([known], [{"labels": labels}]))


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (metrics.trackml_score, 0.48),
        (metrics.efficiency_perfect, 1 / 3),
        (metrics.efficiency_dm, 2 / 3),
        (metrics.lhc_per_cluster, 2 / 3),
        (metrics.efficiency_lhc, 2 / 3),
        (metrics.fake_dm, 1 / 3),
        (metrics.fake_all, 1 / 3),
        (metrics.fake_combinatorial, 0.0),
        (metrics.fragments, 1 / 3),
    ],
)
def test_worked_example(metric: Any, expected: float) -> None:
    assert value(metric, labels_of(TRACKS)) == pytest.approx(expected, abs=1e-12)


def test_trackml_score_of_truth_one_track_and_singletons() -> None:
    score = metrics.trackml_score
    weight = WEIGHT / WEIGHT.sum()
    truth = truth_of(PARTICLE, weight)
    assert value(score, PARTICLE, truth) == pytest.approx(1.0)
    assert value(score, np.zeros(14, dtype=int), truth) == 0.0
    assert value(score, np.arange(14), truth) == 0.0


def test_exactly_half_is_no_majority_and_ties_go_to_the_smaller_id() -> None:
    labels = labels_of({"tie": (1, 2, 6, 7)})
    truth = truth_of(PARTICLE, WEIGHT)
    found = metrics.match(truth, labels)
    assert found.majority.tolist() == [1]
    assert found.purity.tolist() == [0.5]
    assert value(metrics.efficiency_dm, labels) == 0.0


def test_duplicates_are_counted_by_purity_alone() -> None:
    """Two pure tracks of A, one of C: (3 - 2) / 3."""
    particle = np.array([1] * 7 + [3] * 3)
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    assert value(metrics.duplicate_rate, labels, truth_of(particle)) == pytest.approx(1 / 3)


def test_noise_combinations_are_fakes_only_in_fake_all() -> None:
    particle = np.array([1, 1, 1, 0, 0, 0])
    labels = np.array([0, 0, 0, 1, 1, 1])
    truth = truth_of(particle)
    assert value(metrics.fake_dm, labels, truth) == 0.0
    assert value(metrics.fake_all, labels, truth) == 0.5
    assert value(metrics.fake_combinatorial, labels, truth) == 0.5
    assert value(metrics.fragments, labels, truth) == 0.0


def test_combinatorial_tracks_and_fragments_are_told_apart() -> None:
    """{1, 1, 2, 2}: nobody has more than half. {3, 3, 2}: of 3, but 2 of its 5 hits."""
    particle = np.array([1, 1, 2, 2, 3, 3, 2, 3, 3, 3])
    labels = np.array([0, 0, 0, 0, 1, 1, 1, -1, -1, -1])
    truth = truth_of(particle)
    assert value(metrics.fake_combinatorial, labels, truth) == 0.5
    assert value(metrics.fragments, labels, truth) == 0.5
    assert value(metrics.fake_all, labels, truth) == 1.0


def test_efficiency_is_binned_in_radius_and_density() -> None:
    """Three particles of four hits, the second and third 0.05 apart in phi; the third is lost."""
    particle, layer = np.repeat([1, 2, 3], 4), np.tile([1, 2, 3, 4], 3)
    truth = EventTruth(
        particle,
        np.ones(12),
        layer * 1.0,
        np.array([1, 2, 3]),
        np.full(3, 2.0),
        np.zeros(3),
        layer,
        layer,
        radius=np.array([0.5, 5.0, 50.0]),
        phi=np.array([0.0, 3.14, -3.10]),
    )
    labels = np.where(particle == 3, -1, particle)
    slices = metrics.efficiency_slices([truth], [{"labels": labels}])
    assert slices["radius 0.0 to 1.0"] == slices["radius 1.0 to 10.0"] == 1.0
    assert slices["radius 30.0 to 100.0"] == 0.0
    assert math.isnan(slices["radius 300.0 to inf"])
    assert slices["density 0.0 to 1.0"] == 1.0
    assert slices["density 1.0 to 2.0"] == 0.5


def test_selection_is_by_pt_eta_and_layers() -> None:
    particle = np.repeat([1, 2, 3, 4, 5], 3)
    layer = np.tile([0, 1, 2], 5)
    layer[-3:] = [0, 0, 1]  # three hits on two layers
    pt = np.array([0.9, 0.91, 2.0, np.nan, 2.0])
    eta = np.array([0.0, 3.99, -4.0, np.nan, 0.0])
    truth = EventTruth(
        particle, particle * 0.0, layer * 1.0, np.arange(1, 6), pt, eta, layer, layer
    )
    assert selected(truth).tolist() == [False, True, False, True, False]


def test_undefined_ratios_are_nan() -> None:
    empty = truth_of(np.zeros(0, dtype=np.int64))
    nothing = np.zeros(0, dtype=np.int64)
    for metric in (metrics.efficiency_dm, metrics.fake_all, metrics.duplicate_rate):
        assert math.isnan(value(metric, nothing, empty))
    noise = truth_of(np.zeros(3, dtype=np.int64), np.zeros(3))
    assert math.isnan(value(metrics.trackml_score, np.zeros(3, dtype=int), noise))
    assert math.isnan(metrics.edge_auc([noise], [{"labels": nothing}]))


def slow_match(particle: np.ndarray, labels: np.ndarray) -> list[tuple[int, int, int, int]]:
    """(size, shared, majority, hits of the majority) of each track by loops over sets."""
    rows = []
    for label in sorted(set(labels[labels >= 0].tolist())):
        members = [i for i, k in enumerate(labels) if k == label]
        counts: dict[int, int] = {}
        for i in members:
            counts[int(particle[i])] = counts.get(int(particle[i]), 0) + 1
        best = min(counts, key=lambda p: (-counts[p], p))
        rows.append((len(members), counts[best], best, int((particle == best).sum())))
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_fast_matching_equals_the_slow_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    particle = generator.integers(0, 8, 60) * (generator.random(60) > 0.2)
    labels = generator.integers(-1, 12, 60)
    found = metrics.match(truth_of(particle), labels)
    fast = list(zip(found.size, found.shared, found.majority, found.total, strict=True))
    assert [tuple(map(int, row)) for row in fast] == slow_match(particle, labels)


def random_event(seed: int) -> tuple[EventTruth, np.ndarray]:
    """Thirty particles of all kinds in few layers, noise, and labels that are partly right."""
    generator = np.random.default_rng(seed)
    particle = generator.integers(0, 31, 220) * 2**40
    ids = np.unique(particle[particle != 0])
    pt, eta = generator.uniform(0.5, 2.0, len(ids)), generator.uniform(-5.0, 5.0, len(ids))
    layer = generator.integers(0, 5, 220) + 800
    truth = EventTruth(particle, np.ones(220), np.arange(220.0), ids, pt, eta, layer, layer)
    guess = generator.integers(-1, 40, 220)
    return truth, np.where(generator.random(220) < 0.75, particle // 2**40, guess)


def slow_metrics(truth: EventTruth, labels: np.ndarray) -> dict[str, float]:
    """All track metrics from their definitions, with sets."""
    hits_of = {int(p): set(np.flatnonzero(truth.particle_id == p)) for p in truth.particles}
    chosen = {
        int(p)
        for p, pt, eta in zip(truth.particles, truth.pt, truth.eta, strict=True)
        if pt > 0.9 and abs(eta) < 4 and len({truth.layer[i] for i in hits_of[int(p)]}) >= 3
    }
    rows = [row for row in slow_match(truth.particle_id, labels) if row[0] >= 3]
    double = [r for r in rows if r[1] > r[0] / 2 and r[1] > r[3] / 2 and r[2] != 0]
    lhc = [r for r in rows if r[1] > 0.75 * r[0]]
    perfect = [r for r in rows if r[0] == r[1] == r[3]]
    clean = [r for r in rows if r[2] in chosen]
    pure = [r for r in rows if r[1] > r[0] / 2 and r[2] != 0]

    def share(good: list[tuple[int, int, int, int]]) -> float:
        return len({r[2] for r in good} & chosen) / len(chosen)

    return {
        "efficiency_dm": share(double),
        "efficiency_lhc": share(lhc),
        "efficiency_perfect": share(perfect),
        "lhc_per_cluster": len([r for r in clean if r in lhc]) / len(clean),
        "fake_dm": 1 - len([r for r in clean if r in double]) / len(clean),
        "fake_all": 1 - len(double) / len(rows),
        "duplicate_rate": (len(pure) - len({r[2] for r in pure})) / len(pure),
    }


@pytest.mark.parametrize("seed", range(20))
def test_track_metrics_equal_their_slow_twins(seed: int) -> None:
    truth, labels = random_event(seed)
    for name, expected in slow_metrics(truth, labels).items():
        assert value(getattr(metrics, name), labels, truth) == pytest.approx(expected), name


def test_counts_are_pooled_over_events() -> None:
    """One of two particles in one event, three of three in the other: 4 / 5, not 3 / 4."""
    first, second = np.repeat([1, 2], 3), np.repeat([1, 2, 3], 3)
    targets = [truth_of(first), truth_of(second)]
    guesses = [{"labels": np.array([0, 0, 0, -1, -1, -1])}, {"labels": second}]
    assert metrics.efficiency_dm(targets, guesses) == 4 / 5


def test_another_guess_for_the_same_event_is_matched_anew() -> None:
    truth = truth_of(PARTICLE, WEIGHT)
    right, wrong = PARTICLE.copy(), np.arange(14)
    values = [value(metrics.efficiency_dm, labels, truth) for labels in (right, wrong, right)]
    assert values == [1.0, 0.0, 1.0]


def test_labels_and_truth_that_change_in_place_never_give_the_old_score() -> None:
    truth, labels = random_event(3)
    own = truth.particle_id.copy()
    assert value(metrics.efficiency_dm, own, truth) == 1.0
    own[:] = 0
    assert value(metrics.efficiency_dm, own, truth) < 1.0
    before = value(metrics.efficiency_dm, labels, truth)
    truth.particle_id[:] = labels + 1
    assert value(metrics.efficiency_dm, labels, truth) != before


def reference_score(particle: np.ndarray, weight: np.ndarray, labels: np.ndarray) -> float:
    """The challenge's definition, track by track; hits without a track are one junk track."""
    total = 0.0
    for label in set(labels.tolist()):
        inside = labels == label
        ids, counts = np.unique(particle[inside], return_counts=True)
        best = ids[np.argmax(counts)]
        shared = counts.max()
        if 2 * shared > inside.sum() and 2 * shared > (particle == best).sum():
            total += weight[inside & (particle == best)].sum()
    return float(total)


@pytest.mark.parametrize("seed", range(10))
def test_trackml_score_equals_its_slow_twin(seed: int) -> None:
    generator = np.random.default_rng(seed)
    particle = np.repeat(np.arange(40), 7)
    labels = np.where(generator.random(280) < 0.8, particle, generator.integers(0, 40, 280))
    weight = generator.random(280) * (particle > 0)
    weight /= weight.sum()
    truth = truth_of(particle, weight)
    assert value(metrics.trackml_score, labels, truth) == pytest.approx(
        reference_score(particle, weight, labels)
    )


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        (3, [0, 0, 0]),
        (4, [0.4110, 0.2192, 0.1233, 0.2466]),
        (5, [0.3571, 0.2143, 0.1071, 0.1071, 0.2143]),
        (9, [0.2041, 0.1633, 0.1224, 0.1020, 0.0612, 0.0612, 0.0612, 0.1020, 0.1224]),
    ],
)
def test_order_weights(hits: int, expected: list[float]) -> None:
    assert order_weights(hits) == pytest.approx(expected, abs=5e-5)


def test_order_weights_are_capped_at_twenty_hits() -> None:
    weights = order_weights(25)
    assert weights[20:].tolist() == [0.0] * 5
    assert weights.sum() == pytest.approx(1.0)


def test_scoring_weights_of_two_particles() -> None:
    particle = np.array([1] * 4 + [2] * 4 + [0])
    path = np.array([1.0, 2, 3, 4, 4, 3, 2, 1, 0])
    weights = scoring_weights(particle, path, {1: 3.0, 2: 0.5})
    assert weights[:4].sum() == pytest.approx(0.8333, abs=5e-5)
    assert weights[0] == pytest.approx(0.3425, abs=5e-5)
    # The second particle's hits come in reverse order.
    assert weights[7] == pytest.approx(0.4110 / 6, abs=5e-5)
    assert weights[8] == 0.0


def test_edge_metrics_worked_example() -> None:
    """Four true edges in a graph of six; the truth graph has six edges."""
    particle = np.array([1] * 7 + [0] * 3)
    truth = truth_of(particle)
    edges = np.array([[0, 1], [1, 2], [2, 3], [3, 7], [3, 4], [4, 8]])
    scores = np.array([0.9, 0.8, 0.6, 0.7, 0.4, 0.2])
    prediction = [{"labels": np.zeros(10, dtype=int), "edges": edges, "scores": scores}]
    assert edge_labels(truth, edges).tolist() == [True, True, True, False, True, False]
    assert metrics.edge_efficiency([truth], prediction) == 3 / 4
    assert metrics.edge_purity([truth], prediction) == 3 / 4
    assert metrics.edge_auc([truth], prediction) == 0.75
    assert metrics.graph_construction_efficiency([truth], prediction) == 4 / 6
    assert metrics.graph_construction_purity([truth], prediction) == 4 / 6
    assert metrics.end_to_end_edge_efficiency([truth], prediction) == 3 / 6


def test_auc_equals_counting_pairs() -> None:
    generator = np.random.default_rng(0)
    labels = generator.random(80) < 0.4
    scores = generator.integers(0, 10, 80) / 10
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels] for b in scores[~labels]]
    assert metrics.auc(labels, scores) == pytest.approx(np.mean(pairs))


def test_sequential_truth_joins_all_pairs_across_a_module_and_none_inside() -> None:
    particle = np.array([5, 5, 5, 5, 0])
    layer = np.array([0, 1, 1, 1, 2])
    module = np.array([0, 1, 1, 2, 3])  # two hits on module 1; module 2 overlaps it
    path = np.array([1.0, 2.0, 2.1, 3.0, 0.0])
    truth = EventTruth(particle, path, path, np.array([5]), np.ones(1), np.ones(1), layer, module)
    found = {tuple(edge) for edge in sequential_edges(truth).tolist()}
    assert found == {(0, 1), (0, 2), (1, 3), (2, 3)}


def test_slices_cover_all_selected_particles_and_intervals_are_binomial() -> None:
    truth = truth_of(PARTICLE, WEIGHT)
    counts = metrics.efficiency_counts([truth], [{"labels": labels_of(TRACKS)}])
    assert counts["pt 0.9 to 1.2"] == (2, 3)
    assert sum(total for name, (_, total) in counts.items() if name.startswith("eta")) == 3
    slices = metrics.efficiency_slices([truth], [{"labels": labels_of(TRACKS)}])
    assert math.isnan(slices["pt 5.0 to 10.0"])
    assert metrics.clopper_pearson(0, 10, 0.95)[0] == 0.0
    assert metrics.clopper_pearson(0, 10, 0.95)[1] == pytest.approx(0.3085, abs=1e-4)
    assert math.isnan(metrics.clopper_pearson(0, 0)[0])


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="got 3 for 14 hits"):
        value(metrics.efficiency_dm, np.zeros(3, dtype=int))


@pytest.mark.parametrize(
    "metric", [m for m in TASK.metrics if m.replicates is not None], ids=lambda m: m.name
)
def test_fast_bootstraps_are_the_slow_ones(metric: Metric) -> None:
    """Sums over events weighted by how often each was drawn, and events drawn one by one."""
    random = np.random.default_rng(4)
    targets, predictions = [], []
    for share in (0.0, 0.03, 0.3, 0.5, 0.8):
        particle = random.integers(0, 6, 60)
        targets.append(truth_of(particle, np.where(particle > 0, 1 / 60, 0.0)))
        wrong = random.random(60) < share
        noise = np.where(wrong, random.integers(0, 8, 60), particle)
        if share == 0.3:  # a particle in two tracks
            noise[np.flatnonzero(particle == 1)[::2]] = 20
        predictions.append({"labels": noise - 1})
    derived = metrics.derive(targets, predictions)
    draws = [random.integers(0, 5, 5) for _ in range(20)]
    counts = np.array([np.bincount(d, minlength=5) for d in draws])
    assert metric.replicates is not None
    slow = [metric.function([targets[i] for i in d], [predictions[i] for i in d]) for d in draws]
    assert metric.replicates(targets, derived, counts) == pytest.approx(slow, nan_ok=True)
    assert np.ptp(slow) > 0


def test_a_study_is_drawn_from_its_variants() -> None:
    truth = truth_of(PARTICLE)
    found = [{"labels": truth.particle_id}]
    values = {metric.name: metric.function([truth], found) for metric in TASK.metrics[:6]}
    variants = {name: Variant([truth], found, values, ()) for name in TASK.study}
    for draw in TASK.study_figures.values():
        assert all(axes.has_data() and axes.get_xlabel() for axes in draw(variants).axes)
    few = {name: variants[name] for name in ("as ranked", "20 pile-up")}
    assert len(TASK.study_figures["Parts and learning curves"](few).axes) == 4
    with pytest.raises(KeyError):
        TASK.study_figures["Parts against production radius"]({})
