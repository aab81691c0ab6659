"""Performance of the harness itself: run with `make bench`, ratios of things timed in one run."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest


def cpu(*arguments: str) -> float:
    """User and system seconds of a Python child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.mark.parametrize("verb", ["list", "--help"])
def test_start_up_is_at_most_three_times_the_floor(
    benchmark: Callable[..., Any], verb: str
) -> None:
    """Interleaved, best of 9 of each: the least disturbed of both."""
    floor, ours = [], []
    for _ in range(9):
        floor.append(cpu("-c", "import json, argparse"))
        ours.append(cpu("-m", "benchmarks", verb))
    benchmark.extra_info["ratio"] = min(ours) / min(floor)  # type: ignore[attr-defined]
    benchmark(cpu, "-m", "benchmarks", verb)
    assert min(ours) <= 3 * min(floor)
