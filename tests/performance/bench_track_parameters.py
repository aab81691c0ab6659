"""Performance of circle fits and resolution estimators: run with `make bench`.

CPU seconds, best of several, so that other jobs on the machine disturb them least.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

import benchmarks
from physbench.models.tracks import _circles as circles
from physbench.tasks.metrics import resolution


def least_cpu_seconds(function: Any, rounds: int = 5) -> float:
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        function()
        best = min(best, time.process_time() - begin)
    return best


def scipy_circle(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """A circle through the hits of one track by nonlinear least squares, started from Kasa's."""
    design = np.stack([x, y, np.ones_like(x)], 1)
    u, v, w = np.linalg.lstsq(design, x * x + y * y, rcond=None)[0]
    start = [u / 2, v / 2, np.sqrt(w + (u * u + v * v) / 4)]

    def residuals(circle: NDArray[Any]) -> Any:
        return np.hypot(x - circle[0], y - circle[1]) - circle[2]

    return np.asarray(least_squares(residuals, start, x_scale="jac").x)


def test_taubin_fits_half_a_million_tracks_a_second(benchmark: Any) -> None:
    tracks = benchmarks.task("track_parameters").splits("generic_tracks").test.inputs
    x, y = (tracks.hits[..., axis].astype(np.float64) for axis in (0, 1))
    found = circles.fit(x, y, tracks.mask)
    few = range(200)

    def one_by_one() -> list[NDArray[Any]]:
        return [scipy_circle(x[i][tracks.mask[i]], y[i][tracks.mask[i]]) for i in few]

    assert np.median(np.abs(np.stack(one_by_one())[:, 2] / found[:200, 2] - 1)) < 1e-3
    ours = least_cpu_seconds(lambda: circles.fit(x, y, tracks.mask)) / len(tracks)
    scipy = least_cpu_seconds(one_by_one, 2) / len(few)
    benchmark.extra_info.update(tracks_per_second=1 / ours, over_scipy=scipy / ours)
    benchmark.pedantic(circles.fit, (x, y, tracks.mask), rounds=3)
    assert scipy >= 50 * ours
    assert 1 / ours >= 500_000


def test_estimators_take_a_million_residuals_in_a_second(benchmark: Any) -> None:
    r = np.random.default_rng(0).normal(0, 0.01, 1_000_000)
    seconds = {
        function.__name__: least_cpu_seconds(lambda f=function: f(r), 3)
        for function in (
            resolution.iterative_rms,
            resolution.quantile_normal,
            resolution.gaussian_fit,
            resolution.core68,
        )
    }
    benchmark.extra_info.update(seconds)
    benchmark.pedantic(resolution.core68, (r,), rounds=3)
    assert max(seconds.values()) < 1.0
