"""Oracle: the simulation of the embedded showers itself, run anew for every condition.

Its score is the ceiling, as that of `second_draw`; its time a shower is what a generator has to
beat. It knows the formulas, so it is never ranked, and it cannot imitate the showers of Geant4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.showers import PARAMETRISED, Conditions, Showers
from physbench.datasets.showers import _parametrisation as parametrisation
from physbench.models import Model


@dataclass(frozen=True)
class Fitted:
    """Which particle to simulate, and the seed."""

    particle: parametrisation.Particle
    seed: int


def fit(
    train: Split, validation: Split, *, seed: int, particle: parametrisation.Particle = "photon"
) -> Fitted:
    """Nothing to learn; `particle` is `photon` or `electron`, as in the task's protocol."""
    showers: Showers = train.targets
    if showers.grid != PARAMETRISED:
        raise ValueError(
            f"the parametrisation simulates the grid '{PARAMETRISED.name}' alone; got "
            f"'{showers.grid.name}'"
        )
    return Fitted(particle, seed)


def predict(fitted: Fitted, inputs: Conditions, targets: Showers) -> NDArray[np.float32]:
    """Showers of a stream of their own."""
    generator = np.random.default_rng([fitted.seed, 1001])
    energy = inputs.energy.astype(np.float64) / 1e3
    return parametrisation.showers(energy, generator, fitted.particle).astype(np.float32)


MODEL = Model(
    tasks=("calo_showers",),
    reference="the simulation itself",
    role="oracle",
    fit=fit,
    predict=predict,
)
