"""GlassBench (Zenodo 10118191): Kob-Andersen in three and in two dimensions.

`KA_models/T{T}/{train,test}/N4096T{T}_{i}.npz` (types 0, 1; initial_positions, those `_inherent`
and, for some configurations, `_cage`; md_prop: propensities at the ten times of the grid; bb_prop:
the same of broken bonds; of test configurations the predictions of `METHODS`). The 3D
trajectories are not in the archive, so there is no noise ceiling. `KA2D_trajectories/T{T}/
{train,test}/N1290T{T}_{i}_tc{kk}.npz` (box, types 1, 2, 3, initial_positions, at T = 0.23 those
`_inherent`, positions of 20 trajectories). The positions of T = 0.23 are unwrapped, those of
T = 0.30 are wrapped: there the minimum image of the displacement is taken, which is wrong only for
the few particles that moved half a box. The last tenth of the training configurations is for
validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset
from physbench.datasets.common import reading, store
from physbench.datasets.liquids import Configuration, Mobility, Sample, wrapped
from physbench.datasets.liquids._published import (
    DENSITY,
    GRID,
    SHARES,
    TAU_ALPHA,
    box_of,
    check_apart,
    check_displacements,
    check_start,
    check_times,
    put,
    types_of,
)

# Suffix of the file -> time, of the two-dimensional data.
GRID_2D = {
    0.30: {1: 0.11, 2: 1.25, 3: 14.14, 4: 158.74, 5: 1781.79, 6: 20000.0},
    0.23: {
        5: 0.1,
        10: 1.1,
        15: 11.64,
        20: 122.47,
        25: 1288.41,
        30: 13554.0,
        35: 142587.0,
        40: 1.5e6,
    },
}
# The suffix nearest to the published tau_alpha, 2200 and 918306.
ALPHA_2D = {0.30: 5, 0.23: 40}
SHARES_2D = (600 / 1290, 330 / 1290, 360 / 1290)  # of A, B and C
DENSITY_2D = 1.192
KEYS_2D = ("box", "types", "initial_positions", "positions")
WRAPPED = (0.30,)
# What the files of test configurations hold: predictions of networks, and order parameters.
METHODS = ("BOTAN", "CAGE", "GlassMLP", "SE3", "SBO", "SBO_CG", "DEN", "EPOT", "PSI6")

Arrays = dict[str, NDArray[Any]]
Unit = tuple[Configuration, Mobility]


def load(*, temperature: float = 0.44, folder: str = "") -> Sample:
    """All configurations of a temperature: 0.44, 0.50, 0.56, 0.64 (3D), 0.23 or 0.30 (2D).

    Raises ValueError for another temperature, FileNotFoundError when there is no file of it, and
    DataError for a file that is not as published.
    """
    known = {**GRID, **GRID_2D}
    if temperature not in known:
        raise ValueError(f"temperature must be one of {sorted(known)}; got {temperature}")
    base = Path(folder) if folder else store.folder("glassbench", DATASET)
    flat = temperature in GRID_2D
    found = find(base, temperature, flat)
    if flat:
        check_times(found, GRID_2D[temperature], ALPHA_2D[temperature])
    keys = sorted(found, key=lambda key: (key[0] == "test", key[1]))
    with store.pinned(base, [path for key in keys for path in found[key].values()]) as digests:
        units = [(_flat if flat else _solid)(found[key], temperature) for key in keys]
    split = np.array([2 if part == "test" else 0 for part, _ in keys], dtype=np.int64)
    training = np.flatnonzero(split == 0)
    split[training[len(training) - -(-len(training) // 10) :]] = 1
    configurations = [configuration for configuration, _ in units]
    check_apart(configurations, split)
    return Sample(
        configurations,
        [mobility for _, mobility in units],
        split,
        [f"T{temperature:.2f}-{part}-{number:04d}" for part, number in keys],
        digests,
    )


def find(base: Path, temperature: float, flat: bool) -> dict[tuple[str, int], dict[int, Path]]:
    """(train or test, number) -> {suffix of the time, 0 in 3D: file}; DataError for two files."""
    size = 1290 if flat else 4096
    name = re.compile(
        rf"N{size}T{temperature:.2f}_(\d+)" + (r"_tc(\d+)\.npz" if flat else r"\.npz")
    )
    found: dict[tuple[str, int], dict[int, Path]] = {}
    for path in sorted(base.rglob(f"N{size}T{temperature:.2f}_*.npz")):
        match = name.fullmatch(path.name)
        if match and path.parent.name in ("train", "test"):
            time = int(match[2]) if flat else 0
            put(found.setdefault((path.parent.name, int(match[1])), {}), time, path)
    if not found:
        raise FileNotFoundError(
            f"{base} holds no {{train,test}}/N{size}T{temperature:.2f}_*.npz. "
            + store.advice("glassbench", DATASET)
        )
    return found


def _optional(arrays: dict[str, NDArray[Any]], name: str, box: Any) -> NDArray[np.float32] | None:
    return wrapped(arrays[name], box) if name in arrays else None


def _solid(files: dict[int, Path], temperature: float) -> Unit:
    """Three dimensions: propensities as published."""
    path = files[0]
    arrays = reading.arrays(path, "types", "initial_positions", "md_prop")
    types = types_of(arrays["types"], SHARES, 0, path)
    box = np.full(3, (len(types) / DENSITY) ** (1 / 3))
    check_start(arrays["initial_positions"], box, DENSITY, path)
    times = np.array(GRID[temperature])
    values = _by_time(arrays, "md_prop", len(times), len(types), path)
    if (values < 0).any():
        raise store.DataError(f"{path}: md_prop must be lengths >= 0; got {values.min():g}")
    bonds = None
    if "bb_prop" in arrays:
        bonds = _by_time(arrays, "bb_prop", len(times), len(types), path).astype(np.float32)
    with reading.reading(path, f"positions (n, 3) of {len(types)} particles"):
        configuration = Configuration(
            types=types,
            box=box,
            temperature=temperature,
            thermal=wrapped(arrays["initial_positions"], box),
            inherent=_optional(arrays, "initial_positions_inherent", box),
            cage=_optional(arrays, "initial_positions_cage", box),
        )
    alpha = int(np.flatnonzero(times == TAU_ALPHA[temperature])[0])
    mobility = Mobility(
        types.copy(),
        times,
        alpha,
        values.astype(np.float32),
        positions=configuration.thermal.copy(),
        box=box.copy(),
        broken_bonds=bonds,
    )
    return configuration, mobility


def _by_time(
    arrays: Arrays, name: str, times: int, particles: int, path: Path
) -> NDArray[np.float64]:
    """(t, n) of an array that files hold in either order; DataError for another shape."""
    values = np.asarray(arrays[name], float)
    values = values.T if values.shape == (particles, times) else values
    if values.shape != (times, particles) or not np.isfinite(values).all():
        raise store.DataError(
            f"{path}: {name} must be finite numbers, ({times}, {particles}); got {values.shape}"
        )
    return values


def check_method(method: str) -> None:
    """Raise ValueError for a method whose predictions the archive does not hold."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got '{method}'")


def published(
    method: str, temperature: float, folder: str = ""
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float64]]]:
    """Thermal positions (n, 3) and published predictions (t, n) of each 3D test configuration.

    Raises ValueError for an unknown method or temperature, FileNotFoundError when there are no
    files, and DataError for a file without the method.
    """
    check_method(method)
    if temperature not in GRID:
        raise ValueError(f"temperature must be one of {sorted(GRID)}; got {temperature:g}")
    base = Path(folder) if folder else store.folder("glassbench", DATASET)
    for (part, _), files in sorted(find(base, temperature, flat=False).items()):
        if part == "test":
            arrays = reading.arrays(files[0], "types", "initial_positions", method)
            count = len(arrays["types"])
            box = np.full(3, (count / DENSITY) ** (1 / 3))
            values = _by_time(arrays, method, len(GRID[temperature]), count, files[0])
            yield wrapped(arrays["initial_positions"], box), values


def _flat(files: dict[int, Path], temperature: float) -> Unit:
    """Two dimensions: propensities from the trajectories of each file."""
    grid, suffixes = GRID_2D[temperature], sorted(files)
    read = {suffix: reading.arrays(files[suffix], *KEYS_2D) for suffix in suffixes}
    first = read[suffixes[0]]
    box = box_of(first["box"], 2, files[suffixes[0]])
    types = types_of(first["types"], SHARES_2D, 1, files[suffixes[0]])
    check_start(first["initial_positions"], box, DENSITY_2D, files[suffixes[0]])
    table = np.stack([_lengths(files[s], read[s], first, box, temperature) for s in suffixes])
    with reading.reading(files[suffixes[0]], f"positions (n, 2) of {len(types)} particles"):
        configuration = Configuration(
            types=types,
            box=box,
            temperature=temperature,
            thermal=wrapped(first["initial_positions"], box),
            inherent=_optional(first, "initial_positions_inherent", box),
        )
    mobility = Mobility(
        types=types.copy(),
        times=np.array([grid[suffix] for suffix in suffixes]),
        alpha=suffixes.index(ALPHA_2D[temperature]),
        propensity=table.mean(1).astype(np.float32),
        halves=np.stack([table[:, k::2].mean(1) for k in (0, 1)]).astype(np.float32),
        spread=table.std(1, ddof=1).astype(np.float32),
        trajectories=table.shape[1],
        positions=configuration.thermal.copy(),
        box=box.copy(),
    )
    return configuration, mobility


def _lengths(
    path: Path, arrays: Arrays, first: Arrays, box: NDArray[Any], temperature: float
) -> NDArray[np.float64]:
    """(trajectories, n) lengths of the displacements of one time, from the start of all times."""
    for name in ("box", "types", "initial_positions"):
        if not np.array_equal(arrays[name], first[name]):
            raise store.DataError(f"{path}: {name} differs from that of the other times")
    shape = arrays["positions"].shape
    if len(shape) != 3 or shape[1:] != first["initial_positions"].shape or shape[0] < 2:
        n, d = first["initial_positions"].shape
        raise store.DataError(f"{path}: positions must be (M, {n}, {d}) with M > 1; got {shape}")
    moved = arrays["positions"] - first["initial_positions"]
    if temperature in WRAPPED:
        moved -= box * np.rint(moved / box)
    else:
        check_displacements(moved, box, path)
    return np.asarray(np.linalg.norm(moved, axis=2))


DATASET = Dataset(
    summary="GlassBench: Kob-Andersen propensities in 3D and trajectories in 2D",
    version="1",
    licence="CC-BY-4.0",
    citation="""@article{Jung:2023roadmap,
  author = {Jung, Gerhard and Alkemade, Rinske M. and Bapst, Victor and Coslovich, Daniele and
    Filion, Laura and Landes, Fran{\\c{c}}ois P. and Liu, Andrea J. and Pezzicoli, Francesco
    Saverio and Shiba, Hayato and Volpe, Giovanni and Zamponi, Francesco and Berthier, Ludovic and
    Biroli, Giulio},
  title = {Roadmap on machine learning glassy dynamics},
  journal = {Nature Reviews Physics},
  year = {2025},
  eprint = {2311.14752},
  archiveprefix = {arXiv},
  note = {Data: doi 10.5281/zenodo.10118191}
}""",
    source="Zenodo 10.5281/zenodo.10118191, GlassBench.zip (6,042,260,027 bytes, md5 "
    "82c83a7146eb749e13417e4350022417); unpack its tar files below $PHYSBENCH_DATA/glassbench",
    load=load,
    folders=("glassbench", "GlassBench"),
)
