"""Siblings of the gated network by hand: regions, super-nodes, hashes, condensation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from physbench.models.common import training
from physbench.models.hits import _condensation as condensation
from physbench.models.hits import _gated_inputs as inputs
from physbench.models.hits._gated import GatedNetwork
from physbench.models.hits.hept import BlockAttention, HashedTransformer, hashed
from physbench.models.hits.heterogeneous_network import HeterogeneousNetwork, Typed
from physbench.models.hits.hierarchical_network import HierarchicalNetwork, mean_by, super_graph

SIBLINGS = (HeterogeneousNetwork, HierarchicalNetwork, HashedTransformer)


def chain(hits: int, edges: list[tuple[int, int]]) -> inputs.Graph:
    """Random inputs on the given edges."""
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    source, target = torch.tensor(edges).T
    flags = (draw(hits, 3) < 0.5).float()
    nodes = torch.cat([draw(hits, 6), flags], dim=1)
    place = torch.stack([6 * draw(hits) - 3, 4 * draw(hits) - 2], dim=1)
    return inputs.Graph(nodes, draw(len(edges), 17), source, target, place)


@pytest.mark.parametrize("build", SIBLINGS)
def test_siblings_have_about_as_many_parameters_as_the_gated_network(build: type) -> None:
    other, gated = (training.parameters(one(edge=17)) for one in (build, GatedNetwork))
    assert abs(other / gated - 1) < 0.1


@pytest.mark.parametrize("build", SIBLINGS)
@pytest.mark.parametrize("hits", [0, 1, 5])
def test_an_event_without_an_edge_has_no_logits(build: type, hits: int) -> None:
    graph = chain(hits + 2, [(0, 1)])
    empty = inputs.Graph(
        graph.nodes[:hits],
        graph.edges[:0],
        graph.source[:0],
        graph.target[:0],
        graph.place[:hits],
    )
    logits, _ = build(edge=17)(empty)
    assert logits.shape == (0, 2)


def test_each_kind_has_its_own_encoder() -> None:
    torch.manual_seed(0)
    typed = Typed(3, 4, 5)
    x, kind = torch.rand(6, 4), torch.tensor([2, 0, 2, 0, 0, 2])
    found = typed(x, kind)
    for row, values, number in zip(found, x, kind.tolist(), strict=True):
        torch.testing.assert_close(row, typed.parts[number](values[None])[0])


def test_super_nodes_are_chains_of_open_gates_and_edges_between_them_are_pairs() -> None:
    """Hits 0-1-2 and 3-4-5 are chains; 2-3 has a closed gate; hit 6 is alone."""
    edges = [(0, 1), (1, 2), (3, 4), (4, 5), (2, 3), (5, 6)]
    gate = np.array([3.0, 3.0, 3.0, 3.0, -3.0, -3.0])
    cluster, pairs, row = super_graph(7, chain(7, edges), gate)
    assert cluster.tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert pairs.tolist() == [[0, 1], [1, 2]]
    assert row.tolist() == [-1, -1, -1, -1, 0, 1]


def test_means_by_group() -> None:
    values = torch.tensor([[1.0], [3.0], [5.0]])
    assert mean_by(values, torch.tensor([0, 0, 2]), 3).tolist() == [[2.0], [0.0], [5.0]]


def test_a_hit_hears_the_other_half_of_its_track_through_super_nodes() -> None:
    """Eight edges away, with four rounds among hits: only a super-node carries that far."""
    torch.manual_seed(0)
    network = HierarchicalNetwork(edge=17, width=8, layers=4, upper=1).eval()
    graph = chain(9, [(k, k + 1) for k in range(8)])
    with torch.no_grad():
        for step in network.steps:
            step.gate.weight.zero_()
            step.gate.bias.fill_(5.0)  # all gates open: one super-node
        before = network(graph)[0][-1]
        graph.nodes[0, :6] += 3.0
        after = network(graph)[0][-1]
    assert (after - before).abs().max() > 1e-4


def test_blocks_hold_what_lies_near() -> None:
    """400 points on a square of 20 x 20: the 16 blocks of 25 are squares of five by five."""
    grid = torch.stack(torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij"), -1)
    points = grid.reshape(-1, 2)
    order = hashed(points, torch.tensor(0.0), 25)
    assert sorted(order.tolist()) == list(range(400))
    for block in order.view(16, 25):
        low, high = points[block].min(0).values, points[block].max(0).values
        assert (high - low).tolist() == [4.0, 4.0]


def test_attention_stays_inside_a_block_and_knows_no_empty_hits() -> None:
    torch.manual_seed(0)
    layer = BlockAttention(8, 2, 4).eval()
    x, place = torch.rand(10, 8), torch.rand(10, 4)
    order = torch.arange(10)
    moved = x.clone()
    moved[9] += 1.0
    with torch.no_grad():
        difference = (layer(moved, place, [order]) - layer(x, place, [order])).abs().amax(1)
        last = layer(x[8:], place[8:], [torch.arange(2)])
        whole = layer(x, place, [order])
    assert (difference[:8] == 0).all()
    assert (difference[8:] > 0).all()
    torch.testing.assert_close(last, whole[8:])


def test_condensation_loss_by_hand() -> None:
    """Two particles of two hits and one hit of noise on a line.

    beta = tanh(1) has the charge 1.1, beta = 0 the charge 0.1. Attraction: hit 1 lies 0.5 from
    its condensation point 0, hit 3 0.2 from 2. Repulsion: 2 and 3 lie 0.8 and 0.6 from 0; 1 lies
    0.3 from 2; 0 lies 0.8 from 2; the noise at 0.4 lies 0.4 from both.
    """
    beta = torch.tensor([np.tanh(1.0), 0.0, np.tanh(1.0), 0.0, 0.0], dtype=torch.float32)
    points = torch.tensor([[0.0], [0.5], [0.8], [0.6], [0.4]])
    particle = torch.tensor([0, 0, 1, 1, -1])
    own = 0.1 * 1.1 * (0.5**2 + 0.2**2)
    other = 1.1 * (1.1 * 0.2 + 0.1 * 0.4) + 1.1 * (1.1 * 0.2 + 0.1 * 0.7) + 2 * 0.1 * 1.1 * 0.6
    expected = (own + other) / 5 + 1 - np.tanh(1.0)
    assert float(condensation.loss(beta, points, particle)) == pytest.approx(expected, abs=1e-5)


def test_condensation_of_noise_alone_asks_for_no_confidence() -> None:
    beta = torch.tensor([0.4, 0.2], requires_grad=True)
    found = condensation.loss(beta, torch.zeros(2, 3), torch.tensor([-1, -1]))
    assert found.item() == pytest.approx(0.03)


def test_the_surest_hit_takes_its_ball_first() -> None:
    beta = np.array([0.9, 0.8, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05])
    points = np.array([[0.0], [1.0], [0.1], [0.4], [0.8], [1.2], [1.3], [5.0]], dtype=np.float32)
    found = condensation.clusters(beta, points, 0.5, 0.45)
    assert found.tolist() == [0, 1, 0, 0, 1, 1, 1, -1]
    assert (condensation.clusters(beta, points, 0.95, 0.45) == -1).all()
