"""CaloChallenge set 1, photons: ATLAS-like GEANT4 showers on 368 voxels, from files of the user.

Layers 0, 1, 2, 3 and 12 of the ATLAS calorimeter, 0.2 < eta < 0.25, 15 incident energies from
256 MeV to 4 TeV in powers of two. `dataset_1_photons_1.hdf5` is for training (every tenth shower
for validation), `dataset_1_photons_2.hdf5` for the test; with `binning_dataset_1_photons.xml`
beside them the binning is read from there. Threshold 1 MeV.
"""

from __future__ import annotations

from physbench.datasets import Dataset
from physbench.datasets.showers import Grid, Layer, Sample
from physbench.datasets.showers import _challenge_sets as sets

FINE = (0, 2, 4, 6, 8, 10, 12, 15, 20, 30, 40, 50, 70, 90, 120, 150, 200)
MIDDLE = (0, 2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 130, 160, 200, 250, 300, 350, 400)
GRID = Grid(
    name="CaloChallenge photons",
    layers=(
        Layer(0, 0.0, (0, 5, 10, 30, 50, 100, 200, 400, 600)),
        Layer(1, 1.0, FINE, angles=10),
        Layer(2, 2.0, MIDDLE, angles=10),
        Layer(3, 3.0, (0, 50, 100, 200, 400, 600)),
        Layer(12, 4.0, (0, 100, 200, 400, 1000, 2000)),
    ),
    threshold=1.0,
    largest=4.2e6,
    steps=65_000,
    depth_unit="layers",
    challenge="1-photons",
)
NAMES = sets.Names(
    train=("dataset_1_photons_1.hdf5",),
    test=("dataset_1_photons_2.hdf5",),
    binning="binning_dataset_1_photons.xml",
)


def load(*, folder: str = "", showers: int = 0) -> Sample:
    """The set from `folder` or the store; `showers` > 0 takes so many of each file."""
    return sets.load("calochallenge_photons", DATASET, GRID, NAMES, folder, showers)


DATASET = Dataset(
    summary="CaloChallenge set 1: GEANT4 photons on 368 voxels (user's files)",
    version="3",
    licence="as stated by Zenodo record 8099322; not redistributed here",
    citation="""@misc{CaloChallenge:photons,
  author = {{Faucci Giannelli}, Michele and Kasieczka, Gregor and Krause, Claudius and
            Nachman, Benjamin and Salamani, Dalila and Shih, David and Zaborowska, Anna},
  title = {Fast Calorimeter Simulation Challenge 2022 - Dataset 1},
  publisher = {Zenodo},
  year = {2023},
  doi = {10.5281/zenodo.8099322}
}""",
    source="Zenodo, doi 10.5281/zenodo.8099322: dataset_1_photons_1.hdf5 and _2.hdf5",
    load=load,
    folders=("calochallenge", "showers/calochallenge"),
)
