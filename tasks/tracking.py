"""Detector hits of an event to one track label a hit: whole pipelines on equal terms.

A model returns for each event an integer array of labels, one a hit, -1 for no track; or a
mapping with `labels` and, where it scored a graph, `edges` (m, 2) of hit positions, inner hit
first, and `scores` (m,) in [0, 1], for which edge metrics are reported. Scores without edges are
those of the given graph.

Selected particles: pT > 0.9 GeV, |eta| < 4, at least 3 layers. Rank: double-majority efficiency;
rows are shown unranked with more than 2 % combinatorial fakes (no real particle owns more than
half of the track) or more than 5 % fakes of any kind (fragments of particles counted as well). On
`generic_detector` and `trackml` all hits, noise included, are kept. `trackml_graphs` are the
truth-cut barrel graphs of HEPTrkX type (no noise, pT > 1 GeV): never compare its numbers with the
other boards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, Split, Splits
from physbench.datasets.common.arrays import distinct, plain, whole
from physbench.datasets.common.streaming import Streamed
from physbench.datasets.hits import (
    Event,
    acorn_events,
    colliderml,
    generic_detector,
    pixels_of,
    split_of,
    trackml,
    trackml_graphs,
)
from physbench.tasks import FRACTION, ByUnit, Field, Metric, Neurons, Task
from physbench.tasks.metrics import event_rows, tracking_figures
from physbench.tasks.metrics import tracking as metrics

COMBINATORIAL_MAX, FAKES_MAX = 0.02, 0.05
OPEN = -99.0  # logit of a filter that lets everything pass
RANKS = 1 << 14  # on each side of the threshold; exact in single precision


def load(
    dataset: Dataset, *, detector: str = "full", events: int = 100, pileup: int = 0
) -> Splits:
    """Splits of a dataset; the unit is the event.

    Parameters
    ----------
    detector:
        `full`, or `pixel` for the volumes 7, 8 and 9 alone (not for given graphs).
    events:
        At most so many of each split, the first ones.
    pileup:
        Of the test events of `generic_detector`: 20 or 200; 0 for 60, where models learn.

    Raises ValueError for another detector, number of events or pile-up.
    """
    if detector not in ("full", "pixel"):
        raise ValueError(f"detector must be 'full' or 'pixel'; got '{detector}'")
    if events < 1:
        raise ValueError(f"events must be at least 1; got {events}")
    given = dataset in (trackml_graphs.DATASET, acorn_events.DATASET)
    if given and detector == "pixel":
        raise ValueError(
            "detector='pixel' does not apply to trackml_graphs and acorn_events: graphs are given"
        )
    parts, files = dataset.load(**_options(dataset, events, pileup))
    pixels = detector == "pixel"
    splits = {
        name: _streamed(pairs[:events], pixels)
        if isinstance(pairs, Streamed)
        else split_of(pairs, events, pixels=pixels)
        for name, pairs in parts.items()
    }
    # One or two events of the user are all for testing: enough for methods without training.
    alone = dataset is trackml.DATASET and not len(splits["train"])
    return Splits(splits["train"], splits["validation"], splits["test"], files, test_only=alone)


def _options(dataset: Dataset, events: int, pileup: int) -> dict[str, int]:
    """What a dataset's own `load` takes of the protocol."""
    if dataset is generic_detector.DATASET:
        return {"pileup": pileup}
    if pileup:
        raise ValueError(f"pileup={pileup} applies to generic_detector alone")
    return {"events": events} if dataset in (trackml.DATASET, colliderml.DATASET) else {}


def _streamed(pairs: Streamed, pixels: bool) -> Split:
    """A split of the official events that reads each when it is asked for."""
    names = [trackml.name_of(files) for files in pairs.keys]
    readers = (_pixel_hits, _pixel_truth) if pixels else (trackml.hits_of, trackml.truth_of)
    inputs, targets = (
        Streamed(read, pairs.keys, f"{pairs.digest} {read.__name__}") for read in readers
    )
    return Split(inputs, targets, names)


def _pixel_hits(files: dict[str, Path]) -> Event:
    return pixels_of(trackml.read(files))[0]


def _pixel_truth(files: dict[str, Path]) -> Any:
    return pixels_of(trackml.read(files))[1]


def prepare(inputs: Sequence[Event], predictions: Any) -> list[dict[str, NDArray[Any]]]:
    """Check predictions and bring them to the precision that is stored.

    Labels become 0, 1, ... by first appearance (-1 stays) in the smallest integer type; tracks of
    fewer than three hits, which no metric counts, become -1. Of the edges those are kept that
    enter the edge metrics, see `metrics.sampled`; their scores become ranks, see `ranked`. Edges
    of a given graph that are left out count as rejected.

    Raises ValueError for a wrong length, shape or type and FloatingPointError for NaN.
    """
    if len(predictions) != len(inputs):
        raise ValueError(f"predictions: got {len(predictions)} for {len(inputs)} events")
    mappings = [p if isinstance(p, Mapping) else {"labels": p} for p in predictions]
    scored = ["scores" in m or "edges" in m for m in mappings]
    if any(scored) and not all(scored):
        raise ValueError("predictions: some events have 'edges', some have not; give all or none")
    prepared = [prepare_event(e, mapping) for e, mapping in zip(inputs, mappings, strict=True)]
    return _with_ranks(prepared) if any(scored) else prepared


def prepare_event(event: Event, prediction: Any) -> dict[str, NDArray[Any]]:
    """What `prepare` does to an event before scores are ranked among those of all events."""
    mapping = prediction if isinstance(prediction, Mapping) else {"labels": prediction}
    known = {"labels", "edges", "scores"}
    if "labels" not in mapping or set(mapping) - known:
        raise ValueError(
            f"{event.name}: a prediction has 'labels' and optionally 'edges' and 'scores'; "
            f"got {sorted(mapping)}"
        )
    prepared: dict[str, NDArray[Any]] = {"labels": _labels(event, mapping["labels"])}
    if "edges" in mapping or "scores" in mapping:
        edges, scores = _edges(event, mapping)
        kept = metrics.sampled(len(event), edges)
        prepared |= {"edges": edges[kept], "scores": scores[kept]}
    return prepared


def _labels(event: Event, labels: Any) -> NDArray[Any]:
    array = whole(labels, f"{event.name}: labels")
    if array.shape != (len(event),):
        raise ValueError(
            f"{event.name}: labels have shape {array.shape}, expected ({len(event)},): one a hit"
        )
    used = array >= 0
    _, track, count = np.unique(array[used], return_inverse=True, return_counts=True)
    used[used] = count[track] >= metrics.HITS_MIN
    _, first, inverse = np.unique(array[used], return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    canonical = np.full(len(array), -1, dtype=np.int64)
    canonical[used] = rank[inverse]
    small = np.int16 if len(first) <= np.iinfo(np.int16).max else np.int32
    return canonical.astype(small)


def _edges(event: Event, mapping: Mapping[str, Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Edges and scores; those of a given graph in its order, what is left out with score 0."""
    given = event.edge_index.T if event.edge_index is not None else None
    if ("edges" not in mapping and given is None) or "scores" not in mapping:
        raise ValueError(
            f"{event.name}: 'scores' need 'edges' (m, 2), since the event has no given graph, and "
            "'edges' need 'scores'"
        )
    edges = plain(mapping.get("edges", given), f"{event.name}: edges")
    scores = plain(mapping["scores"], f"{event.name}: scores", "fiub").astype(np.float64)
    if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
        raise ValueError(
            f"{event.name}: edges must be whole numbers of shape (m, 2), "
            f"got {edges.dtype} {edges.shape}"
        )
    edges = whole(edges, f"{event.name}: edges")
    if scores.shape != (len(edges),):
        raise ValueError(
            f"{event.name}: {len(edges)} edges need as many scores, got {scores.shape}"
        )
    if not np.isfinite(scores).all():
        raise FloatingPointError(f"{event.name}: scores hold NaN or infinity")
    _check_pairs(event, edges)
    if len(scores) and (scores.min() < 0 or scores.max() > 1):
        raise ValueError(f"{event.name}: scores must lie in [0, 1], got up to {scores.max():g}")
    if given is not None:
        edges, scores = given, _completed(event, edges, scores)
    return edges.astype(np.int32), scores


def _completed(
    event: Event, edges: NDArray[np.int64], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A score for each edge of the given graph, in its order: 0 where the model gave none."""
    assert event.edge_index is not None
    places = np.array([len(event), 1])
    wanted = np.sort(event.edge_index.T.astype(np.int64), axis=1) @ places
    key = np.sort(edges, axis=1) @ places
    order = np.argsort(wanted)
    place = order[np.searchsorted(wanted, key, sorter=order).clip(max=len(wanted) - 1)]
    if not np.array_equal(wanted[place], key):
        raise ValueError(
            f"{event.name}: {int((wanted[place] != key).sum())} edges are not in the given graph "
            f"of {len(wanted)}; score its edges alone"
        )
    found = np.zeros(len(wanted))
    found[place] = scores
    return found


def _check_pairs(event: Event, edges: NDArray[np.int64]) -> None:
    """Raise ValueError unless the edges are distinct pairs of hits of the event."""
    low, high = np.sort(edges, axis=1).T
    if len(edges) and (low.min() < 0 or high.max() >= len(event)):
        wrong = low.min() if low.min() < 0 else high.max()
        raise ValueError(
            f"{event.name}: edges point to hit {wrong}, the event has {len(event)} "
            "(positions from 0, not hit_id)"
        )
    if len(distinct(low * len(event) + high)) < len(edges) or (low == high).any():
        raise ValueError(
            f"{event.name}: edges hold a pair of hits twice (in either direction) or join a hit "
            "to itself; give each pair once"
        )


def _with_ranks(prepared: list[dict[str, NDArray[Any]]]) -> list[dict[str, NDArray[Any]]]:
    """The scores of all events as ranks among them all: edge metrics pool the events."""
    sizes = [len(one["scores"]) for one in prepared]
    parts = np.split(
        ranked(np.concatenate([one["scores"] for one in prepared])), np.cumsum(sizes)[:-1]
    )
    return [one | {"scores": part} for one, part in zip(prepared, parts, strict=True)]


def ranked(scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Scores in [0, 1] replaced by their dense rank on their side of the threshold 1/2.

    The k-th of K distinct scores up to 1/2 becomes k / 2K, above it (1 + k / K) / 2, so that any
    growing function of the scores that keeps 1/2 gives the same. Order and ties are kept; on a
    side with more than 16,384 distinct scores neighbours share a rank.

    >>> ranked(np.array([1e-9, 2e-9, 0.5, 0.51, 0.500001])).tolist()
    [0.1666666716337204, 0.3333333432674408, 0.5, 1.0, 0.75]
    """
    found = np.empty(len(scores), dtype=np.float32)
    for above in (False, True):
        side = (scores > metrics.THRESHOLD) == above
        distinct, rank = np.unique(scores[side], return_inverse=True)
        rank = rank // max(1, -(-len(distinct) // RANKS))
        found[side] = (above + (rank + 1) / (rank.max(initial=0) + 1)) / 2
    return found


def admit(values: Mapping[str, float]) -> str | None:
    """Rows with many fakes are not ranked: efficiency alone can be bought with them."""
    limits = {"fake_combinatorial": COMBINATORIAL_MAX, "fake_all": FAKES_MAX}
    for name, limit in limits.items():
        if values.get(name, 0.0) > limit:
            return f"{name} {values[name]:.2%} is above {limit:.0%}"
    return None


def _study() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Other pile-up, learning curves in events and epochs, and the chain without its parts.

    Each part is left out in the training too, and what follows is chosen anew on validation.
    """
    parts: dict[str, dict[str, Any]] = {
        "3 epochs": {"epochs": 3},
        "6 epochs": {"epochs": 6},
        "8 events": {"events": 8},
        "16 events": {"events": 16},
        "8 events, filter open": {"events": 8, "cut": OPEN},
        "2 rounds of messages": {"layers": 2},
        "4 rounds of messages": {"layers": 4},
        "walk-through": {"builder": "walk_through"},
        "best in and out": {"builder": "best_in_out"},
        "no merging": {"merge": 0},
        "no rejection": {"reject": False},
    }
    crowded = {f"{n} pile-up": {"pileup": n} for n in generic_detector.OTHERS}
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {"as ranked": ({}, {})}
    found |= {name: (protocol, {}) for name, protocol in crowded.items()}
    return found | {name: ({}, settings) for name, settings in parts.items()}


TASK = Task(
    summary="hits of an event to track labels, ranked by double-majority efficiency",
    reference="""@article{trackml2019,
  title = {The Tracking Machine Learning challenge: Accuracy phase},
  author = {Amrouche, S. and Basara, L. and Calafiura, P. and Estrade, V. and Farrell, S. and
    Ferreira, D. R. and Finnie, L. and Finnie, N. and Germain, C. and Gligorov, V. V. and Golling,
    T. and Gorbunov, S. and Gray, H. and Guyon, I. and Hushchyn, M. and Innocente, V. and Kiehn, M.
    and Moyse, E. and Puget, J.-F. and Reina, Y. and Rousseau, D. and Salzburger, A. and
    Ustyuzhanin, A. and Vlimant, J.-R. and Wind, J. S. and Xylouris, T. and Yilmaz, Y.},
  year = {2019},
  eprint = {1904.06778},
  archivePrefix = {arXiv}
}""",
    inputs=Event,
    predicts=(
        Field(
            "labels",
            "(hits,) an event",
            "int",
            "1",
            "track of each hit, -1 for none",
        ),
        Field("edges", "(m, 2) an event", "int", "1", "optional: pairs of hits, inner first"),
        Field("scores", "(m,) an event", "float", "1", "optional: score of each edge, in [0, 1]"),
    ),
    unit="event",
    version=2,
    datasets=(generic_detector, trackml, trackml_graphs, acorn_events, colliderml),
    load=load,
    prepare=prepare,
    derive=metrics.derive,
    by_unit=ByUnit(prepare_event, metrics.summed),
    admit=admit,
    metrics=(
        Metric(
            metrics.efficiency_dm,
            "1",
            "max",
            slices=metrics.efficiency_slices,
            bounds=FRACTION,
            replicates=metrics.resampled("found_dm", "selected"),
        ),
        Metric(
            metrics.fake_combinatorial,
            "1",
            "min",
            replicates=metrics.resampled("combinatorial", "valid"),
            bounds=FRACTION,
        ),
        Metric(
            metrics.fake_all,
            "1",
            "min",
            replicates=metrics.resampled("fake", "valid"),
            bounds=FRACTION,
        ),
        Metric(
            metrics.fragments,
            "1",
            "min",
            replicates=metrics.resampled("fragment", "valid"),
            bounds=FRACTION,
        ),
        Metric(
            metrics.trackml_score, "1", "max", replicates=metrics.resampled_score, bounds=FRACTION
        ),
        Metric(
            metrics.efficiency_perfect,
            "1",
            "max",
            replicates=metrics.resampled("found_perfect", "selected"),
            bounds=FRACTION,
        ),
        Metric(
            metrics.efficiency_lhc,
            "1",
            "max",
            replicates=metrics.resampled("found_lhc", "selected"),
            bounds=FRACTION,
        ),
        Metric(
            metrics.lhc_per_cluster,
            "1",
            "max",
            replicates=metrics.resampled("clean_lhc", "clean"),
            bounds=FRACTION,
        ),
        Metric(
            metrics.fake_dm,
            "1",
            "min",
            replicates=metrics.resampled("clean_dm", "clean", inverse=True),
            bounds=FRACTION,
        ),
        Metric(
            metrics.duplicate_rate,
            "1",
            "min",
            replicates=metrics.resampled("pure", "pure", minus="pure_particles"),
            bounds=FRACTION,
        ),
        Metric(metrics.edge_auc, "1", "max", version=2, interval=False),
        Metric(metrics.edge_efficiency, "1", "max", version=2, interval=False),
        Metric(metrics.edge_purity, "1", "max", version=2, interval=False),
        Metric(metrics.graph_construction_efficiency, "1", "max", version=2, interval=False),
        Metric(metrics.graph_construction_purity, "1", "max", version=2, interval=False),
        Metric(metrics.end_to_end_edge_efficiency, "1", "max", version=2, interval=False),
    ),
    figures=tracking_figures.FIGURES,
    study=_study(),
    study_figures=tracking_figures.STUDY,
    neurons=Neurons(event_rows.loss, (event_rows.hits_of_events, event_rows.edges_of_events)),
)
