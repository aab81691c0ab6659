"""Graph and track building against slow twins and hand examples."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from physbench.datasets.hits import Event, EventTruth, edge_labels, sequential_edges
from physbench.models.hits import _graphs as graphs
from physbench.models.hits import _track_building as track_building


def helices(tracks: int, seed: int, noise: int = 10) -> tuple[Event, EventTruth]:
    """Helices from the beam line on five cylinders, and noise, around the whole azimuth."""
    generator = np.random.default_rng(seed)
    radii = np.array([32.0, 72.0, 116.0, 172.0, 260.0])
    k = generator.uniform(-2e-4, 2e-4, tracks)
    phi0 = generator.uniform(-np.pi, np.pi, tracks)
    slope, z0 = generator.uniform(-1, 1, tracks), generator.normal(0, 5, tracks)
    phi = (phi0[:, None] + np.arcsin(k[:, None] * radii)).ravel()
    z = (z0[:, None] + slope[:, None] * radii).ravel()
    r = np.tile(radii, tracks)
    particle = np.repeat(np.arange(1, tracks + 1), 5)
    layer = np.tile(np.arange(1, 6), tracks)
    extra = generator.integers(0, 5, noise)
    phi = np.append(phi, generator.uniform(-np.pi, np.pi, noise))
    r, layer = np.append(r, radii[extra]), np.append(layer, extra + 1)
    z = np.append(z, generator.uniform(-200, 200, noise))
    particle = np.append(particle, np.zeros(noise, dtype=int))
    n = len(r)
    event = Event(
        "event",
        np.arange(n),
        r * np.cos(phi),
        r * np.sin(phi),
        z,
        np.full(n, 8),
        2 * layer,
        np.zeros(n, dtype=int),
    )
    ids = np.arange(1, tracks + 1)
    path = np.hypot(r, z)
    truth = EventTruth(
        particle, np.full(n, 1 / n), path, ids, np.full(tracks, 2.0), slope, layer, np.arange(n)
    )
    return event, truth


def windows() -> graphs.Windows:
    events, truths = zip(*(helices(60, seed) for seed in range(4)), strict=True)
    return graphs.learn(events, truths, outside=0.0, rare=0.0)


def test_sorted_search_finds_what_all_pairs_find() -> None:
    event, _ = helices(25, 9)
    learned = windows()
    layer = graphs.layer_of(event)
    expected = set()
    for a, b in itertools.permutations(range(len(event)), 2):
        for k, pair in enumerate(learned.layers.tolist()):
            if [layer[a], layer[b]] == pair:
                slope, z0, dr = graphs.geometry(event, np.array([[a, b]]))
                limits = (learned.slope[k], learned.z0[k], learned.dr[k])
                values = (slope[0], z0[0], dr[0])
                if all(w[0] <= v <= w[1] for v, w in zip(values, limits, strict=True)):
                    near = event.r[a] ** 2 + event.z[a] ** 2 <= event.r[b] ** 2 + event.z[b] ** 2
                    expected.add((a, b) if near else (b, a))
    found = [tuple(edge) for edge in graphs.build(event, learned).tolist()]
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_learned_windows_keep_the_true_edges_of_new_events() -> None:
    learned = windows()
    kept = total = 0
    for seed in range(20, 25):
        event, truth = helices(60, seed)
        true = {frozenset(e) for e in sequential_edges(truth).tolist()}
        kept += len(true & {frozenset(e) for e in graphs.build(event, learned).tolist()})
        total += len(true)
    assert kept / total > 0.97


def test_azimuth_wraps() -> None:
    event, truth = helices(2000, 3, noise=0)
    edges = graphs.build(event, windows())
    crossing = np.abs(event.phi[edges[:, 0]] - event.phi[edges[:, 1]]) > np.pi
    assert edge_labels(truth, edges)[crossing].any()


def test_event_without_hits_or_edges_gives_an_empty_graph() -> None:
    none = np.zeros(0)
    empty = Event("empty", *(none.astype(int) if i in (0, 4, 5, 6) else none for i in range(7)))
    assert graphs.build(empty, windows()).shape == (0, 2)
    assert graphs.hand_features(empty, np.zeros((0, 2), dtype=int)).shape == (0, 14)
    assert track_building.best_in_out(0, np.zeros((0, 2), int), none, 0.5).shape == (0,)


def test_nothing_to_learn_is_an_error() -> None:
    event, truth = helices(0, 1)
    with pytest.raises(ValueError, match="no particle has hits on three layers"):
        graphs.learn([event], [truth])


def test_edge_features_by_hand() -> None:
    event = Event(
        "two",
        np.arange(2),
        np.array([100.0, 0.0]),
        np.array([0.0, 200.0]),
        np.array([0.0, 50.0]),
        np.full(2, 8),
        np.array([2, 4]),
        np.zeros(2, dtype=int),
    )
    edges = np.array([[0, 1]])
    expected = [0.1, 0.5, 0.05, np.hypot(np.arcsinh(0.25), np.pi / 2)]
    assert graphs.edge_features(event, edges)[0].tolist() == pytest.approx(expected)
    slope, z0, dr = graphs.geometry(event, edges)
    assert [slope[0], z0[0], dr[0]] == pytest.approx([np.pi / 200, -50.0, 100.0])
    assert graphs.node_features(event)[1].tolist() == pytest.approx([0.2, 0.5, 0.05])


# Two chains 0-1-2-3 and 4-5-6-7 with a weak wrong edge 1-6 and a wrong branch 1-5.
EDGES = np.array([[0, 1], [1, 2], [2, 3], [4, 5], [5, 6], [6, 7], [1, 6], [1, 5]])
SCORES = np.array([0.9, 0.8, 0.9, 0.9, 0.7, 0.9, 0.3, 0.6])


def tracks(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == k).tolist()) for k in set(labels[labels >= 0])}


def test_components_merge_where_best_in_out_does_not() -> None:
    merged = track_building.components(9, EDGES, SCORES, 0.5)
    assert tracks(merged) == {frozenset(range(8))}
    split = track_building.best_in_out(9, EDGES, SCORES, 0.1)
    assert tracks(split) == {frozenset(range(4)), frozenset(range(4, 8))}
    assert split[8] == -1


def test_walk_through_takes_the_longest_path_and_keeps_simple_chains() -> None:
    edges = np.concatenate([EDGES, [[9, 10], [10, 11]]])
    scores = np.append(SCORES, [0.9, 0.9])
    found = tracks(track_building.walk_through(12, edges, scores, 0.1))
    assert frozenset({9, 10, 11}) in found
    assert all(len(track) >= 3 for track in found)
    # From 0 the paths are 0-1-2-3 and, since 0.6 is not above `add`, no branch: two tracks.
    assert found >= {frozenset(range(4)), frozenset(range(4, 8))}


def slow_multicut(nodes: int, edges: np.ndarray, weight: np.ndarray) -> set[frozenset[int]]:
    """The pair of clusters with the largest sum of weights joins, again and again."""
    clusters = [frozenset({k}) for k in range(nodes)]
    while True:
        sums = {
            (a, b): sum(
                w
                for (i, j), w in zip(edges.tolist(), weight, strict=True)
                if (i in a and j in b) or (i in b and j in a)
            )
            for a, b in itertools.combinations(clusters, 2)
        }
        pair = max(sums, key=lambda key: sums[key], default=None)
        if pair is None or sums[pair] <= 0:
            return set(clusters)
        clusters = [c for c in clusters if c not in pair] + [pair[0] | pair[1]]


@pytest.mark.parametrize("seed", range(8))
def test_contraction_is_that_of_the_slow_twin(seed: int) -> None:
    generator = np.random.default_rng(seed)
    edges = np.array([p for p in itertools.combinations(range(9), 2) if generator.random() < 0.5])
    weight = generator.normal(0.3, 1.0, len(edges))
    cluster = track_building.contracted(9, edges, weight)
    found = {frozenset(np.flatnonzero(cluster == k).tolist()) for k in set(cluster.tolist())}
    assert found == slow_multicut(9, edges, weight)


def test_false_edges_hold_a_multicut_apart_where_components_merge() -> None:
    """Two triangles; one edge between them says yes with 0.9, two say no with 0.2 each.
    log-odds 2.2 - 1.39 - 1.39 < 0."""
    triangle = np.array([[0, 1], [1, 2], [0, 2]])
    edges = np.concatenate([triangle, triangle + 3, [[2, 3], [1, 4], [0, 5]]])
    scores = np.array([0.95] * 6 + [0.9, 0.2, 0.2])
    whole = track_building.components(6, edges, scores, 0.5)
    assert tracks(whole) == {frozenset(range(6))}
    parts = track_building.multicut(6, edges, scores, 0.5)
    assert tracks(parts) == {frozenset(range(3)), frozenset(range(3, 6))}
    assert tracks(track_building.multicut(6, edges, scores, 0.05)) == {frozenset(range(6))}


def test_short_tracks_are_dropped() -> None:
    for build in track_building.BUILDERS.values():
        labels = build(4, np.array([[0, 1]]), np.array([0.9]), 0.5)
        assert labels.tolist() == [-1] * 4


def test_unknown_builder_is_refused() -> None:
    with pytest.raises(ValueError, match="components, best_in_out, walk_through, multicut"):
        track_building.builder("kalman")


def test_weights_file_round_trip(tmp_path: Path) -> None:
    """Windows, cut and weights of the interaction network survive a file."""
    import torch

    from physbench.models.hits import _window_filter as window_filter
    from physbench.models.hits import interaction_network as model
    from physbench.models.hits._edge_pipeline import Choice, Pipeline

    torch.manual_seed(0)
    network = model.InteractionNetwork()
    scaled = model.Scaling("paper", np.zeros(4), np.full(4, 0.5))
    pair = window_filter.Union((windows(), windows()))
    builder = window_filter.Builder(pair, window_filter.Filter().eval(), -3.0)
    choice = Choice("components", 0.3, 4, 5, 0.25)
    pipeline = Pipeline(builder, model.score(network, scaled), choice)
    fitted = model.Fitted(network, {"width": 40, "edge": 4}, scaled, pipeline)
    model.save(fitted, tmp_path / "w")
    again = model.load(tmp_path / "w")
    event, _ = helices(30, 5)
    one, other = model.predict(fitted, [event])[0], model.predict(again, [event])[0]
    for key in one:
        np.testing.assert_array_equal(one[key], other[key])
