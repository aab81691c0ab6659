"""From scored edges to tracks: components, best in/out matching, walk-through, multicut.

All return one label a hit, -1 for hits of no track; a track has at least three hits.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.hits import Floats, Integers

HITS_MIN = 3


def components(hits: int, edges: Integers, scores: Floats, cut: float) -> Integers:
    """Connected components of the edges with score > cut. One wrong edge merges two tracks."""
    return labels_of(hits, edges[scores > cut])


def labels_of(hits: int, edges: NDArray[Any]) -> Integers:
    """Connected components of edges (m, 2) as labels; components of fewer than 3 hits are -1.

    >>> labels_of(5, np.array([[0, 1], [1, 2], [3, 4]])).tolist()
    [0, 0, 0, -1, -1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(edges), dtype=bool)
    matrix = coo_array((ones, (edges[:, 0], edges[:, 1])), shape=(hits, hits))
    _, label = connected_components(matrix, directed=False)
    return np.where(np.bincount(label, minlength=1)[label] >= HITS_MIN, label, -1).astype(np.int64)


def numbered(labels: Integers) -> Integers:
    """Labels as 0, 1, ... without gaps; -1 stays.

    >>> numbered(np.array([7, -1, 3, 7])).tolist()
    [1, -1, 0, 1]
    """
    used = labels >= 0
    found = np.full(len(labels), -1, dtype=np.int64)
    found[used] = np.unique(labels[used], return_inverse=True)[1]
    return found


def longer(labels: Integers, hits: int) -> Integers:
    """Labels without the tracks of fewer than `hits` hits.

    >>> longer(np.array([0, 0, 1, -1, 0]), 2).tolist()
    [0, 0, -1, -1, 0]
    """
    size = np.bincount(labels[labels >= 0], minlength=1)
    short = (labels >= 0) & (size[labels] < hits)
    return np.where(short, -1, labels)


def best_in_out(hits: int, edges: Integers, scores: Floats, cut: float) -> Integers:
    """Each hit keeps its best outgoing and its best incoming edge above the cut; then components.

    An edge stays when both its hits keep it. Ties go to the first edge.
    """
    above = np.flatnonzero(scores > cut)
    order = above[np.argsort(-scores[above], kind="stable")]
    _, leaving = np.unique(edges[order, 0], return_index=True)
    _, entering = np.unique(edges[order, 1], return_index=True)
    return labels_of(hits, edges[order[np.intersect1d(leaving, entering)]])


def walk_through(
    hits: int, edges: Integers, scores: Floats, cut: float, *, add: float = 0.6, low: float = 0.01
) -> Integers:
    """Simple components as they are; the longest walk first in the others.

    Components of the edges with score > `low` without a branch are tracks. In the others, from
    each unused hit in the order of the edges, follow the best outgoing edge above `cut` and
    every one above `add`; the longest path is a track and its hits are used up.
    Source: the "CC and walk" of ACORN (GNN4ITk), rewritten with a set of used hits.
    """
    keep = scores > low
    label = labels_of(hits, edges[keep])
    out = np.bincount(edges[keep, 0], minlength=hits)
    into = np.bincount(edges[keep, 1], minlength=hits)
    branching = np.zeros(int(label.max(initial=-1)) + 2, dtype=bool)
    np.logical_or.at(branching, label, (out > 1) | (into > 1))
    branching[-1] = False
    walked = np.where(branching[label], -1, label)
    following = _following(edges, scores, min(cut, add), branching[label])
    free = int(label.max(initial=-1)) + 1
    used: set[int] = set()
    starts = [h for h in _outward(following) if into[h] == 0] + _outward(following)
    for start in starts:
        path = _longest(start, following, used, cut, add)
        if len(path) >= HITS_MIN:
            walked[path] = free
            free += 1
            used.update(path)
    return walked


def _following(
    edges: Integers, scores: Floats, cut: float, wanted: NDArray[np.bool_]
) -> dict[int, list[tuple[float, int]]]:
    """Outgoing edges above the cut by inner hit, best first."""
    found: dict[int, list[tuple[float, int]]] = {}
    for k in np.flatnonzero((scores > cut) & wanted[edges[:, 0]]):
        found.setdefault(int(edges[k, 0]), []).append((-float(scores[k]), int(edges[k, 1])))
    return {hit: sorted(ways) for hit, ways in found.items()}


def _outward(following: dict[int, list[tuple[float, int]]]) -> list[int]:
    """Hits with outgoing edges, those before others on a path first (depth first, reversed)."""
    done: set[int] = set()
    order: list[int] = []
    for root in following:
        stack = [(root, False)]
        while stack:
            hit, finished = stack.pop()
            if finished:
                order.append(hit)
            elif hit not in done:
                done.add(hit)
                stack.append((hit, True))
                stack += [(n, False) for _, n in following.get(hit, []) if n not in done]
    return order[::-1]


def _longest(
    start: int,
    following: dict[int, list[tuple[float, int]]],
    used: set[int],
    cut: float,
    add: float,
) -> list[int]:
    """The longest path of unused hits; at most 200 paths are followed from a start."""
    if start in used:
        return []
    best: list[int] = []
    stack = [[start]]
    for _ in range(200):
        if not stack:
            break
        path = stack.pop()
        if len(path) > len(best):
            best = path
        ways = [w for w in following.get(path[-1], []) if w[1] not in used and w[1] not in path]
        chosen = [w for k, w in enumerate(ways) if -w[0] > (cut if k == 0 else add)]
        stack += [[*path, hit] for _, hit in reversed(chosen)]
    return best


CLIP = 8.0  # of the log-odds of an edge: no single edge outvotes all others


def multicut(hits: int, edges: Integers, scores: Floats, cut: float) -> Integers:
    """Greedy multicut: clusters merge while the log-odds between them sum to more than 0.

    An edge votes with ln(s / (1 - s)) - ln(cut / (1 - cut)), so that false edges keep clusters
    apart; needs scores of "same particle", not of consecutive hits. See `contracted`.
    """
    weight = np.clip(log_odds(scores), -CLIP, CLIP) - log_odds(np.array([cut]))[0]
    return labels_of(hits, _as_edges(contracted(hits, edges, weight)))


def log_odds(scores: Floats) -> Floats:
    """ln(s / (1 - s)), finite.

    >>> log_odds(np.array([0.5, 0.75])).round(3).tolist()
    [0.0, 1.099]
    """
    inside = np.clip(scores.astype(np.float64), 1e-9, 1 - 1e-9)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _as_edges(cluster: Integers) -> Integers:
    """Edges that join each node to the first node of its cluster."""
    _, first, inverse = np.unique(cluster, return_index=True, return_inverse=True)
    return np.stack([first[inverse], np.arange(len(cluster))], axis=1)


def contracted(nodes: int, edges: Integers, weight: Floats) -> Integers:
    """Cluster of each node after greedy additive edge contraction, shape (nodes,).

    The pair of clusters with the largest sum of weights between them merges, while that is > 0.
    Sums are kept in one dictionary a cluster; a heap holds candidates, outdated ones included.
    Source: Keuper et al., ICCV 2015 (arXiv:1505.06973).
    """
    near = _neighbours(nodes, edges, weight)
    heap = [(-w, a, b) for a, ways in near.items() for b, w in ways.items() if w > 0 and a < b]
    heapq.heapify(heap)
    parent = list(range(nodes))
    while heap:
        w, a, b = heapq.heappop(heap)
        if near.get(a, {}).get(b) == -w:
            if len(near[a]) < len(near[b]):
                a, b = b, a
            parent[b] = a
            _merge(near, a, b, heap)
    return _roots(parent)


def _neighbours(nodes: int, edges: Integers, weight: Floats) -> dict[int, dict[int, float]]:
    """Summed weight to each neighbour, for each node that has any."""
    near: dict[int, dict[int, float]] = {}
    for (a, b), w in zip(edges.tolist(), weight.tolist(), strict=True):
        ways = near.setdefault(a, {})
        near.setdefault(b, {})[a] = ways[b] = ways.get(b, 0.0) + w
    return near


def _merge(
    near: dict[int, dict[int, float]], a: int, b: int, heap: list[tuple[float, int, int]]
) -> None:
    """Cluster b becomes part of a."""
    ways = near[a]
    del ways[b]
    for other, w in near.pop(b).items():
        if other != a:
            back = near[other]
            del back[b]
            total = ways.get(other, 0.0) + w
            back[a] = ways[other] = total
            if total > 0:
                heapq.heappush(heap, (-total, *((a, other) if a < other else (other, a))))


def _roots(parent: list[int]) -> Integers:
    """The last of the parents of each node."""
    found = np.array(parent, dtype=np.int64)
    while True:
        above = found[found]
        if np.array_equal(above, found):
            return found
        found = above


Builder = Callable[[int, Integers, Floats, float], Integers]

BUILDERS: dict[str, Builder] = {
    "components": components,
    "best_in_out": best_in_out,
    "walk_through": walk_through,
    "multicut": multicut,
}


def builder(name: str) -> Builder:
    """The track builder of that name; raises ValueError for an unknown one."""
    if name not in BUILDERS:
        raise ValueError(f"builder must be one of {', '.join(BUILDERS)}; got '{name}'")
    return BUILDERS[name]
