"""Performance of the harness itself: run with `make bench`, ratios of things timed in one run."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from physbench.leaderboard import board


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


RECORDS = Path(board.__file__).parent / "records"
SCORED = ("tracking/generic_detector", "glass_mobility/botan_ka3d", "jet_flavour/flavour_jets")
FLOOR = ("-c", "import numpy, pydantic")  # what no verb that reads records can do without


@pytest.mark.parametrize(
    ("verb", "bar"),
    [
        (("board", "tracking"), 4.0),
        (("board", "likelihood_ratio"), 4.0),
        (("compare", "interaction_network", "helix_clustering", "--task", "tracking"), 4.0),
        (("cite", "tracking"), 3.0),
    ],
    ids=["board", "large board", "compare", "cite"],
)
def test_verbs_beside_the_imports_that_they_need(
    benchmark: Any, verb: tuple[str, ...], bar: float
) -> None:
    """Interleaved, best of 5 of each, in units of NumPy and pydantic alone."""
    floor, ours = [], []
    for _ in range(5):
        floor.append(cpu(*FLOOR))
        ours.append(cpu("-m", "benchmarks", *verb))
    benchmark.extra_info["ratio"] = min(ours) / min(floor)
    benchmark.pedantic(cpu, ("-m", "benchmarks", *verb), rounds=1)
    assert min(ours) <= bar * min(floor)


@pytest.mark.parametrize("board_of", SCORED)
def test_scoring_a_record_beside_the_imports_that_it_needs(benchmark: Any, board_of: str) -> None:
    """A committed record with stored predictions, all metrics and intervals."""
    path = str(next((RECORDS / board_of).glob("*/0-*.json")))
    floor, ours = [], []
    for _ in range(3):
        floor.append(cpu(*FLOOR))
        ours.append(cpu("-m", "benchmarks", "score", path))
    benchmark.extra_info["ratio"] = min(ours) / min(floor)
    benchmark.pedantic(cpu, ("-m", "benchmarks", "score", path), rounds=1)
    assert min(ours) <= 12 * min(floor)
