"""A study: variants of a protocol and of settings, in one table."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import registry
from benchmarks.__main__ import main
from benchmarks.reports import boards, studying
from physbench.leaderboard import record
from physbench.tasks import glass_mobility, track_parameters

VARIANTS = """,
            study={"clean": ({"noise": 0.0}, {}), "line": ({}, {"degree": 1})})
"""


def with_study(path: Path) -> str:
    text = path.read_text().rstrip().removesuffix(")") + VARIANTS
    path.write_text(text)
    return str(path)


def test_study_runs_every_variant_once(
    toy: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, model = with_study(toy[0]), str(toy[1])
    arguments = ["study", task, model, "--seeds", "2", "--out", str(tmp_path)]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    clean = next(line for line in text.splitlines() if line.startswith("| clean"))
    assert float(clean.split("|")[2]) < 1e-20
    assert "degree" not in text.splitlines()[-2]
    assert "behaviour=good" in text
    before = sorted((tmp_path / "runs").rglob("*.json"))
    assert len(before) == 4
    assert main(arguments) == 0
    assert sorted((tmp_path / "runs").rglob("*.json")) == before
    assert (tmp_path / "toy-points-polynomial-study.md").read_text().strip() == text.strip()


def test_a_failed_variant_is_told(toy: tuple[Path, Path]) -> None:
    text, status = studying.study(with_study(toy[0]), toy[1], settings={"behaviour": "crash"})
    assert status == 1
    assert "no variant" in text


def test_a_task_without_a_study_is_refused(toy: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match="has no study"):
        studying.study(toy[0], toy[1])


def test_the_study_of_track_parameters_covers_inputs_targets_losses_and_cuts() -> None:
    study = track_parameters.TASK.study
    assert len(study) == 3 * 3 * 2 + 1 + 1 + 4 + 2 * 4
    load = registry.load("task", "track_parameters").object.load
    for protocol, settings in study.values():
        assert set(protocol) <= set(inspect.signature(load).parameters)
        assert set(settings) <= {"features", "loss", "epochs", "emphasis"}


def test_a_variant_may_be_of_another_dataset() -> None:
    task = glass_mobility.TASK
    for protocol, _ in task.study.values():
        dataset = task.named[protocol.get("dataset", "botan_ka3d")]
        assert boards.resolved(task, studying.without_dataset(protocol)) is not None
        assert dataset.embedded
    entry = registry.load("task", "glass_mobility")
    found = studying.committed_of(entry, registry.load("model", "boattini"))
    datasets = {name: {kept.record.dataset.name for kept in own} for name, own in found.items()}
    assert datasets["10 configurations"] == {"botan_ka3d"}
    committed = record.read_all(boards.committed_root() / "glass_mobility")
    assert "coarse_grained_ridge" in studying.studied(entry, committed)
    assert "boattini" not in studying.studied(entry, committed)
    assert datasets["kob_andersen, trained at 0.64, tested at 0.64"] == {"kob_andersen"}


def test_variants_of_settings_that_a_model_lacks_are_left_out(
    toy: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    toy[0].write_text(toy[0].read_text().rstrip().removesuffix(")") + VARIANTS)
    toy[1].write_text(
        toy[1].read_text().replace("degree=2", "order=2").replace("degree)", "order)")
    )
    text, status = studying.study(*toy)
    assert status == 0
    assert "| clean |" in text
    assert "| line |" not in text
    assert "no 'line': polynomial has no degree" in capsys.readouterr().err


def kept(*values: float) -> list[studying.Kept]:
    found = []
    for value in values:
        metric = SimpleNamespace(name="error", value=value)
        found.append(studying.Kept(SimpleNamespace(metrics=[metric]), Path()))  # type: ignore[arg-type]
    return found


def test_studies_of_several_models_are_compared() -> None:
    task = registry.load("task", "likelihood_ratio").object
    few, many = "10,000 events", "100,000 events"
    studies = {"a": {few: kept(3.0, 1.0), many: kept(1.0)}, "b": {many: kept(0.5)}}
    lines = studying.compared(task, studies).splitlines()
    assert lines[2] == "| variant | a | b |"
    assert lines[4] == "| 10,000 events | 2 ± 1.4 |  |"
    assert lines[6] == "| 100,000 events | 1 | 0.5 |"
    axes = studying.comparison(task, studies).axes[0]
    assert axes.get_yscale() == "log"
    assert axes.lines[0].get_xydata().tolist() == [[0, 2], [2, 1]]


def test_events_of_the_likelihood_ratio_are_a_committed_study() -> None:
    entry = registry.load("task", "likelihood_ratio")
    studies = studying.committed_studies(entry, studying.studied(entry, boards.gather()[0]))
    assert {"carl"} <= set(studies)
    assert all(own["10,000 events"] for own in studies.values())
