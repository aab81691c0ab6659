"""The verbs of `data`: what is in the store, fetch it, generate it, check it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.running.settings import resolve
from benchmarks.running.storing import writable
from physbench.datasets import Dataset
from physbench.datasets.common import store


def listing() -> list[str]:
    """A line for each dataset: name, version, licence, state."""
    lines = []
    for name in registry.names("dataset"):
        dataset: Dataset = registry.load("dataset", name).object
        lines.append(
            f"{name:20s} {dataset.version:8s} {_state(name, dataset):16s} {dataset.licence}"
        )
    return lines


def _state(name: str, dataset: Dataset) -> str:
    if dataset.embedded:
        return "embedded"
    if not dataset.files and dataset.make is None and not dataset.folders:
        return "made on the fly"
    try:
        store.folder(name, dataset)
    except FileNotFoundError:
        return "absent"
    return "here"


def get(name: str) -> int:
    """Fetch what is missing; exit status 0, or raises DataError with the instructions."""
    dataset: Dataset = registry.load("dataset", name).object
    if not dataset.files:
        raise store.DataError(f"{name}: nothing to fetch. {store.advice(name, dataset)}")
    for path in store.get(name, dataset):
        print(path)
    return 0


def verify(name: str) -> int:
    """Check every known file; exit status 1 when one is missing, truncated or altered."""
    dataset: Dataset = registry.load("dataset", name).object
    bad = 0
    for file, state in store.verify(name, dataset):
        bad += state != "ok"
        print(f"{file.name}: {state}")
    print(f"{len(dataset.files) - bad} of {len(dataset.files)} files are as they should be")
    return 1 if bad else 0


def make(name: str, folder: Path | None, settings: dict[str, Any]) -> int:
    """Generate a dataset into `folder` (default: below `$PHYSBENCH_DATA`)."""
    dataset: Dataset = registry.load("dataset", name).object
    if dataset.make is None:
        raise store.DataError(f"{name} cannot be generated. {store.advice(name, dataset)}")
    known = inspect.signature(dataset.make).parameters
    if "seed" in known and known["seed"].default is inspect.Parameter.empty:
        settings.setdefault("seed", 0)
    resolved = resolve(dataset.make, settings, f"setting of data make {name}")
    target = writable(folder or store.root() / f"{name}-made")
    dataset.make(target, **resolved)
    print(target)
    return 0
