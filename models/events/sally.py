"""SALLY: the score at the reference is regressed, then binned as one observable.

Near theta = 0 the score is a sufficient statistic; far from it the local view is what limits the
method.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.events import Array, Simulated, score
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.events import _morphing, _ratio_networks
from physbench.models.events._morphing import Binned
from physbench.models.events._ratio_networks import DEFAULT, Batch, Network

PRESET = {"learning_rate": 2e-3, "batch": 256, "steps": 3000}


@dataclass(frozen=True)
class Fitted:
    """The network of the score, and its histogram."""

    network: Network
    binned: Binned


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
    bins: int = 20,
) -> Fitted:
    """Least squares of the joint score at 0 on reference events; `bins` quantile bins of it."""
    events, held_out = _reference(train), _reference(validation)
    torch.manual_seed(seed)
    shape = Network(events.x.shape[1], width, layers)
    network = _ratio_networks.run(
        _ratio_networks.standardised(shape, events.x),
        lambda module, part: nn.functional.mse_loss(module(part.x, part.theta), part.score),
        events,
        held_out,
        seed=seed,
        context=context,
        learning_rate=learning_rate,
        batch=batch,
        steps=steps,
    )
    x, coefficients = _morphing.reference_events(train)
    values = _local_score(network, torch.from_numpy(x.astype(np.float32)))
    return Fitted(network, _morphing.binned(values, coefficients, bins, train.targets.norms))


def _reference(split: Split) -> Batch:
    """Events drawn at the reference, at theta = 0 with the joint score there."""
    x, coefficients = _morphing.reference_events(split)
    target = score(coefficients, 0.0, split.targets.norms)
    nothing = np.zeros(len(x))
    arrays = (x, nothing, nothing + 1, nothing, target)
    return Batch(*(torch.from_numpy(a.astype(np.float32)) for a in arrays))


def _local_score(network: Network, x: Tensor) -> Array:
    """(n, 1): the estimated score at theta = 0."""
    with torch.no_grad():
        parts = [network(p, torch.zeros(len(p))) for p in torch.split(x, _ratio_networks.CHUNK)]
    return np.asarray(torch.cat(parts).double().numpy())[:, None]


def predict(fitted: Fitted, inputs: Simulated) -> Array:
    """ln r-hat (n, 21)."""
    values = _local_score(fitted.network, torch.from_numpy(np.array(inputs.x)))
    return fitted.binned.log_ratio(values)


def save(fitted: Fitted, path: Path) -> None:
    """Weights, shape and histogram."""
    histogram = {
        "edges": fitted.binned.edges[0].tolist(),
        "coefficients": fitted.binned.coefficients.tolist(),
        "norms": list(fitted.binned.norms),
    }
    training.save(
        fitted.network, path, {"shape": _ratio_networks.shape(fitted.network)} | histogram
    )


def load(path: Path) -> Fitted:
    """The inverse of `save`."""
    state, extra = training.load(path)
    network = Network(**extra["shape"])
    network.load_state_dict(state)
    norms: Any = tuple(extra["norms"])
    edges = (np.array(extra["edges"]),)
    return Fitted(network.eval(), Binned(edges, np.array(extra["coefficients"]), norms))


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
    predict=predict,
    presets={"eft_toy": PRESET, "interference_toy": PRESET},
    quick={"steps": 20, "width": 8, "layers": 1},
    save=save,
    load=load,
    parameters=lambda fitted: training.parameters(fitted.network),
)
