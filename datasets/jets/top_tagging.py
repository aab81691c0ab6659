"""Top Tagging Reference Dataset: QCD and top jets of 550 to 650 GeV, in both directions.

`train.h5` (1.2 M jets), `val.h5` (400 k), `test.h5` (404 k): pandas tables with the four-momenta
of up to 200 constituents and `is_signal_new` (1 top). sqrt(s) = 14 TeV, Pythia 8 and Delphes
(ATLAS card), no pile-up, anti-kT R = 0.8, |eta| < 2. Default: train on QCD, find tops; `inverse`
the other way round, because one direction alone rewards scores that equate complex with
anomalous.
"""

from __future__ import annotations

import numpy as np

from physbench.datasets import Dataset
from physbench.datasets.jets import HELD, TEST, TRAIN, VALIDATION, Sample
from physbench.datasets.jets import _jet_files as jet_files
from physbench.datasets.jets import _jet_tables as jet_tables

FILES = ["train.h5", "val.h5", "test.h5"]
CODES = (TRAIN, VALIDATION, TEST)


def load(
    *, folder: str = "", inverse: bool = False, supervised: bool = False, jets: int = 100_000
) -> Sample:
    """The first `jets` rows of each file, as the archive splits them.

    Signal jets of train and validation are kept aside for contamination runs, unless the training
    is `supervised`. Raises
    FileNotFoundError with the archive's address, DataError for a file that is not what the table
    of checksums says.
    """
    paths = jet_files.locate("top_tagging", DATASET, folder, FILES)
    parts = [jet_tables.read_table(path, last=jets) for path in paths.values()]
    label = np.concatenate([part[1] for part in parts])
    split = np.repeat(np.array(CODES, dtype=np.int8), [len(part[1]) for part in parts])
    background = 1 if inverse else 0
    if not supervised:
        split[(split != TEST) & (label != background)] = HELD
    return jet_files.two_class(
        jet_tables.join([part[0] for part in parts]),
        label,
        split,
        names=("qcd", "top"),
        inverse=inverse,
        files=jet_files.digests(paths),
    )


DATASET = Dataset(
    summary="QCD and top jets, 550 to 650 GeV, Delphes (Top Tagging Reference Dataset)",
    version="1",
    licence="CC-BY-4.0",
    citation="""@misc{Kasieczka:2019dbj,
  author = {Kasieczka, Gregor and Plehn, Tilman and Thompson, Jennifer and Russell, Michael},
  title = {Top Quark Tagging Reference Dataset},
  year = {2019},
  doi = {10.5281/zenodo.2603256}
}""",
    source="Zenodo 10.5281/zenodo.2603256: train.h5, val.h5, test.h5 in one folder",
    load=load,
    folders=("jets/top_tagging", "toptag"),
)
