"""How two things are timed in one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

Timer = Callable[..., list[float]]


def _interleaved(*functions: Callable[[], Any], rounds: int = 7) -> list[float]:
    """Least CPU seconds of each function."""
    best = [float("inf")] * len(functions)
    for _ in range(rounds):
        for number, function in enumerate(functions):
            begin = time.process_time()
            function()
            best[number] = min(best[number], time.process_time() - begin)
    return best


@pytest.fixture
def interleaved() -> Timer:
    """Least CPU seconds of each of several functions, run in turn."""
    return _interleaved
