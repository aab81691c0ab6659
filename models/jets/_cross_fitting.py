"""Scores of supervised oracles, out of fold.

They train on labelled test jets; each jet is scored by a model that never saw its event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.jets import JetTruth


def folds(truth: JetTruth, number: int, seed: int) -> NDArray[np.int64]:
    """A fold for each jet (n,); jets of one generator event share theirs."""
    if number < 2:
        raise ValueError(f"cross-fitting needs at least 2 folds; got {number}")
    events = np.column_stack([truth.signal, truth.event])
    _, inverse = np.unique(events, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    order = np.random.default_rng(seed).permutation(int(inverse.max()) + 1)
    return np.asarray(order[inverse] % number)


def parts(
    truth: JetTruth, number: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(train, score): indices of the jets to learn from and to score, for every fold."""
    fold = folds(truth, number, seed)
    for k in range(number):
        yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)


def balanced(signal: NDArray[np.int8], weight: NDArray[Any]) -> NDArray[np.float64]:
    """Weights (n,) with mean 1 in which every class of `signal` weighs the same.

    `weight` (n,) makes the pT spectra equal, so that pT cannot help a classifier.
    """
    sums = np.bincount(signal, weight)
    given = np.asarray(weight / sums[signal], dtype=np.float64)
    return np.asarray(given * len(given) / given.sum())


def own_columns(scores: NDArray[np.float64], truth: JetTruth) -> NDArray[np.float64]:
    """Scores (n, signals) with the columns of other signals emptied: nothing compares them.

    Background keeps all its columns, a jet of signal k only the k-th; the rest is the column's
    lowest value, which takes no room when it is stored.
    """
    kept = (truth.signal == 0)[:, None] | (
        truth.signal[:, None] == np.arange(1, scores.shape[1] + 1)
    )
    return np.where(kept, scores, scores.min(axis=0))
