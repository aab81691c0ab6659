"""`new model NAME` and `new task NAME`: files that run as they are."""

from __future__ import annotations

from pathlib import Path

MODEL = '''"""{title}: one sentence that `list` shows."""

import numpy as np

from physbench.models import Model


def fit(train, validation, *, seed, step=0.02):
    """The keywords after `seed` are the whole configuration; all of them are recorded."""
    return step


def predict(step, events):
    """One array of track labels for each event: here, hits in bins of azimuth."""
    return [np.floor((event.phi + np.pi) / step).astype(int) for event in events]


MODEL = Model(tasks=("tracking",), reference="a first try", fit=fit, predict=predict)
'''

TASK = '''"""{title}: one sentence that `list` shows."""

import numpy as np

from physbench.datasets import Dataset, Split, Splits
from physbench.tasks import Metric, Task


def points():
    """The data: here three shifted rows of numbers."""
    return [np.linspace(0, 1, 50) + shift for shift in (0.0, 0.001, 0.002)]


def load(dataset):
    """Three splits: inputs, targets and the name of each unit."""
    parts = dataset.load()
    splits = [Split(x, x**2, [f"{{x_:.4f}}" for x_ in x]) for x in parts]
    return Splits(*splits, files={{}})


def mean_absolute_error(targets, predictions):
    """mean |y - f(x)|."""
    return float(np.mean(np.abs(targets - predictions)))


TASK = Task(
    summary="learn a parabola",
    reference="none",
    unit="point",
    datasets=(Dataset(name="parabola", summary="numbers and their squares", load=points),),
    load=load,
    metrics=(Metric(mean_absolute_error, unit="1", best="min"),),
)
'''


def write(kind: str, name: str) -> Path:
    """Write the template as `<name>.py` in the current folder; never overwrites a file."""
    if not name.isidentifier():
        raise ValueError(f"name must be a Python identifier, for example my_gnn; got '{name}'")
    path = Path(f"{name}.py")
    if path.exists():
        raise FileExistsError(f"{path} exists already; choose another name")
    text = {"model": MODEL, "task": TASK}[kind]
    path.write_text(text.format(title=name.replace("_", " ").capitalize()), encoding="utf-8")
    return path
