"""Conditional flow matching: a velocity field carries noise along straight lines to showers.

x_t = (1 - t) noise + t x, loss |v(x_t, t, E) - (x - noise)|^2; sampled with midpoint steps. Works
on normal scores of the showers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.showers import Conditions
from physbench.models import Context, Model
from physbench.models.showers import _networks as networks
from physbench.models.showers._networks import Batch, Fitted, TimedPerceptron

HERE = Context()


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = HERE,
    sums: bool = True,
    width: int = 256,
    layers: int = 3,
    steps: int = 20,
    learning_rate: float = 1e-3,
    batch: int = 512,
    epochs: int = 600,
) -> Fitted:
    """Train the velocity field.

    Parameters
    ----------
    sums:
        Generate the energies of layers and shower beside the voxels, and scale to them.
    steps:
        Midpoint steps of a sample; each evaluates the network twice.
    """
    data = networks.prepare(train, validation, seed=seed, sums=sums, batch=batch)
    torch.manual_seed(seed)
    settings = {"size": data.size, "width": width, "layers": layers}
    network = networks.trained(
        TimedPerceptron(**settings),
        loss,
        data,
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        context=context,
    )
    return Fitted(network, data.scores, seed, settings | {"steps": steps})


def loss(network: nn.Module, batch: Batch) -> Tensor:
    """Mean squared error of the velocity at a random time of each shower."""
    x, condition = batch
    time = torch.rand(len(x), 1, device=x.device)
    noise = torch.randn_like(x)
    velocity = network((1 - time) * noise + time * x, condition, time)
    return torch.mean((velocity - (x - noise)) ** 2)


def predict(fitted: Fitted, inputs: Conditions) -> NDArray[np.float32]:
    """Noise carried along the field."""
    steps = fitted.settings["steps"]

    def draw(noise: Tensor, condition: Tensor) -> Tensor:
        return midpoint(lambda x, t: fitted.network(x, condition, t), noise, steps)

    return networks.generate(fitted, inputs, draw, fitted.settings["size"])


def midpoint(field: Callable[[Tensor, Tensor], Tensor], x: Tensor, steps: int) -> Tensor:
    """x at t = 1 of dx/dt = field(x, t) from t = 0, by the midpoint rule."""
    width = 1.0 / steps
    for number in range(steps):
        time = torch.full((len(x), 1), number * width)
        half = x + 0.5 * width * field(x, time)
        x = x + width * field(half, time + 0.5 * width)
    return x


def load(path: Path) -> Fitted:
    """What `save` wrote."""
    return networks.load(path, build)


def build(size: int, width: int, layers: int, steps: int) -> nn.Module:
    """The network of `settings`."""
    return TimedPerceptron(size, width, layers)


MODEL = Model(
    tasks=("calo_showers",),
    role="learned",
    reference="""@inproceedings{Lipman:2022flow,
  author = {Lipman, Yaron and Chen, Ricky T. Q. and Ben-Hamu, Heli and Nickel, Maximilian and
            Le, Matt},
  title = {Flow Matching for Generative Modeling},
  booktitle = {International Conference on Learning Representations},
  year = {2023},
  eprint = {2210.02747},
  archiveprefix = {arXiv},
  url = {https://arxiv.org/abs/2210.02747}
}""",
    fit=fit,
    predict=predict,
    presets={"parametrised_showers": {"batch": 128, "epochs": 24}},
    quick={"width": 16, "layers": 2, "epochs": 1, "steps": 2},
    save=networks.save,
    load=load,
    parameters=networks.parameters,
)
