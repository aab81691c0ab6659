"""PaiNN (Schuett et al. 2021) through SchNetPack: scalars and vectors, equivariant messages."""

from __future__ import annotations

from functools import partial

from physbench.models import Model
from physbench.models.liquids import _particle_networks as networks
from physbench.models.liquids import _schnetpack as schnetpack


class Network(schnetpack.Network):
    """PaiNN and a dense output."""

    def __init__(
        self,
        *,
        cutoff: float,
        outputs: int,
        width: int = 64,
        layers: int = 3,
        radial: int = 20,
        columns: int = 0,
    ) -> None:
        super().__init__("PaiNN", cutoff, outputs, width, layers, radial, columns)


fit = networks.fits(Network)

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
    predict=networks.predict,
    presets={
        "kob_andersen": schnetpack.SMALL | {"epochs": 15},
        "botan_ka3d": schnetpack.SMALL | {"epochs": 25},
    },
    quick=schnetpack.QUICK,
    save=networks.save,
    load=partial(networks.load, Network),
    parameters=networks.parameters,
)
