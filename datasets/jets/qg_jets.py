"""Quark and gluon jets of the EnergyFlow collection, generator level.

Files `QG_jets.npz`, `QG_jets_1.npz`, ...: X (100000, M, 4) with pT in GeV, rapidity, phi and PDG
id, y (100000,) 1 for quark, 0 for gluon. Pythia 8, anti-kT R = 0.4, 500 < pT < 550 GeV. Gluons are
the background, quarks the signal; `inverse` swaps them. The list of addresses in EnergyFlow 1.4.0
names one file twice, so the own table of checksums here decides, and grows by `checksums.json`.
The files are read directly: the package's loader needs `wasserstein`, which wants NumPy 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset
from physbench.datasets.common import reading, store
from physbench.datasets.common.reading import DataError
from physbench.datasets.jets import (
    HELD,
    TEST,
    TRAIN,
    VALIDATION,
    Jets,
    Sample,
    from_constituents,
)
from physbench.datasets.jets import _jet_files as jet_files

SHA256 = {"QG_jets.npz": "3f27a02eab06e8b83ccc9d25638021e6e24c9361341730961f9d560dee12c257"}
PARTS = (0.6, 0.7)  # ends of train and of validation, in file order


def load(
    *,
    folder: str = "",
    inverse: bool = False,
    supervised: bool = False,
    file: str = "QG_jets.npz",
) -> Sample:
    """One file of the collection, split 60/10/30 in file order.

    Signal jets of train and validation are kept aside, unless the training is `supervised`.
    """
    paths = jet_files.locate("qg_jets", DATASET, folder, [file])
    found = store.digest(paths[file])
    if found != SHA256.get(file, found):
        raise store.DataError(f"{paths[file]} has sha256 {found}, expected {SHA256[file]}")
    jets, label = read(paths[file])
    place = np.arange(len(jets)) / len(jets)
    split = np.array([TRAIN, VALIDATION, TEST], dtype=np.int8)[np.digitize(place, PARTS)]
    if not supervised:
        split[(split != TEST) & (label != (1 if inverse else 0))] = HELD
    return jet_files.two_class(
        jets,
        label,
        split,
        names=("gluon", "quark"),
        inverse=inverse,
        files=jet_files.digests(paths),
    )


def read(path: Path) -> tuple[Jets, NDArray[np.int8]]:
    """Jets (massless constituents, so rapidity is pseudorapidity) and labels of one file."""
    arrays = reading.arrays(path, "X", "y", remedy="python -m benchmarks info qg_jets")
    x, y = arrays["X"], arrays["y"]
    if x.ndim != 3 or x.shape[2] < 3 or len(x) != len(y):
        raise DataError(
            f"{path}: X must be (jets, constituents, 4) and y (jets,); got {x.shape}, {y.shape}"
        )
    label = jet_files.labels(y, len(x), f"{path}: y")
    with reading.reading(path, "constituents with pT in GeV, rapidity and phi"):
        return from_constituents(x[..., 0], x[..., 1], x[..., 2]), label


DATASET = Dataset(
    summary="quark and gluon jets of 500 to 550 GeV from Pythia 8 (EnergyFlow collection)",
    version="1",
    licence="CC-BY-4.0 (as far as known)",
    citation="""@misc{Komiske:2019qg,
  author = {Komiske, Patrick and Metodiev, Eric and Thaler, Jesse},
  title = {Pythia8 Quark and Gluon Jets for Energy Flow},
  year = {2019},
  doi = {10.5281/zenodo.3164691}
}""",
    source="Zenodo 10.5281/zenodo.3164691: QG_jets.npz and its continuations",
    load=load,
    folders=("jets/qg_jets", "qg_jets"),
)
