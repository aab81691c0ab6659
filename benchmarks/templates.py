"""`new model NAME` and `new task NAME`: files that run as they are.

A model's file comes from `starters/TASK-KIND.txt`: the folder is the list.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import registry

STARTERS = Path(__file__).parent / "starters"
KINDS = ("numpy", "sklearn", "torch", "graph")

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


def kinds(task: str) -> list[str]:
    """Kinds of starter models that a task has; raises UnknownName for an unknown task."""
    registry.path("task", task)
    return [kind for kind in KINDS if (STARTERS / f"{task}-{kind}.txt").is_file()]


def starter(task: str, kind: str | None = None) -> str:
    """The starter model of a task, as text with `{title}` where its name goes.

    Without a kind the first that the task has. Raises ValueError where the task has none of this
    kind; the message names those it has.
    """
    known = kinds(task)
    kind = kind or next(iter(known), KINDS[0])
    if kind not in known:
        have = f"it has {', '.join(known)}" if known else "it has none yet"
        raise ValueError(
            f"task '{task}' has no starter model of kind '{kind}'; {have}. "
            f"`python -m benchmarks info {task}` says what a model gets and returns"
        )
    return (STARTERS / f"{task}-{kind}.txt").read_text(encoding="utf-8")


def write(what: str, name: str, task: str = "tracking", kind: str | None = None) -> Path:
    """Write a model or task as `<name>.py` in the current folder; never overwrites a file.

    A name that a registered one bears is refused: rows and records of both would look alike.
    """
    if not name.isidentifier():
        raise ValueError(f"name must be a Python identifier, for example my_gnn; got '{name}'")
    if name in registry.names(what):
        raise ValueError(f"a {what} '{name}' is registered already; choose a name of your own")
    path = Path(f"{name}.py")
    if path.exists():
        raise FileExistsError(f"{path} exists already; choose another name")
    text = TASK if what == "task" else starter(task, kind)
    path.write_text(text.format(title=name.replace("_", " ").capitalize()), encoding="utf-8")
    return path
