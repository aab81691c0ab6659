"""Batches beyond the memory that they may take: the same batches, read from disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from physbench.models import Context
from physbench.models.common import batches, training
from physbench.models.common.batches import Batches


@dataclass(frozen=True)
class Part:
    x: Tensor
    label: Tensor | None = None
    name: str = "a"


class Pair(NamedTuple):
    part: Part
    y: Tensor


def made() -> list[Any]:
    torch.manual_seed(1)
    pairs = [Pair(Part(torch.randn(8, 3)), torch.randn(8)) for _ in range(4)]
    return [*pairs, (torch.randn(5), torch.arange(3)), torch.randn(2)]


def alike(one: Any, other: Any) -> bool:
    pairs = zip(batches.tensors(one), batches.tensors(other), strict=True)
    return type(one) is type(other) and all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("largest", [0, 400, 2**30])
def test_batches_are_the_same_in_memory_and_on_disk(
    largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "LARGEST", largest)
    wanted, found = made(), Batches(iter(made()))
    assert len(found) == len(wanted)
    assert all(alike(a, b) for a, b in zip(wanted, found, strict=True))
    assert alike(found[-1], wanted[-1])
    assert alike(found[1:3][0], wanted[1])
    part = found[0].part
    assert part.name == "a"
    assert part.label is None


def test_the_folder_is_there_only_where_needed_and_goes_with_the_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Batches(made())._folder is None
    monkeypatch.setattr(batches, "LARGEST", 0)
    found = Batches(made())
    folder = found._folder
    assert folder is not None
    assert len(list(folder.iterdir())) == len(found)
    del found
    assert not folder.exists()


def test_a_training_from_disk_has_the_digits_of_one_from_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def step(network: nn.Module, batch: Any) -> Tensor:
        return nn.functional.mse_loss(network(batch.part.x).squeeze(1), batch.y)

    weights = []
    for largest in (2**30, 0):
        monkeypatch.setattr(batches, "LARGEST", largest)
        torch.manual_seed(0)
        network = nn.Linear(3, 1)
        quiet = Context(device="cpu", progress=False)
        options: dict[str, Any] = {"seed": 0, "epochs": 3, "learning_rate": 0.1, "context": quiet}
        training.train(network, step, Batches(made()[:4]), (), **options)
        weights.append(network.weight.detach().clone())
    assert torch.equal(*weights)
