"""Proposers of edges: what does not change them, what their parts give, and poor events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import benchmarks
from physbench.datasets import Split
from physbench.datasets.hits import Event, restrict
from physbench.models.hits import _edge_filter as edge_filter
from physbench.models.hits import _embedding as embedding
from physbench.models.hits import _graphs as graphs
from physbench.models.hits import _triplets as triplets
from physbench.models.hits import module_map
from physbench.tasks import track_graphs
from physbench.tasks.metrics import construction


@pytest.fixture(scope="module")
def train() -> Split:
    """Three training events, a tenth of the azimuth."""
    whole = track_graphs.TASK.splits("generic_detector", events=3).train
    pairs = [
        restrict(e, t, np.abs(e.phi) < np.pi / 10)
        for e, t in zip(whole.inputs, whole.targets, strict=True)
    ]
    return Split([e for e, _ in pairs], [t for _, t in pairs], whole.ids)


def turned(event: Event, angle: float, flip: float = 1.0, mirror: float = 1.0) -> Event:
    """Turned about the beam; with `flip` -1 reflected in azimuth, with `mirror` -1 along z."""
    phi = flip * event.phi + angle
    return replace(event, x=event.r * np.cos(phi), y=event.r * np.sin(phi), z=mirror * event.z)


@pytest.mark.parametrize("change", [(1.0, 1, 1), (0.0, -1, 1), (0.0, 1, -1)])
def test_features_do_not_change_under_symmetries(
    change: tuple[float, float, float], train: Split
) -> None:
    event = train.inputs[0]
    windows = graphs.learn(train.inputs, train.targets, pt_min=0.9, outside=0.01, rare=0.01)
    edges = graphs.build(event, windows)
    first = edge_filter.features(event, edges, context=True)
    again = edge_filter.features(turned(event, *change), edges, context=True)
    assert first.shape == (len(edges), edge_filter.PLAIN + edge_filter.CONTEXT)
    np.testing.assert_allclose(again, first, rtol=1e-3, atol=2e-4)


def test_neighbours_agree_with_all_pairs_of_edges(train: Split) -> None:
    event = train.inputs[0]
    windows = graphs.learn(train.inputs, train.targets, pt_min=0.9, outside=0.01, rare=0.01)
    edges = graphs.build(event, windows)[:400]
    found = edge_filter.features(event, edges, context=True)[:, edge_filter.PLAIN :]
    angle, bend, _ = triplets.directions(event, edges)
    for row, (i, j) in enumerate(edges.tolist()):
        for side, others in ((0, edges[:, 1] == i), (4, edges[:, 0] == j)):
            rest = np.flatnonzero(others)
            apart = np.abs(angle[rest] - angle[row]) / edge_filter.ANGLE
            cost = np.hypot(apart, (bend[rest] - bend[row]) / edge_filter.BEND)
            best = np.log(0.05 + (cost.min() if len(rest) else edge_filter.FAR))
            assert found[row, side] == pytest.approx(best, rel=1e-5)
            assert found[row, side + 3] == pytest.approx(np.log1p((cost < 1).sum()), abs=1e-6)


def test_pairs_of_one_particle_that_are_not_wanted_have_no_weight(train: Split) -> None:
    event, truth = train.inputs[0], train.targets[0]
    low, high = np.triu_indices(len(event), 1)
    edges = np.stack([low, high], axis=1)[:: max(len(low) // 20000, 1)]
    wanted = construction.target_edges(truth)
    edges = np.unique(np.concatenate([edges, np.sort(wanted, axis=1)]), axis=0)
    target, weight = edge_filter.labels(truth, edges)
    kind = construction.classes(truth, edges)
    assert np.array_equal(target == 1, kind == 0)
    assert np.array_equal(weight == 0, (kind == 1) | (kind == 2))


def test_neighbours_in_space_are_all_near_pairs() -> None:
    points = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    n = len(points)
    r = np.arange(n) + 1.0
    event = Event("e", np.arange(n), r, 0 * r, 0 * r, *np.ones((3, n), dtype=np.int64))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    edges, found = embedding.neighbours(event, points, "radius", 0.8)
    assert {tuple(e) for e in edges.tolist()} == {
        (i, j) for i in range(n) for j in range(i + 1, n) if distance[i, j] <= 0.8
    }
    np.testing.assert_allclose(found, distance[edges[:, 0], edges[:, 1]], rtol=1e-5)
    edges, _ = embedding.neighbours(event, points, "knn", 3)
    near = np.argsort(distance, axis=1)[:, 1:4]
    expected = {(min(i, j), max(i, j)) for i in range(n) for j in near[i].tolist()}
    assert {tuple(e) for e in edges.tolist()} == expected


@pytest.mark.parametrize("search", ["radius", "knn"])
def test_the_reach_holds_the_share_that_was_asked(search: str, train: Split) -> None:
    torch.manual_seed(0)
    network = embedding.Embedding(8, 1, 4).eval()
    pairs = list(zip(train.inputs, train.targets, strict=True))
    reach = embedding.reach_of(network, pairs, search, 0.6)
    answers = [
        embedding.neighbours(e, embedding.placed(network, e), search, reach)[0] for e, _ in pairs
    ]
    prepared = track_graphs.prepare(train.inputs, answers)
    found = construction.reach(train.targets, prepared)
    assert 0.6 <= found < (0.61 if search == "radius" else 1.0)


def test_rings_of_a_small_detector() -> None:
    """Two rings of four modules in a barrel at z = -30 and 30: one kind for equal pairs."""
    angles = np.arange(4) * np.pi / 2 + 0.3
    where = [(r, layer, z) for r, layer in ((50, 2), (100, 4)) for z in (-30, 30)]
    rows = [
        (r * np.cos(a), r * np.sin(a), z, layer, 100 * (z > 0) + k)
        for r, layer, z in where
        for k, a in enumerate(angles)
    ]
    x, y, z, layer, module = np.array(rows).T
    n = len(rows)
    event = Event("e", np.arange(n), x, y, z, np.full(n, 8), layer.astype(int), module.astype(int))
    rings = module_map.find_rings([event])
    assert len(rings.pitch) == 4
    assert rings.pitch == pytest.approx(np.pi / 2)
    # The same place, turned, mirrored in z; and a neighbour on either side.
    edges = np.array([[4, 12], [5, 13], [0, 8], [4, 13], [4, 15], [4, 8]])
    kind = module_map.kind_of(rings, event, edges)
    assert kind[0] == kind[1] == kind[2]
    assert kind[3] == kind[4] != kind[0]
    assert kind[5] not in kind[:5]
    strange = replace(event, module_id=event.module_id + 1000)
    assert (module_map.kind_of(rings, strange, edges) == -1).all()


NAMES = ("layer_windows", "filtered_windows", "module_map", "embedding_graph")


@pytest.mark.parametrize("name", NAMES)
def test_events_with_next_to_nothing_are_answered(name: str, train: Split) -> None:
    model = benchmarks.model(name)
    fitted = model.fit(train, train, seed=0, **model.quick)
    for hits in ([], [0], [0, 1]):
        part = triplets.part_of(train.inputs[0], np.array(hits, dtype=np.int64))
        (found,) = track_graphs.prepare([part], model.predict(fitted, [part]))
        assert len(found["edges"]) <= len(hits) // 2


def test_embedding_refuses_unknown_words(train: Split) -> None:
    fit: Any = benchmarks.model("embedding_graph").fit
    with pytest.raises(ValueError, match="search must be one of radius, knn; got 'ball'"):
        fit(train, train, seed=0, search="ball")
    with pytest.raises(ValueError, match="filter must be one of none, plain, context; got 'x'"):
        fit(train, train, seed=0, filter="x")
