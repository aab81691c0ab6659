"""PaiNN (Schuett et al. 2021) through SchNetPack: scalars and vectors, equivariant messages."""

from __future__ import annotations

from functools import partial

from physbench.datasets import Split
from physbench.models import Model
from physbench.models.liquids import _particle_networks as networks
from physbench.models.liquids.schnet import SMALL, Network, predict, trained


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    positions: str = "inherent",
    cutoff: float = 2.0,
    width: int = 64,
    layers: int = 3,
    radial: int = 20,
    learning_rate: float = 1e-3,
    optimiser: str = "adam",
    schedule: str = "constant",
    clip: float = 1.0,
    per_configuration: bool = False,
    epochs: int = 200,
) -> networks.Fitted:
    """Train PaiNN; parameters as in `physbench.models.liquids.schnet`."""
    view = networks.View(positions, cutoff, energies=False)
    recipe = networks.Recipe(
        epochs,
        learning_rate,
        optimiser,
        schedule=schedule,
        clip=clip,
        per_configuration=per_configuration,
    )
    sizes = {"width": width, "layers": layers, "radial": radial}
    return trained("PaiNN", train, validation, view, recipe, sizes, seed)


MODEL = Model(
    tasks=("glass_mobility",),
    reference="""@inproceedings{Schuett:2021,
  author = {Sch{\\"u}tt, Kristof T. and Unke, Oliver T. and Gastegger, Michael},
  title = {Equivariant message passing for the prediction of tensorial properties and molecular
    spectra},
  booktitle = {Proceedings of the 38th International Conference on Machine Learning},
  year = {2021},
  eprint = {2102.03150},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={
        "kob_andersen": SMALL | {"epochs": 15},
        "botan_ka3d": SMALL | {"epochs": 60},
    },
    save=networks.save,
    load=partial(networks.load, Network),
    parameters=networks.parameters,
)
