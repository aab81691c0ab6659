"""Starter models: short, and better than the floor of their task."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmarks
from benchmarks import registry, templates
from benchmarks.__main__ import main
from physbench.datasets import Split, Splits
from physbench.leaderboard import record as records
from physbench.leaderboard.board import badness
from physbench.tasks import Task

PAIRS = [(task, kind) for task in registry.names("task") for kind in templates.kinds(task)]
QUICK = [(t, k) for t, k in PAIRS if k == "numpy" and t not in ("calo_showers", "track_seeds")]
QUICK += [("dark_jets", "sklearn"), ("jet_flavour", "sklearn"), ("likelihood_ratio", "sklearn")]
LINES = 40  # that are not blank
# Joining all neighbours, whatever the network says, makes 0.08; the floor of tracking is 0.
LEAST = {("tracking", "graph"): 0.15, ("tracking", "torch"): 0.15}


def scored(task: Task, split: Split, predictions: Any) -> float:
    """The ranking metric of predictions."""
    metric = task.metrics[0]
    prepared = task.prepare(split.inputs, predictions)
    kept = task.condense(split.targets, prepared) if task.condense else prepared
    derived = task.derive(split.targets, kept)
    return float(metric.function(split.targets, derived))


def floor(name: str, task: Task, splits: Splits) -> float:
    """Score of the best floor on the default board; of a constant where no model is one."""
    best, test = task.metrics[0].best, splits.test
    folder = registry.records_folder() / name / next(iter(task.named))
    models = [model for model in registry.models_of(name) if registry.role(model) == "floor"]
    kept = [records.read(path) for model in models for path in (folder / model).glob("*.json")]
    # A task with folds gives its first one here; another fold may be easier.
    found = [record.metrics[0].value for record in kept if not record.task.fold]
    if found:
        return min((v for v in found if v is not None), key=lambda v: badness(v, best))
    for model in map(benchmarks.model, models):  # no records are committed
        fitted = model.fit(splits.train, splits.validation, seed=0)
        return scored(task, test, model.predict(fitted, test.inputs))
    assert name == "track_parameters"
    return scored(task, test, {"qopt": np.full(len(test), 0.5), "pz": np.zeros(len(test))})


def beats_the_floor(name: str, kind: str, folder: Path) -> None:
    task = benchmarks.task(name)
    splits = task.splits()
    path = folder / f"{name}_{kind}.py"
    path.write_text(templates.starter(name, kind).format(title="Mine"))
    model = benchmarks.model(path)
    held = splits.validation
    metrics = {m.name: lambda p: scored(task, held, p) for m in task.metrics[:1]}
    fitted = model.fit(splits.train, replace(held, metrics=metrics), seed=0)
    score = scored(task, splits.test, model.predict(fitted, splits.test.inputs))
    best = task.metrics[0].best
    least = LEAST.get((name, kind), floor(name, task, splits))
    assert badness(score, best) < badness(least, best), score


@pytest.mark.parametrize(("task", "kind"), QUICK)
def test_quick_starters_beat_the_floor(task: str, kind: str, tmp_path: Path) -> None:
    beats_the_floor(task, kind, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "kind"), sorted(set(PAIRS) - set(QUICK)))
def test_all_starters_beat_the_floor(task: str, kind: str, tmp_path: Path) -> None:
    beats_the_floor(task, kind, tmp_path)


def test_starters_are_short_and_pass_the_linter(tmp_path: Path) -> None:
    for task, kind in PAIRS:
        text = templates.starter(task, kind).format(title="My model")
        (tmp_path / f"{task}_{kind}.py").write_text(text)
        assert sum(bool(line.strip()) for line in text.splitlines()) <= LINES, (task, kind)
    config = Path(__file__).resolve().parents[2] / "pyproject.toml"
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--ignore", "ARG,D"], ["format", "--check"]):
        done = subprocess.run(
            [*ruff, *command, "--config", str(config), str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_a_pair_without_a_starter_is_refused_with_those_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["new", "model", "mine", "--task"]
    assert main([*arguments, "track_parameters", "--kind", "graph"]) == 2
    assert "no starter model of kind 'graph'; it has numpy, sklearn, torch" in (
        capsys.readouterr().err
    )
    assert main([*arguments, "trackin"]) == 2
    assert "did you mean 'tracking'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main([*arguments, "dark_jets", "--kind", "sklearn"]) == 0
    assert "run dark_jets ./mine.py" in capsys.readouterr().out
    assert Path("mine.py").is_file()


def test_every_task_has_a_starter() -> None:
    for task in registry.names("task"):
        assert templates.kinds(task), f"write benchmarks/starters/{task}-numpy.txt"


def test_every_file_of_starters_is_of_a_task_and_a_kind() -> None:
    assert {f"{task}-{kind}.txt" for task, kind in PAIRS} == {
        path.name for path in templates.STARTERS.iterdir()
    }


def test_the_name_of_a_registered_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="a model 'carl' is registered already"):
        templates.write("model", "carl", "likelihood_ratio")
