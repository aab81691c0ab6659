"""The training loop: deterministic, early stopping, best weights, resume, divergence."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from physbench.models.common import training

X = torch.linspace(-1, 1, 64).reshape(8, 8, 1)
BATCHES = [(x, x**2) for x in X]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1))


def step(module: nn.Module, batch: Any) -> torch.Tensor:
    x, y = batch
    return nn.functional.mse_loss(module(x), y)


def fit(**options: Any) -> nn.Module:
    options = {"seed": 1, "epochs": 4, "lr": 0.05} | options
    return training.train(network(), step, BATCHES, BATCHES[:2], **options)


def weights(module: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.parametrize("schedule", training.SCHEDULES)
def test_same_seed_gives_the_same_weights(schedule: str) -> None:
    one, two, other = (
        fit(schedule=schedule),
        fit(schedule=schedule),
        fit(seed=2, schedule=schedule),
    )
    assert torch.equal(weights(one), weights(two))
    assert not torch.equal(weights(one), weights(other))


def error(module: nn.Module) -> float:
    x = X.flatten()[:, None]
    return float(step(module, (x, x**2)).detach())


def test_training_learns() -> None:
    before = error(network().eval())
    after = error(fit(epochs=30))
    assert after < 0.3 * before


def test_best_weights_are_restored() -> None:
    """A validation loss that rises from the first epoch on: the first weights come back."""
    losses = iter(float(i) for i in range(100))
    seen: list[torch.Tensor] = []

    def rising(module: nn.Module, batch: Any) -> torch.Tensor:
        seen.append(weights(module))
        return torch.tensor(next(losses))

    found = fit(validation_step=rising)
    assert torch.equal(weights(found), seen[0])
    assert not torch.equal(seen[0], seen[-1])


def test_early_stopping_waits_for_its_patience() -> None:
    calls = []

    def constant(module: nn.Module, batch: Any) -> torch.Tensor:
        calls.append(1)
        return torch.tensor(1.0)

    fit(validation_step=constant, epochs=50, patience=3)
    assert len(calls) == 2 * 4  # two batches; the first epoch and three without progress


def test_nan_is_a_divergence() -> None:
    with pytest.raises(FloatingPointError, match="loss is nan in epoch 0"):
        training.train(
            network(), lambda m, b: step(m, b) * float("nan"), BATCHES, BATCHES, seed=0,
            epochs=1, lr=0.1,
        )  # fmt: skip


def test_interrupted_training_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole = fit(epochs=4, schedule="cosine")
    calls = 0

    def interrupted(module: nn.Module, batch: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 2 * len(BATCHES) + 3:
            raise RuntimeError("power cut")
        return step(module, batch)

    with pytest.raises(RuntimeError, match="power cut"):
        training.train(
            network(), interrupted, BATCHES, BATCHES[:2], seed=1, epochs=4, lr=0.05,
            schedule="cosine", checkpoints=tmp_path,
        )  # fmt: skip
    assert (tmp_path / "last.ckpt").exists()
    resumed = fit(epochs=4, schedule="cosine", checkpoints=tmp_path)
    assert torch.equal(weights(resumed), weights(whole))
    assert not (tmp_path / "last.ckpt").exists()


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGINT)
    fit(epochs=1)
    assert os.listdir(tmp_path) == []
    assert signal.getsignal(signal.SIGINT) is handler
    assert not torch.are_deterministic_algorithms_enabled()


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="optimiser must be one of"):
        fit(optimiser="lion")
    with pytest.raises(ValueError, match="schedule must be one of"):
        fit(schedule="linear")


def test_weights_survive_a_file(tmp_path: Path) -> None:
    module = network()
    training.save(module, tmp_path / "w", {"width": 8})
    state, extra = training.load(tmp_path / "w")
    assert extra == {"width": 8}
    assert all(torch.equal(state[k], v) for k, v in module.state_dict().items())
    assert training.parameters(module) == 8 + 8 + 8 + 1
