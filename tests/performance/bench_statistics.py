"""Speed of the bootstrap: 100,000 units, 1,000 resamples, against drawing the numbers alone."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.running.scoring import replicates, resamples
from physbench.tasks import Metric

UNITS, COUNT = 100_000, 1000


def mean(targets: Any, predictions: Any) -> float:
    """A metric that costs nothing beside its resamples."""
    return float(predictions.mean())


def test_bootstrap_costs_little_more_than_its_random_numbers(benchmark: Any) -> None:
    values = np.random.default_rng(0).random(UNITS)
    metric = Metric(mean, "1", "max")
    begin = time.process_time()
    for _ in resamples(UNITS, COUNT, "0" * 64):
        pass
    drawing = time.process_time() - begin
    begin = time.process_time()
    found = replicates(metric, values, values, resamples(UNITS, COUNT, "0" * 64))
    all_of_it = time.process_time() - begin
    print(f"{UNITS} units x {COUNT}: {all_of_it:.2f} CPU s, drawing alone {drawing:.2f} s")
    assert np.std(found) > 0
    assert all_of_it < 12 * drawing  # what is left is the gathering of the units
    benchmark.pedantic(
        replicates, (metric, values, values, resamples(UNITS, 100, "0" * 64)), rounds=1
    )
