"""Every file in the folders is an entry with a complete card."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from benchmarks import registry
from benchmarks.running import stages
from physbench.datasets import Dataset
from physbench.datasets.common import store
from physbench.models import Model
from physbench.tasks import Task

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("kind", ["task", "model", "dataset"])
def test_every_folder_has_entries_with_a_one_line_summary(kind: str) -> None:
    assert registry.names(kind)
    for name in registry.names(kind):
        first = registry.docstring(kind, name).partition("\n")[0]
        assert 10 < len(first) < 110, (kind, name, first)


@pytest.mark.parametrize("name", registry.names("task"))
def test_task_is_complete(name: str) -> None:
    task: Task = registry.load("task", name).object
    assert set(task.named) <= set(registry.names("dataset"))
    assert len({metric.name for metric in task.metrics}) == len(task.metrics)
    assert all(inspect.getdoc(metric.function) for metric in task.metrics)
    roles = {registry.role(model) for model in registry.models_of(name)}
    assert {"learned", "classical", "oracle"} <= roles
    stages.resolve(task.load, {}, "protocol")
    assert "@" in task.reference


@pytest.mark.parametrize("name", registry.names("model"))
def test_model_is_complete(name: str) -> None:
    model: Model = registry.load("model", name).object
    assert set(model.tasks) <= set(registry.names("task"))
    parameters = inspect.signature(model.fit).parameters
    assert list(parameters)[:2] == ["train", "validation"]
    assert parameters["seed"].kind is inspect.Parameter.KEYWORD_ONLY
    assert len(inspect.signature(model.predict).parameters) == (3 if model.oracle else 2)
    for dataset, preset in model.presets.items():
        assert dataset in registry.names("dataset")
        stages.resolve(model.fit, preset, "preset", skip=stages.NO_SETTINGS)


@pytest.mark.parametrize("name", registry.names("dataset"))
def test_dataset_is_complete_and_embedded_files_are_intact(name: str) -> None:
    dataset: Dataset = registry.load("dataset", name).object
    assert dataset.licence
    assert dataset.source
    if dataset.embedded:
        assert dataset.files
        store.checked(name, dataset)


def test_embedded_data_stay_small() -> None:
    sizes = {p: p.stat().st_size for p in (ROOT / "datasets" / "frozen").rglob("*") if p.is_file()}
    assert max(sizes.values()) < 25e6
