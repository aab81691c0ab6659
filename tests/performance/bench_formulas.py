"""Formulas of one column beside the best of scikit-learn, SciPy and NumPy, and beside their floor.

The floor is the sort, the selection or the product that a formula cannot do without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats

from physbench.tasks.metrics import propensity, ranking, resolution

UNITS = 400_000
GENERATOR = np.random.default_rng(0)
SCORES = GENERATOR.normal(size=(2, UNITS))
ERRORS = GENERATOR.normal(0, 0.01, 1_000_000)
FIELD = GENERATOR.normal(size=(2, 4096))


def auc_of_scikit_learn() -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.repeat([0, 1], UNITS // 2), SCORES[0]))


def sorted_scores() -> Any:
    return np.sort(SCORES[0])


def ordered_twice() -> Any:
    return np.argsort(SCORES[0]), np.argsort(SCORES[1])


def selected() -> Any:
    return np.partition(ERRORS, (158_700, 841_300))


def passes() -> Any:
    return [float(ERRORS @ ERRORS) for _ in range(2 * resolution.ROUNDS)]


HALF = UNITS // 2
# Formula -> (ours, peer, floor, what the floor is).
CASES: dict[str, tuple[Callable[[], Any], Callable[[], Any], Callable[[], Any], str]] = {
    "auc": (
        lambda: ranking.area_under_curve(SCORES[0, :HALF], SCORES[0, HALF:]),
        auc_of_scikit_learn,
        sorted_scores,
        "an argsort that carries the classes along, where a sort of the values alone would do "
        "for one curve",
    ),
    "spearman": (
        lambda: ranking.spearman(*SCORES),
        lambda: scipy.stats.spearmanr(*SCORES).statistic,
        ordered_twice,
        "two orders, gathered back",
    ),
    "core68": (
        lambda: resolution.core68(ERRORS),
        lambda: np.quantile(ERRORS, (resolution.LOW, resolution.HIGH)),
        selected,
        "a selection for each of both ends",
    ),
    "clipped_rms": (
        lambda: resolution.iterative_rms(ERRORS),
        lambda: scipy.stats.sigmaclip(ERRORS, 3, 3).clipped.std(),
        passes,
        "mean, deviation, mask and copy of each round, 8 MB each",
    ),
    "pearson": (
        lambda: propensity.correlation(*FIELD),
        lambda: np.corrcoef(*FIELD)[0, 1],
        lambda: FIELD @ FIELD.T,
        "a dozen calls of NumPy on 4,096 numbers, 1 us each",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_formula_beside_the_best_peer(
    benchmark: Any, interleaved: Any, told: Any, name: str
) -> None:
    ours, peer, floor, limit = CASES[name]
    own, best, least = interleaved(ours, peer, floor, rounds=9)
    benchmark.pedantic(ours, rounds=3)
    told(best / own, least=1, limit=limit, over_floor=own / least)
