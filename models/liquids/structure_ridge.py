"""Ridge regression on the 166 structure functions of softness: no labels, no averaging.

The 100 radial and 66 angular functions of `softness_svm`, with a linear regression of the
propensity instead of a plane between slow and fast particles.
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
from physbench.models.liquids.boattini import PENALTIES, parameters, predict


def describe(
    configuration: Configuration, positions: str, radial_last: float, angular_cutoff: float
) -> NDArray[np.float64]:
    """(n, 166): radial functions by type of neighbour, angular ones by types of the pair."""
    grid = ((0.1, radial_last, 0.1, 0.1),)
    columns: Sequence[NDArray[np.float64]] = (
        structure.radial(configuration, positions, grids=grid),
        structure.angular(configuration, positions, cutoff=angular_cutoff),
    )
    return np.concatenate(columns, axis=1)


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    positions: str = "inherent",
    radial_last: float = 5.0,
    angular_cutoff: float = 2.5,
) -> particle_regression.Ridge:
    """Ridge regression on train and validation configurations together.

    Parameters
    ----------
    positions:
        `thermal`, `inherent` or `cage`.
    radial_last:
        Largest distance of the radial functions; below half the box.
    angular_cutoff:
        Of the neighbours that the angular functions sum over; their widest Gaussian is wider than
        any box, so this is part of their definition.
    """
    functions = partial(
        describe, positions=positions, radial_last=radial_last, angular_cutoff=angular_cutoff
    )
    return particle_regression.fit([train, validation], functions, PENALTIES)


MODEL = Model(
    tasks=("glass_mobility",),
    role="classical",
    reference="Ridge regression on the functions of Behler and Parrinello used for softness.",
    fit=fit,
    predict=predict,
    presets={"kob_andersen": {"radial_last": 4.3}},
    parameters=parameters,
    deterministic=True,
)
