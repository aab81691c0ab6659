"""Scores of supervised oracles: trained on labelled test jets, each scored by a model that never
saw its event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import take
from physbench.datasets.jets import JetTruth

Train = Callable[[Any, NDArray[np.bool_], NDArray[np.float64], int], Callable[[Any], Any]]


def folds(truth: JetTruth, number: int, seed: int) -> NDArray[np.int64]:
    """A fold for each jet (n,); jets of one generator event share theirs."""
    if number < 2:
        raise ValueError(f"cross-fitting needs at least 2 folds; got {number}")
    events = np.column_stack([truth.signal, truth.event])
    _, inverse = np.unique(events, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    order = np.random.default_rng(seed).permutation(int(inverse.max()) + 1)
    return np.asarray(order[inverse] % number)


def balanced(truth: JetTruth) -> NDArray[np.float64]:
    """Weights (n,): each signal weighs the same, all together as much as the background."""
    counts = np.bincount(truth.signal, minlength=1)
    present = max(int(np.count_nonzero(counts[1:])), 1)
    share = np.where(np.arange(len(counts)) == 0, 1.0, 1.0 / present)
    weights = (share / np.maximum(counts, 1))[truth.signal]
    return np.asarray(weights * len(truth) / weights.sum())


def out_of_fold(
    inputs: Any, truth: JetTruth, train: Train, *, number: int, seed: int
) -> NDArray[np.float64]:
    """Scores (n,) of `train(inputs, is_signal, weights, seed) -> score` cross-fitted by event.

    `inputs` are jets, or an array with a row of features for each jet.
    Training uses the pT-matched jets, so that pT cannot help; all jets are scored.
    """
    fold = folds(truth, number, seed)
    scores = np.empty(len(truth))
    for k in range(number):
        chosen = np.flatnonzero((fold != k) & truth.matched)
        labels = truth.take(chosen)
        score = train(take(inputs, chosen), labels.signal > 0, balanced(labels), seed)
        rest = np.flatnonzero(fold == k)
        scores[rest] = score(take(inputs, rest))
    return scores
