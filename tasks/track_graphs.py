"""Hits of an event to edges between them: the graph on which tracks are looked for.

A model returns for each event a mapping with `edges` (m, 2) of hit positions and `scores` (m,) in
[0, 1]; an array of edges alone has one score for all. The direction of an edge means nothing.

Rank: masked purity, see `metrics.construction`, with the edges cut by score where 98 % of the
wanted ones (consecutive hits of particles with pT > 0.9 GeV, |eta| < 4, three layers) are kept. A
row whose edges hold fewer of them is shown unranked. All hits are given, noise included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import SPLITS, Dataset, Splits
from physbench.datasets.common.arrays import distinct, plain, whole
from physbench.datasets.hits import Event, generic_detector, split_of
from physbench.tasks import FRACTION, POSITIVE, Field, Metric, Neurons, Task
from physbench.tasks.metrics import construction, construction_figures, construction_rows

Arrays = Mapping[str, NDArray[Any]]


def load(dataset: Dataset, *, events: int = 100) -> Splits:
    """Splits of a dataset; the unit is the event.

    `events`: at most so many of each split, the first ones. Raises ValueError for less than one.
    """
    if events < 1:
        raise ValueError(f"events must be at least 1; got {events}")
    parts, files = dataset.load()
    train, validation, test = (split_of(parts[name], events) for name in SPLITS)
    return Splits(train, validation, test, files)


def prepare(inputs: Sequence[Event], predictions: Any) -> list[Arrays]:
    """Check edges and scores; scores become levels among those of all events.

    What `construction.condense` made passes as it is. Raises ValueError for a wrong length, shape,
    type or position and for edges given twice, FloatingPointError for NaN.
    """
    if len(predictions) != len(inputs):
        raise ValueError(f"predictions: got {len(predictions)} for {len(inputs)} events")
    given = [p if isinstance(p, Mapping) else {"edges": p} for p in predictions]
    kinds = {frozenset(one) for one in given}
    if len(kinds) > 1:
        raise ValueError("predictions: all events must have the same fields; give all or none")
    if given and construction.is_condensed(given[0]):
        return [{name: np.asarray(one[name]) for name in construction.SHORT} for one in given]
    edges = [_edges(event, one) for event, one in zip(inputs, given, strict=True)]
    if kinds == {frozenset(("edges", "levels"))}:
        levels = [_levels(event, one) for event, one in zip(inputs, given, strict=True)]
    else:
        scores = [_scores(e, one, len(m)) for e, one, m in zip(inputs, given, edges, strict=True)]
        levels = construction.ranked(scores)
    return [
        {"edges": pairs.astype(np.int32), "levels": level.astype(np.uint16)}
        for pairs, level in zip(edges, levels, strict=True)
    ]


def _edges(event: Event, mapping: Mapping[str, Any]) -> NDArray[np.int64]:
    """(m, 2) distinct pairs of different hits."""
    what = f"{event.name}: edges"
    if set(mapping) == {"edges_0", "edges_1", "scores"}:
        array = np.column_stack([np.asarray(mapping[name]) for name in ("edges_0", "edges_1")])
    elif "edges" in mapping and not set(mapping) - {"edges", "scores", "levels"}:
        array = np.asarray(mapping["edges"])
    else:
        raise ValueError(
            f"{event.name}: a prediction has 'edges' and 'scores'; got {sorted(mapping)}"
        )
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(
            f"{what} have shape {array.shape}, expected (m, 2): positions of two hits; "
            "(0, 2) for none"
        )
    array = whole(array, what)
    _check_pairs(event, array)
    return array


def _check_pairs(event: Event, edges: NDArray[np.int64]) -> None:
    low, high = np.sort(edges, axis=1).T
    if len(edges) and (low.min() < 0 or high.max() >= len(event)):
        wrong = low.min() if low.min() < 0 else high.max()
        raise ValueError(
            f"{event.name}: edges point to hit {wrong}, the event has {len(event)} "
            "(positions from 0, not hit_id)"
        )
    if (low == high).any():
        raise ValueError(f"{event.name}: {int((low == high).sum())} edges join a hit to itself")
    repeated = len(edges) - len(distinct(low * len(event) + high))
    if repeated:
        raise ValueError(
            f"{event.name}: {repeated} edges are given twice or in both directions; give each "
            "pair once"
        )


def _scores(event: Event, mapping: Mapping[str, Any], edges: int) -> NDArray[np.float64]:
    """(m,) scores in [0, 1]; 1 for edges without."""
    what = f"{event.name}: scores"
    scores = plain(mapping.get("scores", np.ones(edges)), what, "fiub").astype(np.float64)
    if scores.shape != (edges,):
        raise ValueError(
            f"{event.name}: {edges} edges need as many scores, got shape {scores.shape}"
        )
    if not np.isfinite(scores).all():
        raise FloatingPointError(f"{what} hold NaN or infinity")
    if len(scores) and (scores.min() < 0 or scores.max() > 1):
        raise ValueError(f"{what} must lie in [0, 1], got {scores.min():g} to {scores.max():g}")
    return scores


def _levels(event: Event, mapping: Mapping[str, Any]) -> NDArray[np.int64]:
    """Levels as they were stored before."""
    levels = whole(mapping["levels"], f"{event.name}: levels")
    good = levels.shape == (len(mapping["edges"]),)
    if not good or (len(levels) and not 0 <= levels.min() <= levels.max() < construction.LEVELS):
        raise ValueError(
            f"{event.name}: levels must be 0 to {construction.LEVELS - 1}, one an edge"
        )
    return levels


def admit(values: Mapping[str, float]) -> str | None:
    """Rows that cannot keep 98 % of the wanted edges are not ranked."""
    found = values.get("reach", 1.0)
    if found < construction.EFFICIENCY:
        return f"holds {found:.1%} of the wanted edges, {construction.EFFICIENCY:.0%} are asked"
    return None


def _metric(function: Any, best: Any, **more: Any) -> Metric:
    given = {"replicates": construction.resampled(function.__name__)} | more
    return Metric(function, "1", best, **given)


TASK = Task(
    summary="hits of an event to scored edges, ranked by their purity where 98 % are found",
    reference="""@article{exatrkx2021,
  title = {Performance of a geometric deep learning pipeline for {HL-LHC} particle tracking},
  author = {Ju, X. and Murnane, D. and Calafiura, P. and Choma, N. and Conlon, S. and Farrell, S.
    and Xu, Y. and Spiropulu, M. and Vlimant, J.-R. and Aurisano, A. and Hewes, V. and Cerati, G.
    and Gray, L. and Klijnsma, T. and Kowalkowski, J. and Atkinson, M. and Neubauer, M. and
    DeZoort, G. and Thais, S. and Chauhan, A. and Schuy, A. and Hsu, S.-C. and Ballow, A. and
    Lazar, A.},
  journal = {Eur. Phys. J. C},
  volume = {81},
  pages = {876},
  year = {2021},
  eprint = {2103.06995},
  archivePrefix = {arXiv}
}""",
    inputs=Event,
    predicts=(
        Field("edges", "(m, 2) an event", "int", "1", "positions of two hits, each pair once"),
        Field("scores", "(m,) an event", "float", "1", "score of each edge, in [0, 1]"),
    ),
    unit="event",
    datasets=(generic_detector,),
    load=load,
    prepare=prepare,
    condense=construction.condense,
    derive=construction.derive,
    admit=admit,
    metrics=(
        _metric(construction.masked_purity, "max", bounds=FRACTION, label="masked purity"),
        _metric(
            construction.efficiency,
            "max",
            slices=construction.efficiency_slices,
            bounds=FRACTION,
        ),
        _metric(
            construction.reach,
            "max",
            bounds=FRACTION,
            replicates=construction.resampled_reach,
        ),
        _metric(construction.target_purity, "max", bounds=FRACTION),
        _metric(construction.sequential_purity, "max", bounds=FRACTION),
        _metric(construction.particle_purity, "max", bounds=FRACTION),
        _metric(construction.edges_per_hit, "min", bounds=POSITIVE),
    ),
    figures={
        "purity against efficiency": construction_figures.purity_figure,
        "efficiency against pT": construction_figures.against_pt,
        "efficiency against radius": construction_figures.against_radius,
    },
    neurons=Neurons(
        construction_rows.loss, (construction_rows.hits,), ("edges_per_hit",), units=1
    ),
)
