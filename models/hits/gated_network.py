"""Graphs of wide windows and a filter, a gated network of six rounds, multicut, learned merging.

The chain of Exa.TrkX and ACORN at a size that a CPU trains in minutes: learned windows, a small
filter, a residual interaction network whose messages pass gates, with one head for "same particle"
and one for "consecutive hits", and a multicut. Fragments are joined by a small network of its own;
tracks of few hits that are soft are dropped. What is cut where is chosen on validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from physbench.datasets import Split
from physbench.datasets.hits import Event
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.common.training import HERE
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _gated as gated
from physbench.models.hits import _gated_inputs as inputs
from physbench.models.hits import _merging as merging
from physbench.models.hits import _window_filter as window_filter


@dataclass(frozen=True)
class Fitted:
    """The networks, how they were made, and the pipeline around them."""

    network: gated.GatedNetwork
    merger: merging.Merger | None
    sizes: dict[str, Any]
    cut: float
    pipeline: edge_pipeline.Pipeline


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = HERE,
    width: int = 32,
    layers: int = 6,
    epochs: int = 8,
    learning_rate: float = 0.003,
    sectors: int = 3,
    cut: float = -3.0,
    merge: int = 4,
    events: int = 0,
    builder: str = "multicut",
) -> Fitted:
    """Train filter, network and merger one after the other; the rest is chosen on validation.

    Parameters
    ----------
    sectors:
        An event is cut into so many sectors of azimuth, each a step of the training.
    cut:
        Smallest logit of the filter of the edges that the network sees.
    merge:
        Training events, the last ones, that only the merger learns from; 0 for no merging. Given
        graphs are not merged.
    events:
        Number of training events used, 0 for all.
    builder:
        `best_in_out`, `walk_through`, `multicut`, or `best` of them on validation, which costs
        three times as much.
    """
    graph = window_filter.builder_for(train, seed=seed, cut=merging.LOOSE, context=context)
    train = train.take(range(events)) if events else train
    held = merge if graph is not None else 0
    body = train.take(range(max(len(train) - held, 1)))
    edge = inputs.EDGES + (graph is not None)
    torch.manual_seed(seed)
    network = gated.GatedNetwork(width, layers, edge)
    gated.trained(
        network,
        gated.data(body, graph, sectors, cut),
        gated.data(validation, graph, 1, cut),
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        context=context,
    )
    score = gated.score(network, cut)
    rest = train.take(range(len(train) - held, len(train)))
    merger = _merger(rest, graph, score, seed, context) if held else None
    refine = None if merger is None else merging.refined(merger)
    pipeline = edge_pipeline.choose(validation, graph, score, builder, refine)
    sizes = {"width": width, "layers": layers, "edge": edge}
    return Fitted(network, merger, sizes, cut, pipeline)


def _merger(
    split: Split,
    graph: window_filter.Builder | None,
    score: edge_pipeline.Score,
    seed: int,
    context: Context,
) -> merging.Merger | None:
    """Trained on the tracks that a multicut makes of events that the network never saw."""
    examples = []
    for event, truth in zip(split.inputs, split.targets, strict=True):
        found = edge_pipeline.graph(event, graph)
        scores = score(event, *found)
        choice = edge_pipeline.Choice("multicut", 0.5)
        labels = edge_pipeline.tracks(event, found, scores, choice, None)
        examples.append((event, truth, labels, merging.loosened(found, scores)))
    return merging.train(examples, seed=seed, context=context)


def predict(fitted: Fitted, events: Sequence[Event]) -> Any:
    """Labels, edges and scores of each event."""
    return edge_pipeline.predict(fitted.pipeline, events)


def save(fitted: Fitted, path: Path) -> None:
    """Weights of all networks, windows and what was chosen."""
    extra = {
        "sizes": fitted.sizes,
        "cut": fitted.cut,
        "merger": None if fitted.merger is None else fitted.merger.state_dict(),
        "graph": window_filter.stored(fitted.pipeline.graph),
        "choice": asdict(fitted.pipeline.choice),
    }
    training.save(fitted.network, path, extra)


def load(path: Path) -> Fitted:
    """The inverse of `save`."""
    state, extra = training.load(path)
    network = gated.GatedNetwork(**extra["sizes"])
    network.load_state_dict(state)
    merger = None
    if extra["merger"] is not None:
        merger = merging.Merger()
        merger.load_state_dict(extra["merger"])
    pipeline = edge_pipeline.Pipeline(
        window_filter.restored(extra["graph"]),
        gated.score(network.eval(), extra["cut"]),
        edge_pipeline.Choice(**extra["choice"]),
        None if merger is None else merging.refined(merger.eval()),
    )
    return Fitted(network, merger, extra["sizes"], extra["cut"], pipeline)


def parameters(fitted: Fitted) -> int:
    """Of network, filter and merger together."""
    graph = fitted.pipeline.graph
    parts = [fitted.network, fitted.merger, None if graph is None else graph.network]
    return sum(training.parameters(part) for part in parts if part is not None)


MODEL = Model(
    tasks=("tracking",),
    reference="""@article{exatrkx2021,
  title = {Performance of a geometric deep learning pipeline for HL-LHC particle tracking},
  author = {Ju, Xiangyang and others},
  journal = {The European Physical Journal C},
  volume = {81},
  pages = {876},
  year = {2021},
  eprint = {2103.06995},
  archivePrefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={
        "generic_detector": {"events": 32},
        "trackml_graphs": {"sectors": 1, "epochs": 20},
    },
    quick={"width": 8, "layers": 2, "epochs": 2, "sectors": 1, "merge": 1},
    save=save,
    load=load,
    parameters=parameters,
)
