"""Networks of (x, theta) that return ln r-hat, and its derivative in theta: one training for all.

The methods differ in their loss alone. y = 1 marks an event drawn at the reference theta = 0,
r-hat = e^l is the ratio to the reference, and s-hat = 1/(1 + r-hat) = sigmoid(-l) the probability
of y = 1 in a balanced sample. r and t are the joint ratio and score of the simulator.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.events import GRID, Array, Simulated, log_ratio, score
from physbench.models import Context
from physbench.models.common import training

CHECKS = 10  # validations in a training
CHUNK = 8192  # events a forward pass
DEFAULT = Context()
LARGEST = 10.0  # |ln r| beyond which squares of ratios are cut: rare events dominate them


class Batch(NamedTuple):
    """Columns (n, ...) of events; `log_ratio` and `score` are those of the latent variables."""

    x: Tensor
    theta: Tensor
    label: Tensor
    log_ratio: Tensor
    score: Tensor


class Estimate(NamedTuple):
    """ln r-hat (n,) and its derivative in theta (n,)."""

    log_ratio: Tensor
    score: Tensor


Loss = Callable[[Estimate, Batch], Tensor]


class Network(nn.Module):
    """(x standardised, theta) -> `layers` of `width` tanh units -> ln r-hat."""

    hidden: Any  # of nn.Linear
    mean: Tensor
    deviation: Tensor

    def __init__(self, inputs: int, width: int, layers: int) -> None:
        super().__init__()
        sizes = [inputs + 1] + [width] * layers
        hidden = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
        self.hidden, self.head = nn.ModuleList(hidden), nn.Linear(sizes[-1], 1)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))

    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        """(n,) ln r-hat of x (n, d) and theta (n,)."""
        value = torch.cat([(x - self.mean) / self.deviation, theta[:, None]], 1)
        for layer in self.hidden:
            value = torch.tanh(layer(value))
        result: Tensor = self.head(value).squeeze(1)
        return result

    def with_score(self, x: Tensor, theta: Tensor) -> Estimate:
        """ln r-hat and d ln r-hat/dtheta, carried forward with the value.

        Through a layer v -> tanh(W v + b) a derivative d goes to (1 - tanh^2) W d. As fast as
        autograd applied twice, and it needs no graph: validation goes without one.
        """
        value = torch.cat([(x - self.mean) / self.deviation, theta[:, None]], 1)
        change = torch.zeros_like(value)
        change[:, -1] = 1.0
        for layer in self.hidden:
            value = torch.tanh(layer(value))
            change = (1 - value * value) * (change @ layer.weight.T)
        slope = change @ self.head.weight.T
        return Estimate(self.head(value).squeeze(1), slope.squeeze(1))


class Batches(Sequence[Batch]):
    """Batches for one stretch of training between two validations.

    As many passes over the events as the stretch needs, each in an order of its own.
    """

    def __init__(self, columns: Batch, size: int, count: int, seed: int) -> None:
        events = len(columns.x)
        size = min(size, events)
        generator = torch.Generator().manual_seed(seed)
        passes = -(-count // (events // size))
        orders = [torch.randperm(events, generator=generator) for _ in range(passes)]
        whole = events // size * size
        parts = [torch.split(order[:whole], size) for order in orders]
        self.columns, self.parts = columns, [p for part in parts for p in part][:count]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: Any) -> Any:
        chosen = self.parts[index]
        return Batch(*(column[chosen] for column in self.columns))


def columns(split: Split, *, gold: bool = True) -> Batch:
    """Events as tensors; raises ValueError when gold is asked for and withheld."""
    truth, inputs = split.targets, split.inputs
    if gold and not np.isfinite(truth.coefficients).all():
        raise ValueError(
            "coefficients are NaN: this model learns from the simulator's joint ratio; use the "
            "protocol gold=True, or a model that needs labels alone (carl)"
        )
    joint = (f(truth.coefficients, inputs.theta, truth.norms) for f in (log_ratio, score))
    arrays = (inputs.x, inputs.theta, truth.label, *joint)
    return Batch(*(torch.from_numpy(np.array(a, dtype=np.float32)) for a in arrays))


def drawn_at(split: Split) -> Batch:
    """Events with the theta at which they were drawn: 0 for those of the reference."""
    batch = columns(split, gold=False)
    return batch._replace(theta=batch.theta * (1 - batch.label))


def standardised(network: Any, x: Tensor) -> Any:
    """The network, told mean and deviation of its training events."""
    network.mean.copy_(x.mean(0))
    network.deviation.copy_(x.std(0).clamp_min(1e-6))
    return network


def fit(
    loss: Loss,
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = DEFAULT,
    learning_rate: float,
    batch: int,
    steps: int,
    width: int,
    layers: int,
    gold: bool = True,
    scored: bool = False,
) -> Network:
    """Adam under a cosine schedule to 0 for `steps` steps; the best of 10 validation losses.

    `scored` computes the derivative in theta for the loss. Raises ValueError for fewer steps than
    validations.
    """
    events, held_out = columns(train, gold=gold), columns(validation, gold=gold)
    torch.manual_seed(seed)
    network = standardised(Network(events.x.shape[1], width, layers), events.x)

    def step(module: Any, part: Batch) -> Tensor:
        if scored:
            return loss(module.with_score(part.x, part.theta), part)
        value = module(part.x, part.theta)
        return loss(Estimate(value, value), part)

    trained: Network = run(
        network,
        step,
        events,
        held_out,
        seed=seed,
        context=context,
        learning_rate=learning_rate,
        batch=batch,
        steps=steps,
    )
    return trained


def run(
    network: Any,
    step: Callable[[Any, Batch], Tensor],
    events: Batch,
    held_out: Batch,
    *,
    seed: int,
    context: Context = DEFAULT,
    learning_rate: float,
    batch: int,
    steps: int,
) -> Any:
    """Train any module on batches of events for `steps` steps (rounded up to a multiple of 10)."""
    if steps < CHECKS or batch < 1:
        raise ValueError(
            f"steps must be at least {CHECKS} and batch at least 1; got {steps} and {batch}"
        )
    stretch = Batches(events, batch, -(-steps // CHECKS), seed)
    fixed = Batches(held_out, 2048, -(-len(held_out.x) // 2048), 0)
    return training.train(
        network,
        step,
        stretch,
        fixed,
        seed=seed,
        epochs=CHECKS,
        learning_rate=learning_rate,
        schedule="cosine",
        context=context,
    )


def squared_ratios(estimate: Estimate, batch: Batch) -> Tensor:
    """Mean of y (r-hat - r)^2 + (1 - y) (1/r-hat - 1/r)^2, ln r-hat cut at +-10."""
    value = estimate.log_ratio.clamp(-LARGEST, LARGEST)
    above = batch.label * (value.exp() - batch.log_ratio.exp()) ** 2
    below = (1 - batch.label) * ((-value).exp() - (-batch.log_ratio).exp()) ** 2
    return (above + below).mean()


def label_entropy(estimate: Estimate, batch: Batch) -> Tensor:
    """Cross-entropy of s-hat with the label y."""
    return nn.functional.binary_cross_entropy_with_logits(-estimate.log_ratio, batch.label)


def joint_entropy(estimate: Estimate, batch: Batch) -> Tensor:
    """Cross-entropy of s-hat with s = 1/(1 + r), what y is on average given z."""
    target = torch.sigmoid(-batch.log_ratio)
    return nn.functional.binary_cross_entropy_with_logits(-estimate.log_ratio, target)


def score_error(estimate: Estimate, batch: Batch) -> Tensor:
    """Mean of (1 - y) (t-hat - t)^2, the squared error of the score of events drawn at theta."""
    return ((1 - batch.label) * (estimate.score - batch.score) ** 2).mean()


def at_own_theta(network: Network, inputs: Simulated) -> Array:
    """(n,): ln r-hat of each event at its own theta."""
    tensors = (torch.from_numpy(np.array(a)) for a in (inputs.x, inputs.theta))
    with torch.no_grad():
        return np.asarray(network(*tensors).double().numpy())


def predict(fitted: Any, inputs: Simulated) -> Array:
    """ln r-hat (n, 21)."""
    return asked(fitted, torch.from_numpy(np.array(inputs.x)))


def asked(module: Callable[[Tensor, Tensor], Tensor], x: Tensor) -> Array:
    """(n, 21): a function of (x, theta) at every theta of the grid, in double precision."""
    grid = torch.tensor(GRID, dtype=torch.float32)
    with torch.no_grad():
        parts = [
            torch.stack([module(part, t.expand(len(part))) for t in grid], 1)
            for part in torch.split(x, CHUNK)
        ]
    return np.asarray(torch.cat(parts).double().numpy())


def save(fitted: Network, path: Path) -> None:
    """Weights and shape."""
    training.save(fitted, path, shape(fitted))


def shape(network: Network) -> dict[str, int]:
    """What builds a network of the same shape."""
    width = network.head.in_features
    return {"inputs": len(network.mean), "width": width, "layers": len(network.hidden)}


def load(path: Path) -> Network:
    """The inverse of `save`."""
    state, extra = training.load(path)
    network = Network(**extra)
    network.load_state_dict(state)
    return network.eval()
