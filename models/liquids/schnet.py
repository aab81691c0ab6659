"""SchNet (Schuett et al. 2017) through SchNetPack: continuous-filter convolutions of distances."""

from __future__ import annotations

from functools import partial

from physbench.models import Model
from physbench.models.liquids import _particle_networks as networks
from physbench.models.liquids import _schnetpack as schnetpack


class Network(schnetpack.Network):
    """SchNet and a dense output."""

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
        super().__init__("SchNet", cutoff, outputs, width, layers, radial, columns)


fit = networks.fits(Network)

MODEL = Model(
    tasks=("glass_mobility",),
    reference="""@inproceedings{Schuett:2017,
  author = {Sch{\\"u}tt, Kristof T. and Kindermans, Pieter-Jan and Sauceda, Huziel E. and
    Chmiela, Stefan and Tkatchenko, Alexandre and M{\\"u}ller, Klaus-Robert},
  title = {{SchNet}: A continuous-filter convolutional neural network for modeling quantum
    interactions},
  booktitle = {Advances in Neural Information Processing Systems 30},
  year = {2017},
  eprint = {1706.08566},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=networks.predict,
    presets={
        "kob_andersen": schnetpack.SMALL | {"epochs": 30},
        "botan_ka3d": schnetpack.SMALL | {"epochs": 80},
    },
    quick=schnetpack.QUICK,
    save=networks.save,
    load=partial(networks.load, Network),
    parameters=networks.parameters,
)
