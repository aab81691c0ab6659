"""A sweep survives its cells, its own death and that of a cluster's workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.running.storing import locked
from benchmarks.sweeping import local
from physbench.leaderboard import record
from physbench.leaderboard.record import Record

HEAD = '"""Toy."""\nimport os, signal, time\nimport numpy as np\n'
FIT = """from physbench.models import Model
def fit(train, validation, *, seed, pause=0.0):
    {body}
    return seed
def predict(seed, inputs):
    return np.full(len(inputs), 0.1 * seed)
MODEL = Model(tasks=("toy",), reference="none", fit=fit, predict=predict)
"""


def model(folder: Path, name: str, body: str, head: str = "") -> str:
    path = folder / f"{name}.py"
    path.write_text(HEAD + head + FIT.format(body=body))
    return str(path)


def results(runs: Path) -> list[Record]:
    """All records below a folder; fails when one is damaged, half-written or without its file."""
    found = record.read_all(runs)
    for item in found:
        if item.predictions:
            assert (runs / item.path).with_name(item.predictions.file).is_file()
    assert all(path.stat().st_size for path in record.paths(runs))
    return found


def good(runs: Path) -> Counter[tuple[str, int]]:
    return Counter((r.model.name, r.seed) for r in results(runs) if r.status == "ok")


def silent(text: str) -> None:
    """Reports of a sweep that no test reads."""


def test_a_bad_cell_ends_no_other_and_leaves_a_record(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    models = [
        model(tmp_path, "crash", "raise RuntimeError('broken layer')"),
        model(tmp_path, "killed", "os.kill(os.getpid(), signal.SIGKILL)"),
        model(tmp_path, "hang", "signal.setitimer(signal.ITIMER_REAL, 0); time.sleep(1000)"),
        model(tmp_path, "greedy", "np.ones(10**9)"),
        model(tmp_path, "fine", "time.sleep(pause)"),
    ]
    lines: list[str] = []
    summary = local.sweep(
        [str(toy[0])],
        models=models,
        seeds=1,
        runs=tmp_path / "runs",
        jobs=2,
        memory=1000,
        timeout=3,
        report=lines.append,
    )
    found = {r.model.name: r for r in results(tmp_path / "runs")}
    assert {name: r.status for name, r in found.items()} == {
        "crash": "failed",
        "killed": "killed",
        "hang": "timeout",
        "greedy": "out_of_memory",
        "fine": "ok",
    }
    killed, hang = found["killed"].failure, found["hang"].failure
    assert killed is not None
    assert "SIGKILL" in killed.message
    assert hang is not None
    assert "hang.py" in hang.message  # the traceback says where it hung
    assert summary.status == 1
    assert lines[-1] == "1 failed, 1 killed, 1 ok, 1 out_of_memory, 1 timeout"


def test_a_model_that_dies_on_import_costs_its_own_cells_alone(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    deadly = model(tmp_path, "deadly", "pass", head="os._exit(3)\n")
    summary = local.sweep(
        [str(toy[0])],
        models=[deadly, str(toy[1])],
        seeds=1,
        runs=tmp_path / "runs",
        report=silent,
    )
    assert good(tmp_path / "runs") == {("polynomial", 0): 1}
    assert summary.status == 1
    assert "deadly.py" in summary.problems[0]
    assert "process ended with exit status 3" in summary.problems[0]


def start(task: Path, name: str, runs: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "sweep", str(task), "--models", name]
        + ["--runs", str(runs), "--jobs", "2", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(runs: Path, count: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while sum(good(runs).values()) < count and process.poll() is None:
        assert time.monotonic() < end, "no record came"
        time.sleep(0.05)


def test_kill_9_loses_nothing_and_doubles_nothing(toy: tuple[Path, Path], tmp_path: Path) -> None:
    name, runs = model(tmp_path, "slow", "time.sleep(0.5)"), tmp_path / "runs"
    for count in (1, 2):
        sweep = start(toy[0], name, runs, "--seeds", "4")
        wait_for(runs, count, sweep)
        sweep.kill()
        sweep.communicate()
        before = good(runs)
        time.sleep(1.0)  # a cell that outlived its sweep would write its record now
        assert good(runs) == before
        assert sum(before.values()) >= count
    sweep = start(toy[0], name, runs, "--seeds", "4")
    out, _ = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, out
    assert "0 of them done" not in out
    assert good(runs) == {("slow", seed): 1 for seed in range(4)}
    assert len(results(runs)) == 4


def test_stop_leaves_interrupted_records_and_status_130(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    mark = tmp_path / "running"
    name = model(tmp_path, "slow", f"open({str(mark)!r}, 'w').close(); time.sleep(100)")
    sweep = start(toy[0], name, tmp_path / "runs", "--seeds", "1")
    while not mark.exists():
        assert sweep.poll() is None
        time.sleep(0.05)
    sweep.send_signal(signal.SIGINT)
    out, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, out
    assert [r.status for r in results(tmp_path / "runs")] == ["interrupted"]


@pytest.mark.slow
def test_two_sweeps_over_one_folder_share_the_work(toy: tuple[Path, Path], tmp_path: Path) -> None:
    name, runs = model(tmp_path, "slow", "time.sleep(0.5)"), tmp_path / "runs"
    both = [start(toy[0], name, runs, "--seeds", "3") for _ in range(2)]
    for sweep in both:
        out, _ = sweep.communicate(timeout=300)
        assert sweep.returncode == 0, out
    assert good(runs) == {("slow", seed): 1 for seed in range(3)}
    assert not list(runs.rglob(".*.lock"))


def test_lock_excludes_and_is_freed(tmp_path: Path) -> None:
    path, order = tmp_path / "lock", tmp_path / "order"
    program = (
        "import sys; from pathlib import Path; from benchmarks.running.storing import locked\n"
        "with locked(Path(sys.argv[1])): open(sys.argv[2], 'a').write('child')\n"
    )
    with locked(path):
        child = subprocess.Popen([sys.executable, "-c", program, str(path), str(order)])
        time.sleep(0.5)
        order.write_text("parent ")
    assert child.wait(30) == 0
    assert order.read_text() == "parent child"
    assert not path.exists()


def test_a_worker_without_its_sweep_ends() -> None:
    job = json.dumps({"kind": "plan", "parent": 1})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.sweeping.job"],
        input=job,
        text=True,
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (1, "")


def test_bad_arguments_are_refused(toy: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seeds must name at least one"):
        local.sweep([str(toy[0])], seeds=0)
    with pytest.raises(ValueError, match="'local' or 'dask://HOST:PORT'"):
        local.engine("slurm", 1)


def test_a_cluster_that_loses_a_worker_runs_every_cell_once(
    toy: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed: Any = pytest.importorskip("distributed", reason="needs the extra [dask]")
    name, runs = model(tmp_path, "slow", "time.sleep(1)"), tmp_path / "runs"
    workers: list[int] = []
    killed: list[int] = []

    def kill_one(text: str) -> None:
        if not killed and text.startswith("["):
            killed.append(workers[-1])
            os.kill(workers[-1], signal.SIGKILL)

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        workers += client.run(os.getpid).values()
        summary = local.sweep(
            [str(toy[0])], models=[name], seeds=5, runs=runs, on=client, report=kill_one
        )
    assert killed
    assert summary.status == 0
    assert good(runs) == {("slow", seed): 1 for seed in range(5)}
    assert len(results(runs)) == 5


def test_torch_is_seeded_when_it_comes_late() -> None:
    program = (
        "import sys; from benchmarks.running.environment import seeded\n"
        "with seeded(7):\n"
        "    assert 'torch' not in sys.modules\n"
        "    import torch\n"
        "    print(float(torch.rand(1)), torch.get_num_threads())\n"
    )
    import torch

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    torch.manual_seed(7)
    assert done.stdout.split() == [str(float(torch.rand(1))), "1"], done.stderr
