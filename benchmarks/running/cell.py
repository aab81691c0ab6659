"""A board cell: names become objects, settings and data are checked, the identity is computed.

All of it happens before the run, and nothing of it runs the model in this process: what is known
of a model is the card that its own process has sent.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import registry, sources
from benchmarks.registry import Entry, UnknownName
from benchmarks.running import environment, guarded, scoring, storing
from benchmarks.running.processes import Attempt
from benchmarks.running.settings import NO_SETTINGS, resolve
from physbench.datasets import Dataset, Split, Splits
from physbench.leaderboard import record as records
from physbench.models import Context, Model
from physbench.tasks import Task

__all__ = ["NO_SETTINGS", "Cell", "Subject", "cell_id", "resolve"]


@dataclass(frozen=True)
class Subject:
    """A model as the judge knows it: its card and the digests of what it runs."""

    name: str
    path: Path
    card: Mapping[str, Any]
    sources: Mapping[str, str]
    libraries: tuple[str, ...]

    @property
    def source(self) -> str:
        """sha256 of all sources, those that only importing showed included."""
        return sources.combined(self.sources.values())

    @property
    def origin(self) -> str:
        """`zoo` for a model of this suite, `file` for a user's."""
        return "zoo" if registry.folder("model") in self.path.parents else "file"

    @property
    def object(self) -> Model:
        """The model itself, imported into this process: for those who do not judge it."""
        name = self.name if self.origin == "zoo" else self.path
        found: Model = registry.load("model", name).object
        return found


@dataclass(frozen=True)
class Cell:
    """A board cell ready to run: objects, not names, with all settings resolved."""

    task: Entry
    dataset: str
    dataset_object: Dataset
    model: Subject
    settings: Mapping[str, Any]
    protocol: Mapping[str, Any]
    splits: Splits
    runs: Path
    context: Context = field(default_factory=Context)
    fold: int | None = None

    @functools.cached_property
    def split(self) -> str:
        """sha256 of the ids of all units."""
        return scoring.split_digest(self.splits)

    @functools.cached_property
    def content(self) -> str:
        """sha256 of all inputs and targets."""
        return guarded.content(self.splits)

    @functools.cached_property
    def task_source(self) -> str:
        """Digest of the task's source."""
        return registry.source_digest(self.task.path)

    @functools.cached_property
    def dataset_source(self) -> str | None:
        """None for a dataset that the task's own file defines: it is in the task's source."""
        if self.dataset not in registry.names("dataset"):
            return None
        return registry.source_digest(registry.path("dataset", self.dataset))

    @functools.cached_property
    def device(self) -> str:
        """`cpu`, or the kind of accelerator that the run uses."""
        return "cpu" if self.context.device == "cpu" else str(self.model.card["device"])

    @property
    def below(self) -> Path:
        """Where its records lie below the folder of the runs."""
        return Path(self.task.name) / self.dataset / self.model.name

    @property
    def folder(self) -> Path:
        """Where the cell's records go."""
        return self.runs / self.below


def cell_id(cell: Cell, seed: int, late: Mapping[str, str] | None = None) -> str:
    """sha256 of everything that decides the result of this cell.

    `late` are sources that the model read only while it ran, where it did.
    """
    content = {
        "task": [cell.task.name, cell.task.object.version],
        "task_source": cell.task_source,
        "protocol": dict(cell.protocol),
        "fold": cell.fold,
        "dataset": [cell.dataset, data_digest(cell.splits), cell.dataset_source],
        "split": [cell.split, cell.content],
        "model_source": cell.model.source,
        "settings": dict(cell.settings),
        "seed": seed,
        "device": [cell.device, cell.context.devices, cell.context.precision],
        "threads": cell.context.threads,
        "versions": environment.versions(cell.model.libraries),
    }
    return records.sha256(content | ({"late": sorted(late.values())} if late else {}))


def data_digest(splits: Splits) -> str:
    """sha256 of the digests of all files."""
    return records.sha256([f"{name} {digest}" for name, digest in sorted(splits.files.items())])


@dataclass(frozen=True)
class Question:
    """What was asked for, before anything is read: names and keywords."""

    task: Entry
    dataset: str
    model: str
    settings: Mapping[str, Any]
    protocol: Mapping[str, Any]
    runs: Path
    context: Context
    memory: int | None = None

    @property
    def folds(self) -> int:
        """How many folds the task has on this dataset; 0 for none."""
        found: Task = self.task.object
        return int(found.folds.get(self.dataset, 0))

    def fold(self, seed: int) -> int | None:
        """Which fold a seed uses."""
        return seed % self.folds if self.folds else None


def question(
    task: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    runs: str | os.PathLike[str] | None = None,
    context: Context | None = None,
) -> Question:
    """Check all that can be checked without the model: names, protocol, the folder of the runs.

    Raises UnknownName, FileNotFoundError, TypeError or OSError.
    """
    the_task = registry.load("task", task)
    known = the_task.object.named
    name = dataset or next(iter(known))
    if name not in known:
        raise registry.unknown(f"dataset of task '{the_task.name}'", name, list(known))
    skip = ("fold",) if the_task.object.folds else ()
    options = resolve(the_task.object.load, protocol or {}, f"protocol of {the_task.name}", skip)
    where = os.fspath(model)
    if registry.is_path(where):
        where = str(_own_path(where))
    else:
        registry.path("model", where)
    try:
        records.canonical([dict(settings or {}), options])
    except (TypeError, ValueError) as error:
        raise type(error)(f"settings and protocol must be plain finite values: {error}") from None
    root = storing.writable(storing.runs_root(runs))
    return Question(
        the_task, name, where, dict(settings or {}), options, root, context or Context()
    )


def _own_path(name: str) -> Path:
    path = Path(name)
    path = path.parent if path.name == "__init__.py" else path
    if not (path.is_file() or (path / "__init__.py").is_file()):
        raise FileNotFoundError(f"no such model file: {path} (looked in {Path.cwd()})")
    return path.resolve()


def subject(asked: Question, attempt: Attempt) -> Subject:
    """The model as its own process describes it.

    Raises UnknownName when it does not do the task, and what its settings were refused with.
    """
    found = attempt.find("card")
    assert found is not None
    path = Path(asked.model)
    path = path if registry.is_path(asked.model) else registry.path("model", asked.model)
    name = registry.name_of(path)
    if asked.task.name not in map(registry.name_of, found["tasks"]):
        raise UnknownName(
            f"model '{name}' does not do task '{asked.task.name}'; "
            f"its tasks: {', '.join(found['tasks'])}"
        )
    settings = found["settings"]
    if "refused" in settings:
        kind = {"UnknownName": UnknownName, "TypeError": TypeError}
        raise kind.get(settings["refused"], ValueError)(settings["message"])
    found = {key: value for key, value in found.items() if key != "nonce"}  # of this attempt
    return Subject(name, path, found, attempt.sources | found["loaded"], tuple(attempt.libraries))


def loaded(asked: Question, fold: int | None) -> Splits:
    """The splits, which nobody can change any more."""
    the_task: Task = asked.task.object
    options = dict(asked.protocol) | ({} if fold is None else {"fold": fold})
    return guarded.guarded(the_task.load(the_task.named[asked.dataset], **options))


def without_metrics(split: Split) -> Split:
    """The split as data alone: its metrics are bound where it is used."""
    return replace(split, metrics={})


def bound(task: Task, splits: Splits) -> Splits:
    """Metrics are bound to validation alone: nothing may be tuned on the test split."""
    return replace(
        splits,
        train=without_metrics(splits.train),
        validation=replace(splits.validation, metrics=scoring.bind(task, splits.validation)),
        test=without_metrics(splits.test),
    )


def cell(asked: Question, model: Subject, splits: Splits, fold: int | None = None) -> Cell:
    """All of it together. Raises ValueError when its record would be too large to be written."""
    settings = model.card["settings"]["found"]
    size = len(records.canonical([settings, dict(asked.protocol)]))
    if size > records.MAX_BYTES // 2:
        raise ValueError(
            f"settings and protocol have {size} characters; a record holds {records.MAX_BYTES} "
            "bytes in all. Put large values into a file that the model or task reads"
        )
    known = asked.task.object.named
    return Cell(
        asked.task,
        asked.dataset,
        known[asked.dataset],
        model,
        settings,
        asked.protocol,
        bound(asked.task.object, splits),
        asked.runs,
        asked.context,
        fold,
    )


def request(asked: Question, memory: int | None = None) -> dict[str, Any]:
    """What the nursery and the model's process are told."""
    task = asked.task
    registered = task.name in registry.names("task") and task.path == registry.path(
        "task", task.name
    )
    return {
        "task": task.name if registered else str(task.path),
        "model": asked.model,
        "dataset": asked.dataset,
        "settings": dict(asked.settings),
        "memory": memory,
    }
