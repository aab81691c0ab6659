"""ALICE: the classifier of CARL with the label's mean given z in place of the label.

Less variance than the labels have, and no squares of large ratios.
"""

from __future__ import annotations

from physbench.datasets import Split
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.events import _ratio_networks
from physbench.models.events._ratio_networks import DEFAULT, Network, joint_entropy

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
    """Minimise BCE(s-hat, 1/(1 + r))."""
    return _ratio_networks.fit(
        joint_entropy,
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
    reference="""@article{Stoye:2018ovl,
  author = {Stoye, Markus and Brehmer, Johann and Louppe, Gilles and Pavez, Juan and
    Cranmer, Kyle},
  title = {Likelihood-free inference with an improved cross-entropy estimator},
  year = {2018},
  eprint = {1808.00973},
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
