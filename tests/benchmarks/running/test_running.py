"""A run leaves a record whatever happens, loses nothing, and does not repeat itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmarks
from benchmarks import registry
from benchmarks.running import environment, scoring, stages
from physbench.leaderboard import predictions, record
from physbench.leaderboard.board import build
from physbench.leaderboard.site.render import command

# In place of a full disk: nothing can be written where the results should go.
FILL = """    import pathlib, shutil
    shutil.rmtree(pathlib.Path({runs!r}) / "toy")
    (pathlib.Path({runs!r}) / "toy").write_text("in the way")
"""


def run(toy: tuple[Path, Path], **settings: Any) -> record.Record:
    (found,) = benchmarks.run(*toy, settings=settings)
    return found


@pytest.mark.parametrize(
    ("behaviour", "status", "stage"),
    [
        ("crash", "failed", "fit"),
        ("memory", "out_of_memory", "fit"),
        ("interrupt", "interrupted", "fit"),
        ("diverge", "diverged", "fit"),
        ("short", "failed", "prepare"),
        ("nan", "diverged", "prepare"),
    ],
)
def test_every_outcome_leaves_a_record(
    toy: tuple[Path, Path], behaviour: str, status: str, stage: str, tmp_path: Path
) -> None:
    found = run(toy, behaviour=behaviour)
    assert (found.status, found.failure and found.failure.stage) == (status, stage)
    assert record.read(tmp_path / "runs" / found.path) == found
    assert "train" in found.cost
    # What was predicted is kept, even where it cannot be scored.
    assert (found.predictions is not None) == (stage == "prepare")


def test_timeout_is_a_status(toy: tuple[Path, Path]) -> None:
    (found,) = benchmarks.run(*toy, settings={"behaviour": "hang"}, timeout=0.3)
    assert found.status == "timeout"


def test_wrong_length_is_explained(toy: tuple[Path, Path]) -> None:
    failure = run(toy, behaviour="short").failure
    assert failure is not None
    assert "returned 39 predictions for 40 points" in failure.message


def test_one_failing_seed_does_not_end_the_others(toy: tuple[Path, Path]) -> None:
    model = toy[1]
    text = model.read_text().replace(
        "    if behaviour ==", "    if seed == 1:\n        1 / 0\n    if behaviour ==", 1
    )
    model.write_text(text)
    found = benchmarks.run(*toy, seeds=3)
    assert [r.status for r in found] == ["ok", "failed", "ok"]


def test_same_seed_same_predictions_other_seed_other(toy: tuple[Path, Path]) -> None:
    digests = []
    for seed in (0, 0, 1):
        (found,) = benchmarks.run(*toy, seeds=[seed], settings={"jitter": 0.1}, again=True)
        assert found.predictions is not None
        digests.append(found.predictions.sha256)
    assert digests[0] == digests[1] != digests[2]


def test_finished_cell_is_not_run_twice(toy: tuple[Path, Path]) -> None:
    first, second = run(toy), run(toy)
    assert first.id == second.id
    assert run(toy, degree=1).id != first.id
    toy[1].write_text(toy[1].read_text() + "\n# another source\n")
    assert run(toy).id != first.id


def test_failed_cell_is_run_again(toy: tuple[Path, Path], tmp_path: Path) -> None:
    run(toy, behaviour="crash")
    run(toy, behaviour="crash")
    assert len(list((tmp_path / "runs").rglob("*.json"))) >= 1
    assert stages.finished(stages.prepare(*toy, settings={"behaviour": "crash"}), 0) is None


def test_score_gives_the_same_digits(toy: tuple[Path, Path], tmp_path: Path) -> None:
    found = run(toy)
    ((again, metrics),) = scoring.score(tmp_path / "runs" / found.path, task=toy[0])
    assert again == found
    assert metrics == found.metrics
    bias = found.metric("bias")
    assert bias is not None
    assert {s.name for s in bias.slices} == {"all", "left"}


def test_score_refuses_another_split(toy: tuple[Path, Path], tmp_path: Path) -> None:
    found = run(toy)
    toy[0].write_text(toy[0].read_text().replace("split(40", "split(41"))
    with pytest.raises(record.RecordError, match="another split"):
        scoring.score(tmp_path / "runs" / found.path, task=toy[0])


def test_interval_agrees_with_a_slow_bootstrap(toy: tuple[Path, Path], tmp_path: Path) -> None:
    found = run(toy)
    cell = stages.prepare(*toy)
    assert found.predictions is not None
    folder = (tmp_path / "runs" / found.path).parent
    values = predictions.read(folder / found.predictions.file, found.predictions.sha256)["values"]
    errors = (cell.splits.test.targets - values) ** 2
    index = scoring.resamples(40, 1000, cell.split)
    slow = np.array([sum(errors[i] for i in row) / 40 for row in index])
    metric = found.metrics[0]
    skew = np.mean((slow - slow.mean()) ** 3) / slow.std() ** 3
    half = 2.0227 * slow.std(ddof=1) * np.sqrt(40 / 39)  # Student's t of 39 degrees
    low, high = (1 - 0.3 * skew, 1 + 1.5 * skew) if skew > 0 else (1 - 1.5 * skew, 1 + 0.3 * skew)
    assert metric.low == pytest.approx(metric.value - low * half, rel=1e-4)
    assert metric.high == pytest.approx(metric.value + high * half, rel=1e-4)
    assert metric.method.startswith("bootstrap over 40 units, 1000 resamples, 95% t interval")


def test_validation_offers_metrics_and_test_does_not(toy: tuple[Path, Path]) -> None:
    splits = stages.prepare(*toy).splits
    value = splits.validation.metrics["mean_squared_error"](splits.validation.targets)
    assert value == 0.0
    assert not splits.test.metrics


@pytest.mark.parametrize(
    ("settings", "protocol", "message"),
    [
        ({"degre": 2}, {}, "did you mean 'degree'"),
        ({"degree": "two"}, {}, "must be int"),
        ({}, {"nois": 1.0}, "did you mean 'noise'"),
    ],
)
def test_bad_settings_are_refused_before_the_run(
    toy: tuple[Path, Path], settings: Any, protocol: Any, message: str
) -> None:
    with pytest.raises((registry.UnknownName, TypeError), match=message):
        benchmarks.run(*toy, settings=settings, protocol=protocol)


def test_unknown_dataset_and_wrong_task_are_refused(toy: tuple[Path, Path]) -> None:
    with pytest.raises(registry.UnknownName, match="Known: points"):
        benchmarks.run(*toy, dataset="pionts")
    with pytest.raises(registry.UnknownName, match="does not do task"):
        benchmarks.run("tracking", toy[1])


def test_folder_that_cannot_be_written_stops_before_the_run(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(OSError, match="cannot write records"):
        benchmarks.run(*toy, runs=blocked)


def test_full_disk_after_training_loses_nothing(
    toy: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills while the model trains: results go to the temporary folder."""
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "other"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    toy[1].write_text(
        toy[1]
        .read_text()
        .replace(
            "    if behaviour ==",
            FILL.format(runs=str(tmp_path / "runs")) + "    if behaviour ==",
            1,
        )
    )
    found = run(toy)
    rescued = [p for p in (tmp_path / "other").rglob("*") if p.is_file()]
    assert found.status == "ok"
    assert {p.suffix for p in rescued} == {".json", ".npz"}
    (folder,) = (tmp_path / "other").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    # The same command finds it again, and brings it home when there is room.
    (tmp_path / "runs" / "toy").unlink()
    assert run(toy) == found
    assert record.read(tmp_path / "runs" / found.path) == found
    assert not [p for p in (tmp_path / "other").rglob("*") if p.is_file()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_from_outside_leaves_a_record(
    toy: tuple[Path, Path], tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "benchmarks", "run", *map(str, toy)]
    process = subprocess.Popen(
        [*command, "--set", "behaviour=hang"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={
            **os.environ,
            "PHYSBENCH_RUNS": str(tmp_path / "runs"),
            "TOY_MARKER": str(tmp_path / "fit has begun"),
        },
    )
    while not (tmp_path / "fit has begun").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    (path,) = (tmp_path / "runs").rglob("*.json")
    assert record.read(path).status == "interrupted"
    assert process.returncode == 130
    assert b"interrupted" in out


def test_environment_and_code_are_measured() -> None:
    found = environment.environment()
    assert found.packages["numpy"] == np.__version__
    assert len(environment.code().harness) == 64


def test_record_kept_in_memory_is_the_one_on_disk(toy: tuple[Path, Path], tmp_path: Path) -> None:
    found = run(toy)
    assert record.read_all(tmp_path / "runs") == [found]
    assert found.cell == stages.cell_id(stages.prepare(*toy), 0)


def test_a_precision_that_the_model_does_not_take_is_refused(toy: tuple[Path, Path]) -> None:
    (found,) = benchmarks.run(*toy, precision="bf16-mixed")
    assert found.status == "failed"
    assert found.failure is not None
    assert "this model did not use it" in found.failure.message
    with pytest.raises(ValueError, match="precision must be 32 or bf16-mixed; got '16'"):
        benchmarks.run(*toy, precision="16")


@pytest.mark.slow
def test_another_precision_is_recorded_and_a_row_of_its_own() -> None:
    pytest.importorskip("lightning", reason="needs the extra [devices]")
    settings = {"epochs": 1}
    records = [
        benchmarks.run("track_parameters", "mlp", settings=settings, precision=precision)[0]
        for precision in ("32", "bf16-mixed")
    ]
    assert [record.status for record in records] == ["ok", "ok"]
    assert [record.model.precision for record in records] == [None, "bf16-mixed"]
    assert records[0].metrics[0].value != records[1].metrics[0].value
    board = build(records, local=frozenset())
    assert [row.model for row in board.rows if "precision=bf16-mixed" in row.model]
    assert "--precision bf16-mixed" in command(records[1])
