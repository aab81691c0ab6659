"""CARL with its probability calibrated by isotonic regression on the validation events.

Calibration mends a classifier whose probabilities are a monotone function of the right ones; it
pools all theta, and cannot mend an order of events that is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from physbench.datasets import Split
from physbench.datasets.events import Array, Simulated
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.events import _ratio_networks
from physbench.models.events._ratio_networks import DEFAULT, Network, label_entropy

PRESET = {"learning_rate": 2e-3, "batch": 256, "steps": 3000}


@dataclass(frozen=True)
class Fitted:
    """The network, and knots (k,) of the map from its ln r-hat to the calibrated one."""

    network: Network
    before: Array
    after: Array


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
) -> Fitted:
    """Minimise BCE(s-hat, y), then calibrate."""
    network = _ratio_networks.fit(
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
    at = _ratio_networks.at_own_theta(network, validation.inputs)
    return Fitted(network, *calibration(at, validation.targets.label))


def calibration(log_ratios: Array, label: Array) -> tuple[Array, Array]:
    """Knots of ln r-hat before and after: means of the blocks of an isotonic regression.

    `log_ratios` (n,) at the theta of each event, `label` (n,) is 1 for events drawn at the
    reference. The probability of label 1 falls with ln r-hat; a block of m events with k of them
    has ln r = ln((m - k + 1)/(k + 1)), which is finite where a block is pure.
    """
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(increasing=False)
    step = model.fit_transform(log_ratios, label.astype(np.float64))
    _, block = np.unique(-step, return_inverse=True)
    count = np.bincount(block)
    marked = np.bincount(block, label.astype(np.float64))
    before = np.bincount(block, log_ratios) / count
    return before, np.log((count - marked + 1) / (marked + 1))


def predict(fitted: Fitted, inputs: Simulated) -> Array:
    """ln r-hat (n, 21), linear between knots and shifted beyond them."""
    values = _ratio_networks.predict(fitted.network, inputs)
    inside = np.clip(values, fitted.before[0], fitted.before[-1])
    return np.interp(inside, fitted.before, fitted.after) + (values - inside)


def save(fitted: Fitted, path: Path) -> None:
    """Weights, shape and knots."""
    knots = {"before": fitted.before.tolist(), "after": fitted.after.tolist()}
    training.save(fitted.network, path, {"shape": _ratio_networks.shape(fitted.network)} | knots)


def load(path: Path) -> Fitted:
    """The inverse of `save`."""
    state, extra = training.load(path)
    network = Network(**extra["shape"])
    network.load_state_dict(state)
    return Fitted(network.eval(), np.array(extra["before"]), np.array(extra["after"]))


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
    predict=predict,
    presets={"eft_toy": PRESET, "interference_toy": PRESET},
    quick={"steps": 20, "width": 8, "layers": 1},
    save=save,
    load=load,
    parameters=lambda fitted: training.parameters(fitted.network),
)
