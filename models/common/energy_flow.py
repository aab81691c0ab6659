"""Energy flow polynomials of jets (Komiske, Metodiev, Thaler, arXiv:1712.07124).

EFP_G = sum_{i_1..i_N} z_{i_1} ... z_{i_N} prod_{(k,l) in G} theta_{i_k i_l}^beta, G a multigraph,
with pT fractions z and distances theta in (eta, phi). Evaluated for a batch of jets by tensor
contraction; nothing of the EnergyFlow package is needed.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.jets import Jets
from physbench.models.common.jet_observables import fractions, pairwise

Graph = tuple[tuple[int, int], ...]  # edges, with repetitions

BATCH = 250


@functools.cache
def prime_graphs(degree: int) -> tuple[Graph, ...]:
    """Connected multigraphs with 1 to `degree` edges, one of each isomorphism class.

    >>> [len(prime_graphs(d)) for d in (1, 2, 3, 4)]
    [1, 3, 8, 20]
    """
    found: list[Graph] = []
    for edges in range(1, degree + 1):
        seen: set[Graph] = set()
        for vertices in range(2, edges + 2):
            pairs = list(itertools.combinations(range(vertices), 2))
            for graph in itertools.combinations_with_replacement(pairs, edges):
                if (
                    _connected(graph, vertices)
                    and (name := _canonical(graph, vertices)) not in seen
                ):
                    seen.add(name)
                    found.append(graph)
    return tuple(found)


def _connected(graph: Graph, vertices: int) -> bool:
    reached = {0}
    for _ in range(vertices):
        reached |= {v for edge in graph if reached & set(edge) for v in edge}
    return len(reached) == vertices


def _canonical(graph: Graph, vertices: int) -> Graph:
    """The smallest of the graph's relabellings."""
    return min(
        tuple(sorted(tuple(sorted((order[a], order[b]))) for a, b in graph))  # type: ignore[misc]
        for order in itertools.permutations(range(vertices))
    )


def polynomials(jets: Jets, degree: int = 4, beta: float = 1.0) -> NDArray[np.float64]:
    """EFPs of all prime graphs up to `degree` edges (at most 5), (n, graphs)."""
    if not 1 <= degree <= 5:
        raise ValueError(f"degree must be 1 to 5; got {degree}")
    z, angles = fractions(jets), jets.constituents[..., 1:].astype(np.float64)
    graphs = prime_graphs(degree)
    values = np.empty((len(jets), len(graphs)))
    for start in range(0, len(jets), BATCH):
        part = slice(start, start + BATCH)
        values[part] = _batch(z[part], pairwise(angles[part]) ** beta, graphs)
    return values


def _batch(
    z: NDArray[np.float64], theta: NDArray[np.float64], graphs: tuple[Graph, ...]
) -> NDArray[np.float64]:
    """All graphs for one batch; z (n, m), theta (n, m, m)."""
    powers = {k: theta**k for k in range(1, 1 + max(len(graph) for graph in graphs))}
    columns = [_contract(graph, z, powers) for graph in graphs]
    return np.stack(columns, axis=1)


def _contract(
    graph: Graph, z: NDArray[np.float64], powers: dict[int, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Vertices are summed out one by one, always one with at most two neighbours.

    A vertex with one neighbour turns into a weight on it, one with two into an edge between them:
    every step is a batched matrix product. Up to five edges this never gets stuck.
    """
    weights = {v: z for edge in graph for v in edge}
    edges = {edge: powers[graph.count(edge)] for edge in set(graph)}
    while len(weights) > 1:
        near = {v: [e for e in edges if v in e] for v in weights}
        vertex = min(weights, key=lambda v: (len(near[v]), v))
        weight = weights.pop(vertex)
        others = [a if b == vertex else b for a, b in near[vertex]]
        tables = [edges.pop(edge) for edge in near[vertex]]
        if len(others) == 1:
            summed = np.matmul(tables[0], weight[..., None])[..., 0]
            weights[others[0]] = weights[others[0]] * summed
        else:
            between = min(others), max(others)
            summed = np.matmul(tables[0] * weight[:, None, :], tables[1])
            edges[between] = edges[between] * summed if between in edges else summed
    (last,) = weights.values()
    return np.asarray(last.sum(axis=1))
