"""Resamples as the metrics get them: some at a time, and once for those that share a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.running.scoring import RESAMPLES_OTHER, RESAMPLES_RANKING, Draws, resamples
from physbench.tasks import Shared

KEY = "0123456789abcdef"


def test_blocks_are_the_resamples_in_order() -> None:
    draws = Draws(7, KEY)
    whole = [np.bincount(u, minlength=7) for u in resamples(7, RESAMPLES_RANKING, KEY)]
    for _ in range(2):
        blocks = [block.copy() for block in draws.blocks(RESAMPLES_RANKING)]
        assert np.array_equal(np.concatenate(blocks), whole)
        assert np.array_equal(next(draws.blocks(RESAMPLES_OTHER)), whole[:RESAMPLES_OTHER])


def test_metrics_of_one_table_have_it_computed_once() -> None:
    calls = []

    def table(targets: Any, derived: Any, counts: NDArray[Any]) -> NDArray[Any]:
        calls.append(len(counts))
        return counts @ derived

    draws, values = Draws(5, KEY), np.arange(5.0)
    ranking = draws.shared(Shared(table, lambda t: t), None, values, RESAMPLES_RANKING)
    other = draws.shared(Shared(table, lambda t: -t), None, values, RESAMPLES_OTHER)
    assert calls == [RESAMPLES_OTHER] * (RESAMPLES_RANKING // RESAMPLES_OTHER)
    assert np.array_equal(other, -ranking[:RESAMPLES_OTHER])
    slow = [values[u].sum() for u in resamples(5, RESAMPLES_RANKING, KEY)]
    assert np.array_equal(ranking, slow)
