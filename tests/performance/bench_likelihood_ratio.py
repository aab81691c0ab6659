"""Speed of the exact ratio, of the bootstrap and of a derivative: CPU seconds and ratios."""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.stats import norm

from physbench.datasets.events import GRID, Gold, _drawn, _helicity, eft_toy
from physbench.models.events._ratio_networks import Network
from physbench.tasks import likelihood_ratio
from physbench.tasks.metrics import likelihood

EVENTS, RESAMPLES = 20_000, 1000


def by_quadrature(x: NDArray[Any]) -> NDArray[Any]:
    """ln r (n, 21) with 100 points a latent variable: what the closed form saves."""
    node, weight = leggauss(100)
    unit = (node + 1) / 2
    u, s, c, y = (column[:, None] for column in x[:, :4].T)
    mass = norm.pdf(u, unit, 0.15) * weight / 2
    recoil = norm.pdf(s, unit, 0.25) * weight / 2
    angle, boost = norm.pdf(c, node, 0.25) * weight, norm.pdf(y, node, 0.25) * weight
    density: Any = 0.0
    for h, a in _helicity.COUPLING.items():
        angular = sum(
            (boost @ (1 + q * 0.8 * node) / 4) * (angle @ (1 + h * q * node) ** 2 * 0.375)
            for q in (1, -1)
        )
        for j, factor in enumerate((GRID**0, 2 * a * GRID, (a * GRID) ** 2)):
            parts = mass @ np.exp(-(3 - 1.2 * j) * unit) * (recoil @ np.exp(-(2 - 0.8 * j) * unit))
            density = density + (angular * parts)[:, None] * factor
    n1, n2 = _helicity.PROCESS.norms
    return np.log(density / density[:, 10:11]) - np.log1p(GRID * (n1 + GRID * n2))


def test_exact_ratio_of_20000_events_in_a_tenth_of_a_second(
    benchmark: Any, interleaved: Any
) -> None:
    _, x = _helicity.simulate(np.zeros(EVENTS), np.random.default_rng(0))
    exact, _ = _drawn.truth(_helicity.PROCESS, x)
    assert np.abs(exact - by_quadrature(x)).max() < 1e-9
    sides = [partial(_drawn.truth, _helicity.PROCESS, x), partial(by_quadrature, x)]
    ours, slow = interleaved(*sides, rounds=5)
    benchmark.extra_info.update(cpu_seconds=ours, quadrature_over_ours=slow / ours)
    benchmark.pedantic(sides[0], rounds=3)
    assert ours <= 0.1


def test_bootstrap_of_each_metric_in_a_second(benchmark: Any, interleaved: Any) -> None:
    truth: Gold = eft_toy.load().test.targets
    generator = np.random.default_rng(0)
    noise = 0.1 * generator.normal(size=truth.exact.shape)
    predictions = {"log_ratio": truth.exact + noise, "spread": np.full(noise.shape, 0.1)}
    derived = likelihood.derive(truth, predictions)
    units = len(truth)
    counts = np.stack(
        [
            np.bincount(generator.integers(0, units, units), minlength=units)
            for _ in range(RESAMPLES)
        ]
    )
    fast = [m for m in likelihood_ratio.TASK.metrics if m.replicates is not None]
    calls: Any = [partial(m.replicates, truth, derived, counts) for m in fast]  # type: ignore[arg-type]
    seconds = dict(zip((m.name for m in fast), interleaved(*calls, rounds=3), strict=True))
    benchmark.extra_info.update(seconds)
    benchmark.pedantic(calls[0], rounds=3)
    assert max(seconds.values()) <= 1.0, seconds


def test_derivative_carried_forward_beside_double_backward(
    benchmark: Any, interleaved: Any
) -> None:
    """Gradient of a loss on d ln r/dtheta: forward derivative against autograd twice."""
    torch.manual_seed(0)
    network = Network(6, 100, 3)
    x, theta = torch.randn(256, 6), torch.rand(256)

    def forward() -> None:
        network.zero_grad()
        network.with_score(x, theta).score.square().mean().backward()  # type: ignore[no-untyped-call]

    def twice() -> None:
        network.zero_grad()
        at = theta.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(network(x, at).sum(), at, create_graph=True)
        slope.square().mean().backward()  # type: ignore[no-untyped-call]

    ratio = operator.truediv(*interleaved(twice, forward, rounds=30))
    benchmark.extra_info["double_backward_over_ours"] = ratio
    benchmark.pedantic(forward, rounds=3)
