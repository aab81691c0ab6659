"""Kob-Andersen 3D of Bapst et al. (2020), official pickles, T = 0.44 and constant pressure.

`train/aggregated_data_*.pickle` and `test/aggregated_data_*.pickle`, or the test file
`test_large.pickle` of the authors' repository. A pickle can run programs: these are read by a
reader that admits arrays and plain containers alone. The box differs from file to file.

Targets are indexed by the value of the intermediate scattering function that THIS configuration
has reached, 0.9 to 0.1 and 1/e: their times differ between files, so they are named `IS=0.9` and
never mixed with targets at common times. 1/e is tau_alpha; in time it lies between 0.4 and 0.3.
The last tenth of the training files present is for validation. `test_small.pickle` is 20 particles
cut out of a box and is passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset
from physbench.datasets.common import reading, restricted_pickle, store
from physbench.datasets.liquids import Configuration, Mobility, Sample, wrapped
from physbench.datasets.liquids._published import (
    DENSITY,
    SHARES,
    box_of,
    check_apart,
    check_displacements,
    check_start,
    put,
    types_of,
)

ALPHA = 9  # place of 1/e among the targets
NEEDED = ("positions", "types", "box", "time", "time_indices", "is_values", "metadata")


def load(*, folder: str = "") -> Sample:
    """All configurations that are on this machine; raises FileNotFoundError when there is none."""
    base = Path(folder) if folder else store.folder("bapst2020", DATASET)
    training, test = find(base)
    paths = [*training, *test]
    with store.pinned(base, paths) as digests:
        read_files = [read(path) for path in paths]
    validation = -(-len(training) // 10) if len(training) > 1 else 0
    split = np.full(len(paths), 2, dtype=np.int64)
    split[: len(training)] = 0
    split[len(training) - validation : len(training)] = 1
    configurations = [configuration for configuration, _ in read_files]
    check_apart(configurations, split)
    return Sample(
        configurations,
        [mobility for _, mobility in read_files],
        split,
        [f"{path.parent.name}-{path.stem}" for path in paths],
        digests,
    )


def find(base: Path) -> tuple[list[Path], list[Path]]:
    """Training and test files below `base`, by number; DataError where one is there twice."""

    def numbered(part: str) -> list[Path]:
        found: dict[int, Path] = {}
        for path in sorted(base.rglob(f"{part}/aggregated_data_*.pickle")):
            digits = path.stem.rpartition("_")[2]
            if digits.isdecimal():
                put(found, int(digits), path)
        return [found[number] for number in sorted(found)]

    large: dict[int, Path] = {}
    for path in sorted(base.rglob("test_large.pickle")):
        put(large, 0, path)
    training, test = numbered("train"), [*numbered("test"), *large.values()]
    if not training and not test:
        raise FileNotFoundError(
            f"{base} holds no aggregated_data_*.pickle in train/ or test/, nor test_large.pickle. "
            + store.advice("bapst2020", DATASET)
        )
    return training, test


def read(path: Path) -> tuple[Configuration, Mobility]:
    """One file; raises DataError when it is hostile, damaged or lacks a key."""
    content = restricted_pickle.read(path)
    missing = [key for key in NEEDED if not isinstance(content, dict) or key not in content]
    if missing:
        raise store.DataError(f"{path} has no {', '.join(missing)}")
    with reading.reading(path, "positions, types, box, ten times and their trajectories"):
        return _read(content, path)


def _read(content: dict[str, Any], path: Path) -> tuple[Configuration, Mobility]:
    initial = np.array(content["positions"], float)
    box = box_of(content["box"], 3, path)
    types = types_of(np.asarray(content["types"]), SHARES, 0, path)
    check_start(initial, box, DENSITY, path)
    values = np.asarray(content["is_values"], float)
    places = np.asarray(content["time_indices"], int)
    if values.shape != (ALPHA + 1,) or abs(values[ALPHA] - np.exp(-1)) > 1e-3:
        raise ValueError(f"is_values must end with 1/e at place {ALPHA}; got {values.tolist()}")
    if places.shape != values.shape or (places < 0).any():
        raise ValueError(f"time_indices must be {len(values)} places; got {places.tolist()}")
    moved = [np.asarray(each) - initial for each in content.get("trajectory_target_positions", [])]
    for each in moved:
        check_displacements(each, box, path)
    lengths = [np.linalg.norm(each, axis=2) for each in moved]
    means = np.asarray(content.get("targets", [each.mean(0) for each in lengths]), float)
    times = np.asarray(content["time"], float)[places]
    if means.shape != (len(times), len(initial)) or not np.isfinite(means).all():
        raise store.DataError(
            f"{path} needs finite targets of shape {(len(times), len(initial))}; got {means.shape}"
        )
    order = np.argsort(times, kind="stable")
    configuration = Configuration(
        types=types,
        box=box,
        temperature=float(content["metadata"]["temperature"]),
        thermal=wrapped(initial, box),
    )
    mobility = Mobility(
        types=types.copy(),
        times=times[order],
        alpha=int(np.flatnonzero(order == ALPHA)[0]),
        propensity=means[order].astype(np.float32),
        spread=_spread(lengths, means.shape)[order],
        trajectories=len(lengths[0]) if lengths else 0,
        positions=configuration.thermal.copy(),
        box=box.copy(),
        labels=tuple(_label(float(values[k])) for k in order),
    )
    return configuration, mobility


def _spread(lengths: list[NDArray[Any]], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard deviations over trajectories; NaN for targets whose trajectories are left out."""
    spread = np.full(shape, np.nan)
    for place, each in enumerate(lengths):
        spread[place] = each.std(0, ddof=1)
    return spread.astype(np.float32)


def _label(value: float) -> str:
    """`IS=0.9`, and `IS=1/e`."""
    return "IS=1/e" if abs(value - np.exp(-1)) < 1e-3 else f"IS={value:.1f}"


DATASET = Dataset(
    summary="Kob-Andersen 3D propensities of Bapst et al., indexed by scattering function",
    version="1",
    licence="Apache-2.0 (the repository's; the data have none of their own)",
    citation="""@article{Bapst:2020,
  author = {Bapst, V. and Keck, T. and Grabska-Barwinska, A. and Donner, C. and Cubuk, E. D. and
    Schoenholz, S. S. and Obika, A. and Nelson, A. W. R. and Back, T. and Hassabis, D. and
    Kohli, P.},
  title = {Unveiling the predictive power of static structure in glassy systems},
  journal = {Nature Physics},
  volume = {16},
  pages = {448--454},
  year = {2020},
  doi = {10.1038/s41567-020-0842-8}
}""",
    source="bucket gs://deepmind-research-glassy-dynamics, folder public_dataset/temperature_044; "
    "the test file is in github.com/google-deepmind/deepmind-research, "
    "glassy_dynamics/testdata. Put them below $PHYSBENCH_DATA/bapst2020",
    load=load,
    folders=("bapst2020", "glass/original/bapst2020", "original/bapst2020"),
)
