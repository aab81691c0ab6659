"""QCD and Aachen jets of the DarkCLR paper, after its released loader.

`qcd_constit.h5` and `aachen_constit.h5` (others as `<name>_constit.h5`): pandas tables with the
columns E_i, PX_i, PY_i, PZ_i and `is_signal_new`. The first 100,000 QCD jets train, the next
20,000 and the 20,000 signal jets at the same offset test, 50 constituents. The file format is
inferred from the loader; the archive's sizes and checksums were not known when this was written:
pin them in `checksums.json` beside the files.
"""

from __future__ import annotations

import numpy as np

from physbench.datasets import Dataset
from physbench.datasets.jets import TEST, TRAIN, VALIDATION, Sample
from physbench.datasets.jets import _jet_files as jet_files
from physbench.datasets.jets import _jet_tables as jet_tables

VALIDATION_SHARE = 0.1  # of the training jets, the last ones


def load(
    *, folder: str = "", signal: str = "aachen", train: int = 100_000, test: int = 20_000
) -> Sample:
    """QCD and one signal, by the rows of the released loader.

    Raises ValueError when a file's labels contradict its name: the label decides, not the name.
    """
    names = ["qcd_constit.h5", f"{signal}_constit.h5"]
    paths = jet_files.locate("darkclr_zenodo", DATASET, folder, names)
    available = [jet_tables.length(path) for path in paths.values()]
    if available[0] <= train:
        raise ValueError(
            f"{names[0]} has {available[0]} rows, {train} train and none is left to test; "
            "choose a smaller `train`"
        )
    start = train if available[1] > train else 0
    background, zero = jet_tables.read_table(paths[names[0]], last=train + test)
    anomalous, one = jet_tables.read_table(paths[names[1]], first=start, last=start + test)
    if zero.any() or not one.all():
        raise ValueError(
            f"labels contradict the file names: {int(zero.sum())} signal jets in {names[0]}, "
            f"{int((one == 0).sum())} background jets in {names[1]}"
        )
    split = np.full(len(zero) + len(one), TEST, dtype=np.int8)
    split[:train] = TRAIN
    split[round(train * (1 - VALIDATION_SHARE)) : train] = VALIDATION
    return jet_files.two_class(
        jet_tables.join([background, anomalous]),
        np.concatenate([zero, one]),
        split,
        names=("qcd", signal),
        inverse=False,
        files=jet_files.digests(paths),
    )


DATASET = Dataset(
    summary="QCD and Aachen semi-visible jets of the DarkCLR paper (Delphes)",
    version="1",
    licence="as stated by the Zenodo record",
    citation="""@misc{DarkCLR:data,
  author = {Favaro, Luigi and Kr{\\"a}mer, Michael and Modak, Tanmoy and Plehn, Tilman
    and R{\\"u}schkamp, Jan},
  title = {Semi-visible jets dataset},
  year = {2024},
  doi = {10.5281/zenodo.12801842}
}""",
    source="Zenodo 10.5281/zenodo.12801842: qcd_constit.h5 and aachen_constit.h5 in one folder",
    load=load,
    folders=("jets/darkclr", "darkclr"),
)
