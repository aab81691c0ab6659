"""Objects by name: `benchmarks.task("tracking")`, `benchmarks.model("./mine.py")`."""

from __future__ import annotations

import os

from benchmarks import registry
from physbench.datasets import Dataset
from physbench.models import Model
from physbench.tasks import Task


def task(name: str | os.PathLike[str]) -> Task:
    """The task of that name or file; raises UnknownName with suggestions."""
    found: Task = registry.load("task", name).object
    return found


def model(name: str | os.PathLike[str]) -> Model:
    """The model of that name or file; raises UnknownName with suggestions."""
    found: Model = registry.load("model", name).object
    return found


def dataset(name: str | os.PathLike[str]) -> Dataset:
    """The dataset of that name or file; raises UnknownName with suggestions."""
    found: Dataset = registry.load("dataset", name).object
    return found
