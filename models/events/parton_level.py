"""Matrix element without transfer functions: the joint ratio at the observed values.

Observables are taken for the latent variables, clipped into their domain.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from physbench.datasets import Split
from physbench.datasets.events import Array, Process, Simulated, _helicity, _interference
from physbench.models import Model
from physbench.models.events import _morphing

BOUNDS = {
    "helicity": ((0, 1), (0, 1), (-1, 1), (-1, 1)),
    "interference": ((-np.inf, np.inf),) * 4,
}
PROCESSES: dict[str, Process] = {
    module.PROCESS.name: module.PROCESS for module in (_helicity, _interference)
}


def fit(train: Split, validation: Split, *, seed: int) -> Process:
    """The process of the sample; raises ValueError for one whose matrix element is not known."""
    name = train.targets.process
    if name not in PROCESSES:
        raise ValueError(
            f"process must be one whose matrix element is known here, {', '.join(PROCESSES)}; "
            f"got '{name}'"
        )
    return PROCESSES[name]


def predict(fitted: Process, inputs: Simulated) -> Array:
    """ln r-hat (n, 21)."""
    low, high = np.array(BOUNDS[fitted.name], dtype=np.float64).T
    z: Any = np.clip(inputs.x[:, :4].astype(np.float64), low, high)
    return _morphing.on_grid(fitted.coefficients(z), fitted.norms)


MODEL = Model(
    tasks=("likelihood_ratio",),
    reference="""@article{Kondo:1988yd,
  author = {Kondo, Kunitaka},
  title = {Dynamical Likelihood Method for Reconstruction of Events with Missing Momentum},
  journal = {J. Phys. Soc. Jap.},
  volume = {57},
  pages = {4126},
  year = {1988}
}""",
    role="classical",
    fit=fit,
    predict=predict,
    deterministic=True,
)
