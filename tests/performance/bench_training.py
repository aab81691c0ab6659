"""The training loop beside a loop of bare torch, in one run: what a step and an import cost more.

Both sides run in turns on a machine that is shared: the least CPU time of each counts.
"""

from __future__ import annotations

import operator
import subprocess
import sys
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from physbench.models import Context
from physbench.models.common import training

EPOCHS, BATCHES = 4, 150
QUIET = Context(device="cpu", progress=False)


def step(module: nn.Module, batch: Any) -> Tensor:
    return nn.functional.mse_loss(module(batch[0]), batch[1])


def network(width: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1)
    )


def bare(module: nn.Module, batches: Any) -> None:
    """What a reader would write: order, forward, backward, step, and the loss as a number."""
    optimiser = torch.optim.Adam(module.parameters(), 1e-3, fused=True)
    for _ in range(EPOCHS):
        total = 0.0
        for index in torch.randperm(len(batches)).tolist():
            optimiser.zero_grad()
            loss = step(module, batches[index])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += loss.item()


def ours(module: nn.Module, batches: Any) -> None:
    training.train(
        module, step, batches, (), seed=0, epochs=EPOCHS, learning_rate=1e-3, context=QUIET
    )


@pytest.mark.parametrize("width", [16, 256])
def test_step_beside_a_bare_loop(benchmark: Any, interleaved: Any, width: int) -> None:
    batches = [(torch.randn(64, 8), torch.randn(64, 1)) for _ in range(BATCHES)]
    sides = [partial(side, network(width), batches) for side in (ours, bare)]
    ratio = benchmark.pedantic(lambda: operator.truediv(*interleaved(*sides, rounds=9)), rounds=1)
    benchmark.extra_info["ratio"] = ratio
    assert ratio < 1.1


def test_import_beside_torch(benchmark: Any) -> None:
    def cpu_s_of(module: str) -> float:
        program = f"import time, {module}; print(time.process_time())"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        return float(done.stdout)

    def ratio() -> float:
        return cpu_s_of("physbench.models.common.training") / cpu_s_of("torch")

    found = benchmark.pedantic(lambda: sorted(ratio() for _ in range(3)), rounds=1)
    benchmark.extra_info["ratio"] = found[1]
    assert found[1] < 1.5
