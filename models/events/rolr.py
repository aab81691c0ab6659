"""ROLR: regression of the likelihood ratio on the joint ratio of the simulator.

The joint ratio r(x, z) has the ratio r(x) as its mean.
"""

from __future__ import annotations

from physbench.datasets import Split
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.events import _ratio_networks
from physbench.models.events._ratio_networks import DEFAULT, Network, squared_ratios

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
    """Minimise y (r-hat - r)^2 + (1 - y) (1/r-hat - 1/r)^2."""
    return _ratio_networks.fit(
        squared_ratios,
        train,
        validation,
        seed=seed,
        context=context,
        learning_rate=learning_rate,
        batch=batch,
        steps=steps,
        width=width,
        layers=layers,
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
