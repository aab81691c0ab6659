"""Autoencoders on vectors: plain, and normalized by sampling from the model.

p(x) = exp(-E(x)/T) / Z with E the mean squared reconstruction error. Training lowers E on data and
raises it on samples of the model, so that regions which reconstruct well by accident are pushed up
(Yoon, Noh, Park, arXiv:2105.05735; on jets Dillon et al., arXiv:2206.14225).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Context
from physbench.models.common import training
from physbench.models.jets._batches import Batches
from physbench.models.jets._jet_observables import images


@dataclass(frozen=True)
class Chain:
    """A Langevin chain x <- x - step grad E(x) / T + noise, step and noise decoupled.

    The gradient's length is clipped to `clip` for each sample; `annealed` divides the noise's
    standard deviation by 1 + the number of the step; with `metropolis` a step that raises the
    energy by d is taken with probability exp(-d/T) (the proposal counts as symmetric).
    """

    steps: int
    step: float
    noise: float
    clip: float = 0.01
    annealed: bool = False
    metropolis: bool = True

    def run(
        self,
        start: Tensor,
        energy: Callable[[Tensor], Tensor],
        project: Callable[[Tensor], Tensor],
        temperature: float,
        generator: torch.Generator,
    ) -> Tensor:
        """End points of chains from `start` (n, k); `project` is applied after each step."""
        x = start.detach()
        value, slope = self._slope(x, energy)
        for number in range(self.steps):
            sigma = self.noise / (1 + number if self.annealed else 1)
            push = torch.randn(x.shape, generator=generator) * sigma
            proposal = project(x - self.step * slope / temperature + push).detach()
            new_value, new_slope = self._slope(proposal, energy)
            if self.metropolis:
                chance = torch.rand(len(x), generator=generator)
                taken = chance < torch.exp(((value - new_value) / temperature).clamp(max=0.0))
                x = torch.where(taken[:, None], proposal, x)
                value = torch.where(taken, new_value, value)
                slope = torch.where(taken[:, None], new_slope, slope)
            else:
                x, value, slope = proposal, new_value, new_slope
        return x

    def _slope(self, x: Tensor, energy: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        value = energy(x)
        (slope,) = torch.autograd.grad(value.sum(), x)
        length = slope.norm(dim=1, keepdim=True).clamp(min=1e-30)
        return value.detach(), slope * (self.clip / length).clamp(max=1.0)


@dataclass(frozen=True)
class Normalization:
    """Settings of the second phase.

    loss = (mean E(x) - mean E(x')) / T + gamma mean(E(x)^2 + E(x')^2) + decay * sum of squared
    weights, with x' from the model: a chain in latent space on E(decoder(z)), started from the
    replay buffer or with probability `fresh` anew, then decoded, then a chain in x.
    """

    epochs: int
    latent_chain: Chain
    chain: Chain
    learning_rate: float = 1e-5
    batch: int = 256
    temperature: float = 1.0
    gamma: float = 1.0
    decay: float = 1e-8
    buffer: int = 10_000
    fresh: float = 0.05


class NormalizedAutoencoder(nn.Module):
    """Dense autoencoder; the latent vector lies on the unit sphere, E is the mean squared error.

    `output` is `linear` (standardised vectors) or `softmax` (images: non-negative pixels whose sum
    is `amplitude`).
    """

    def __init__(
        self,
        size: int,
        *,
        hidden: tuple[int, ...] = (64, 32),
        latent: int = 3,
        output: str = "linear",
        amplitude: float = 1.0,
    ) -> None:
        super().__init__()
        if output not in ("linear", "softmax"):
            raise ValueError(f"output must be 'linear' or 'softmax'; got '{output}'")
        self.output, self.amplitude, self.latent = output, amplitude, latent
        self.options = {
            "hidden": tuple(hidden),
            "latent": latent,
            "output": output,
            "amplitude": amplitude,
        }
        self.encoder = _dense((size, *hidden, latent))
        self.decoder = _dense((latent, *reversed(hidden), size))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.gaps: tuple[float, ...] = ()

    def encode(self, x: Tensor) -> Tensor:
        """Latent vectors of length 1."""
        return F.normalize(self.encoder(x))

    def decode(self, z: Tensor) -> Tensor:
        """Reconstructions of latent vectors."""
        raw: Tensor = self.decoder(z)
        return self.amplitude * raw.softmax(dim=1) if self.output == "softmax" else raw

    def energy(self, x: Tensor) -> Tensor:
        """Mean squared reconstruction error (n,) of standardised inputs."""
        return ((self.decode(self.encode(x)) - x) ** 2).mean(dim=1)

    def standardised(self, x: NDArray[Any]) -> Tensor:
        """Inputs as the network sees them."""
        mean, scale = self.get_buffer("mean"), self.get_buffer("scale")
        return (torch.from_numpy(np.asarray(x, dtype=np.float32)) - mean) / scale

    @torch.no_grad()
    def energies(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """E of raw inputs (n, size)."""
        parts = torch.split(self.standardised(x), 4096)
        return torch.cat([self.energy(part) for part in parts]).double().numpy()

    def standardise(self, data: NDArray[Any]) -> Self:
        """Learn mean and standard deviation of the inputs; softmax: one factor."""
        if self.output == "softmax":
            self.get_buffer("scale").fill_(float(data.sum(axis=1).mean()) / self.amplitude)
        else:
            spread = np.maximum(data.std(axis=0), 1e-6)
            self.get_buffer("mean").copy_(torch.from_numpy(data.mean(axis=0)))
            self.get_buffer("scale").copy_(torch.from_numpy(spread))
        return self

    def reconstruct(
        self,
        data: Tensor,
        held: Tensor,
        *,
        epochs: int,
        learning_rate: float,
        batch: int,
        clip: float,
        seed: int,
        context: Context = Context(),
    ) -> None:
        """Plain autoencoder training on the mean energy; the best weights on `held` are kept."""
        training.train(
            self,
            lambda module, x: module.energy(x).mean(),
            Batches(batch, seed, data),
            Batches(batch, seed, held),
            seed=seed,
            epochs=epochs,
            learning_rate=learning_rate,
            clip=clip,
            context=context,
        )

    def normalize(self, data: Tensor, how: Normalization, seed: int) -> None:
        """The second phase; `gaps` keeps mean E(x) - E(x') of each epoch: near 0 is good."""
        generator = torch.Generator().manual_seed(seed)
        optimiser = training.Adam(self.parameters(), how.learning_rate)
        buffer = _sphere(torch.randn(how.buffer, self.latent, generator=generator))
        gaps = []
        for _ in range(how.epochs):
            total, batches = 0.0, 0
            for index in torch.split(torch.randperm(len(data), generator=generator), how.batch):
                sample = self._sample(len(index), buffer, how, generator)
                real, model = self.energy(data[index]), self.energy(sample)
                gap = real.mean() - model.mean()
                loss = gap / how.temperature + how.gamma * ((real**2).mean() + (model**2).mean())
                loss = (
                    loss + how.decay * torch.stack([(p**2).sum() for p in self.parameters()]).sum()
                )
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                _finite(loss)
                total, batches = total + gap.item(), batches + 1
            gaps.append(total / batches)
        self.gaps = tuple(gaps)

    def _sample(
        self, size: int, buffer: Tensor, how: Normalization, generator: torch.Generator
    ) -> Tensor:
        """Samples of the model (size, k); their latent end points go back into the buffer."""
        place = torch.randint(len(buffer), (size,), generator=generator)
        fresh = torch.rand(size, 1, generator=generator) < how.fresh
        start = torch.where(
            fresh, _sphere(torch.randn(size, self.latent, generator=generator)), buffer[place]
        )
        latent = how.latent_chain.run(
            start, lambda z: self.energy(self.decode(z)), _sphere, how.temperature, generator
        )
        buffer[place] = latent
        project = self._positive if self.output == "softmax" else _same
        with torch.no_grad():
            first = self.decode(latent)
        return how.chain.run(first, self.energy, project, how.temperature, generator)

    @staticmethod
    def _positive(x: Tensor) -> Tensor:
        return x.clamp(min=0.0)


@dataclass(frozen=True)
class Imaged:
    """A trained autoencoder of jet images, and how its images are made."""

    network: NormalizedAutoencoder
    pixels: int
    blur: float


def save_imaged(fitted: Imaged, path: Path) -> None:
    """Weights and what is needed to build the network again."""
    extra = {"pixels": fitted.pixels, "blur": fitted.blur, "options": fitted.network.options}
    training.save(fitted.network, path, extra)


def load_imaged(path: Path) -> Imaged:
    """What `save_imaged` wrote."""
    state, extra = training.load(path)
    network = NormalizedAutoencoder(extra["pixels"] ** 2, **extra["options"])
    network.load_state_dict(state)
    return Imaged(network.eval(), extra["pixels"], extra["blur"])


def trained_on_images(
    train: Split,
    validation: Split,
    *,
    seed: int,
    pixels: int,
    blur: float,
    hidden: tuple[int, ...],
    latent: int,
    learning_rate: float,
    batch: int,
    epochs: int,
    clip: float,
    context: Context,
) -> Imaged:
    """A plain autoencoder on images of pixels x pixels, blurred by `blur` pixels."""
    torch.manual_seed(seed)
    data, held = (images(part.inputs, pixels, blur=blur) for part in (train, validation))
    network = NormalizedAutoencoder(
        data.shape[1], hidden=tuple(hidden), latent=latent, output="softmax", amplitude=pixels
    ).standardise(data)
    network.reconstruct(
        network.standardised(data),
        network.standardised(held),
        epochs=epochs,
        learning_rate=learning_rate,
        batch=batch,
        clip=clip,
        seed=seed,
        context=context,
    )
    return Imaged(network.eval(), pixels, blur)


def image_energies(fitted: Imaged, inputs: Jets) -> NDArray[np.float64]:
    """Mean squared reconstruction error of jets (n,)."""
    return fitted.network.energies(images(inputs, fitted.pixels, blur=fitted.blur))


def _dense(sizes: tuple[int, ...]) -> nn.Sequential:
    """Dense layers with PReLU between them."""
    steps: list[nn.Module] = []
    for first, second in itertools.pairwise(sizes):
        steps += [nn.Linear(first, second), nn.PReLU()]
    return nn.Sequential(*steps[:-1])


def _sphere(z: Tensor) -> Tensor:
    return F.normalize(z)


def _same(x: Tensor) -> Tensor:
    return x


def _finite(loss: Tensor) -> None:
    if not math.isfinite(loss.item()):
        raise FloatingPointError(f"the autoencoder's loss is {loss.item()}")
