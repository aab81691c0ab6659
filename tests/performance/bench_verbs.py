"""What verbs cost, in bare interpreters; what a seed, a cell and a streamed event cost.

CPU seconds of processes of their own, in turns, the least of each. A bar that is missed says so
in its output and in the history, with the distance; one that regresses past its slack fails.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reports import boards
from physbench.leaderboard import record as records

BARE = 0.024  # seconds of an interpreter where the bars were stated in seconds


def cpu(*arguments: str) -> float:
    """User and system seconds of a Python child process and of its own children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def interpreters(*arguments: str, rounds: int = 5) -> float:
    """Cost of a call over that of an interpreter that does nothing."""
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(cpu("-c", "pass"))
        ours.append(cpu(*arguments))
    return min(ours) / min(bare)


def told(benchmark: Any, found: float, bar: float, slack: float) -> None:
    """Note a number and its bar; fail where it is beyond bar times slack."""
    benchmark.extra_info.update(ratio=found, bar=bar, over_bar=found / bar)
    print(f"{found:.1f} bare interpreters, bar {bar:.1f}{'' if found <= bar else ': MISSED'}")
    assert found <= bar * slack


VERBS = {
    "--help": (2.5, 1.4),
    "list": (2.5, 1.8),
    "info tracking": (2.5, 2.2),
    "cite tracking": (2.5, 1.6),
    "claims": (1.0 / BARE, 20.0),  # where verdicts are to be found anew
}


@pytest.mark.parametrize("verb", VERBS)
def test_verb_in_bare_interpreters(benchmark: Any, verb: str) -> None:
    call = ("-m", "benchmarks", *verb.split())
    cpu(*call)
    found = benchmark.pedantic(lambda: interpreters(*call), rounds=1)
    told(benchmark, found, *VERBS[verb])


def test_board_of_a_task(benchmark: Any) -> None:
    """A quarter of a second and 0.3 ms a record."""
    count = len(records.paths(boards.committed_root() / "track_parameters"))
    call = ("-m", "benchmarks", "board", "track_parameters")
    found = benchmark.pedantic(lambda: interpreters(*call, rounds=3), rounds=1)
    told(benchmark, found, (0.25 + 0.0003 * count) / BARE, 4.0)


TASKS = {
    "tracking/generic_detector/truth": 3.0,
    "track_parameters/generic_tracks/ridge": 4.0,
    "dark_jets/dark_showers/pca_mahalanobis": 5.0,
    "glass_mobility/kob_andersen/type_mean": 2.0,
    "jet_flavour/flavour_jets/pt_only": 2.0,
    "calo_showers/parametrised_showers/mean_shower": 8.0,
    "likelihood_ratio/eft_toy/carl": 2.0,
}


@pytest.mark.parametrize("row", TASKS)
def test_score_of_a_record(benchmark: Any, row: str) -> None:
    """One CPU second."""
    paths = sorted((boards.committed_root() / row).glob("0-*.json"))
    if not paths:
        pytest.skip(f"{row} has no committed record of seed 0")
    call = ("-m", "benchmarks", "score", str(paths[0]))
    found = benchmark.pedantic(lambda: interpreters(*call, rounds=2), rounds=1)
    told(benchmark, found, 1.0 / BARE, TASKS[row])


SWEEP = """
import sys, benchmarks
from benchmarks.sweeping import local
from benchmarks.running import processes
local.sweep([sys.argv[1]], models=[sys.argv[2]], seeds=int(sys.argv[3]), runs=sys.argv[4],
            jobs=1, report=lambda text: None)
processes.close_all()
"""


def test_a_trivial_cell_of_a_sweep(benchmark: Any, toy: tuple[Path, Path], tmp_path: Path) -> None:
    """A hundred cells in five CPU seconds: two interpreters each; the slope of 5 and 25 cells."""

    def seconds(count: int) -> float:
        return cpu("-c", SWEEP, *map(str, toy), str(count), str(tmp_path / str(count)))

    bare = min(cpu("-c", "pass") for _ in range(5))
    found = benchmark.pedantic(lambda: (seconds(25) - seconds(5)) / 20 / bare, rounds=1)
    told(benchmark, found, 0.05 / BARE, 2.0)


def _streaming() -> Any:
    """The module with the generated events."""
    path = Path(__file__).parents[1] / "benchmarks" / "running" / "test_streaming.py"
    spec = importlib.util.spec_from_file_location("streaming", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_streamed_event(benchmark: Any, tmp_path: Path) -> None:
    """Memory and time of each further event of 100,000 hits, the floor as the model."""
    streaming = _streaming()
    program = streaming.PROGRAM.replace("part.peak_rss_mb", "[part.peak_rss_mb, part.cpu_s]")
    found = {}
    for count in (10, 26):  # more than are kept in memory
        folder = tmp_path / str(count)
        streaming.write(folder / "data" / "trackml", count, 25_000)
        own = {"PHYSBENCH_DATA": str(folder / "data"), "XDG_STATE_HOME": str(folder / "state")}
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder / "runs"), "0"],
            env=os.environ | own,
            capture_output=True,
            text=True,
            check=True,
        )
        found[count] = json.loads(done.stdout)
    slopes = {
        f"{stage}_{what}_an_event": (found[26][stage][k] - found[10][stage][k]) / 16
        for stage in ("predict", "metric")
        for k, what in enumerate(("mb", "cpu_s"))
    }
    benchmark.extra_info.update(slopes)
    benchmark.pedantic(lambda: None, rounds=1)
    assert max(slopes["predict_mb_an_event"], slopes["metric_mb_an_event"]) < 2.0
