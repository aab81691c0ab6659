"""Records as an attacker writes them: sealed with a right id, and refused all the same.

Nothing that they name is imported, executed, followed or unpacked.
"""

from __future__ import annotations

import base64
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmarks
from benchmarks.__main__ import main
from physbench.leaderboard import record as records

Change = Callable[[dict[str, Any]], Any]
EVIL = "open({!r}, 'w').close()\n"


@pytest.fixture
def path(toy: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good record in a folder of its own, where a file `evil.py` waits to be imported."""
    (found,) = benchmarks.run(*toy)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(EVIL.format(str(tmp_path / "executed")))
    return tmp_path / "runs" / found.path


def forge(path: Path, change: Change) -> None:
    """Alter a record and seal it anew, as anyone can."""
    content = json.loads(path.read_text())
    change(content)
    del content["id"]
    path.write_text(json.dumps(content | {"id": records.sha256(content)}))


def harmless(tmp_path: Path) -> bool:
    return not (tmp_path / "executed").exists()


def put(*keys: str | int, value: Any) -> Change:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


def metric(**changes: Any) -> Change:
    return lambda content: content["metrics"][0].update(changes)


def shifted(content: dict[str, Any]) -> None:
    """Value and interval much better than the resamples that are stored beside them."""
    first = content["metrics"][0]
    for name in ("value", "low", "high"):
        first[name] *= 1e-3


def replicates(low: float, high: float, count: int = 1000) -> str:
    steps = np.linspace(0, 65534, count).astype("<u2")
    return f"{low!r} {high!r} {base64.b64encode(steps.tobytes()).decode()}"


HOSTILE: dict[str, tuple[Change, str]] = {
    "task is a path": (put("task", "name", value="./evil.py"), "task.name"),
    "task leaves the folder": (put("task", "name", value="../../toy"), "task.name"),
    "model is a path": (put("model", "name", value="/tmp/evil.py"), "model.name"),
    "model is hidden": (put("model", "name", value=".evil"), "model.name"),
    "model is an option": (put("model", "name", value="--help"), "model.name"),
    "dataset leaves the folder": (put("dataset", "name", value="../x"), "dataset.name"),
    "predictions absolute": (put("predictions", "file", value="/etc/passwd"), "predictions.file"),
    "predictions elsewhere": (put("predictions", "file", value="../p.npz"), "predictions.file"),
    "file of negative size": (put("predictions", "bytes", value=-1), "predictions.bytes"),
    "value outside its interval": (metric(value=1e-9), "outside its interval"),
    "interval turned round": (
        lambda c: c["metrics"][0].update(low=c["metrics"][0]["high"], high=0.0),
        "outside its interval",
    ),
    "half an interval": (metric(low=None), "both ends"),
    "interval without a value": (metric(value=None), "without a value"),
    "value that no resample has": (shifted, "replicates give"),
    "interval that is not the resamples'": (metric(low=0.0, high=1.0), "replicates give"),
    "resamples of another count": (
        metric(replicates=replicates(0.0, 1.0, 10), low=0.025, high=0.975, value=0.5),
        "10 replicates, but",
    ),
    "resamples that are no numbers": (metric(replicates="0.0 1.0 ?"), "cannot be decoded"),
    "infinite resamples": (metric(replicates=replicates(0.0, float("inf"))), "cannot be decoded"),
    "negative units": (put("task", "units", "test", value=-5), "task.units"),
    "no test units": (put("task", "units", "test", value=0), "without units"),
    "negative cost": (put("cost", "train", "cpu_s", value=-1.0), "cost"),
    "negative seed": (put("seed", value=-1), "seed"),
    "no date": (put("started", value="zzzz"), "no date"),
    "a date without a zone": (put("started", value="2026-01-01"), "no time zone"),
    "a date to come": (put("started", value="2999-01-01T00:00:00+00:00"), "in the future"),
    "failed with a score": (put("status", value="failed"), "without a failure"),
    "a metric twice": (lambda c: c["metrics"].append(c["metrics"][0]), "there twice"),
    "no digest": (put("task", "split", value="0x" + "0" * 62), "task.split"),
    "larger than 20 kB": (put("cite", value=["x" * 20_000]), "more than 20001 bytes"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_forged_record_is_refused_by_every_reader(
    kind: str, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = HOSTILE[kind]
    forge(path, change)
    with pytest.raises(records.RecordError, match=message):
        records.read(path)
    for verb in (
        ["score"],
        ["verify"],
        ["verify", "--level", "retrain"],
        ["cite"],
        ["cite", "--latex"],
        ["explain"],
    ):
        assert main([*verb, str(path)]) == 2
        assert message in capsys.readouterr().err
    # The user's folder: told, left out, and everything else is shown.
    aside = tmp_path / "runs" / "tracking" / "forged"
    aside.mkdir(parents=True)
    (aside / path.name).write_bytes(path.read_bytes())
    assert main(["board", "tracking", "--runs", str(tmp_path / "runs")]) == 0
    out, err = capsys.readouterr()
    assert "left out" in err
    assert message in err
    assert "gated_network" in out
    assert harmless(tmp_path)


TEXTS = {
    "a constant that is no number": '{"schema": "record/1", "seed": NaN}',
    "a hundred thousand brackets": "[" * 100_000,
    "half a sign": '{"schema": "\\ud800"}',
    "nothing": "",
    "another language": "<record/>",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_text_that_is_no_record_is_refused(kind: str, path: Path) -> None:
    path.write_text(TEXTS[kind])
    with pytest.raises(records.RecordError, match="is not a record"):
        records.read(path)


def test_a_key_that_is_there_twice_changes_nothing_unseen(path: Path) -> None:
    text = path.read_text()
    path.write_text(text.replace('"seed": 0', '"seed": 0, "seed": 1'))
    with pytest.raises(records.RecordError):
        records.read(path)


def test_a_pipe_a_folder_and_a_huge_file_do_not_hang(path: Path, tmp_path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(records.RecordError, match="not a regular file"):
        records.read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(records.RecordError):
        records.read(path)
    big = tmp_path / "big.json"
    with big.open("wb") as stream:
        stream.truncate(50 << 20)
    with pytest.raises(records.RecordError, match="more than 20001 bytes"):
        records.read(big)


# --- names that are well formed, and unknown --------------------------------------------------


@pytest.mark.parametrize("kind", ["task", "model"])
def test_a_record_cannot_have_a_file_imported(
    kind: str, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(path, put(kind, "name", value="evil.py"))
    forge(path, put("task" if kind == "model" else "model", "name", value="ridge"))
    calls = [["verify"], ["verify", "--level", "repredict"], ["verify", "--level", "retrain"]]
    for verb in [*calls, ["score"], ["explain"], ["verify", "--supersede"]]:
        assert main([*verb, str(path)]) == 2
        assert "which is not registered" in capsys.readouterr().err
    assert main(["check", "--reference", str(tmp_path / "runs")]) == 2
    assert harmless(tmp_path)


def test_the_user_may_vouch_for_a_file(
    path: Path, toy: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(path)]) == 2
    assert "--task FILE.py" in capsys.readouterr().err
    assert main(["score", str(path), "--task", str(toy[0])]) == 0


def test_a_folder_in_a_record_is_not_followed(
    path: Path, toy: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(path, lambda c: c["task"]["protocol"].update(folder=str(tmp_path / "elsewhere")))
    assert main(["score", str(path), "--task", str(toy[0])]) == 2
    assert "paths are not followed" in capsys.readouterr().err


# --- what lies beside the record --------------------------------------------------------------


def beside(path: Path) -> Path:
    return path.parent / json.loads(path.read_text())["predictions"]["file"]


def a_pipe(file: Path) -> None:
    os.mkfifo(file)


def a_link(file: Path) -> None:
    other = file.with_name("other.npz")
    np.savez(other, values=np.zeros(3))
    file.symlink_to(other)


def a_bomb(file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        stream = io.BytesIO()
        np.save(stream, np.zeros(20_000_000))
        archive.writestr("values.npy", stream.getvalue())


class Evil:
    def __reduce__(self) -> Any:
        return open, (str(Path.cwd() / "executed"), "w")


def objects(file: Path) -> None:
    np.savez(file, values=np.array([Evil()], dtype=object))


def a_promise(file: Path) -> None:
    """A header of 8 TB before no content."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("values.npy", stream.getvalue())


def others(file: Path) -> None:
    np.savez(file, values=np.zeros(40))


@pytest.mark.parametrize("write", [a_pipe, a_link, a_bomb, objects, a_promise, others])
def test_predictions_that_are_not_those_of_the_record_are_refused(
    write: Callable[[Path], None],
    path: Path,
    toy: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = beside(path)
    file.unlink()
    write(file)
    assert main(["score", str(path), "--task", str(toy[0])]) == 2
    assert f"predictions {file}" in capsys.readouterr().err
    assert harmless(tmp_path)


# --- text of records in other languages --------------------------------------------------------


def test_text_of_a_record_is_shown_and_not_obeyed(
    path: Path, toy: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(content: dict[str, Any]) -> None:
        settings = content["model"]["hyper_parameters"]
        settings |= {"degree": "<script>|x", "behaviour": "[a](javascript:b)\x1b[2J\n$x^"}

    forge(path, change)
    benchmarks.run(*toy)
    out = tmp_path / "boards"
    assert main(["board", str(toy[0]), "--runs", "runs", "--out", str(out)]) == 0
    (markdown,) = (p.read_text() for p in out.glob("*.md"))
    assert "<script>" not in markdown
    assert "](" not in markdown
    assert "\x1b" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert main(["board", str(toy[0]), "--runs", "runs", "--picture", str(out / "p.png")]) == 0


def test_cells_of_a_table_are_no_formulas(path: Path) -> None:
    from dataclasses import replace

    from physbench.leaderboard import board

    item = board.build([records.read(path)])
    row = replace(item.rows[0], note='=HYPERLINK("http://x")', model="@sum")
    text = board.table(replace(item, rows=(row,)))
    assert "'=HYPERLINK" in text
    assert "'@sum" in text


@pytest.mark.parametrize(
    "entry",
    [
        "@misc{a, title = {\\input{/etc/passwd}}}",
        "@misc{a, title = {\\write18{rm -rf /}}}",
        "@misc{a}\\catcode`\\@=13, title = {x}}",
        "@misc{a}\\end, title = {x}}",
    ],
)
def test_bibtex_of_a_record_holds_no_commands(
    entry: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(path, put("cite", value=[entry]))
    assert main(["cite", str(path)]) == 2
    assert "BibTeX entry" in capsys.readouterr().err
