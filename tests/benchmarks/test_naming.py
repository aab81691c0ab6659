"""Short ids, short errors, short reprs, and completion in a real shell."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import benchmarks
from benchmarks import naming, registry
from benchmarks.__main__ import main
from physbench.leaderboard import record as records

ROOT = registry.records_folder()


def one(model: str) -> Path:
    return sorted((ROOT / "tracking" / "generic_detector" / model).glob("*.json"))[0]


def test_a_record_is_found_by_the_beginning_of_its_id() -> None:
    path = one("truth")
    name = records.read(path).id
    for length in (6, 8, 12, 64):
        assert naming.record(name[:length]) == path
    assert naming.record(path) == path
    with pytest.raises(ValueError, match=r"nowhere.json' does not exist; give a record's .json"):
        naming.record("nowhere.json")
    with pytest.raises(ValueError, match="is a folder; give a record's"):
        naming.record(path.parent)
    with pytest.raises(ValueError, match="no record's id begins with 'ffffff"):
        naming.record("f" * 12)


@pytest.mark.parametrize("arguments", [["score"], ["cite"], ["cite", "--latex"], ["verify"]])
def test_verbs_take_ids(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, records.read(one("truth")).id[:8]]) == 0
    assert capsys.readouterr().out


def test_compare_takes_ids(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (records.read(one(m)).id[:8] for m in ("truth", "one_track_per_hit"))
    assert main(["compare", first, second]) == 0
    assert "truth is better than one_track_per_hit" in capsys.readouterr().out


def test_an_unknown_name_is_answered_with_the_nearest_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    known = [f"model_{number}" for number in range(40)] + ["interaction_network"]
    near = str(registry.unknown("model", "interaction_netwrk", known))
    assert near == "unknown model 'interaction_netwrk'; did you mean 'interaction_network'?"
    far = str(registry.unknown("model", "zzz", known))
    assert far == "unknown model 'zzz'. There are 41; `python -m benchmarks list` shows them"
    Path("mine.py").touch()
    assert "did you mean './mine.py'?" in str(registry.unknown("model", "mine", known))


def test_boards_and_records_are_short_words_frames_and_html() -> None:
    board, *_ = benchmarks.board("tracking")
    assert len(repr(board)) < 200
    assert "first gated_network" in repr(board)
    frame = board.to_frame()
    assert len(frame) == len(board.rows)
    assert frame["efficiency_dm"].max() == 1.0
    assert "<table" in board._repr_html_()
    found = records.read(one("truth"))
    assert len(repr(found)) < 200
    assert repr(found).startswith(f"Record({found.id[:12]}: tracking, generic_detector, truth")
    assert found.to_frame().set_index("name").loc["efficiency_dm", "value"] == 1.0
    assert "<table" in found._repr_html_()


def test_completion_completes_in_bash(capsys: pytest.CaptureFixture[str]) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out

    def completed(*words: str) -> set[str]:
        ask = (
            f"COMP_WORDS=({' '.join(words)!s}); COMP_CWORD={len(words) - 1}; _physbench; "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run([bash, "-c", script + ask], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split())

    assert completed("physbench", "veri") == {"verify"}
    assert completed("physbench", "run", "trackin") == {"tracking"}
    assert "--seeds" in completed("physbench", "run", "--se")
    assert completed("physbench", "run", "tracking", "interaction_n") == {"interaction_network"}
