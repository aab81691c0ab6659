"""Oracle of the shared graph: knows which of its edges join two hits of one particle.

Redundant edges bridge lost links, so that this is what no track builder on this graph passes, but
for merging of what the graph does not connect.
"""

from __future__ import annotations

from collections.abc import Sequence

from physbench.datasets import Split
from physbench.datasets.hits import Event, EventTruth
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
    """Tracks from the edges inside particles."""
    return edge_oracle.predictions(fitted, events, targets, window_filter.same_particle)


MODEL = Model(
    tasks=("tracking",),
    reference="the truth of the shared graph, any two hits of a particle",
    fit=fit,
    predict=predict,
    role="oracle",
    deterministic=True,
)
