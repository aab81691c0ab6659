"""CARL: a classifier between events at theta and at the reference, parametrised in theta.

A classifier's odds are the likelihood ratio; needs labels alone.
"""

from __future__ import annotations

from physbench.datasets import Split
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.events import _ratio_networks
from physbench.models.events._ratio_networks import DEFAULT, Network, label_entropy

PRESET = {"learning_rate": 2e-3, "batch": 256, "steps": 3000}


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
) -> Network:
    """Minimise BCE(s-hat, y)."""
    return _ratio_networks.fit(
        label_entropy,
        train,
        validation,
        seed=seed,
        context=context,
        learning_rate=learning_rate,
        batch=batch,
        steps=steps,
        width=width,
        layers=layers,
        gold=False,
    )


MODEL = Model(
    tasks=("likelihood_ratio",),
    reference="""@article{Cranmer:2015bka,
  author = {Cranmer, Kyle and Pavez, Juan and Louppe, Gilles},
  title = {Approximating Likelihood Ratios with Calibrated Discriminative Classifiers},
  year = {2015},
  eprint = {1506.02169},
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
