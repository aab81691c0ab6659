"""Buckets from metric learning: hits that a network places near one another, seeds within them.

As `hashed_seeding`, with the learned distance in place of the angle: each hit of the first layers
asks for its neighbours among the points of the embedding, and every query has a bucket of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physbench.datasets import Split
from physbench.datasets.hits import Event, Integers
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.common.training import HERE
from physbench.models.hits import _acts_seeding as acts_seeding
from physbench.models.hits import _buckets as buckets
from physbench.models.hits import _embedding as embedding
from physbench.models.hits import _triplets as triplets
from physbench.models.hits._bucket_seeds import Finder, Prediction, predicted

FINDERS = ("acts", "numpy")


@dataclass(frozen=True)
class Fitted:
    """The network with its sizes, neighbours of a query, and what finds seeds."""

    network: embedding.Embedding
    sizes: tuple[int, int, int]
    size: int
    finder: Finder

    def buckets(self, event: Event) -> list[Integers]:
        """Sorted hit positions of each bucket."""
        asked = buckets.queries(event, discs=True)
        if not len(asked):
            return []
        points = embedding.placed(self.network, event)
        near = buckets.SEARCHES["exact"](points, asked, min(self.size, len(event)))
        return buckets.merged(near, np.arange(len(asked)))


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = HERE,
    size: int = 100,
    finder: str = "acts",
    per_middle: int = 1,
    wide: bool = True,
    pt_min: float = 0.9,
    width: int = 96,
    layers: int = 3,
    dimensions: int = 8,
    epochs: int = 24,
    learning_rate: float = 3e-3,
    events: int = 20,
) -> Fitted:
    """Embedding from the first `events` training events.

    `size` is that of a bucket; `finder`, `per_middle` and `wide` as in `hashed_seeding`.
    """
    if finder not in FINDERS:
        raise ValueError(f"finder must be one of {', '.join(FINDERS)}; got '{finder}'")
    if size < 1:
        raise ValueError(f"size must be at least 1; got {size}")
    pairs = list(zip(train.inputs, train.targets, strict=True))[:events]
    network = embedding.fit(
        pairs,
        seed=seed,
        pt_min=pt_min,
        width=width,
        layers=layers,
        dimensions=dimensions,
        epochs=epochs,
        learning_rate=learning_rate,
        run=context,
    )
    sizes = (width, layers, dimensions)
    if finder == "acts":
        return Fitted(network, sizes, size, acts_seeding.cuts(per_middle, wide))
    limits = triplets.learn(
        train.inputs[:events],
        train.targets[:events],
        pt_min=0.7,
        outside=0.003,
        rare=0.002,
        keep=per_middle,
    )
    return Fitted(network, sizes, size, limits)


def predict(fitted: Fitted, events: Sequence[Event]) -> list[Prediction]:
    """Seeds and buckets of each event."""
    return [predicted(event, fitted.buckets(event), fitted.finder) for event in events]


MODEL = Model(
    tasks=("track_seeds",),
    reference="""@article{hashing2021,
  title = {Hashing and metric learning for charged particle tracking},
  author = {Amrouche, Sabrina and Kiehn, Moritz and Golling, Tobias and Salzburger, Andreas},
  year = {2021},
  eprint = {2101.06428},
  archivePrefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    quick={"size": 30, "epochs": 1, "width": 8, "layers": 1, "events": 2},
    parameters=lambda fitted: training.parameters(fitted.network),
)
