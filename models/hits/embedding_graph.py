"""Metric learning: hits become points, near points become edges, a network may filter them.

The first stages of the Exa.TrkX chain. `search` is `radius`, all pairs within a distance that is
chosen on validation, or `knn`, so many neighbours of each hit. `filter` is `none` (the score is
the distance), `plain`, or `context`, which also knows the neighbouring edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import nn

from physbench.datasets import Split
from physbench.datasets.hits import Event, Floats, Integers
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.common.training import HERE
from physbench.models.hits import _edge_filter as edge_filter
from physbench.models.hits import _embedding as embedding

SEARCHES, FILTERS = ("radius", "knn"), ("none", "plain", "context")
Prediction = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Fitted:
    """The network, its sizes, how neighbours are found, and the filter if there is one."""

    network: embedding.Embedding
    sizes: tuple[int, int, int]
    search: str
    reach: float
    filter: edge_filter.Filter | None

    def edges(self, event: Event) -> tuple[Integers, Floats]:
        """Edges (m, 2) and the distance of their points (m,)."""
        points = embedding.placed(self.network, event)
        return embedding.neighbours(event, points, self.search, self.reach)


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = HERE,
    search: str = "radius",
    filter: str = "none",
    share: float = 0.985,
    pt_min: float = 0.7,
    width: int = 96,
    layers: int = 3,
    dimensions: int = 8,
    epochs: int = 32,
    learning_rate: float = 3e-3,
    events: int = 12,
    filter_events: int = 8,
    filter_epochs: int = 6,
) -> Fitted:
    """Embedding from the first `events` training events, filter from `filter_events` of them.

    Parameters
    ----------
    share:
        Of the wanted edges that neighbours must hold on validation.
    pt_min:
        Particles that the embedding learns from, in GeV.
    """
    for name, value, known in (("search", search, SEARCHES), ("filter", filter, FILTERS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}; got '{value}'")
    sides = [
        list(zip(part.inputs, part.targets, strict=True))[:events] for part in (train, validation)
    ]
    network = embedding.fit(
        sides[0],
        seed=seed,
        pt_min=pt_min,
        width=width,
        layers=layers,
        dimensions=dimensions,
        epochs=epochs,
        learning_rate=learning_rate,
        run=context,
    )
    reach = embedding.reach_of(network, sides[1], search, share)
    found = Fitted(network, (width, layers, dimensions), search, reach, None)
    if filter == "none":
        return found
    graphs = [[(e, t, found.edges(e)[0]) for e, t in side[:filter_events]] for side in sides]
    made = edge_filter.fit(
        *graphs,
        seed=seed,
        width=48,
        epochs=filter_epochs,
        learning_rate=5e-3,
        context=filter == "context",
        run=context,
    )
    return Fitted(network, found.sizes, search, reach, made)


def predict(fitted: Fitted, events: Sequence[Event]) -> list[Prediction]:
    """Edges and scores of each event."""
    return [_predicted(fitted, event) for event in events]


def _predicted(fitted: Fitted, event: Event) -> Prediction:
    edges, distance = fitted.edges(event)
    if fitted.filter is None:
        return {"edges": edges, "scores": 1 / (1 + distance)}
    return {"edges": edges, "scores": fitted.filter.scores(event, edges)}


def save(fitted: Fitted, path: Path) -> None:
    """Weights of both networks, and what is needed to build them again."""
    networks = nn.ModuleDict({"embedding": fitted.network})
    extra = {"sizes": fitted.sizes, "search": fitted.search, "reach": fitted.reach}
    if fitted.filter is not None:
        networks["filter"] = fitted.filter.network
        extra["filter"] = fitted.filter.plain()
    training.save(networks, path, extra)


def load(path: Path) -> Fitted:
    """The inverse of `save`."""
    state, extra = training.load(path)
    parts: dict[str, dict[str, object]] = {"embedding": {}, "filter": {}}
    for name, tensor in state.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    sizes = tuple(extra["sizes"])
    network = embedding.Embedding(*sizes)
    network.load_state_dict(parts["embedding"])
    made = edge_filter.rebuilt(parts["filter"], extra["filter"]) if "filter" in extra else None
    return Fitted(network.eval(), sizes, extra["search"], extra["reach"], made)


MODEL = Model(
    tasks=("track_graphs",),
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
    fit=fit,
    predict=predict,
    quick={
        "epochs": 1,
        "width": 8,
        "layers": 1,
        "filter": "plain",
        "filter_epochs": 1,
        "share": 0.05,
    },
    save=save,
    load=load,
    parameters=lambda fitted: sum(
        training.parameters(part)
        for part in (fitted.network, fitted.filter and fitted.filter.network)
        if part is not None
    ),
)
