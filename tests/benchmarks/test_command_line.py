"""The command line as a user meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import templates
from benchmarks.__main__ import main


def call(*arguments: str, where: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=where,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )


def test_list_and_help_import_nothing_heavy() -> None:
    program = (
        "import sys; from benchmarks.__main__ import main\n"
        "main(['list'])\n"
        "slow = {'torch', 'pandas', 'numpy', 'pydantic', 'rich', 'matplotlib'}\n"
        "heavy = slow & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "tracking" in done.stdout


def test_info_shows_the_card_without_importing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "interaction_network"]) == 0
    out = capsys.readouterr().out
    assert "fit(" in out
    assert "epochs" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "trackign", "truth"], "did you mean 'tracking'"),
        (["run", "tracking", "trut"], "did you mean 'truth'"),
        (["run", "tracking", "truth", "--dataset", "trackm"], "did you mean 'trackml'"),
        (["run", "tracking", "truth", "--set", "epochs5"], "is not KEY=VALUE"),
        (["info", "truht"], "did you mean 'truth'"),
        (["board", "tracing"], "did you mean 'tracking'"),
        (["run", "tracking", "./nowhere.py"], "no such model file"),
        (["data", "get", "trackml_graph"], "did you mean 'trackml_graphs'"),
        (["score", "nowhere.json"], "does not exist; give a record's .json file"),
        (["verify", "nowhere.json"], "does not exist"),
        (["check", "trackin"], "did you mean 'tracking'"),
        (["check", "--models", "logistic_edge"], "did you mean 'logistic_edges'"),
        (["cite", "interaction_networ"], "did you mean 'interaction_network'"),
        (["study", "track_graphs", "true_graph"], "has no study"),
        (["info", "darkclr", "--croissant"], "unknown dataset"),
        (["data", "make", "kob_andersen", "x", "--temperatur", "1"], "mean 'temperature'"),
    ],
)
def test_mistakes_are_one_clear_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_exit_status_tells(toy: tuple[Path, Path]) -> None:
    task, model = map(str, toy)
    assert main(["run", task, model]) == 0
    assert main(["run", task, model, "--set", "behaviour=crash"]) == 1
    assert main(["run", task, model, "--set", "behaviour=interrupt"]) == 130


def test_score_of_the_command_line(
    toy: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["run", *map(str, toy)])
    (path,) = (tmp_path / "runs").rglob("*.json")
    assert main(["score", str(path), "--task", str(toy[0])]) == 0
    assert "the same digits" in capsys.readouterr().out
    # A changed definition is found out.
    toy[0].write_text(toy[0].read_text().replace("** 2))\n\ndef bias", "** 4))\n\ndef bias"))
    assert main(["score", str(path), "--task", str(toy[0])]) == 1


def test_templates_run_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "task", "parabola"]) == 0
    Path("line.py").write_text(
        "from physbench.models import Model\n"
        "MODEL = Model(('parabola',), 'none', lambda train, validation, *, seed: 0,"
        " lambda fitted, x: x)\n"
    )
    assert main(["run", "./parabola.py", "./line.py"]) == 0
    assert main(["new", "task", "parabola"]) == 2


def test_readme_model_is_the_template_and_short() -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    code = templates.starter("jet_flavour", "sklearn").format(title="My model").strip()
    assert code in readme


def test_works_from_another_folder(tmp_path: Path) -> None:
    done = call("list", "models", where=tmp_path)
    assert done.returncode == 0
    assert "interaction_network" in done.stdout
