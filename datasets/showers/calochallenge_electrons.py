"""CaloChallenge sets 2 and 3: GEANT4 electrons in silicon and tungsten, from files of the user.

45 layers of 3.4 mm (0.8 X0), 1 GeV to 1 TeV log-uniform, threshold 15.15 keV. Set 2 has 16 angles
and 9 rings of 4.65 mm (6,480 voxels), set 3 has 50 angles and 18 rings of 2.325 mm (40,500). The
first files are for training (every tenth shower for validation), the last ones for the test.
Files are read in slices: `showers` bounds the memory.
"""

from __future__ import annotations

from physbench.datasets import Dataset
from physbench.datasets.showers import Grid, Layer, Sample
from physbench.datasets.showers import _challenge_sets as sets

LAYERS, DEPTH = 45, 0.8  # X0
CELL = {"2": 4.65, "3": 2.325}  # mm
RINGS = {"2": 9, "3": 18}
ANGLES = {"2": 16, "3": 50}
NAMES = {
    "2": sets.Names(("dataset_2_1.hdf5",), ("dataset_2_2.hdf5",), "binning_dataset_2.xml"),
    "3": sets.Names(
        ("dataset_3_1.hdf5", "dataset_3_2.hdf5"),
        ("dataset_3_3.hdf5", "dataset_3_4.hdf5"),
        "binning_dataset_3.xml",
    ),
}


def grid(part: str) -> Grid:
    """The grid of set `2` or `3`."""
    edges = tuple(round(CELL[part] * k, 4) for k in range(RINGS[part] + 1))
    layers = tuple(Layer(k, DEPTH * (k + 0.5), edges, ANGLES[part]) for k in range(LAYERS))
    return Grid(
        f"CaloChallenge electrons, set {part}",
        layers,
        threshold=0.01515,
        largest=2e5,
        steps=65_000,
        challenge=part,
    )


def load(*, part: str = "2", folder: str = "", showers: int = 0) -> Sample:
    """Set 2 or 3 from `folder` or the store; `showers` > 0 takes so many of each file."""
    if part not in NAMES:
        raise ValueError(f"part must be one of {', '.join(NAMES)}; got '{part}'")
    return sets.load("calochallenge_electrons", DATASET, grid(part), NAMES[part], folder, showers)


DATASET = Dataset(
    summary="CaloChallenge sets 2 and 3: GEANT4 electrons on 6,480 or 40,500 voxels (files)",
    version="1",
    licence="as stated by Zenodo records 6366270 and 6366323; not redistributed here",
    citation="""@misc{CaloChallenge:electrons,
  author = {{Faucci Giannelli}, Michele and Kasieczka, Gregor and Krause, Claudius and
            Nachman, Benjamin and Salamani, Dalila and Shih, David and Zaborowska, Anna},
  title = {Fast Calorimeter Simulation Challenge 2022 - Dataset 2},
  publisher = {Zenodo},
  year = {2022},
  doi = {10.5281/zenodo.6366270}
}""",
    source="Zenodo, doi 10.5281/zenodo.6366270 (set 2) and 10.5281/zenodo.6366323 (set 3)",
    load=load,
    folders=("calochallenge", "showers/calochallenge"),
)
