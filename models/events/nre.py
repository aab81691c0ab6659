"""Neural ratio estimation (NRE, by lampe): joint against shuffled pairs of theta and x.

Its network learns ln p(x|theta)/p(x) with p(x) the mean over the theta of the training events, so
the ratio to the reference is the difference of two answers. Needs labels to know where each event
was drawn, and no gold.
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


class Estimator(nn.Module):
    """lampe's NRE with standardised observables; (x, theta) -> ln p(x|theta)/p(x|0)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, inputs: int, width: int, layers: int) -> None:
        super().__init__()
        NRE, _ = _lampe()
        self.estimator = NRE(1, inputs, hidden_features=[width] * layers, activation=nn.Tanh)
        self.extra = {"inputs": inputs, "width": width, "layers": layers}
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))

    def scaled(self, x: Tensor) -> Tensor:
        """Observables with mean 0 and deviation 1 in training."""
        return (x - self.mean) / self.deviation

    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        """(n,) ln p(x|theta)/p(x|0)."""
        scaled, at = self.scaled(x), theta[:, None]
        result: Tensor = self.estimator(at, scaled) - self.estimator(torch.zeros_like(at), scaled)
        return result


def _lampe() -> tuple[Any, Any]:
    try:
        from lampe.inference import NRE, NRELoss
    except ImportError as error:
        raise ImportError(
            "model 'nre' needs the library lampe: pip install 'physbench[inference]'"
        ) from error
    return NRE, NRELoss


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = DEFAULT,
    learning_rate: float = 1e-3,
    batch: int = 128,
    steps: int = 39_000,
    width: int = 100,
    layers: int = 3,
) -> Estimator:
    """Cross-entropy between pairs (theta, x) as drawn and with theta of the next event."""
    _, NRELoss = _lampe()
    events, held_out = _ratio_networks.drawn_at(train), _ratio_networks.drawn_at(validation)
    torch.manual_seed(seed)
    network: Any = Estimator(events.x.shape[1], width, layers)

    def step(module: Any, part: Batch) -> Tensor:
        loss: Tensor = NRELoss(module.estimator)(part.theta[:, None], module.scaled(part.x))
        return loss

    trained: Estimator = _ratio_networks.run(
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


def predict(fitted: Estimator, inputs: Simulated) -> Array:
    """ln r-hat (n, 21)."""
    return _ratio_networks.predict(fitted, inputs)


def save(fitted: Estimator, path: Path) -> None:
    """Weights and shape."""
    training.save(fitted, path, fitted.extra)


def load(path: Path) -> Estimator:
    """The inverse of `save`."""
    state, extra = training.load(path)
    network = Estimator(**extra)
    network.load_state_dict(state)
    return network.eval()


MODEL = Model(
    tasks=("likelihood_ratio",),
    reference="""@inproceedings{Hermans:2019ioj,
  author = {Hermans, Joeri and Begy, Volodimir and Louppe, Gilles},
  title = {Likelihood-free {MCMC} with Amortized Approximate Ratio Estimators},
  booktitle = {ICML},
  year = {2020},
  eprint = {1903.04057},
  archiveprefix = {arXiv}
}""",
    role="learned",
    fit=fit,
    predict=predict,
    presets={"eft_toy": PRESET, "interference_toy": PRESET},
    quick={"steps": 20, "width": 8, "layers": 1},
    save=save,
    load=load,
    parameters=training.parameters,
)
