"""The gated network's parts by hand: inputs and their mirrors, sectors, fits, choices, merging."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from physbench.datasets import Split
from physbench.datasets.hits import Event, EventTruth
from physbench.models import Context
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _gated as gated
from physbench.models.hits import _gated_inputs as inputs
from physbench.models.hits import _merging as merging
from physbench.models.hits import _track_fits as track_fits
from physbench.models.hits import _window_filter as window_filter

RADII = np.array([32.0, 72.0, 116.0, 172.0, 260.0, 360.0, 500.0, 660.0])


def event(tracks: int, seed: int) -> tuple[Event, EventTruth]:
    """Exact helices from the beam line on eight cylinders, pT from 0.4 to 4 GeV."""
    generator = np.random.default_rng(seed)
    pt = generator.uniform(0.4, 4.0, tracks)
    radius = pt / track_fits.BEND * generator.choice([-1, 1], tracks)
    phi0, cot = generator.uniform(-np.pi, np.pi, tracks), generator.uniform(-1, 1, tracks)
    turn = np.arcsin(RADII / (2 * radius[:, None]))
    phi = (phi0[:, None] + turn).ravel()
    z = (
        generator.normal(0, 5, tracks)[:, None] + cot[:, None] * 2 * radius[:, None] * turn
    ).ravel()
    r, layer = np.tile(RADII, tracks), np.tile(np.arange(1, 9), tracks)
    volume = np.where(layer <= 4, 8, 13)
    hits = len(r)
    found = Event(
        "event",
        np.arange(hits),
        r * np.cos(phi),
        r * np.sin(phi),
        z,
        volume,
        layer,
        np.arange(hits),
    )
    ids = np.arange(1, tracks + 1)
    particle = np.repeat(ids, 8)
    return found, EventTruth(
        particle,
        np.full(hits, 1 / hits),
        r,
        ids,
        pt,
        cot,
        layer,
        np.arange(hits),
        radius=np.zeros(tracks),
    )


def chains(found: Event) -> np.ndarray:
    """Edges between hits that follow one another, and some wrong ones."""
    hits = np.arange(len(found)).reshape(-1, 8)
    right = np.stack([hits[:, :-1].ravel(), hits[:, 1:].ravel()], axis=1)
    wrong = np.stack([hits[:-1, :-1].ravel(), hits[1:, 1:].ravel()], axis=1)
    return np.concatenate([right, wrong])


def test_fits_give_back_exact_helices() -> None:
    found, truth = event(30, 1)
    fits = track_fits.fit(found, np.arange(len(found)), truth.particle_id - 1)
    assert fits.pt == pytest.approx(truth.pt, rel=1e-3)
    assert fits.cot == pytest.approx(truth.eta, abs=1e-3)
    assert np.abs(fits.d0).max() < 0.01
    assert max(fits.residual.max(), fits.residual_z.max()) < 0.01
    assert set(fits.hits) == set(fits.layers) == {8.0}
    assert set(fits.pixels) == {4.0}
    assert fits.first == pytest.approx(np.full(30, 32.0))
    assert fits.last == pytest.approx(np.full(30, 660.0))


def test_fits_of_displaced_hits_by_hand() -> None:
    """Circle of radius 1000 around (1000, 500): 118 mm from the axis; one hit 3 mm off."""
    angle = np.linspace(2.0, 3.0, 6)
    x, y = 1000 + 1000 * np.cos(angle), 500 + 1000 * np.sin(angle)
    whole = np.ones(6, dtype=int)
    found = Event("a", whole, x, y, np.zeros(6), 8 * whole, np.arange(6), whole)
    fits = track_fits.fit(found, np.arange(6), np.zeros(6, dtype=int))
    assert fits.d0[0] == pytest.approx(np.hypot(1000, 500) - 1000, abs=0.1)
    assert fits.pt[0] == pytest.approx(0.6, rel=1e-4)
    moved = replace(found, x=x + np.array([0, 0, 3.0, 0, 0, 0]))
    assert 0.3 < track_fits.fit(moved, np.arange(6), np.zeros(6, dtype=int)).residual[0] < 3.0


@pytest.mark.parametrize("turn", [True, False])
def test_a_mirrored_event_has_the_mirrored_inputs(turn: bool) -> None:
    found, _ = event(20, 2)
    edges = chains(found)
    mirrored = replace(found, y=-found.y) if turn else replace(found, z=-found.z)
    one = inputs.graph(found, edges, None).mirrored(turn, not turn)
    other = inputs.graph(mirrored, edges, None)
    torch.testing.assert_close(one.edges, other.edges)
    torch.testing.assert_close(one.nodes, other.nodes)
    columns = [inputs.filter_columns(e, edges) for e in (found, mirrored)]
    np.testing.assert_allclose(columns[0], columns[1], atol=1e-5)


def test_a_turned_event_has_the_same_inputs() -> None:
    found, _ = event(20, 2)
    edges = chains(found)
    c, s = np.cos(2.0), np.sin(2.0)
    turned = replace(found, x=c * found.x - s * found.y, y=s * found.x + c * found.y)
    np.testing.assert_allclose(
        inputs.edge_columns(found, edges), inputs.edge_columns(turned, edges), atol=1e-4
    )


def test_inputs_made_in_parts_are_those_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = event(20, 2)
    edges = chains(found)
    whole = inputs.edge_columns(found, edges), inputs.filter_columns(found, edges)
    monkeypatch.setattr(inputs, "PART", 7)
    assert len(list(inputs.filter_parts(found, edges))) == -(-len(edges) // 7)
    np.testing.assert_array_equal(whole[0], inputs.edge_columns(found, edges))
    np.testing.assert_array_equal(whole[1], inputs.filter_columns(found, edges))
    assert inputs.filter_columns(found, edges[:0]).shape == (0, inputs.FILTER)


def test_edge_inputs_by_hand() -> None:
    """From (100, 0, 0) to (0, 200, 50): dphi = pi/2 clipped at 5 after 20 times, dr = 100."""
    whole = np.zeros(2, dtype=int)
    found = Event(
        "two",
        whole,
        np.array([100.0, 0]),
        np.array([0, 200.0]),
        np.array([0.0, 50]),
        whole + 8,
        np.array([2, 4]),
        whole,
    )
    (row,) = inputs.edge_columns(found, np.array([[0, 1]]))
    one = np.log(2) - 1
    length = np.hypot(100, 50)
    expected = [
        5.0, 5.0, 5.0, 0.25, 20 * np.arcsinh(0.25), -50 / 30, 0.25, 1.0, length / 200,
        np.log1p(10) - 1, 6.0, 0.0, one, -1.0, -1.0, one,
    ]  # fmt: skip
    assert row.tolist() == pytest.approx(np.clip(expected, -6, 6).tolist(), abs=1e-5)


def test_sectors_hold_the_edges_inside_with_their_labels() -> None:
    found, truth = event(40, 3)
    edges = chains(found)
    same = window_filter.same_particle(truth, edges)
    assert same.tolist() == [True] * 280 + [False] * 273
    whole = inputs.graph(found, edges, None, np.stack([same, same], axis=1))
    parts = inputs.sectors(whole, found.phi, 3)
    sector = np.floor((found.phi + np.pi) / (2 * np.pi) * 3).astype(int) % 3
    for number, part in enumerate(parts):
        inside = (sector[edges] == number).all(axis=1)
        assert part.label is not None
        assert len(part.source) == inside.sum()
        assert part.label[:, 0].sum() == same[inside].sum()
        hits = np.flatnonzero(sector == number)
        np.testing.assert_array_equal(hits[part.source], edges[inside, 0])
        np.testing.assert_array_equal(hits[part.target], edges[inside, 1])
        torch.testing.assert_close(part.edges, whole.edges[torch.from_numpy(inside)])


def test_noise_is_of_no_particle() -> None:
    found, truth = event(2, 3)
    noisy = replace(truth, particle_id=np.zeros(len(found), dtype=int))
    assert not window_filter.same_particle(noisy, chains(found)).any()


def test_network_has_two_logits_an_edge_and_a_gate_a_round() -> None:
    found, _ = event(10, 4)
    graph = inputs.graph(found, chains(found), np.zeros(len(chains(found)), dtype=np.float32))
    logits, gates = gated.GatedNetwork(edge=17, width=8, layers=3)(graph)
    assert logits.shape == (len(graph.source), 2)
    assert [gate.shape for gate in gates] == [(len(graph.source),)] * 3


# --- choices -----------------------------------------------------------------------------------


def test_short_soft_tracks_are_dropped_and_long_or_hard_ones_stay() -> None:
    labels = np.array([0, 1, 2, 3, -1])
    hits, pt = np.array([3.0, 5.0, 4.0, 4.0]), np.array([9.0, 0.1, 0.2, 0.4])
    choice = edge_pipeline.Choice("multicut", 0.5, hits=4, short=5, soft=0.3)
    assert edge_pipeline.kept(labels, hits, pt, choice).tolist() == [-1, 1, -1, 3, -1]


def test_the_search_leaves_its_start_and_finds_the_best_place() -> None:
    """Four tracks of eight hits, and a fake of six: the search drops it and nothing else."""
    found, truth = event(5, 1)

    def efficiency(labels: Any) -> float:
        return float(np.mean(labels[0] >= 0) * 0.9)

    def fakes(labels: Any) -> float:
        return 0.3 if (labels[0][-6:] >= 0).any() else 0.0

    bad = {"fake_combinatorial": fakes, "fake_all": fakes, "efficiency_dm": efficiency}
    split = Split([found], [truth], ["a"], bad)
    labels = np.repeat(np.arange(5), 8)
    labels[-8:-6] = -1  # the last track has six hits and is a fake
    rating, choice = edge_pipeline.selection(split, [labels], edge_pipeline.Choice("a", 0.5))
    hits, pt = edge_pipeline.fitted(found, labels)
    kept = edge_pipeline.kept(labels, hits, pt, choice)
    assert rating[0]
    assert rating[1] == pytest.approx(0.9 * 32 / 40)
    assert (kept[:32] >= 0).all()
    assert (kept[32:] < 0).all()


# --- merging -----------------------------------------------------------------------------------


def halves(truth: EventTruth) -> np.ndarray:
    """Each particle in two tracks: its first five hits and its last three."""
    place = np.tile(np.arange(8), len(truth.particles))
    return 2 * (truth.particle_id - 1) + (place >= 5)


def loose(found: Event) -> tuple[np.ndarray, np.ndarray]:
    edges = chains(found)
    return edges, np.zeros((len(edges), 2))


def test_pairs_are_those_that_an_edge_joins() -> None:
    found, truth = event(3, 5)
    cluster = merging.clusters(halves(truth))
    pairs = merging.pairs(found, cluster, loose(found))
    inside = {(2 * k, 2 * k + 1) for k in range(3)}
    across = {
        tuple(sorted((2 * k + a, 2 * k + 2 + b)))
        for k in (0, 1)
        for a, b in ((0, 0), (0, 1), (1, 1))
    }
    assert {tuple(sorted(pair)) for pair in pairs.ends.tolist()} == inside | across
    size = np.bincount(cluster)
    assert (size[pairs.ends[:, 0]] >= size[pairs.ends[:, 1]]).all()
    true = merging.wanted(truth, cluster, pairs.ends)
    assert {tuple(sorted(pair)) for pair in pairs.ends[true].tolist()} == inside


def test_a_learned_merger_mends_broken_tracks() -> None:
    examples = [(*event(60, seed), seed) for seed in range(8)]
    rows = [(e, t, halves(t), loose(e)) for e, t, _ in examples]
    merger = merging.train(rows[:6], seed=0, context=Context(progress=False), epochs=40)
    assert merger is not None
    for found, truth, labels, edges in rows[6:]:
        merged = merging.merged(merger, found, labels, edges)
        mended = [len(set(merged[truth.particle_id == k])) == 1 for k in truth.particles]
        assert np.mean(mended) > 0.9
        assert len(set(merged)) > 0.9 * len(truth.particles)


def test_too_few_pairs_make_no_merger() -> None:
    found, truth = event(2, 1)
    row = (found, truth, halves(truth), loose(found))
    assert merging.train([row], seed=0, context=Context(progress=False)) is None
