"""Logistic regression on 14 numbers an edge, then the shared track building."""

from __future__ import annotations

import numpy as np

from physbench.datasets import Split
from physbench.models import Context, Model
from physbench.models.common.training import HERE
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _window_filter as window_filter


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = HERE,
    c: float = 1.0,
    edges: int = 200_000,
    events: int = 0,
    builder: str = "best",
) -> edge_pipeline.Pipeline:
    """Fit on `edges` random edges of the training graphs; thresholds chosen on validation.

    The 14 numbers enter with their squares and products. `c` is the inverse strength of the
    quadratic penalty. `events` is the number of training events used, 0 for all.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    graph = window_filter.builder_for(train, seed=seed, context=context)
    used = train.take(range(events)) if events else train
    x, y = edge_pipeline.features(used, graph)
    chosen = np.random.default_rng(seed).permutation(len(y))[:edges]
    classifier = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(2, include_bias=False),
        LogisticRegression(C=c, max_iter=2000, tol=1e-3),
    )
    classifier.fit(x[chosen], y[chosen])
    return edge_pipeline.choose(validation, graph, edge_pipeline.classified(classifier), builder)


MODEL = Model(
    tasks=("tracking",),
    reference="logistic regression on geometric edge features (scikit-learn)",
    fit=fit,
    predict=edge_pipeline.predict,
    presets={"generic_detector": {"events": 12}},
    quick={"edges": 2000},
)
