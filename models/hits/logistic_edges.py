"""Logistic regression on 14 numbers an edge, then the shared track building."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from physbench.datasets import Split
from physbench.datasets.hits import Event, Floats, Integers
from physbench.models import Model
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _graphs as graphs


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    c: float = 1.0,
    edges: int = 200_000,
    builder: str = "best_in_out",
) -> edge_pipeline.Pipeline:
    """Fit on `edges` random edges of the training graphs; threshold chosen on validation.

    The 14 numbers enter with their squares and products. `c` is the inverse strength of the
    quadratic penalty.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    windows = graphs.windows_for(train.inputs, train.targets)
    x, y = edge_pipeline.features(train, windows)
    chosen = np.random.default_rng(seed).permutation(len(y))[:edges]
    classifier = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(2, include_bias=False),
        LogisticRegression(C=c, max_iter=2000, tol=1e-3),
    )
    classifier.fit(x[chosen], y[chosen])
    return edge_pipeline.choose(validation, windows, score(classifier), builder)


def score(classifier: Any) -> Any:
    """Probability of an edge to be true, as the pipeline calls it."""

    def probability(event: Event, edges: Integers) -> Floats:
        if not len(edges):
            return np.zeros(0)
        found: Floats = classifier.predict_proba(graphs.hand_features(event, edges))[:, 1]
        return found

    return probability


def predict(pipeline: edge_pipeline.Pipeline, events: Sequence[Event]) -> Any:
    """Labels, edges and scores of each event."""
    return edge_pipeline.predict(pipeline, events)


MODEL = Model(
    tasks=("tracking",),
    reference="logistic regression on geometric edge features (scikit-learn)",
    fit=fit,
    predict=predict,
)
