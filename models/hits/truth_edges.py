"""Oracle of the graph builder: knows the truth of every edge of its graph.

What a perfect edge classifier would reach on the shared graph with the shared track builder:
the rest to 1.0 is lost by the graph, not by the classifier.
"""

from __future__ import annotations

from collections.abc import Sequence

from physbench.datasets import Split
from physbench.datasets.hits import Event, EventTruth, labels_of_edges
from physbench.models import Model
from physbench.models.hits import _graphs as graphs
from physbench.models.hits import _track_building as track_building
from physbench.models.hits._edge_pipeline import Prediction


def fit(
    train: Split, validation: Split, *, seed: int, builder: str = "components"
) -> tuple[graphs.Windows | None, str]:
    """Learn the windows of the graph from training events."""
    track_building.builder(builder)
    return graphs.windows_for(train.inputs, train.targets), builder


def predict(
    fitted: tuple[graphs.Windows | None, str],
    events: Sequence[Event],
    targets: Sequence[EventTruth],
) -> list[Prediction]:
    """Tracks from the true edges; scores are 0 or 1."""
    windows, builder = fitted
    predictions = []
    for event, truth in zip(events, targets, strict=True):
        edges = graphs.graph(event, windows)
        scores = labels_of_edges(truth, edges).astype(float)
        labels = track_building.builder(builder)(len(event), edges, scores, 0.5)
        predictions.append({"labels": labels, "edges": edges, "scores": scores})
    return predictions


MODEL = Model(
    tasks=("tracking",),
    reference="the truth of the shared graph",
    fit=fit,
    predict=predict,
    role="oracle",
    deterministic=True,
)
