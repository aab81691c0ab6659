"""What a stage costs: wall time, CPU time with that of its children, peak memory, latency."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np

from physbench.datasets import take
from physbench.datasets.common.streaming import Streamed
from physbench.leaderboard.record import Cost
from physbench.models import Model

WARM_UP, MOST, SECONDS = 3, 20, 5.0  # latency: calls before, calls that count, time for all


@contextmanager
def measured(name: str, units: int, say: Callable[..., None]) -> Iterator[None]:
    """Say the cost of a stage, also when it fails."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    try:
        yield
    finally:
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        say("cost", name=name, **cost(wall, cpu, units))


def cost(wall: float, cpu: float, units: int) -> dict[str, Any]:
    """Times and peaks as they stand in a record."""
    return {
        "wall_s": round(wall, 4),
        "cpu_s": round(cpu, 4),
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "peak_gpu_mb": _peak_gpu_mb(),
        "units_per_s": round(units / wall, 3) if wall > 0 else None,
    }


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    import resource

    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak_rss_mb(platform: str = sys.platform) -> float:
    """Largest resident memory so far; the kernel counts in kB, that of macOS in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak / 2**20 if platform == "darwin" else peak / 1024)


def _peak_gpu_mb() -> float | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return round(float(torch.cuda.max_memory_allocated()) / 2**20, 1)


def latency(model: Model, fitted: Any, inputs: Any) -> dict[str, float]:
    """Median and 95 % latency of single units: 3 to warm up, then at most 20 or 5 s."""
    times: list[float] = []
    begin = time.perf_counter()
    for number in range(min(WARM_UP + MOST, len(inputs) * 3)):
        one = take(inputs, [number % len(inputs)])
        one = list(one) if isinstance(one, Streamed) else one  # reading is not the model's
        start = time.perf_counter()
        model.predict(fitted, one)
        if number >= WARM_UP:
            times.append(time.perf_counter() - start)
        if time.perf_counter() - begin > SECONDS and times:
            break
    if not times:
        return {}
    median, p95 = np.quantile(times, [0.5, 0.95]) * 1000
    return {"median_ms": round(float(median), 3), "p95_ms": round(float(p95), 3)}


def group(found: dict[str, Any]) -> Cost:
    """What was said of a stage, as a part of the record."""
    return Cost(**{f.name: found[f.name] for f in fields(Cost) if f.name in found})
