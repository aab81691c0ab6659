"""Kob-Andersen 3D of BOTAN (Shiba et al. 2023), the trajectories of GlassBench's 3D part.

Embedded are the fifteen configurations at T = 0.44 that the authors' repository holds (1 to 10 and
401 to 405), 4,096 particles each, 32 trajectories at tau_alpha, with inherent positions that were
made for this sample. Fold s tests on three of them, validates on two, trains on ten; five folds
test each once. More configurations, times and temperatures are read from the official files.

Official files `isoconfig_N4096T{T}_{i}_tc{kk}.npz`: types (4096,) 0 = A, 1 = B, initial_positions
(4096, 3) and positions (M, 4096, 3), unwrapped, of M trajectories at the kk-th time of the grid.
Box 15.05658 = (4096/1.2)^(1/3). Configurations 1 to 400 are for training (the last tenth of those
present, at least two, for validation), 401 to 500 for testing. Every configuration must have the
same times, tau_alpha among them; it is the seventh of the grid at T = 0.44 and the sixth to eighth
elsewhere.

Inherent positions and energies are not published with these files. They are read from
`*inherent*.npz` (config_ids, inherent_displacements, energy_thermal, energy_inherent) in the same
folder or up to two folders above, where somebody has made them.
"""

from __future__ import annotations

import re
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, File
from physbench.datasets.common import reading, store
from physbench.datasets.common.streaming import Deferred
from physbench.datasets.liquids import Configuration, Mobility, Sample, wrapped
from physbench.datasets.liquids._published import (
    DENSITY,
    GRID,
    SHARES,
    TAU_ALPHA,
    check_apart,
    check_displacements,
    check_start,
    check_times,
    put,
    types_of,
)

LAST_TRAINING = 400
QUENCHED = ("inherent_displacements", "energy_thermal", "energy_inherent")
KEYS = ("types", "initial_positions", "positions")
NAME = re.compile(r"isoconfig_N(\d+)T([\d.]+)_(\d+)_tc(\d+)\.npz")

FOLDS = 5
REACH = 2.0  # of the pairs whose change of distance is kept

Files = dict[int, dict[int, Path]]  # configuration -> place in the time grid -> file
Arrays = dict[str, NDArray[Any]]


def load(
    *, temperature: float = 0.44, folder: str = "", fold: int = 0, published_split: bool = False
) -> Sample:
    """The embedded configurations; from `folder`, or at another temperature, the official files.

    `fold` says which of the embedded configurations are for testing (`rotated`); with
    `published_split` these are 401 to 405, as in the paper, and 9 and 10 are for validation.

    Raises ValueError for an unknown temperature, FileNotFoundError when there is no file of it,
    and DataError for a file that is not as published.
    """
    if temperature not in GRID:
        raise ValueError(f"temperature must be one of {sorted(GRID)}; got {temperature}")
    if temperature == EMBEDDED and not folder:
        return embedded(fold, published_split=published_split)
    base = Path(folder) if folder else store.folder("botan_ka3d", DATASET)
    files = find(base, temperature)
    grid = dict(enumerate(GRID[temperature], start=1))
    alpha = next(place for place, time in grid.items() if time == TAU_ALPHA[temperature])
    check_times(files, grid, alpha)
    quenched, extra = _quenched(base)
    numbers = sorted(files)
    with store.pinned(base, [path for n in numbers for path in files[n].values()]) as digests:
        read = [_read(files[n], temperature, quenched.get(n)) for n in numbers]
    configurations = [configuration for configuration, _ in read]
    parts = split(numbers)
    check_apart(configurations, parts)
    return Sample(
        configurations,
        [mobility for _, mobility in read],
        parts,
        [f"T{temperature:.2f}-configuration{number:04d}" for number in numbers],
        digests | {path.name: store.digest(path) for path in extra},
    )


def embedded(fold: int, *, published_split: bool = False) -> Sample:
    """The fifteen embedded configurations with the split of a fold."""
    path = store.frozen(FROZEN.name, FROZEN.sha256)
    arrays = reading.arrays(path, *EMBEDDED_KEYS)
    numbers = arrays["config_ids"].tolist()
    ends = np.cumsum(arrays["bonds"])
    parts = [slice(end - count, end) for end, count in zip(ends, arrays["bonds"], strict=True)]
    ids = tuple(f"T{EMBEDDED:.2f}-configuration{number:04d}" for number in numbers)
    found = Deferred(ids, lambda k: _embedded(arrays, k, parts[k]))
    return Sample(
        found.each(itemgetter(0)),
        found.each(itemgetter(1)),
        split(numbers) if published_split else rotated(len(numbers), fold),
        ids,
        {FROZEN.name: FROZEN.sha256},
    )


def _embedded(arrays: Arrays, row: int, part: slice) -> tuple[Configuration, Mobility]:
    types, box = arrays["types"].astype(np.int64), arrays["box"]
    start = arrays["initial_positions"][row]
    lengths = arrays["lengths"][row].astype(np.float64)[:, None]
    thermal = wrapped(start, box)
    configuration = Configuration(
        types=types,
        box=box,
        temperature=EMBEDDED,
        thermal=thermal,
        inherent=wrapped(start.astype(np.float64) + arrays["inherent_displacements"][row], box),
    )
    return configuration, Mobility(
        types=types.copy(),
        times=np.array([TAU_ALPHA[EMBEDDED]]),
        alpha=0,
        propensity=lengths.mean(0).astype(np.float32),
        halves=np.stack([lengths[k::2].mean(0) for k in (0, 1)]).astype(np.float32),
        spread=lengths.std(0, ddof=1).astype(np.float32),
        trajectories=len(lengths),
        positions=thermal.copy(),
        box=box.copy(),
        lengths=lengths.astype(np.float32),
        bonds=close_pairs(thermal, box, REACH),
        bond_change=arrays["bond_change"][part].astype(np.float32),
    )


def close_pairs(positions: NDArray[Any], box: NDArray[Any], reach: float) -> NDArray[np.int64]:
    """(m, 2) pairs closer than `reach` through the boundary; the first is below the second."""
    from scipy.spatial import cKDTree

    place = positions.astype(np.float64)
    found = cKDTree(place, boxsize=box).query_pairs(reach, output_type="ndarray")
    vector = place[found[:, 1]] - place[found[:, 0]]
    vector -= box * np.rint(vector / box)
    found = np.sort(found[np.linalg.norm(vector, axis=1) < reach], axis=1)
    return np.asarray(found[np.lexsort(found.T[::-1])], np.int64)


def rotated(count: int, fold: int) -> NDArray[np.int64]:
    """0, 1, 2 for each of 15 configurations: the five folds test each of them once.

    The configurations of the published training and test parts are spread over all folds.

    >>> rotated(15, 0).tolist()
    [2, 1, 0, 0, 0, 2, 0, 1, 0, 0, 2, 0, 0, 0, 0]
    """
    if not 0 <= fold < FOLDS:
        raise ValueError(f"fold must be 0 to {FOLDS - 1}; got {fold}")
    part = np.zeros(count, dtype=np.int64)
    part[fold::FOLDS] = 2
    part[[(fold + 1) % FOLDS, (fold + 2) % FOLDS + FOLDS]] = 1
    return part


def find(base: Path, temperature: float) -> Files:
    """Files below `base` by configuration and place in the time grid (from 1).

    Raises FileNotFoundError when there is none, and DataError when one is there twice.
    """
    found: Files = {}
    for path in sorted(base.rglob("isoconfig_*.npz")):
        match = NAME.fullmatch(path.name)
        if match and float(match[2]) == temperature:
            put(found.setdefault(int(match[3]), {}), int(match[4]), path)
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
    kept = min(max(2, round(0.1 * len(training))), max(len(training) - 1, 0))
    part[training[len(training) - kept :]] = 1
    return part.astype(np.int64)


def _read(
    files: dict[int, Path], temperature: float, quenched: Arrays | None
) -> tuple[Configuration, Mobility]:
    first = next(iter(files.values()))
    start = reading.arrays(first, *KEYS)
    types, initial = types_of(start["types"], SHARES, 0, first), start["initial_positions"]
    box = np.full(3, (len(types) / DENSITY) ** (1 / 3))
    check_start(initial, box, DENSITY, first)
    times = np.array([GRID[temperature][place - 1] for place in sorted(files)])
    folded = TAU_ALPHA[temperature]
    lengths = np.stack(
        [
            _lengths(files[place], start, box if time <= folded else None)
            for place, time in zip(sorted(files), times, strict=True)
        ]
    )
    inherent = None if quenched is None else initial + quenched["inherent_displacements"]
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
        types=types.copy(),
        times=times,
        alpha=int(np.flatnonzero(times == TAU_ALPHA[temperature])[0]),
        propensity=lengths.mean(1).astype(np.float32),
        halves=np.stack([lengths[:, k::2].mean(1) for k in (0, 1)]).astype(np.float32),
        spread=lengths.std(1, ddof=1).astype(np.float32),
        trajectories=lengths.shape[1],
        positions=configuration.thermal.copy(),
        box=box.copy(),
    )


def _lengths(path: Path, start: Arrays, box: NDArray[Any] | None) -> NDArray[np.float64]:
    """(trajectories, n) lengths of the displacements, never through the minimum image.

    With `box` none of them may reach half of it: at such times nobody has come that far.
    """
    arrays = reading.arrays(path, *KEYS)
    for name in ("types", "initial_positions"):
        if not np.array_equal(arrays[name], start[name]):
            raise store.DataError(
                f"{path} starts from other positions than its neighbours in time, or other types"
            )
    shape = arrays["positions"].shape
    if len(shape) != 3 or shape[1:] != (len(start["types"]), 3) or shape[0] < 2:
        raise store.DataError(
            f"{path}: positions must be (M, {len(start['types'])}, 3) with M > 1; got {shape}"
        )
    moved = arrays["positions"] - start["initial_positions"]
    if box is not None:
        check_displacements(moved, box, path)
    return np.asarray(np.linalg.norm(moved, axis=2))


def _quenched(base: Path) -> tuple[dict[int, Arrays], list[Path]]:
    """Inherent displacements and energies by configuration number, and their files."""
    for place in (base, *base.resolve().parents[:2]):
        paths = sorted(place.glob("*inherent*.npz"))
        if paths:
            break
    found: dict[int, Arrays] = {}
    for path in paths:
        arrays = reading.arrays(path, "config_ids", *QUENCHED)
        if any(len(arrays[name]) != len(arrays["config_ids"]) for name in QUENCHED):
            raise store.DataError(f"{path}: {', '.join(QUENCHED)} need a row for each config_ids")
        for row, number in enumerate(arrays["config_ids"].tolist()):
            if number in found:
                raise store.DataError(f"{path}: configuration {number} is there twice")
            found[number] = {name: arrays[name][row] for name in QUENCHED}
    return found, paths


EMBEDDED = 0.44
FROZEN = File(
    "botan_ka3d.npz",
    "8a832046cbfccbe45cab1e5c2e1eb898ee34e1e6edaf5711ffaf854f0c1db2c2",
    6_642_299,
)
EMBEDDED_KEYS = (
    *("config_ids", "initial_positions", "types", "lengths", "inherent_displacements", "box"),
    *("bonds", "bond_change"),
)

DATASET = Dataset(
    summary="Kob-Andersen 3D isoconfigurational trajectories of BOTAN (real data)",
    version="2",
    licence="Apache-2.0; modified, see botan_ka3d.NOTICE.txt and botan_ka3d.LICENSE.txt",
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
    source="github.com/h3-Open-BDEC/pyg_botan, commit 6da560c: small_data/T0.44 is embedded; for "
    "other temperatures and times the archive of 58 GB that its README names. Put the "
    "isoconfig_*.npz files below $PHYSBENCH_DATA/botan_ka3d",
    load=load,
    files=(FROZEN,),
    embedded=True,
    folders=("botan_ka3d", "glass/original/botan_ka3d", "original/botan_ka3d"),
)
