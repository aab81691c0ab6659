"""A search of settings: on validation only, resumable, with table and pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="needs the extra 'search'")

from benchmarks import registry
from benchmarks.__main__ import main
from benchmarks.reports import studying
from benchmarks.sweeping import searching

SPACE = {"degree": [1, 2, 3], "jitter": (0.01, 1.0, "log")}
COUNTED = """
_fit = fit
def fit(train, validation, *, seed, degree=2, jitter=0.0):
    import pathlib
    with pathlib.Path(__file__).with_name("fits").open("a") as stream:
        stream.write(f"{degree} {jitter} {len(train.inputs)} {len(validation.inputs)}\\n")
    if degree == 3:
        raise FloatingPointError("loss is NaN")
    return _fit(train, validation, seed=seed, degree=degree, jitter=jitter)

MODEL = Model(tasks=("toy",), reference="Gauss", fit=fit, predict=predict,
              space={"degree": [1, 2], "jitter": [0.0]})
"""


@pytest.fixture
def counted(toy: tuple[Path, Path]) -> tuple[str, str, Path]:
    """The toy's task, a model that notes every fit, and its notes."""
    path = toy[1]
    path.write_text(path.read_text() + COUNTED)
    return str(toy[0]), str(path), path.with_name("fits")


def test_trials_are_ranked_by_their_score_on_validation(counted: tuple[str, str, Path]) -> None:
    task, model, notes = counted
    text = searching.search(task, model, trials=4)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| 0.")]
    assert len(rows) == 4
    assert rows[0][1] == "2"
    assert rows[-1][1] == "1"
    assert [float(row[0][2:]) for row in rows] == sorted(float(row[0][2:]) for row in rows)
    entry = registry.load("task", task).object
    splits = entry.splits("points")
    best = registry.load("model", model).object
    fitted = best.fit(splits.train, splits.validation, seed=0, degree=2)
    own = (
        (best.predict(fitted, splits.validation.inputs) - splits.validation.targets) ** 2
    ).mean()
    assert float(rows[0][0][2:]) == pytest.approx(own, rel=1e-3)
    assert {line.split(" ", 2)[2] for line in notes.read_text().splitlines()} >= {"50 20"}


def test_a_search_goes_on_where_it_ended(counted: tuple[str, str, Path]) -> None:
    task, model, notes = counted
    searching.search(task, model, trials=2, space=SPACE)
    first = notes.read_text().splitlines()
    searching.search(task, model, trials=5, space=SPACE)
    all_of_them = notes.read_text().splitlines()
    assert len(first) == 2
    assert len(all_of_them) == 5
    assert len(set(all_of_them)) == 5
    searching.search(task, model, trials=5, space=SPACE)
    assert notes.read_text().splitlines() == all_of_them


def test_another_question_is_another_search(counted: tuple[str, str, Path]) -> None:
    task, model, notes = counted
    for protocol in ({}, {"noise": 0.3}):
        searching.search(task, model, trials=2, protocol=protocol)
    assert len(notes.read_text().splitlines()) == 4


def test_a_trial_that_diverges_is_told_and_the_search_goes_on(
    counted: tuple[str, str, Path],
) -> None:
    task, model, _ = counted
    text = searching.search(task, model, trials=6, space={"degree": [2, 3], "jitter": [0.0, 0.1]})
    assert "| failed | 3 |" in text
    assert "| 2 |" in text
    with pytest.raises(ValueError, match="none of 2 trials came to its end"):
        searching.search(task, model, trials=2, space={"degree": [3], "jitter": [0.0, 0.1]})


def test_the_verb_writes_table_journal_and_pictures(
    counted: tuple[str, str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, model, _ = counted
    arguments = ["search", task, model, "--trials", "6", "--out", str(tmp_path / "found")]
    assert main([*arguments, "--space", "jitter=(0.01, 1.0, 'log')"]) == 0
    stem = tmp_path / "found" / "toy-points-polynomial-search"
    assert stem.with_suffix(".md").read_text().strip() == capsys.readouterr().out.strip()
    assert {p.name for p in stem.iterdir()} == {"parallel-coordinates.png", "contours.png"}
    assert len(searching.ended(searching.latest(stem.with_suffix(".jsonl")))) == 6


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"degree": [1]}, "nothing varies"),
        ({"degre": [1, 2]}, "degree"),
        ({"degree": 3}, "list of choices"),
        ({"jitter": (1.0, 0.1)}, "low < high"),
        ({"jitter": (0.1, 1.0, "lin")}, "low < high"),
        ({"jitter": (0.0, 1.0, "log")}, "0 < low < high"),
        ({"degree": [1, "two"]}, "must be int"),
        ({"degree": ["two", "three"]}, "must be int"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(
    counted: tuple[str, str, Path], space: dict[str, object], message: str
) -> None:
    with pytest.raises((ValueError, TypeError, LookupError), match=message):
        searching.search(*counted[:2], space=space)
    assert not counted[2].exists()


def test_no_trials_are_refused_and_a_setting_of_no_use_ends_its_trial_alone(
    counted: tuple[str, str, Path],
) -> None:
    task, model, _ = counted
    with pytest.raises(ValueError, match="trials must be at least 1; got 0"):
        searching.search(task, model, trials=0)
    text = searching.search(task, model, trials=4, space={"degree": [2, None]})
    assert "| failed | None |" in text


def test_an_oracle_is_refused(toy: tuple[Path, Path]) -> None:
    text = toy[1].read_text().replace("predict=predict)", "predict=predict, role='oracle')")
    toy[1].write_text(text)
    with pytest.raises(ValueError, match="oracle"):
        searching.search(*toy, space={"degree": [1, 2]})


def test_the_space_of_every_model_can_be_searched() -> None:
    for name in registry.names("model"):
        text = registry.path("model", name).read_text(encoding="utf-8")
        if "space=" in text:
            model = registry.load("model", name).object
            searching.check(model.space, model)


def test_a_study_searches_the_space_of_the_models_file(
    counted: tuple[str, str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, model, _ = counted
    text = Path(task).read_text().rstrip().removesuffix(")")
    Path(task).write_text(text + ', study={"clean": ({"noise": 0.0}, {})})\n')
    arguments = ["study", task, model, "--trials", "3", "--out", str(tmp_path / "found")]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "### Study of polynomial" in told
    assert "### Search of polynomial" in told
    stem = tmp_path / "found" / "toy-points-polynomial-search"
    assert len(searching.ended(searching.latest(stem.with_suffix(".jsonl")))) == 3
    assert main([*arguments, "--trials", "0"]) == 0
    assert "Search" not in capsys.readouterr().out


def test_without_optuna_a_study_says_so_and_goes_on(
    counted: tuple[str, str, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry, model = registry.load("task", counted[0]), registry.load("model", counted[1])
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert studying._search(entry, model, None, False, trials=2, runs=None, out=None) == ""
    assert "pip install 'physbench[search]'" in capsys.readouterr().err


def test_committed_searches_have_tables_and_pictures() -> None:
    journals = studying.searches("track_parameters", "generic_tracks", "trackformer")
    assert len(journals) == 1
    study = searching.latest(journals[0])
    assert journals[0].with_suffix(".md").read_text(encoding="utf-8") == searching.table(study)
    figures = searching.pictures(study)
    assert tuple(figures) == searching.TITLES
    assert len(figures["Contours"].axes) == 4 * 4 + 1
