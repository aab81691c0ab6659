"""CASCAL: CARL, and the derivative of the estimate regressed on the joint score."""

from __future__ import annotations

from torch import Tensor

from physbench.datasets import Split
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.events import _ratio_networks
from physbench.models.events._ratio_networks import (
    DEFAULT,
    Batch,
    Estimate,
    Network,
    label_entropy,
    score_error,
)

PRESET = {"learning_rate": 2e-3, "batch": 256, "steps": 3000, "alpha": 1.0}


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
    alpha: float = 5.0,
) -> Network:
    """Minimise BCE(s-hat, y) + alpha (1 - y) |t-hat - t|^2."""

    def loss(estimate: Estimate, events: Batch) -> Tensor:
        return label_entropy(estimate, events) + alpha * score_error(estimate, events)

    return _ratio_networks.fit(
        loss,
        train,
        validation,
        seed=seed,
        context=context,
        learning_rate=learning_rate,
        batch=batch,
        steps=steps,
        width=width,
        layers=layers,
        scored=True,
    )


MODEL = Model(
    tasks=("likelihood_ratio",),
    reference="""@article{Brehmer:2018eca,
  author = {Brehmer, Johann and Cranmer, Kyle and Louppe, Gilles and Pavez, Juan},
  title = {A Guide to Constraining Effective Field Theories with Machine Learning},
  journal = {Phys. Rev. D},
  volume = {98},
  pages = {052004},
  year = {2018},
  eprint = {1805.00020},
  archiveprefix = {arXiv}
}""",
    role="learned",
    fit=fit,
    predict=_ratio_networks.predict,
    presets={"eft_toy": PRESET, "interference_toy": PRESET},
    quick={"steps": 20, "width": 8, "layers": 1},
    save=_ratio_networks.save,
    load=_ratio_networks.load,
    parameters=training.parameters,
)
