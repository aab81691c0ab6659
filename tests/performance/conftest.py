"""How two things are timed in one run, and how a bar is told: what it is, what was measured."""

from __future__ import annotations

import resource
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


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What all of it took: at one thread the time on an idle machine, which should be 600 s."""
    if config.getoption("benchmark_only", default=False):
        who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        spent = sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, who))
        terminalreporter.write_line(f"{spent:.0f} CPU seconds in all; bar: 600")


@pytest.fixture
def interleaved() -> Timer:
    """Least CPU seconds of each of several functions, run in turn."""
    return _interleaved


@pytest.fixture
def told(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Tell and keep a number and its bar; fail where it is missed and nobody knows why.

    `most` or `least` is the bar, `limit` says what stands in the way where it is missed.
    """

    def tell(
        measured: float,
        *,
        most: float | None = None,
        least: float | None = None,
        limit: str = "",
        **others: Any,
    ) -> None:
        bar, sign = (most, "<=") if most is not None else (least, ">=")
        assert bar is not None
        met = measured <= bar if most is not None else measured >= bar
        line = f"bar {sign} {bar:.3g}, measured {measured:.3g}"
        if not met:
            line += f": MISSED by {max(measured / bar, bar / measured):.2f}; {limit or 'no limit'}"
        benchmark.extra_info.update(others, measured=measured, bar=bar, told=line)
        with capsys.disabled():
            print(f"\n{benchmark.name}: {line}")
        assert met or limit, line

    return tell
