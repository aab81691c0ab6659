"""Recursive structural descriptors and ridge regression (Boattini et al. 2021).

1218 rotation-invariant numbers a particle: densities at given distances, bond order at given
distances, and their averages over neighbours once and twice. The penalty is chosen by leaving out
training configurations. With ten configurations it matches networks of fifty thousand parameters.
"""

from __future__ import annotations

from functools import partial

from physbench.datasets import Split
from physbench.models import Model
from physbench.models.liquids import _particle_regression as particle_regression
from physbench.models.liquids import _structure as structure


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
    per_configuration: bool = False,
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
    per_configuration:
        Standardise targets within each configuration.
    """
    describe = partial(
        structure.recursive,
        structure=positions,
        radial_last=radial_last,
        degrees=degrees,
        generations=generations,
        shell=shell,
    )
    return particle_regression.fit(
        [train, validation], describe, per_configuration=per_configuration
    )


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
    predict=particle_regression.predict,
    presets={
        "botan_ka3d": {"per_configuration": True},
        "kob_andersen": {"radial_last": 4.5},
    },
    quick={"radial_last": 2.4, "degrees": 3, "generations": 1},
    parameters=particle_regression.parameters,
    deterministic=True,
)
