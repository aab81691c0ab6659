"""What verbs cost, in bare interpreters; what a seed, a cell and a streamed event cost.

CPU seconds of processes of their own, in turns, the least of each.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reports import boards
from physbench.leaderboard import record as records

BARE = 0.024  # seconds of an interpreter where the bars were stated in seconds

ENOUGH = 1.0  # CPU seconds of one call, in all its rounds


@pytest.fixture(scope="module", autouse=True)
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Bytecode is kept, as anywhere: without it imports cost up to three times as much."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        yield


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
    """Cost of a call over that of an interpreter that does nothing; the first call is warm-up.

    Long calls, whose noise is small beside them, are not repeated.
    """
    cpu(*arguments)
    bare, ours = [cpu("-c", "pass") for _ in range(4)], [cpu(*arguments)]
    while len(ours) < rounds and sum(ours) < ENOUGH:
        bare.append(cpu("-c", "pass"))
        ours.append(cpu(*arguments))
    return min(ours) / min(bare)


PARSED = "--help alone takes 1.9; the source of the entry is parsed, those of all models searched"
VERBS = {
    "--help": (2.5, ""),
    "list": (2.5, PARSED),
    "info tracking": (2.5, PARSED),
    "cite tracking": (2.5, PARSED),
    "claims": (1.0 / BARE, "verdicts that are not up to date are found anew"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_verb_in_bare_interpreters(benchmark: Any, told: Any, verb: str) -> None:
    call, (bar, limit) = ("-m", "benchmarks", *verb.split()), VERBS[verb]
    found = benchmark.pedantic(lambda: interpreters(*call), rounds=1)
    told(found, most=bar, limit=limit)


def test_board_of_a_task(benchmark: Any, told: Any) -> None:
    """A quarter of a second and 0.3 ms a record."""
    count = len(records.paths(boards.committed_root() / "track_parameters"))
    call = ("-m", "benchmarks", "board", "track_parameters")
    found = benchmark.pedantic(lambda: interpreters(*call, rounds=3), rounds=1)
    told(
        found,
        most=(0.25 + 0.0003 * count) / BARE,
        limit="NumPy and pydantic with the classes of a record are imported in 9.4 interpreters; "
        "validation and digest of a record take .4 ms, its place on the board .3 ms",
    )


IMPORTED = "NumPy and pydantic are imported in 9.4 interpreters"
LZMA = "the embedded sample unpacks in .75 s, since the bytes of test events lie behind all others"
TASKS = {
    "tracking/generic_detector/truth": LZMA,
    "track_graphs/generic_detector/true_graph": LZMA,
    "track_seeds/generic_pixels/acts_seeding": "",
    "track_parameters/generic_tracks/ridge": "SciPy's optimiser, which fits the peaks, is "
    "imported in .3 s; 20 million random numbers of the bootstrap are drawn and counted in .15 s, "
    "and summed up in the order of the pulls in .2 s",
    "track_parameters/displaced_tracks/bayes_fit": "SciPy's optimiser is imported in .45 s",
    "dark_jets/dark_showers/pca_mahalanobis": "51 million random numbers of the bootstrap are "
    "drawn and counted in .4 s; 2,000 ROC curves take .2 ms each, 5,000 working points .07 ms",
    "glass_mobility/kob_andersen/type_mean": "",
    "glass_mobility/botan_ka3d/boattini": "",
    "jet_flavour/flavour_jets/pt_only": "30 million random numbers of the bootstrap are drawn and "
    "counted in .25 s; 1,200 ROC curves take .1 ms each, 3,200 working points .07 ms",
    "calo_showers/parametrised_showers/mean_shower": "the judge is scikit-learn's, imported in "
    ".9 s; its six fits take 1.1 s, the distances to 40,000 training showers .6 s, the Frechet "
    "distances of 200 resamples .5 s",
    "likelihood_ratio/eft_toy/carl": "SciPy's splines are imported in .4 s",
    "likelihood_ratio/interference_toy/carl": "SciPy's splines are imported in .4 s",
}


@pytest.mark.parametrize("row", TASKS)
def test_score_of_a_record(benchmark: Any, told: Any, row: str) -> None:
    """One CPU second."""
    paths = sorted((boards.committed_root() / row).glob("0-*.json"))
    if not paths:
        pytest.skip(f"{row} has no committed record of seed 0")
    call = ("-m", "benchmarks", "score", str(paths[0]))
    found = benchmark.pedantic(lambda: interpreters(*call, rounds=2), rounds=1)
    told(found, most=1.0 / BARE, limit=f"{IMPORTED}; {TASKS[row]}")


SWEEP = """
import sys, benchmarks
from benchmarks.sweeping import local
from benchmarks.running import processes
local.sweep([sys.argv[1]], models=[sys.argv[2]], seeds=int(sys.argv[3]), runs=sys.argv[4],
            jobs=1, report=lambda text: None)
processes.close_all()
"""


def test_a_trivial_cell_of_a_sweep(
    benchmark: Any, told: Any, toy: tuple[Path, Path], tmp_path: Path
) -> None:
    """A hundred cells in five CPU seconds: two interpreters each; the slope of 5 and 25 cells."""

    def seconds(count: int) -> float:
        return cpu("-c", SWEEP, *map(str, toy), str(count), str(tmp_path / str(count)))

    bare = min(cpu("-c", "pass") for _ in range(5))
    found = benchmark.pedantic(lambda: (seconds(25) - seconds(5)) / 20 / bare, rounds=1)
    told(found, most=0.05 / BARE, limit="a fork, the bootstrap and a flush to the disk of each")


def _streaming() -> Any:
    """The module with the generated events."""
    path = Path(__file__).parents[1] / "benchmarks" / "running" / "test_streaming.py"
    spec = importlib.util.spec_from_file_location("streaming", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_streamed_event(benchmark: Any, told: Any, tmp_path: Path) -> None:
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
    benchmark.pedantic(lambda: None, rounds=1)
    told(max(slopes["predict_mb_an_event"], slopes["metric_mb_an_event"]), most=2.0, **slopes)
