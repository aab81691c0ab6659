"""Kob-Andersen 3D of BOTAN (Shiba et al. 2023), the trajectories of GlassBench's 3D part.

Official files `isoconfig_N4096T{T}_{i}_tc{kk}.npz`: types (4096,) 0 = A, 1 = B, initial_positions
(4096, 3) and positions (M, 4096, 3), unwrapped, of M trajectories at the kk-th time of the grid.
Box 15.05658 = (4096/1.2)^(1/3). Configurations 1 to 400 are for training (the last tenth of those
present, at least two, for validation), 401 to 500 for testing. All times that every configuration
present has are read; tau_alpha is the seventh of the grid at T = 0.44 and the sixth to eighth
elsewhere.

Inherent positions and energies are not published with these files. They are read from
`*inherent*.npz` (config_ids, inherent_displacements, energy_thermal, energy_inherent) in the same
folder or up to two folders above, where somebody has made them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset
from physbench.datasets.common import store
from physbench.datasets.liquids import Configuration, Mobility, Sample, wrapped

GRID = {
    0.44: (0.13, 1.3, 13.0, 130.0, 412.0, 1300.0, 4120.0, 13000.0, 41200.0, 130000.0),
    0.50: (0.108, 0.434, 2.17, 6.86, 21.7, 68.6, 217.0, 686.0, 2170.0, 6860.0),
    0.56: (0.104, 0.33, 0.99, 1.65, 5.2, 16.5, 52.0, 165.0, 520.0, 1650.0),
    0.64: (0.032, 0.1, 0.165, 0.52, 1.65, 5.2, 16.5, 52.0, 165.0, 520.0),
}
TAU_ALPHA = {0.44: 4120.0, 0.50: 217.0, 0.56: 52.0, 0.64: 16.5}
DENSITY = 1.2
LAST_TRAINING = 400
KEYS = ("types", "initial_positions", "positions")
NAME = re.compile(r"isoconfig_N(\d+)T([\d.]+)_(\d+)_tc(\d+)\.npz")

Files = dict[int, dict[int, Path]]  # configuration -> place in the time grid -> file
Arrays = dict[str, NDArray[Any]]


def load(*, temperature: float = 0.44, folder: str = "") -> Sample:
    """All configurations of a temperature that are on this machine.

    Raises ValueError for an unknown temperature, FileNotFoundError when there is no file of it,
    and DataError for a file that is not as published.
    """
    if temperature not in GRID:
        raise ValueError(f"temperature must be one of {sorted(GRID)}; got {temperature}")
    base = Path(folder) if folder else store.folder("botan_ka3d", DATASET)
    files = find(base, temperature)
    places = sorted(set.intersection(*(set(by_time) for by_time in files.values())))
    if not places:
        raise store.DataError(f"{base}: the configurations of T = {temperature} share no time")
    quenched, extra = _quenched(base)
    numbers = sorted(files)
    read = [_read({p: files[n][p] for p in places}, temperature, quenched.get(n)) for n in numbers]
    digests = {
        path.relative_to(base).as_posix(): store.digest(path)
        for number in numbers
        for path in (files[number][place] for place in places)
    }
    return Sample(
        [configuration for configuration, _ in read],
        [mobility for _, mobility in read],
        split(numbers),
        [f"T{temperature:.2f}-configuration{number:04d}" for number in numbers],
        digests | {path.name: store.digest(path) for path in extra},
    )


def find(base: Path, temperature: float) -> Files:
    """Files below `base` by configuration and place in the time grid (from 1)."""
    found: Files = {}
    for path in sorted(base.rglob("isoconfig_*.npz")):
        match = NAME.fullmatch(path.name)
        if match and float(match[2]) == temperature:
            found.setdefault(int(match[3]), {})[int(match[4])] = path
    if not found:
        raise FileNotFoundError(
            f"{base} holds no isoconfig_N4096T{temperature:.2f}_*_tc*.npz. "
            + store.advice("botan_ka3d", DATASET)
        )
    return found


def split(numbers: list[int]) -> NDArray[np.int64]:
    """0, 1, 2 for each configuration number.

    >>> split([1, 2, 3, 4, 401]).tolist()
    [0, 0, 1, 1, 2]
    """
    part = np.where(np.array(numbers) > LAST_TRAINING, 2, 0)
    training = np.flatnonzero(part == 0)
    part[training[len(training) - max(2, round(0.1 * len(training))) :]] = 1
    return part.astype(np.int64)


def _read(
    files: dict[int, Path], temperature: float, quenched: Arrays | None
) -> tuple[Configuration, Mobility]:
    first = next(iter(files.values()))
    start = store.load_arrays(first, *KEYS)
    types, initial = start["types"].astype(np.int64), start["initial_positions"]
    lengths = np.stack([_lengths(path, types, initial) for path in files.values()])
    box = np.full(3, (len(types) / DENSITY) ** (1 / 3))
    inherent = None if quenched is None else initial + quenched["inherent_displacements"]
    grid = np.array(GRID[temperature])
    times = grid[[place - 1 for place in files]]
    configuration = Configuration(
        types=types,
        box=box,
        temperature=temperature,
        thermal=wrapped(initial, box),
        inherent=None if inherent is None else wrapped(inherent, box),
        energy=None if quenched is None else quenched["energy_thermal"],
        inherent_energy=None if quenched is None else quenched["energy_inherent"],
    )
    return configuration, Mobility(
        types=types,
        times=times,
        alpha=int(np.argmin(np.abs(times - TAU_ALPHA[temperature]))),
        propensity=lengths.mean(1).astype(np.float32),
        halves=np.stack([lengths[:, k::2].mean(1) for k in (0, 1)]).astype(np.float32),
        spread=lengths.std(1, ddof=1).astype(np.float32),
        trajectories=lengths.shape[1],
        positions=configuration.thermal,
        box=box,
    )


def _lengths(path: Path, types: NDArray[np.int64], initial: NDArray[Any]) -> NDArray[np.float64]:
    """(trajectories, n) lengths of the displacements, never through the minimum image."""
    arrays = store.load_arrays(path, *KEYS)
    if not np.array_equal(arrays["initial_positions"], initial):
        raise store.DataError(f"{path} starts from other positions than its neighbours in time")
    if arrays["positions"].shape[1:] != (len(types), 3):
        raise store.DataError(
            f"{path}: positions must be (M, {len(types)}, 3); got {arrays['positions'].shape}"
        )
    if not np.isfinite(arrays["positions"]).all():
        raise store.DataError(f"{path} holds NaN or infinity; fetch it again")
    return np.asarray(np.linalg.norm(arrays["positions"] - initial, axis=2))


def _quenched(base: Path) -> tuple[dict[int, Arrays], list[Path]]:
    """Inherent displacements and energies by configuration number, and their files."""
    for place in (base, *base.resolve().parents[:2]):
        paths = sorted(place.glob("*inherent*.npz"))
        if paths:
            break
    found: dict[int, Arrays] = {}
    for path in paths:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        for row, number in enumerate(arrays.pop("config_ids")):
            found[int(number)] = {name: values[row] for name, values in arrays.items()}
    return found, paths


DATASET = Dataset(
    summary="Kob-Andersen 3D isoconfigurational trajectories of BOTAN, four temperatures",
    version="1",
    licence="Apache-2.0 (the repository's; the files have none of their own)",
    citation="""@article{Shiba:2023botan,
  author = {Shiba, Hayato and Hanai, Masatoshi and Suzumura, Toyotaro and Shimokawabe, Takashi},
  title = {{BOTAN}: BOnd TArgeting Network for prediction of slow glassy dynamics by machine
    learning relative motion},
  journal = {J. Chem. Phys.},
  volume = {158},
  pages = {084503},
  year = {2023},
  doi = {10.1063/5.0129791}
}""",
    source="github.com/h3-Open-BDEC/pyg_botan: folder small_data, or the archive of 58 GB that "
    "its README names. Put the isoconfig_*.npz files below $PHYSBENCH_DATA/botan_ka3d",
    load=load,
    folders=("botan_ka3d", "glass/original/botan_ka3d", "original/botan_ka3d"),
)
