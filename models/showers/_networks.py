"""What the generative networks of showers share: layers, batches, sampling, saving.

A network works on normal scores (`_normal_scores`) and sees the incident energy as one number. A
sample starts from standard normal noise, one row a shower, drawn in the order of the showers:
how they are batched changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.common.arrays import spans
from physbench.datasets.showers import Conditions, Grid, Layer
from physbench.models import Context
from physbench.models.common import training
from physbench.models.common.batches import Batches
from physbench.models.showers import _normal_scores as normal_scores
from physbench.models.showers._normal_scores import NormalScores

CHUNK = 1000  # showers sampled at a time
FREQUENCIES = 8  # of the time of a flow

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained generator; `seed` starts its random numbers at each call.

    `settings` are what its network is built from.
    """

    network: nn.Module
    scores: NormalScores
    seed: int
    settings: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Normal scores and conditions in batches, and the way back."""

    scores: NormalScores
    train: Sequence[Batch]
    validation: Sequence[Batch]

    @property
    def size(self) -> int:
        """How many numbers describe a shower."""
        return self.train[0][0].shape[1]


def prepare(train: Split, validation: Split, *, seed: int, sums: bool, batch: int) -> Prepared:
    """Fit the transformation on the training showers and cut both splits into batches."""
    generator = np.random.default_rng([seed, 0])
    scores, values = normal_scores.learned(train.targets, generator, sums=sums)
    held = scores.in_parts(validation.targets, generator)
    order = generator.permutation(len(values))
    large, every = max(batch, CHUNK), np.arange(len(held))
    return Prepared(
        scores,
        Batches(batches(values, scores.condition(train.inputs), order, batch)),
        Batches(batches(held, scores.condition(validation.inputs), every, large)),
    )


def batches(
    values: NDArray[np.float32],
    condition: NDArray[np.float32],
    order: NDArray[np.int64],
    size: int,
) -> Iterator[Batch]:
    """Pairs of scores (batch, voxels) and conditions (batch, 1); a last short one is kept."""
    for span in spans(len(order), size):
        rows = order[span]
        yield torch.from_numpy(values[rows]), torch.from_numpy(condition[rows])


def trained(
    network: nn.Module,
    loss: Callable[[nn.Module, Batch], Tensor],
    data: Prepared,
    *,
    seed: int,
    epochs: int,
    learning_rate: float,
    context: Context,
    **options: Any,
) -> nn.Module:
    """Adam with a cosine schedule; the weights of the best epoch on validation."""
    return training.train(
        network,
        loss,
        data.train,
        data.validation,
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        schedule="cosine",
        context=context,
        **options,
    )


def perceptron(inputs: int, outputs: int, width: int, layers: int) -> nn.Sequential:
    """Fully connected layers with SiLU between them."""
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.Linear(inputs, width), nn.SiLU()]
        inputs = width
    return nn.Sequential(*parts, nn.Linear(inputs, outputs))


class TimedPerceptron(nn.Module):
    """A vector field of x (batch, size), condition (batch, 1) and time (batch, 1) in [0, 1].

    Time enters as sin and cos of k pi t, k = 1..8.
    """

    frequencies: Tensor

    def __init__(self, size: int, width: int, layers: int) -> None:
        super().__init__()
        self.body = perceptron(size + 1 + 2 * FREQUENCIES, size, width, layers)
        self.register_buffer("frequencies", torch.pi * torch.arange(1, FREQUENCIES + 1))

    def forward(self, x: Tensor, condition: Tensor, time: Tensor) -> Tensor:
        phase = time * self.frequencies
        return self.body(torch.cat([x, condition, phase.sin(), phase.cos()], dim=1))  # type: ignore[no-any-return]


def generate(
    fitted: Fitted,
    conditions: Conditions,
    draw: Callable[[Tensor, Tensor], Tensor],
    numbers: int,
    chunk: int = CHUNK,
) -> NDArray[np.float32]:
    """Showers in MeV, (n, voxels): `draw(noise, condition)` makes normal scores of noise.

    `numbers` is how many normal numbers a shower needs.
    """
    generator = np.random.default_rng([fitted.seed, 1])
    found = np.empty((len(conditions), conditions.grid.voxels), dtype=np.float32)
    for rows in spans(len(conditions), min(chunk, normal_scores.TOGETHER // numbers)):
        some = conditions.take(rows)
        noise = generator.standard_normal((len(some), numbers), dtype=np.float32)
        with torch.no_grad():
            scores = draw(torch.from_numpy(noise), torch.from_numpy(fitted.scores.condition(some)))
        found[rows] = fitted.scores.inverse(scores.numpy(), some)
    return found


def parameters(fitted: Fitted) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in fitted.network.parameters())


def save(fitted: Fitted, path: Path) -> None:
    """Weights, transformation, grid and seed."""
    tensors = {k: torch.as_tensor(v) for k, v in fitted.scores.state().items()}
    extra = {
        "seed": fitted.seed,
        "settings": fitted.settings,
        "scores": tensors,
        "grid": asdict(fitted.scores.grid),
    }
    training.save(fitted.network, path, extra)


def load(path: Path, build: Callable[..., nn.Module]) -> Fitted:
    """What `save` wrote; `build(**settings)` makes the network."""
    state, extra = training.load(path)
    layers = tuple(Layer(**layer) for layer in extra["grid"].pop("layers"))
    scores = normal_scores.restored(extra["scores"], Grid(layers=layers, **extra["grid"]))
    network = build(**extra["settings"])
    network.load_state_dict(state)
    return Fitted(network.eval(), scores, extra["seed"], extra["settings"])
