"""Recursive structural descriptors and ridge regression (Boattini et al. 2021).

1218 rotation-invariant numbers a particle: densities at given distances, bond order at given
distances, and their averages over neighbours once and twice. The penalty is chosen by leaving out
training configurations. With ten configurations it matches networks of fifty thousand parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.liquids import Configuration
from physbench.models import Model
from physbench.models.liquids import _particle_regression as particle_regression
from physbench.models.liquids import _structure as structure

PENALTIES = (1e1, 1e2, 1e3, 1e4, 1e5)


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    positions: str = "inherent",
    radial_last: float = 5.0,
    degrees: int = 12,
    generations: int = 2,
    shell: float = 2.1,
) -> particle_regression.Ridge:
    """Ridge regression on train and validation configurations together.

    Parameters
    ----------
    positions:
        `thermal`, `inherent` or `cage`.
    radial_last:
        Largest distance of the radial functions; below half the box.
    degrees, generations, shell:
        Of the bond order, of the averaging, and the reach of an average.
    """
    describe = partial(
        structure.recursive,
        structure=positions,
        radial_last=radial_last,
        degrees=degrees,
        generations=generations,
        shell=shell,
    )
    return particle_regression.fit([train, validation], describe, PENALTIES)


def predict(
    fitted: particle_regression.Ridge, inputs: Sequence[Configuration]
) -> list[NDArray[np.float64]]:
    """(n, t) a configuration."""
    return [fitted(configuration) for configuration in inputs]


def parameters(fitted: particle_regression.Ridge) -> int:
    """Weights and intercepts of all types and times."""
    return sum(w.size + b.size for _, w, b, _ in fitted.by_type.values())


MODEL = Model(
    tasks=("glass_mobility",),
    role="classical",
    reference="""@article{Boattini:2021,
  author = {Boattini, Emanuele and Smallenburg, Frank and Filion, Laura},
  title = {Averaging local structure to predict the dynamic propensity in supercooled liquids},
  journal = {Phys. Rev. Lett.},
  volume = {127},
  pages = {088007},
  year = {2021},
  doi = {10.1103/PhysRevLett.127.088007}
}""",
    fit=fit,
    predict=predict,
    presets={"kob_andersen": {"radial_last": 4.5}},
    parameters=parameters,
    deterministic=True,
)
