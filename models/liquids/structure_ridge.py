"""Ridge regression on the 166 structure functions of softness: no labels, no averaging.

The 100 radial and 66 angular functions of `softness_svm`, with a linear regression of the
propensity instead of a plane between slow and fast particles.
"""

from __future__ import annotations

from functools import partial

from physbench.datasets import Split
from physbench.models import Model
from physbench.models.liquids import _particle_regression as particle_regression
from physbench.models.liquids._structure_functions import describe


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    positions: str = "inherent",
    radial_last: float = 5.0,
    angular_cutoff: float = 2.5,
    per_configuration: bool = False,
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
    per_configuration:
        Standardise targets within each configuration.
    """
    functions = partial(
        describe, positions=positions, radial_last=radial_last, angular_cutoff=angular_cutoff
    )
    return particle_regression.fit(
        [train, validation], functions, per_configuration=per_configuration
    )


MODEL = Model(
    tasks=("glass_mobility",),
    role="classical",
    reference="Ridge regression on the functions of Behler and Parrinello used for softness.",
    fit=fit,
    predict=particle_regression.predict,
    presets={"kob_andersen": {"radial_last": 4.3}},
    quick={"radial_last": 2.0, "angular_cutoff": 1.5},
    parameters=particle_regression.parameters,
    deterministic=True,
)
