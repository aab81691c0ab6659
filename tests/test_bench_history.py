"""The history of the benchmarks: what is kept and what counts as a change."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).with_name("performance") / "history.py"


@pytest.fixture
def history() -> Any:
    spec = importlib.util.spec_from_file_location("history", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kept(cpu: str, **numbers: float) -> dict[str, Any]:
    return {"machine": {"cpu": cpu}, "numbers": {"bench_x: test_y": numbers}}


def test_only_changes_beyond_noise_are_told(history: Any) -> None:
    old, new = kept("A", seconds=1.0, ratio=2.0), kept("A", seconds=1.05, ratio=3.0)
    assert history.compared(old, new) == ["bench_x: test_y, ratio: 2 -> 3 (1.50)"]
    assert history.compared(old, old) == []


def test_seconds_of_other_processors_are_not_compared(history: Any) -> None:
    old, new = kept("A", seconds=1.0, ratio=2.0), kept("B", seconds=9.0, ratio=1.0)
    assert history.compared(old, new) == ["bench_x: test_y, ratio: 2 -> 1 (0.50)"]


def test_a_report_is_condensed_to_numbers_machine_and_versions(history: Any) -> None:
    one = {
        "fullname": "tests/performance/bench_x.py::test_y",
        "stats": {"min": 0.123456},
        "extra_info": {"ratio": 2.34567, "source": "made", "told": "bar >= 2, measured 2.35"},
    }
    machine = {
        "cpu": {"brand_raw": "Z80", "count": 1},
        "processor": "",
        "system": "CP/M",
        "machine": "z80",
        "python_version": "3.11",
    }
    found = history.condensed(
        {
            "machine_info": machine,
            "datetime": "2026-01-01T00:00:00.5",
            "commit_info": {"id": "a"},
            "benchmarks": [one],
        }
    )
    assert found["numbers"] == {"bench_x: test_y": {"seconds": 0.1235, "ratio": 2.346}}
    assert found["told"] == {"bench_x: test_y": "bar >= 2, measured 2.35"}
    assert found["machine"]["cpu"] == "Z80"
    assert found["versions"]["numpy"]


def test_the_page_has_a_row_for_each_bar_and_the_leaders_of_each_board(
    history: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = {
        "date": "2026-01-01T00:00:00",
        "numbers": {"bench_x: test_y": {"ratio": 3.0, "bar": 4.0}},
    }
    other = {
        "date": "2026-02-01T00:00:00",
        "numbers": {"bench_x: test_y": {"measured": 5.0, "bar": 4.0}},
        "told": {"bench_x: test_y": "bar >= 4, measured 5"},
    }
    for number, one in enumerate((run, other)):
        (tmp_path / f"{number}.json").write_text(json.dumps(one), encoding="utf-8")
    monkeypatch.setattr(history, "HISTORY", tmp_path)
    lines = history.page().splitlines()
    assert "| bench_x: test_y | >= 4 | 3 | 5 |" in lines
    leaders = [line for line in lines if line.startswith("| tracking, generic_detector 2 |")]
    scores = [float(line.split("|")[5].split()[1]) for line in leaders]
    assert scores == sorted(scores)
    assert len(scores) > 1


def test_the_cost_of_an_event_is_that_of_the_newest_run_that_timed_it(
    history: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = f"bench_tracking: {history.COST}"
    row = {"hits": 1000, "seconds_of_one": 2.0, "seconds_of_peer": 1.0}
    timed = {f"{name}[200]": {**row, "hits": 9000}, f"{name}[20]": row}
    kept = [{"numbers": timed}, {"numbers": {f"{name}[20]": {"hits": 5.0}}}]
    assert [one["hits"] for one in history.costs(kept)] == [1000, 9000]
    monkeypatch.setattr(history, "_kept", lambda: kept)
    history.picture(tmp_path)
    assert (tmp_path / history.PICTURE).stat().st_size > 5000
    assert "| 9,000 | 2 | 1 |" in "\n".join(history._cost(history.costs(kept)))
