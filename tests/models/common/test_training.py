"""The training loop: deterministic, early stopping, best or mean weights, resume, divergence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from physbench.models import Context
from physbench.models.common import devices, training
from physbench.models.common.schedules import Schedule

X = torch.linspace(-1, 1, 64).reshape(8, 8, 1)
BATCHES = [(x, x**2) for x in X]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1))


def step(module: nn.Module, batch: Any) -> torch.Tensor:
    x, y = batch
    return nn.functional.mse_loss(module(x), y)


def fit(step: Any = step, **options: Any) -> nn.Module:
    options = {"seed": 1, "epochs": 4, "learning_rate": 0.05} | options
    return training.train(network(), step, BATCHES, BATCHES[:2], **options)


def weights(module: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def history(module: nn.Module, name: str) -> list[float]:
    return [row[name] for row in module.history]  # type: ignore[union-attr]


@pytest.mark.parametrize("schedule", training.SCHEDULES)
def test_same_seed_gives_the_same_weights(schedule: str) -> None:
    one, two, other = (
        fit(schedule=schedule),
        fit(schedule=schedule),
        fit(seed=2, schedule=schedule),
    )
    assert torch.equal(weights(one), weights(two))
    assert not torch.equal(weights(one), weights(other))


def test_the_loop_is_the_plain_one() -> None:
    """Written out: the same batches, draws and steps give the same weights to the bit."""
    plain = network()
    optimiser = torch.optim.Adam(plain.parameters(), 0.05, fused=True)
    for epoch in range(3):
        order = torch.randperm(8, generator=torch.Generator().manual_seed(100_003 + epoch))
        for k, index in enumerate(order):
            torch.manual_seed(100_003 + 8 * epoch + k)
            optimiser.zero_grad()
            torch.autograd.backward(step(plain, BATCHES[index]))
            nn.utils.clip_grad_norm_(plain.parameters(), 0.1)
            optimiser.step()
    found = training.train(
        network(), step, BATCHES, (), seed=1, epochs=3, learning_rate=0.05, clip=0.1
    )
    assert torch.equal(weights(found), weights(plain))
    assert list(found.history[0]) == ["train_loss", "learning_rate"]  # type: ignore[union-attr,index]


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
    assert history(found, "validation_loss") == [0.5, 2.5, 4.5, 6.5]


def test_average_is_the_mean_of_the_last_epochs() -> None:
    seen: list[torch.Tensor] = []

    def watching(module: nn.Module, batch: Any) -> torch.Tensor:
        seen.append(weights(module))
        return step(module, batch)

    found = fit(validation_step=watching, average=3)
    after = torch.stack(seen[::2])  # two validation batches an epoch
    torch.testing.assert_close(weights(found), after[1:].mean(0))


def test_early_stopping_waits_for_its_patience() -> None:
    calls = []

    def constant(module: nn.Module, batch: Any) -> torch.Tensor:
        calls.append(1)
        return torch.tensor(1.0)

    fit(validation_step=constant, epochs=50, patience=3)
    assert len(calls) == 2 * 4  # two batches; the first epoch and three without progress


def test_validation_meets_the_same_draws_in_each_epoch() -> None:
    draws: list[float] = []

    def noisy(module: nn.Module, batch: Any) -> torch.Tensor:
        draws.append(float(torch.rand(())))
        return torch.tensor(1.0)

    fit(validation_step=noisy)
    assert draws[:2] * 4 == draws
    assert draws[0] != draws[1]


@pytest.mark.parametrize("where", ["step", "validation_step"])
def test_nan_is_a_divergence(where: str) -> None:
    options = {where: lambda module, batch: step(module, batch) * float("nan")}
    with pytest.raises(FloatingPointError, match="loss is nan in epoch 0"):
        fit(**options)


def interrupted(after: int) -> Callable[[Any, Any], torch.Tensor]:
    """A step whose machine loses power at call number `after`."""
    calls = iter(range(1, after + 1))

    def fails(module: nn.Module, batch: Any) -> torch.Tensor:
        if next(calls) == after:
            raise KeyboardInterrupt
        return step(module, batch)

    return fails


@pytest.mark.parametrize(
    "options",
    [{"schedule": "cosine"}, {"schedule": "onecycle", "average": 3}, {"patience": 2}],
    ids=str,
)
def test_interrupted_training_resumes_to_the_same_weights(
    options: dict[str, Any], tmp_path: Path
) -> None:
    options = options | {"validation_step": step}
    whole = fit(**options)
    here = Context(checkpoints=tmp_path / "cell")
    with pytest.raises(KeyboardInterrupt):
        fit(interrupted(2 * len(BATCHES) + 3), context=here, **options)
    assert [path.name for path in (tmp_path / "cell").iterdir()] == ["network.checkpoint"]
    last = interrupted(2 * len(BATCHES) + 1)  # two epochs are left
    resumed = fit(last, context=here, **options)
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.history == whole.history
    assert not list((tmp_path / "cell").iterdir())


def test_a_checkpoint_of_another_training_is_passed_over(tmp_path: Path) -> None:
    here = Context(checkpoints=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(interrupted(12), context=here, validation_step=step)
    assert torch.equal(weights(fit(seed=2, context=here)), weights(fit(seed=2)))


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fit(epochs=1)
    assert os.listdir(tmp_path) == []
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_progress_goes_to_stderr_and_can_be_silent(capsys: pytest.CaptureFixture[str]) -> None:
    fit()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["epoch 1/4", "epoch 4/4"]
    fit(context=Context(progress=False))
    assert capsys.readouterr().err == ""


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="optimiser must be one of"):
        fit(optimiser="lion")
    with pytest.raises(ValueError, match="schedule must be one of"):
        fit(schedule="linear")
    with pytest.raises(ValueError, match="device must be auto, cpu, gpu"):
        fit(context=Context(device="abacus"))
    with pytest.raises(ValueError, match="train_batches must hold at least one batch"):
        training.train(network(), step, (), (), seed=0, epochs=1, learning_rate=0.1)


def test_weights_and_history_survive_a_file(tmp_path: Path) -> None:
    module = fit(epochs=2)
    training.save(module, tmp_path / "w", {"width": 8})
    state, extra = training.load(tmp_path / "w")
    assert extra == {"width": 8}
    assert all(torch.equal(state[k], v) for k, v in module.state_dict().items())
    assert training.parameters(module) == 8 + 8 + 8 + 1
    stored = torch.load(tmp_path / "w", weights_only=True)
    assert stored["history"] == module.history


TORCH = {
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40),
    "step": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda t: 0.9 ** (t // 8 // 5)),
    "onecycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=40),
}


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("name", TORCH)
def test_schedules_are_those_of_torch(name: str) -> None:
    optimiser = torch.optim.Adam(network().parameters(), 0.1)
    theirs, ours = TORCH[name](optimiser), Schedule(name, 40, 8)
    for number in range(40):
        group = optimiser.param_groups[0]
        assert 0.1 * ours.factor(number) == pytest.approx(group["lr"], rel=1e-9, abs=1e-12)
        if name == "onecycle":
            assert ours.momentum(number) == pytest.approx(group["betas"][0])
        theirs.step()


def test_moved_reaches_every_tensor() -> None:
    meta = torch.device("meta")
    batch = ([torch.ones(2)], {"a": (torch.ones(1), "name")}, 3)
    found = devices.moved(batch, meta)
    assert found[0][0].device == found[1]["a"][0].device == meta
    assert found[1]["a"][1] == "name"
    assert found[2] == 3


@pytest.mark.slow
def test_other_precisions_go_through_fabric() -> None:
    pytest.importorskip("lightning", reason="needs the extra [devices]")
    program = (
        "import sys, torch; sys.path.insert(0, sys.argv[1]); import test_training as t\n"
        "assert 'lightning' not in sys.modules\n"
        "plain = t.fit(optimiser=lambda p: torch.optim.Adam(p, 0.05))\n"
        "half = t.fit(context=t.Context(precision='bf16-mixed', device='cpu'))\n"
        "two = t.fit(context=t.Context(devices=2, device='cpu'))\n"
        "assert half.history[-1]['validation_loss'] < half.history[0]['validation_loss']\n"
        "assert not torch.equal(t.weights(half), t.weights(plain))\n"
        "assert next(half.parameters()).dtype == torch.float32\n"
        "assert len(two.history) == 4 and t.error(two) < t.error(t.network().eval())\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_training_imports_torch_alone_and_not_its_compiler() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_training as t\n"
        "t.fit()\n"
        "heavy = {'lightning', 'pytorch_lightning', 'lightning_fabric', 'wandb', 'pandas'}\n"
        "found = {*heavy, 'torch._dynamo'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", training.OPTIMISERS)
def test_optimisers_give_the_digits_of_the_library(name: str) -> None:
    library = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    found = []
    for make in (training.OPTIMISERS[name], library[name]):
        module = network()
        moving = make(module.parameters(), lr=0.1)
        for _ in range(5):
            moving.zero_grad()
            module(torch.ones(3, 1)).square().sum().backward()
            moving.step()
        moving.load_state_dict(moving.state_dict())
        found.append(weights(module))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_weights_of_other_libraries_have_no_history(tmp_path):
    path = tmp_path / "a.weights"
    with path.open("wb") as stream:
        np.savez(stream, mean_=[0.0, 0.0])
    assert training.history(path) == []
