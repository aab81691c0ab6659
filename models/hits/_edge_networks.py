"""Networks that score all edges of a graph at once, and the chain that makes tracks of them.

The chain of Exa.TrkX and ACORN at a size that a CPU trains in minutes: candidate edges, a small
filter, a network with one head for "same particle" and one for "consecutive hits", a track
builder, and a small network of its own that joins fragments. Tracks of few hits that are soft are
dropped. What is cut where is chosen on validation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.hits import Event, EventTruth, Floats, Integers, edge_labels
from physbench.models import Context
from physbench.models.common import training, variants
from physbench.models.common.batches import Batches
from physbench.models.common.training import HERE
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _gated_inputs as inputs
from physbench.models.hits import _merging as merging
from physbench.models.hits import _track_building as track_building
from physbench.models.hits import _window_filter as window_filter

CHAIN = """@article{exatrkx2021,
  title = {Performance of a geometric deep learning pipeline for {HL-LHC} particle tracking},
  author = {Ju, Xiangyang and Murnane, Daniel and Calafiura, Paolo and Choma, Nicholas and
    Conlon, Sean and Farrell, Steven and Xu, Yaoyuan and Spiropulu, Maria and Vlimant, Jean-Roch
    and Aurisano, Adam and Hewes, V and Cerati, Giuseppe and Gray, Lindsey and Klijnsma, Thomas and
    Kowalkowski, Jim and Atkinson, Markus and Neubauer, Mark and DeZoort, Gage and Thais, Savannah
    and Chauhan, Aditi and Schuy, Alex and Hsu, Shih-Chieh and Ballow, Alex and Lazar, Alina},
  journal = {Eur. Phys. J. C},
  volume = {81},
  pages = {876},
  year = {2021},
  doi = {10.1140/epjc/s10052-021-09675-8},
  eprint = {2103.06995},
  archivePrefix = {arXiv}
}"""
PRESETS = {"generic_detector": {"epochs": 12}, "trackml_graphs": {"sectors": 1, "epochs": 20}}
QUICK = {"width": 8, "layers": 2, "epochs": 2, "sectors": 1, "merge": 1}
SEQUENTIAL, GATES = 0.5, 0.3  # weights of the losses beside that of "same particle"


@dataclass(frozen=True)
class Fitted:
    """The networks, how they were made, and the pipeline around them."""

    network: nn.Module
    merger: merging.Merger | None
    sizes: dict[str, Any]
    cut: float
    pipeline: edge_pipeline.Pipeline


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the chain is trained.

    Attributes
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
    reject:
        Whether tracks of few hits that are soft are dropped.
    """

    epochs: int = 8
    learning_rate: float = 0.003
    sectors: int = 3
    cut: float = -3.0
    merge: int = 4
    events: int = 0
    builder: str = "multicut"
    reject: bool = True


Candidates = Callable[..., window_filter.Builder | None]


def fits(
    build: type[nn.Module],
    candidates: Candidates = window_filter.builder_for,
    **defaults: Any,
) -> Callable[..., Fitted]:
    """The `fit` of a network: its sizes and the recipe, with these defaults.

    `candidates(train, seed=, cut=, context=)` trains what proposes edges.
    """

    def fit(
        train: Split, validation: Split, *, seed: int, context: Context = HERE, **settings: Any
    ) -> Fitted:
        """Train filter, network and merger in turn; the rest is chosen on validation."""
        recipe = Recipe(**variants.part_of(settings, Recipe))
        loose = min(merging.LOOSE, recipe.cut)
        graph = candidates(train, seed=seed, cut=loose, context=context)
        train = train.take(range(recipe.events)) if recipe.events else train
        held = recipe.merge if graph is not None else 0
        body = train.take(range(max(len(train) - held, 1)))
        sizes = variants.part_of(settings, build) | {"edge": inputs.EDGES + (graph is not None)}
        torch.manual_seed(seed)
        network = build(**sizes)
        trained(network, body, validation, graph, recipe, seed, context)
        score = scored(network, recipe.cut)
        rest = train.take(range(len(train) - held, len(train)))
        merger = _merger(rest, graph, score, seed, context) if held else None
        refine = None if merger is None else merging.refined(merger)
        pipeline = edge_pipeline.choose(
            validation, graph, score, recipe.builder, refine, reject=recipe.reject
        )
        return Fitted(network, merger, sizes, recipe.cut, pipeline)

    return variants.declared(fit, build, Recipe, **defaults)


def trained(
    network: nn.Module,
    train: Split,
    validation: Split,
    graph: window_filter.Builder | None,
    recipe: Recipe,
    seed: int,
    context: Context,
) -> None:
    """Train on one graph a step, with a one-cycle schedule."""
    training.train(
        network,
        loss,
        Batches(data(train, graph, recipe.sectors, recipe.cut)),
        Batches(data(validation, graph, 1, recipe.cut)),
        seed=seed,
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        schedule="onecycle",
        clip=1.0,
        context=context,
    )


def loss(network: nn.Module, graph: inputs.Graph) -> Tensor:
    """Cross entropies of both logits and of the gates, on a randomly mirrored view in training."""
    if network.training:
        turn, mirror = (torch.rand(2) < 0.5).tolist()
        graph = graph.mirrored(turn, mirror)
    logits, gates = network(graph)
    assert graph.label is not None
    same, sequential = graph.label.T
    entropy = nn.functional.binary_cross_entropy_with_logits
    gated = sum(entropy(gate, same) for gate in gates) / max(len(gates), 1)
    edges = entropy(logits[:, 0], same) + SEQUENTIAL * entropy(logits[:, 1], sequential)
    return edges + GATES * gated


def data(
    split: Split, builder: window_filter.Builder | None, sectors: int, cut: float
) -> Iterator[inputs.Graph]:
    """Graphs with labels: sectors of all events of a split, of edges that the filter lets pass."""
    for event, truth in zip(split.inputs, split.targets, strict=True):
        if event.edge_index is not None or builder is None:
            edges, logit = edge_pipeline.graph(event, None)
        else:
            edges, logit = builder(event, cut)
        same = window_filter.same_particle(truth, edges)
        label = np.stack([same, edge_labels(truth, edges) & same], axis=1)
        whole = inputs.graph(event, edges, logit, label)
        parts = inputs.sectors(whole, event.phi, sectors)
        yield from (part for part in parts if len(part.source))


def logits(
    network: nn.Module, event: Event, edges: Integers, logit: NDArray[Any] | None
) -> Floats:
    """(m, 2) logits of consecutive hits and of the same particle."""
    with torch.no_grad():
        found = network(inputs.graph(event, edges, logit))[0].double().numpy()
    return np.ascontiguousarray(found[:, ::-1])


def scored(network: nn.Module, cut: float) -> edge_pipeline.Score:
    """Probabilities (m, 2) as the pipeline takes them; 0 for edges that the filter stops."""

    def probability(event: Event, edges: Integers, logit: NDArray[Any] | None) -> Floats:
        inside = np.ones(len(edges), dtype=bool) if logit is None else logit >= cut
        found = np.zeros((len(edges), 2))
        passed = None if logit is None else logit[inside]
        found[inside] = 1 / (1 + np.exp(-logits(network, event, edges[inside], passed)))
        return found

    return probability


def _merger(
    split: Split,
    graph: window_filter.Builder | None,
    score: edge_pipeline.Score,
    seed: int,
    context: Context,
) -> merging.Merger | None:
    """Trained on the tracks that a multicut makes of events that the network never saw."""

    def example(event: Event, truth: EventTruth) -> merging.Example:
        found = edge_pipeline.graph(event, graph)
        scores = score(event, *found)
        choice = edge_pipeline.Choice("multicut", 0.5)
        labels = edge_pipeline.tracks(event, found, scores, choice, None)
        return event, truth, labels, merging.loosened(found, scores)

    examples = map(example, split.inputs, split.targets)
    return merging.train(examples, seed=seed, context=context)


def predict(fitted: Fitted, events: Sequence[Event]) -> Any:
    """Labels, edges and scores of each event."""
    return edge_pipeline.predict(fitted.pipeline, events)


def save(fitted: Fitted, path: Path) -> None:
    """Weights of all networks, candidates and what was chosen."""
    extra = {
        "sizes": fitted.sizes,
        "cut": fitted.cut,
        "merger": None if fitted.merger is None else fitted.merger.state_dict(),
        "graph": window_filter.stored(fitted.pipeline.graph),
        "choice": asdict(fitted.pipeline.choice),
    }
    training.save(fitted.network, path, extra)


def load(build: type[nn.Module], path: Path) -> Fitted:
    """The inverse of `save`."""
    state, extra = training.load(path)
    network = build(**extra["sizes"])
    network.load_state_dict(state)
    merger = None
    if extra["merger"] is not None:
        merger = merging.Merger()
        merger.load_state_dict(extra["merger"])
    pipeline = edge_pipeline.Pipeline(
        window_filter.restored(extra["graph"]),
        scored(network.eval(), extra["cut"]),
        edge_pipeline.Choice(**extra["choice"]),
        None if merger is None else merging.refined(merger.eval()),
    )
    return Fitted(network, merger, extra["sizes"], extra["cut"], pipeline)


def ablations(fitted: Fitted) -> dict[str, Fitted]:
    """Without the merging, without the dropping, and with simpler track builders.

    Cuts of the simpler builders are their own usual ones, not chosen anew.
    """
    whole = fitted.pipeline
    everything = replace(whole.choice, hits=track_building.HITS_MIN, short=0, soft=0.0)
    changed = {
        "no fragments joined": replace(whole, refine=None),
        "no track dropped": replace(whole, choice=everything),
    }
    for builder, cut in (("walk_through", 0.1), ("best_in_out", 0.5), ("components", 0.5)):
        choice = replace(whole.choice, builder=builder, cut=cut)
        changed[f"{builder} for {whole.choice.builder}"] = replace(whole, choice=choice)
    return {name: replace(fitted, pipeline=one) for name, one in changed.items()}


def parameters(fitted: Fitted) -> int:
    """Of network, filter and merger together."""
    graph = fitted.pipeline.graph
    parts = [fitted.network, fitted.merger, None if graph is None else graph.network]
    return sum(training.parameters(part) for part in parts if part is not None)
