"""Mean of several ALICES networks on resampled events; their spread is the stated uncertainty.

Many networks account for the uncertainty of one: each has a seed of its own and a bootstrap sample
of the training events. What all of them have in common, their spread cannot see.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.events import Array, Simulated
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.events import _ratio_networks
from physbench.models.events._ratio_networks import (
    DEFAULT,
    Batch,
    Estimate,
    Network,
    joint_entropy,
    score_error,
)

PRESET = {"learning_rate": 2e-3, "batch": 256, "steps": 3000, "networks": 5}


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
    alpha: float = 1.0,
    networks: int = 10,
) -> nn.ModuleList:
    """`networks` times ALICES with seeds 1000 seed + k; raises ValueError for fewer than two."""
    if networks < 2:
        raise ValueError(f"networks must be at least 2, or there is no spread; got {networks}")

    def loss(estimate: Estimate, events: Batch) -> Tensor:
        return joint_entropy(estimate, events) + alpha * score_error(estimate, events)

    return nn.ModuleList(
        _ratio_networks.fit(
            loss,
            resampled(train, own),
            validation,
            seed=own,
            context=context,
            learning_rate=learning_rate,
            batch=batch,
            steps=steps,
            width=width,
            layers=layers,
            scored=True,
        )
        for own in range(1000 * seed, 1000 * seed + networks)
    )


def resampled(split: Split, seed: int) -> Split:
    """As many events, drawn with replacement."""
    index = np.random.default_rng(seed).integers(0, len(split), len(split))
    return split.take(index.tolist())


def predict(fitted: nn.ModuleList, inputs: Simulated) -> dict[str, Array]:
    """Mean and standard deviation over the networks of ln r-hat, each (n, 21)."""
    answers = np.stack([_ratio_networks.predict(network, inputs) for network in fitted])
    return {"log_ratio": answers.mean(0), "spread": answers.std(0, ddof=1)}


def save(fitted: nn.ModuleList, path: Path) -> None:
    """Weights of all networks."""
    first: Any = fitted[0]
    extra = {"shape": _ratio_networks.shape(first), "networks": len(fitted)}
    training.save(fitted, path, extra)


def load(path: Path) -> nn.ModuleList:
    """The inverse of `save`."""
    state, extra = training.load(path)
    networks = nn.ModuleList(Network(**extra["shape"]) for _ in range(extra["networks"]))
    networks.load_state_dict(state)
    return networks.eval()


MODEL = Model(
    tasks=("likelihood_ratio",),
    reference="""@article{ATLAS:2024jry,
  author = {{ATLAS Collaboration}},
  title = {An implementation of neural simulation-based inference for parameter estimation in
    {ATLAS}},
  journal = {Rep. Prog. Phys.},
  volume = {88},
  pages = {067801},
  year = {2025},
  eprint = {2412.01600},
  archiveprefix = {arXiv}
}""",
    role="learned",
    fit=fit,
    predict=predict,
    presets={"eft_toy": PRESET, "interference_toy": PRESET},
    quick={"steps": 20, "width": 8, "layers": 1, "networks": 2},
    save=save,
    load=load,
    parameters=training.parameters,
)
