"""Diffusion with few steps: a network predicts v, a deterministic sampler follows it back.

x_t = cos(pi t/2) x + sin(pi t/2) noise; the network predicts v = cos noise - sin x, which stays
well scaled at both ends (Salimans and Ho). The sampler is that of DDIM: v gives x and the noise,
which are mixed anew for the next time. Works on normal scores of the showers.
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
    steps: int = 40,
    learning_rate: float = 1e-3,
    batch: int = 512,
    epochs: int = 600,
) -> Fitted:
    """Train the network on v at random times.

    Parameters
    ----------
    sums:
        Generate the energies of layers and shower beside the voxels, and scale to them.
    steps:
        Evaluations of the network a sample takes.
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


def mixed(time: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitudes of data and of noise at a time: cos and sin of pi t/2."""
    return torch.cos(torch.pi / 2 * time), torch.sin(torch.pi / 2 * time)


def loss(network: nn.Module, batch: Batch) -> Tensor:
    """Mean squared error of v at a random time of each shower."""
    x, condition = batch
    time = torch.rand(len(x), 1, device=x.device)
    noise = torch.randn_like(x)
    data, sigma = mixed(time)
    predicted = network(data * x + sigma * noise, condition, time)
    return torch.mean((predicted - (data * noise - sigma * x)) ** 2)


def predict(fitted: Fitted, inputs: Conditions) -> NDArray[np.float32]:
    """Noise followed back to showers."""
    steps = fitted.settings["steps"]

    def draw(noise: Tensor, condition: Tensor) -> Tensor:
        return denoised(lambda x, t: fitted.network(x, condition, t), noise, steps)

    return networks.generate(fitted, inputs, draw, fitted.settings["size"])


def denoised(field: Callable[[Tensor, Tensor], Tensor], x: Tensor, steps: int) -> Tensor:
    """x at t = 0 from noise at t = 1 in equal steps of angle: a rotation of (x, noise) by each."""
    for number in range(steps, 0, -1):
        time = torch.full((len(x), 1), number / steps)
        data, sigma = mixed(time)
        v = field(x, time)
        clean, noise = data * x - sigma * v, sigma * x + data * v
        data, sigma = mixed(time - 1 / steps)
        x = data * clean + sigma * noise
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
    reference="""@inproceedings{Salimans:2022distillation,
  author = {Salimans, Tim and Ho, Jonathan},
  title = {Progressive Distillation for Fast Sampling of Diffusion Models},
  booktitle = {International Conference on Learning Representations},
  year = {2022},
  eprint = {2202.00512},
  archiveprefix = {arXiv},
  url = {https://arxiv.org/abs/2202.00512}
}""",
    fit=fit,
    predict=predict,
    presets={"parametrised_showers": {"batch": 128, "epochs": 24}},
    quick={"width": 16, "layers": 2, "epochs": 1, "steps": 2},
    save=networks.save,
    load=load,
    parameters=networks.parameters,
)
