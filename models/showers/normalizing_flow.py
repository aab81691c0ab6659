"""Normalizing flow of rational-quadratic splines, after CaloFlow.

The voxels come layer by layer, so that an autoregressive flow is CaloFlow's p(E_l | E) and
p(voxels | E_l, E) in one. With `passes` 2 the transforms are couplings, quick in both directions
(as CaloFlow's student); with 0 they are autoregressive, as its teacher, and a sample takes as many
passes as there are voxels. Works on normal scores, which lie inside the splines' domain of +-5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.showers import Conditions
from physbench.models import Context, Model
from physbench.models.showers import _networks as networks
from physbench.models.showers._networks import Batch, Fitted

HERE = Context()


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = HERE,
    sums: bool = True,
    transforms: int = 4,
    bins: int = 8,
    width: int = 64,
    layers: int = 2,
    passes: int = 2,
    learning_rate: float = 1e-3,
    batch: int = 512,
    epochs: int = 100,
) -> Fitted:
    """Maximise the likelihood.

    Parameters
    ----------
    sums:
        Generate the energies of layers and shower beside the voxels, and scale to them.
    transforms:
        Spline transforms, one after the other.
    bins:
        Bins of a spline.
    passes:
        2 for couplings, 0 for autoregressive transforms.
    """
    data = networks.prepare(train, validation, seed=seed, sums=sums, batch=batch)
    torch.manual_seed(seed)
    settings = {
        "size": data.size,
        "transforms": transforms,
        "bins": bins,
        "width": width,
        "layers": layers,
        "passes": passes,
    }
    network = networks.trained(
        build(**settings),
        loss,
        data,
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        context=context,
    )
    return Fitted(network, data.scores, seed, settings)


def build(
    size: int, transforms: int, bins: int, width: int, layers: int, passes: int
) -> nn.Module:
    """The flow of `settings`; the order of the numbers alternates between transforms."""
    import zuko

    flow: nn.Module = zuko.flows.NSF(
        size,
        1,
        bins=bins,
        transforms=transforms,
        hidden_features=(width,) * layers,
        passes=passes or None,
    )
    return flow


def loss(network: Any, batch: Batch) -> Tensor:
    """Minus the mean log likelihood."""
    x, condition = batch
    value: Tensor = -network(condition).log_prob(x).mean()
    return value


def predict(fitted: Fitted, inputs: Conditions) -> NDArray[np.float32]:
    """Noise through the inverse of the flow."""

    def draw(noise: Tensor, condition: Tensor) -> Tensor:
        scores: Tensor = fitted.network(condition).transform.inv(noise)
        return scores

    return networks.generate(fitted, inputs, draw, fitted.settings["size"])


def load(path: Path) -> Fitted:
    """What `save` wrote."""
    return networks.load(path, build)


MODEL = Model(
    tasks=("calo_showers",),
    role="learned",
    reference="""@article{Krause:2021caloflow,
  author = {Krause, Claudius and Shih, David},
  title = {Fast and accurate simulations of calorimeter showers with normalizing flows},
  journal = {Phys. Rev. D},
  volume = {107},
  pages = {113003},
  year = {2023},
  doi = {10.1103/PhysRevD.107.113003},
  eprint = {2106.05285},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={"parametrised_showers": {"transforms": 3, "batch": 256, "epochs": 8}},
    quick={"width": 8, "layers": 1, "transforms": 1, "bins": 4, "epochs": 1},
    save=networks.save,
    load=load,
    parameters=networks.parameters,
)
