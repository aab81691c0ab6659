"""Photon showers in lead from a parametrisation (Grindhammer-Peters), not Geant4; embedded.

Results on it must never stand beside those on Geant4 showers: the true density is simple. Medium
lead, 10 layers of 2.4 X0 with 5 rings (edges 0, 0.3, 0.7, 1.2, 2 and 4 Moliere radii), one angle;
index of a voxel = layer * 5 + ring. Incident energies log-uniform from 1 to 50 GeV, stochastic
term 10 %, threshold 0.5 MeV. A photon converts after an exponential depth of mean 9/7 X0.

Split 40,000 / 10,000 / 5,000, each drawn from a stream of its own, and a second draw of 5,000 at
the energies of the test split. All voxels are stored as logarithmic codes of one byte (steps of
4.6 %), and training showers are the decoded ones too: no side has to learn the rounding.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, File
from physbench.datasets.common import store
from physbench.datasets.showers import PARAMETRISED, Sample, Showers, decode, encode
from physbench.datasets.showers import _challenge_files as challenge
from physbench.datasets.showers import _parametrisation as parametrisation

FILE = "parametrised_showers.npz"
SEED = 1
SIZES = {"train": 40_000, "validation": 10_000, "test": 5_000}
LOW, HIGH = 1.0, 50.0  # GeV
PARTICLES = ("photon", "electron")

Arrays = dict[str, NDArray[Any]]


def load(*, particle: str = "photon", folder: str = "") -> Sample:
    """The frozen photons; electrons drawn anew (3 s); or what `make` wrote into `folder`.

    Raises ValueError for another particle, FileNotFoundError when `folder` holds no sample.
    """
    if particle not in PARTICLES:
        raise ValueError(f"particle must be one of {', '.join(PARTICLES)}; got '{particle}'")
    if folder:
        return _read(Path(folder).expanduser() / FILE)
    if particle == "electron":
        arrays = draw(seed=SEED, particle=particle)
        return _sample(arrays, {"drawn by parametrised_showers.draw": _digest(arrays)})
    (path,) = store.checked("parametrised_showers", DATASET).values()
    return _read(path)


def _read(path: Path) -> Sample:
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing; make it: python -m benchmarks data make parametrised_showers"
        )
    needed = [f"{part}_{what}" for part in SIZES for what in ("energy", "codes")]
    arrays = store.load_arrays(path, *needed, "second_codes")
    return _sample(arrays, {path.name: store.digest(path)})


def _sample(arrays: Arrays, files: dict[str, str]) -> Sample:
    train, validation, test = (
        Showers(
            decode(arrays[f"{part}_codes"], PARAMETRISED),
            arrays[f"{part}_energy"],
            second=decode(arrays["second_codes"], PARAMETRISED) if part == "test" else None,
        )
        for part in SIZES
    )
    return Sample(train, validation, test, files)


def draw(*, seed: int, particle: str = "photon", scale: float = 1.0) -> Arrays:
    """Energies in MeV and codes of every part; part k comes from the stream [seed, k].

    `scale` shortens all parts alike.
    """
    arrays: Arrays = {}
    for number, (part, size) in enumerate(SIZES.items()):
        generator = np.random.default_rng([seed, number])
        energy = parametrisation.energies(round(scale * size), generator, LOW, HIGH)
        arrays[f"{part}_energy"] = (1e3 * energy).astype(np.float32)
        arrays[f"{part}_codes"] = _codes(energy, generator, particle)
    generator = np.random.default_rng([seed, len(SIZES)])
    return arrays | {"second_codes": _codes(energy, generator, particle)}


def _codes(energy: Any, generator: np.random.Generator, particle: Any) -> NDArray[Any]:
    return encode(parametrisation.showers(energy, generator, particle), PARAMETRISED)


def _digest(arrays: Arrays) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return total.hexdigest()


def make(
    folder: Path,
    *,
    seed: int = SEED,
    particle: str = "photon",
    scale: float = 1.0,
    hdf5: bool = False,
) -> Path:
    """Draw the sample into `folder` and return the path; seed 1 gives the frozen bytes.

    Parameters
    ----------
    particle:
        `photon` or `electron`.
    scale:
        Size of all parts over that of the frozen sample.
    hdf5:
        Write train, validation, test and second also in the layout of the CaloChallenge, with
        the binning as XML beside them.
    """
    if particle not in PARTICLES:
        raise ValueError(f"particle must be one of {', '.join(PARTICLES)}; got '{particle}'")
    if not 0 < scale <= 1000 or scale * SIZES["test"] < 100:
        raise ValueError(f"scale must leave 100 test showers (0.02) and be <= 1000; got {scale}")
    begin = time.process_time()
    arrays = draw(seed=seed, particle=particle, scale=scale)
    count = sum(len(codes) for name, codes in arrays.items() if name.endswith("codes"))
    print(f"{count} showers, {count / (time.process_time() - begin):,.0f} a CPU second")
    folder.mkdir(parents=True, exist_ok=True)
    store.save_arrays(folder / FILE, arrays)
    if hdf5:
        _write_hdf5(folder, arrays, particle)
    return folder / FILE


def _write_hdf5(folder: Path, arrays: Arrays, particle: str) -> None:
    challenge.write_binning(folder / "binning.xml", PARAMETRISED, particle)
    for part in (*SIZES, "second"):
        energy = arrays["test_energy" if part == "second" else f"{part}_energy"]
        voxels = decode(arrays[f"{part}_codes"], PARAMETRISED)
        challenge.write(folder / f"{part}.hdf5", Showers(voxels, energy))


DATASET = Dataset(
    summary="photon showers in lead from the Grindhammer-Peters parametrisation (not Geant4)",
    version="1",
    licence="CC0-1.0",
    citation="""@inproceedings{Grindhammer:2000,
  author = {Grindhammer, Guenter and Peters, Sven},
  title = {The parameterized simulation of electromagnetic showers in homogeneous and sampling
           calorimeters},
  booktitle = {International Conference on Monte Carlo Simulation in High-Energy and Nuclear
               Physics (MC 93)},
  year = {1993},
  eprint = {hep-ex/0001020},
  archiveprefix = {arXiv}
}""",
    source="drawn by make() of this file, seed 1: 60,000 showers in about 3 CPU seconds",
    load=load,
    embedded=True,
    files=(
        File(
            FILE,
            "b9e15ff452f6c18d676064b240173ce2ce4c7d794daaad8c57a5fc6e7e143b16",
            2743063,
        ),
    ),
    make=make,
)
