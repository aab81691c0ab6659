"""Statements on seeding: their arithmetic, and verdicts from the committed records."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.trust import ledger, seed_claims


def test_a_difference_that_all_events_share_is_certain() -> None:
    first = np.array([[9.0, 10.0], [18.0, 20.0], [27.0, 30.0]])
    second = first - [1.0, 0.0] * np.array([[1.0], [2.0], [3.0]])
    rows = [seed_claims._scores(table, lambda s: s[:, 0] / s[:, 1]) for table in (first, second)]
    assert seed_claims._apart(*rows) == pytest.approx((0.1, 0.1, 0.1))


def test_an_interval_holds_the_spread_of_events() -> None:
    table = np.array([[5.0, 10.0], [9.0, 10.0], [7.0, 10.0], [8.0, 10.0]])
    rows = [seed_claims._scores(t, lambda s: s[:, 0] / s[:, 1]) for t in (table, table * [0, 1])]
    value, low, high = seed_claims._apart(*rows)
    assert value == pytest.approx(0.725)
    assert low < 0.6 < 0.85 < high  # Student's t of four events


def test_cost_is_the_range_over_pairs_of_runs() -> None:
    def runs(*seconds: float) -> Any:
        return [SimpleNamespace(cost={"predict": SimpleNamespace(cpu_s=s)}) for s in seconds]

    assert seed_claims.slower(runs(2.0, 3.0), runs(1.0, 2.0)) == pytest.approx((0.75, 0.0, 2.0))


def test_the_committed_records_decide_every_statement() -> None:
    entries = [e for e in ledger._read("claims.json") if e["id"].startswith("seeds-")]
    found = {entry["id"]: ledger.judged(entry) for entry in entries}
    assert {c.verdict for c in found.values()} == {"supported", "contradicted"}
    assert found["seeds-more-dr"].verdict == "supported"
    assert found["seeds-more-dphi"].verdict == "contradicted"
    assert all(c.low is not None and not math.isnan(c.low) for c in found.values())
