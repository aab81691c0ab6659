"""Neural likelihood: a spline flow (NSF, by zuko) of p(x|theta), whose difference is the ratio.

It learns the whole density of the observables, also what all theta have in common, and needs no
gold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.events import Array, Simulated
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.events import _ratio_networks
from physbench.models.events._ratio_networks import DEFAULT, Batch

PRESET = {"learning_rate": 2e-3, "batch": 256, "steps": 3000}


class Density(nn.Module):
    """A flow of standardised observables; (x, theta) -> ln p(x|theta)/p(x|0)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, inputs: int, width: int, layers: int, transforms: int) -> None:
        super().__init__()
        hidden = [width] * layers
        self.flow = _zuko().flows.NSF(inputs, 1, transforms=transforms, hidden_features=hidden)
        self.extra = {"inputs": inputs, "width": width, "layers": layers, "transforms": transforms}
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))

    def log_density(self, x: Tensor, theta: Tensor) -> Tensor:
        """(n,) ln p(x|theta) up to the constant of the standardisation."""
        result: Tensor = self.flow(theta[:, None]).log_prob((x - self.mean) / self.deviation)
        return result

    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        """(n,) ln p(x|theta)/p(x|0)."""
        return self.log_density(x, theta) - self.log_density(x, torch.zeros_like(theta))


def _zuko() -> Any:
    try:
        import zuko
    except ImportError as error:
        raise ImportError(
            "model 'neural_likelihood' needs the library zuko: pip install 'physbench[flows]'"
        ) from error
    return zuko


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = DEFAULT,
    learning_rate: float = 1e-3,
    batch: int = 128,
    steps: int = 39_000,
    width: int = 64,
    layers: int = 3,
    transforms: int = 3,
) -> Density:
    """Maximum likelihood of x given the theta at which each event was drawn."""
    events, held_out = _ratio_networks.drawn_at(train), _ratio_networks.drawn_at(validation)
    torch.manual_seed(seed)
    network: Any = Density(events.x.shape[1], width, layers, transforms)

    def step(module: Any, part: Batch) -> Tensor:
        loss: Tensor = -module.log_density(part.x, part.theta).mean()
        return loss

    trained: Density = _ratio_networks.run(
        _ratio_networks.standardised(network, events.x),
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


def save(fitted: Density, path: Path) -> None:
    """Weights and shape."""
    training.save(fitted, path, fitted.extra)


def load(path: Path) -> Density:
    """The inverse of `save`."""
    state, extra = training.load(path)
    network = Density(**extra)
    network.load_state_dict(state)
    return network.eval()


def predict(fitted: Density, inputs: Simulated) -> Array:
    """ln r-hat (n, 21)."""
    return _ratio_networks.predict(fitted, inputs)


MODEL = Model(
    tasks=("likelihood_ratio",),
    reference="""@inproceedings{Durkan:2019nsq,
  author = {Durkan, Conor and Bekasov, Artur and Murray, Iain and Papamakarios, George},
  title = {Neural Spline Flows},
  booktitle = {NeurIPS},
  year = {2019},
  eprint = {1906.04032},
  archiveprefix = {arXiv}
}""",
    role="learned",
    fit=fit,
    predict=predict,
    presets={"eft_toy": PRESET, "interference_toy": PRESET},
    quick={"steps": 10, "width": 8, "layers": 1, "transforms": 1},
    save=save,
    load=load,
    parameters=training.parameters,
)
