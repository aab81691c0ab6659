"""Histogram gradient boosting on 14 numbers an edge, then the shared track building."""

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
    trees: int = 300,
    learning_rate: float = 0.1,
    leaves: int = 31,
    edges: int = 1_000_000,
    events: int = 0,
    builder: str = "best",
) -> edge_pipeline.Pipeline:
    """Fit on `edges` random edges of the training graphs; thresholds are chosen on validation.

    `events` is the number of training events used, 0 for all.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    graph = window_filter.builder_for(train, seed=seed, context=context)
    used = train.take(range(events)) if events else train
    x, y = edge_pipeline.features(used, graph)
    classifier = HistGradientBoostingClassifier(
        max_iter=trees,
        learning_rate=learning_rate,
        max_leaf_nodes=leaves,
        early_stopping=False,
        random_state=seed,
    )
    chosen = np.random.default_rng(seed).permutation(len(y))[:edges]
    classifier.fit(x[chosen], y[chosen])
    return edge_pipeline.choose(validation, graph, edge_pipeline.classified(classifier), builder)


MODEL = Model(
    tasks=("tracking",),
    reference="histogram gradient boosting on geometric edge features (scikit-learn)",
    fit=fit,
    predict=edge_pipeline.predict,
    presets={"generic_detector": {"events": 12}},
    quick={"trees": 5},
)
