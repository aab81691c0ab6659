"""A record is found again for the same content alone, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmarks
from benchmarks import registry, sources
from benchmarks.running import guarded, stages
from physbench.datasets import Splits
from physbench.leaderboard.record import Record

MODEL = '''"""A number from elsewhere."""
import numpy as np
from physbench.models import Model
{head}

def fit(train, validation, *, seed):
    {body}
    return VALUE

def predict(fitted, inputs):
    return np.full(len(inputs), float(fitted))

MODEL = Model(tasks=("toy",), reference="none", fit=fit, predict=predict)
'''


def run(toy: tuple[Path, Path], model: Path, **more: Any) -> Record:
    (found,) = benchmarks.run(toy[0], model, **more)
    assert found.status == "ok", found.failure
    return found


@pytest.mark.parametrize(
    ("head", "body", "file", "texts"),
    [
        ("from beside import VALUE", "pass", "beside.py", ("VALUE = 1\n", "VALUE = 2\n")),
        ("", "from beside import VALUE", "beside.py", ("VALUE = 1\n", "VALUE = 2\n")),
        ("from package.inner import VALUE", "pass", "package/inner.py",
         ("VALUE = 1\n", "VALUE = 2\n")),
        ("", "import importlib\n    VALUE = importlib.import_module('be' + 'side').VALUE",
         "beside.py", ("VALUE = 1\n", "VALUE = 2\n")),
        ("import pathlib", "VALUE = pathlib.Path(__file__).with_name('n.txt').read_text()",
         "n.txt", ("1", "2")),
        ("VALUE = float(np.loadtxt(__file__[:-8] + 'n.txt'))", "pass", "n.txt", ("1", "2")),
    ],
)  # fmt: skip
def test_what_a_model_imports_or_reads_is_part_of_the_cell(
    toy: tuple[Path, Path], tmp_path: Path, head: str, body: str, file: str, texts: Any
) -> None:
    folder = tmp_path / "own"
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / "package").mkdir(exist_ok=True)
    (folder / "package" / "__init__.py").touch()
    model = folder / "model.py"
    model.write_text(MODEL.format(head=head, body=body))
    (folder / file).write_text(texts[0])
    first, same = run(toy, model), run(toy, model)
    assert first.id == same.id
    (folder / file).write_text(texts[1])
    other = run(toy, model)
    assert other.id != first.id
    assert other.predictions != first.predictions
    (folder / file).write_text(texts[0])
    assert run(toy, model).predictions == first.predictions


def test_a_package_folder_is_a_model_and_all_its_files_count(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "network"
    folder.mkdir()
    (folder / "__init__.py").write_text(MODEL.format(head="from .parts import VALUE", body="pass"))
    (folder / "parts.py").write_text("VALUE = 1\n")
    (folder / "numbers.csv").write_text("1\n")
    first = run(toy, folder)
    assert first.model.name == "network"
    assert run(toy, folder / "__init__.py").id == first.id
    (folder / "numbers.csv").write_text("2\n")
    assert run(toy, folder).id != first.id
    (folder / "parts.py").write_text("VALUE = 3\n")
    assert run(toy, folder).model.source != first.model.source


def test_the_record_names_the_source_that_ran(toy: tuple[Path, Path], tmp_path: Path) -> None:
    """A model file that is edited while its training runs."""
    model = tmp_path / "model.py"
    model.write_text(
        MODEL.format(
            head="VALUE = 1",
            body="open(__file__, 'a').write('# edited\\n')",
        )
    )
    before = registry.source_digest(model)
    found = run(toy, model)
    assert found.model.source == before != registry.source_digest(model)
    assert run(toy, model).id != found.id


def test_a_changed_neighbour_of_the_task_is_another_task(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "shift.py").write_text("SHIFT = 0.0\n")
    text = toy[0].read_text().replace("(targets - predictions)", "(targets - predictions - SHIFT)")
    toy[0].write_text("from shift import SHIFT\n" + text)
    first = run(toy, toy[1])
    (tmp_path / "shift.py").write_text("SHIFT = 10.0\n")
    second = run(toy, toy[1])
    assert first.metrics[0].value != second.metrics[0].value
    assert first.task.source != second.task.source


def test_data_are_digested_once_for_all_seeds(
    toy: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    digested: list[Splits] = []
    whole = guarded.content
    monkeypatch.setattr(guarded, "content", lambda s: digested.append(s) or whole(s))
    records = benchmarks.run(toy[0], toy[1], seeds=3)
    assert len({record.cell for record in records}) == 3
    assert len(digested) == 1


def test_device_and_threads_are_part_of_the_cell(toy: tuple[Path, Path]) -> None:
    one, two = run(toy, toy[1]), run(toy, toy[1], threads=2)
    assert one.cell != two.cell
    assert (one.environment.threads, two.environment.threads) == (1, 2)
    with pytest.raises(ValueError, match="device must be"):
        benchmarks.run(*toy, device="abacus")
    with pytest.raises(ValueError, match="threads"):
        benchmarks.run(*toy, threads=0)


def test_what_is_found_is_said(toy: tuple[Path, Path], capsys: Any) -> None:
    run(toy, toy[1])
    assert "found" not in capsys.readouterr().err
    run(toy, toy[1])
    assert "seed 0: found, not run again; --again runs it" in capsys.readouterr().err


def test_damaged_predictions_are_no_finished_run(toy: tuple[Path, Path], tmp_path: Path) -> None:
    first = run(toy, toy[1])
    assert first.predictions is not None
    file = (tmp_path / "runs" / first.path).with_name(first.predictions.file)
    file.write_bytes(b"")
    again = run(toy, toy[1])
    assert again.predictions == first.predictions
    assert file.stat().st_size > 0


def test_a_foreign_file_hides_nothing(toy: tuple[Path, Path], tmp_path: Path, capsys: Any) -> None:
    first = run(toy, toy[1])
    folder = (tmp_path / "runs" / first.path).parent
    (folder / "0-!stray.json").write_text('{"not": "a record"}')
    (folder / "0-binary.json").write_bytes(b"\xff\xfe")
    (folder / "0-folder.json").mkdir()
    assert run(toy, toy[1]).id == first.id
    assert "0-!stray.json" in capsys.readouterr().err


FOLDS = """
def load(dataset, *, noise=0.1, fold=0):
    rng = np.random.default_rng(fold)
    def split(n, name):
        x = rng.uniform(-1, 1, n)
        return Split(x, x**2, [f"{fold}{name}{i}" for i in range(n)])
    return Splits(split(50, "a"), split(20, "b"), split(40, "c"), files={})

def prepare("""


def test_seeds_go_round_the_folds(toy: tuple[Path, Path]) -> None:
    text = toy[0].read_text()
    head, _, tail = text.partition("def load(")
    text = head + FOLDS.lstrip() + tail.partition("def prepare(")[2]
    toy[0].write_text(text.replace("prepare=prepare,", 'prepare=prepare, folds={"points": 2},'))
    found = benchmarks.run(*toy, seeds=3)
    assert [r.task.fold for r in found] == [0, 1, 0]
    assert found[0].task.split == found[2].task.split != found[1].task.split
    assert "fold" not in found[0].task.protocol
    with pytest.raises(registry.UnknownName, match="fold"):
        benchmarks.run(*toy, protocol={"fold": 1})
    assert benchmarks.run(*toy, seeds=[1])[0].id == found[1].id


def test_splits_cannot_be_changed_and_targets_own_their_data(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    toy[0].write_text(
        toy[0].read_text().replace("Split(x, x**2 + noise * rng.normal(size=n),", "Split(x, x,")
    )
    splits = stages.prepare(*toy).splits
    for split in (splits.train, splits.validation, splits.test):
        assert not np.shares_memory(split.inputs, split.targets)
        for array in (split.inputs, split.targets):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1.0


def test_empty_splits_are_refused(toy: tuple[Path, Path]) -> None:
    toy[0].write_text(toy[0].read_text().replace("split(40", "split(0"))
    with pytest.raises(ValueError, match="test must not be empty"):
        benchmarks.run(*toy)


def test_imports_of_ours_are_followed_by_wing_and_by_name() -> None:
    files = {path.name for path in sources.closure(registry.path("model", "interaction_network"))}
    assert {"interaction_network.py", "training.py", "_graphs.py", "__init__.py"} <= files
