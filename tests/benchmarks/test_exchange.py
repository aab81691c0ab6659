"""Splits as plain files, and predictions made in another language as a record on the board."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import benchmarks
from benchmarks import registry
from benchmarks.__main__ import main
from benchmarks.exporting import flattened
from physbench.datasets.common.store import DataError
from physbench.leaderboard import record as records

CARD = """name = "awk_square"
authors = "A. Shell"
paper = "doi:10.0000/none"
training_data = "none"
deterministic = true
train_s = 0.5
"""
AWK = 'NR == 1 {print "y"} NR > 1 {print $1 * $1}'


@pytest.fixture
def handed_in(toy: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path, Path]:
    """A toy task, predictions that awk made from its exported files, and their card."""
    if shutil.which("awk") is None:
        pytest.skip("needs awk")
    task, _ = toy
    assert main(["export", str(task), str(tmp_path / "files")]) == 0
    table = tmp_path / "files" / "test.inputs.csv"
    made = subprocess.run(["awk", AWK, table], capture_output=True, text=True, check=True)
    (tmp_path / "predictions.csv").write_text(made.stdout)
    (tmp_path / "card.toml").write_text(CARD)
    return task, tmp_path / "predictions.csv", tmp_path / "card.toml"


def test_a_model_in_another_language_from_export_to_board(
    handed_in: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, predictions, card = handed_in
    assert main(["submit", str(task), str(predictions), "--card", str(card)]) == 0
    (found,) = records.read_all(tmp_path / "runs")
    assert (found.model.origin, found.model.name) == ("submitted", "awk_square")
    truth = registry.load("task", task).object.load("points").test
    expected = float(np.mean((truth.targets - truth.inputs**2) ** 2))
    assert found.metrics[0].value == pytest.approx(expected, rel=1e-4)
    assert found.cost["train"].wall_s == 0.5
    ((_, again),) = benchmarks.score(tmp_path / "runs" / found.path, task=task)
    assert again[0].value == found.metrics[0].value
    (board,) = benchmarks.board(str(task), runs=tmp_path / "runs")
    (row,) = board.rows
    assert row.role == "ranked"
    assert "submitted by its authors" in row.note


def test_the_truth_of_the_test_split_is_not_handed_out(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    task, _ = toy
    paths = benchmarks.export(task, tmp_path / "files")
    assert not [path for path in paths if path.name.startswith("test.targets")]
    targets = registry.load("task", task).object.load("points").test.targets
    for path in paths:
        assert targets.tobytes() not in path.read_bytes()
    words = json.loads((tmp_path / "files" / "schema.json").read_text())
    assert words["units"] == {"train": 50, "validation": 20, "test": 40}
    with pytest.raises(FileExistsError, match="is not empty"):
        benchmarks.export(task, tmp_path / "files")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("predictions.csv", "y\n1\n"), r"shape \(1,\), expected \(40,\)"),
        (("predictions.csv", "y,z\n1,two\n"), "predictions"),
        (("predictions.csv", ""), "not a CSV file"),
        (("card.toml", CARD.replace("authors", "writers")), "authors: Field required"),
        (("card.toml", CARD.replace("awk_square", "../../x")), "name: String should match"),
        (("card.toml", "name = "), "not a TOML file"),
        (("card.toml", CARD + f"seed = {2**63}"), "seed: Input should be less than"),
        (("card.toml", CARD + "\n" + "#" * 30_000), "larger than 20000 bytes"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(
    handed_in: tuple[Path, Path, Path], tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    task, predictions, card = handed_in
    (tmp_path / change[0]).write_text(change[1])
    with pytest.raises(DataError, match=message):
        benchmarks.submit(task, predictions, card=card, runs=tmp_path / "runs")
    assert not list((tmp_path / "runs").rglob("*.json"))


def test_an_archive_that_holds_nothing_of_use_is_refused_in_words(
    handed_in: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    task, _, card = handed_in
    archive = tmp_path / "predictions.npz"
    broken = {"values.flat": np.zeros(40), "values.offsets": np.array([5, 3, -1])}
    for arrays, message in (({}, "holds no array"), (broken, "npz: 'values.flat' needs growing")):
        np.savez(archive, **arrays)
        with pytest.raises(DataError, match=message):
            benchmarks.submit(task, archive, card=card, runs=tmp_path / "runs")


def test_rows_with_ids_are_put_into_the_order_of_the_test_split(
    handed_in: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    task, predictions, card = handed_in
    plain = benchmarks.submit(task, predictions, card=card, runs=tmp_path / "runs")
    table = pd.read_csv(predictions)
    table.insert(0, "unit", pd.read_csv(tmp_path / "files" / "test.ids.csv")["unit"])
    table[::-1].to_csv(predictions, index=False)
    named = benchmarks.submit(task, predictions, card=card, runs=tmp_path / "runs")
    assert named.metrics[0].value == plain.metrics[0].value


def test_the_protocol_of_an_export_is_checked_and_told_to_who_hands_in(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    for wrong, message in (({"nois": 0.3}, "did you mean 'noise'"), ({"noise": "x"}, "float")):
        with pytest.raises((TypeError, registry.UnknownName), match=message):
            benchmarks.export(toy[0], tmp_path / "files", protocol=wrong)
    benchmarks.export(toy[0], tmp_path / "files", protocol={"noise": 0.3})
    words = json.loads((tmp_path / "files" / "schema.json").read_text())
    assert "--dataset points --protocol noise=0.3: " in words["hand_in"]


def test_units_of_different_lengths_are_flat_with_offsets_and_come_back_by_name(
    tmp_path: Path,
) -> None:
    event = benchmarks.task("tracking").load("generic_detector", events=1)
    arrays = flattened(event.train.inputs)
    assert {"x", "hit_id"} <= {name.partition(".")[0] for name in arrays}
    two = flattened([np.arange(3), np.arange(5)])
    assert two["values.offsets"].tolist() == [0, 3, 8]


def test_hits_of_events_are_handed_in_by_the_name_of_the_event(tmp_path: Path) -> None:
    splits = benchmarks.task("tracking").load("generic_detector", events=1)
    (event,) = splits.test.inputs
    (truth,) = splits.test.targets
    labels = np.unique(truth.particle_id, return_inverse=True)[1]
    table = pd.DataFrame({"unit": splits.test.ids[0], "labels": labels})
    table.to_csv(tmp_path / "labels.csv", index=False)
    (tmp_path / "card.toml").write_text(CARD)
    found = benchmarks.submit(
        "tracking",
        tmp_path / "labels.csv",
        card=tmp_path / "card.toml",
        protocol={"events": 1},
        runs=tmp_path / "runs",
    )
    assert found.metrics[0].value == 1.0
    table["unit"] = "another"
    table.to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(DataError, match="1 units of the test split are missing"):
        benchmarks.submit(
            "tracking",
            tmp_path / "labels.csv",
            card=tmp_path / "card.toml",
            protocol={"events": 1},
            runs=tmp_path / "runs",
        )
    assert len(event) == len(labels)


def test_a_doubled_unit_and_a_missing_one_are_named(
    handed_in: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    task, _, card = handed_in
    names = list(registry.load("task", task).object.load("points").test.ids)
    for rows, words in (
        ([*names, names[3]], f"unit {names[3]} has more than one row; give one row for each"),
        (names[1:], rf"1 units of the test split are missing \(the first is {names[0]}\)"),
    ):
        pd.DataFrame({"unit": rows, "y": 0.0}).to_csv(tmp_path / "rows.csv", index=False)
        with pytest.raises(DataError, match=words):
            benchmarks.submit(task, tmp_path / "rows.csv", card=card)


def test_a_file_is_no_folder_to_export_into(
    toy: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["export", str(toy[0]), str(tmp_path / "file")]) == 2
    assert "is a file; name a new folder to export into" in capsys.readouterr().err
