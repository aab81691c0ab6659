"""CaloGAN's showers: GEANT4 particles in three layers of liquid argon, from a file of the user.

`eplus.hdf5`, `gamma.hdf5` or `piplus.hdf5` (1 to 100 GeV, uniform, perpendicular); 70 % of the
showers are for training, 10 % for validation and 20 % for the test, in order.
"""

from __future__ import annotations

from pathlib import Path

from physbench.datasets import Dataset
from physbench.datasets.common import store
from physbench.datasets.common.store import DataError
from physbench.datasets.showers import Sample
from physbench.datasets.showers import _calogan_files as files

FILES = {"electron": "eplus.hdf5", "photon": "gamma.hdf5", "pion": "piplus.hdf5"}
LEAST = 100  # showers of a file


def load(*, particle: str = "photon", folder: str = "", showers: int = 0) -> Sample:
    """One particle's file from `folder` or the store; `showers` > 0 takes so many of it."""
    if particle not in FILES:
        raise ValueError(f"particle must be one of {', '.join(FILES)}; got '{particle}'")
    bases = [Path(folder).expanduser()] if folder else store.candidates("calogan", DATASET)
    path = next((b / FILES[particle] for b in bases if (b / FILES[particle]).exists()), None)
    if path is None:
        raise FileNotFoundError(
            f"{bases[0] / FILES[particle]} is missing.\n{store.advice('calogan', DATASET)}"
        )
    found = files.read(path, stop=showers or None)
    count = len(found)
    if count < LEAST:
        raise DataError(f"{path} must hold at least {LEAST} showers; got {count}")
    train, validation = (7 * count) // 10, (8 * count) // 10
    return Sample(
        found.take(slice(train)),
        found.take(slice(train, validation)),
        found.take(slice(validation, None)),
        {path.name: store.digest(path)},
        {"read": count},
    )


DATASET = Dataset(
    summary="CaloGAN: GEANT4 showers in three layers of liquid argon (user's files)",
    version="1",
    licence="as stated by Mendeley Data pvn3xc3wy5; not redistributed here",
    citation="""@misc{CaloGAN:data,
  author = {Nachman, Benjamin and {de Oliveira}, Luke and Paganini, Michela},
  title = {Electromagnetic Calorimeter Shower Images},
  publisher = {Mendeley Data},
  year = {2017},
  doi = {10.17632/pvn3xc3wy5.1}
}""",
    source="Mendeley Data, doi 10.17632/pvn3xc3wy5.1: eplus.hdf5, gamma.hdf5, piplus.hdf5",
    load=load,
    folders=("calogan", "showers/calogan"),
)
