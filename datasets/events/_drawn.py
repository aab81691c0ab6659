"""Samples of a simulated process: drawn once, shipped as bytes, read as splits.

Part 0 (train), 1 (validation) and 2 (test) are streams of `default_rng([seed, part])`. In train
and validation even rows are drawn at theta ~ U(-1, 1) and have label 0, odd rows are drawn at the
reference and have label 1 and a theta of their own. Test events are drawn at the reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split, Splits
from physbench.datasets.common import store
from physbench.datasets.events import GRID, Array, Gold, Process, Simulated, log_ratio, score

PARTS = ("train", "validation", "test")
FEWEST = 100  # training events

Arrays = dict[str, NDArray[Any]]


def make(process: Process, path: Path, seed: int, events: int, validation: int, test: int) -> Path:
    """Draw a sample of `process` into the `.npz` `path` and return it.

    Raises ValueError for fewer than 100 training events and for splits that would be empty.
    """
    if events < FEWEST or min(validation, test) < 1:
        raise ValueError(
            f"events must be at least {FEWEST}, validation and test at least 1; got {events}, "
            f"{validation} and {test}"
        )
    arrays: Arrays = {}
    for part, size in enumerate((events, validation)):
        drawn = labelled(process, size, np.random.default_rng([seed, part]))
        arrays |= {f"{PARTS[part]}.{name}": column for name, column in drawn.items()}
    _, x = process.simulate(np.zeros(test), np.random.default_rng([seed, 2]))
    path.parent.mkdir(parents=True, exist_ok=True)
    store.save_arrays(path, arrays | {"test.x": x.astype(np.float32)})
    return path


def labelled(process: Process, events: int, generator: np.random.Generator) -> Arrays:
    """Events for training: x, theta, label and morphing coefficients."""
    theta = generator.uniform(-1, 1, events)
    label = (np.arange(events) % 2).astype(np.uint8)
    z, x = process.simulate(np.where(label == 1, 0.0, theta), generator)
    return {
        "x": x.astype(np.float32),
        "theta": theta.astype(np.float32),
        "label": label,
        "coefficients": process.coefficients(z).astype(np.float32),
    }


def load(process: Process, path: Path) -> Splits:
    """Splits of a sample that `make` wrote; the exact ratio of the test events is computed here.

    Raises DataError for a damaged file and for labels that are not those of `make`.
    """
    columns = ("x", "theta", "label", "coefficients")
    names = [f"{part}.{name}" for part in PARTS[:2] for name in columns]
    arrays = store.load_arrays(path, *names, "test.x")
    train, validation = (
        _labelled_split(process, part, {name: arrays[f"{part}.{name}"] for name in columns}, path)
        for part in PARTS[:2]
    )
    test = _test_split(process, arrays["test.x"])
    splits = (train, validation, test)
    counts = {part: len(split) for part, split in zip(PARTS, splits, strict=True)}
    return Splits(*splits, {path.name: store.digest(path)}, counts)


def _labelled_split(process: Process, part: str, arrays: Arrays, path: Path) -> Split:
    if set(np.unique(arrays["label"])) != {0, 1}:
        raise store.DataError(
            f"{path}: label of {part} must be 0 (drawn at theta) and 1 (drawn at the reference), "
            f"each at least once; found {np.unique(arrays['label']).tolist()}"
        )
    events = len(arrays["x"])
    gold = Gold(
        arrays["label"],
        arrays["coefficients"],
        np.zeros((events, 0)),
        np.full(events, np.nan),
        process.norms,
        process.name,
    )
    return Split(Simulated(arrays["x"], arrays["theta"]), gold, _ids(part, events))


def _test_split(process: Process, x: NDArray[np.float32]) -> Split:
    exact, exact_score = truth(process, x)
    events = len(x)
    gold = Gold(
        np.ones(events, dtype=np.uint8),
        np.full((events, 2), np.nan, dtype=np.float32),
        exact,
        exact_score,
        process.norms,
        process.name,
    )
    return Split(Simulated(x, np.zeros(events, dtype=np.float32)), gold, _ids("test", events))


def truth(process: Process, x: NDArray[Any]) -> tuple[Array, Array]:
    """Exact ln p(x|theta)/p(x|0) on the grid (n, 21), and the exact score at 0 (n,)."""
    expected = process.expected(x.astype(np.float64))
    return log_ratio(expected[:, None], GRID, process.norms), score(expected, 0.0, process.norms)


def _ids(part: str, events: int) -> list[str]:
    return [f"{part}-{str(k).zfill(6)}" for k in range(events)]  # a format takes twice as long
