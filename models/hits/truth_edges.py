"""Oracle of the shared graph: knows which of its edges join consecutive hits of a particle.

What a perfect classifier of consecutive hits would reach with components: a particle falls apart
where the graph lost one of its links. `truth_pairs` is the same for any two hits of a particle.
"""

from __future__ import annotations

from collections.abc import Sequence

from physbench.datasets import Split
from physbench.datasets.hits import Event, EventTruth, labels_of_edges
from physbench.models import Model
from physbench.models.hits import _edge_oracle as edge_oracle
from physbench.models.hits import _window_filter as window_filter
from physbench.models.hits._edge_pipeline import Prediction


def fit(train: Split, validation: Split, *, seed: int) -> window_filter.Builder | None:
    """The builder that the edge classifiers share."""
    return window_filter.builder_for(train, seed=seed)


def predict(
    fitted: window_filter.Builder | None, events: Sequence[Event], targets: Sequence[EventTruth]
) -> list[Prediction]:
    """Tracks from the true edges."""
    return edge_oracle.predictions(fitted, events, targets, labels_of_edges)


MODEL = Model(
    tasks=("tracking",),
    reference="the truth of the shared graph, consecutive hits",
    fit=fit,
    predict=predict,
    role="oracle",
    deterministic=True,
)
