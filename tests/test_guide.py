"""Every command and program of the guide runs, in the guide's order, in an empty folder."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[1] / "GUIDE.md"

# Batch systems are not at hand: their clusters are replaced by one on this machine.
JOBQUEUE = '''
from distributed import LocalCluster

class SLURMCluster(LocalCluster):
    """Takes what the real one takes."""
    def __init__(self, *, cores, memory, protocol, security, processes=1, walltime="", queue="",
                 disk=""):
        assert protocol == "tls://" and security is True, "a cluster open to everyone"
        super().__init__(n_workers=0, threads_per_worker=cores, dashboard_address=None)

    def scale(self, n=None, *, jobs=None):
        return super().scale(n if jobs is None else jobs)

HTCondorCluster = SLURMCluster
'''


def blocks() -> list[tuple[str, str]]:
    """(language, text) of each fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE.read_text(), flags=re.M | re.S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def execute(command: list[str], folder: Path) -> str:
    """Run a command in the folder, with this Python first in the path, and return its output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(folder / "stub")}
    for name in ("PHYSBENCH_RUNS", "WANDB_DIR"):
        del environment[name]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}"
    return done.stdout


def test_the_guide_runs(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    pytest.importorskip("wandb", reason="needs the extra [wandb]")
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "dask_jobqueue.py").write_text(JOBQUEUE)
    port, output, programs = str(free_port()), "", 0
    for language, text in blocks():
        if language == "sh":
            output += execute(["bash", "-emc", text.replace("8786", port)], tmp_path)
            continue
        name = text.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).write_text(text)
        if "import benchmarks" in text:
            output += execute([sys.executable, name], tmp_path)
            programs += 1
    assert programs == 3
    assert "DIFFERENT" not in output
    seeds = {p.name.partition("-")[0] for p in tmp_path.glob("runs/my_task/parabola/line/*.json")}
    assert seeds == set("012345679")
    assert (tmp_path / "site" / "boards" / "my_task-parabola.html").is_file()
    assert list(tmp_path.glob("wandb/offline-run-*"))


def test_the_real_batch_clusters_take_these_arguments() -> None:
    jobqueue = pytest.importorskip("dask_jobqueue", reason="needs dask-jobqueue")
    quiet = {"scheduler_options": {"dashboard_address": ":0"}}
    slurm = jobqueue.SLURMCluster(
        cores=1, processes=1, memory="4GB", walltime="04:00:00", queue="cpu", **quiet
    )
    condor = jobqueue.HTCondorCluster(cores=1, memory="4GB", disk="2GB", **quiet)
    assert "#SBATCH -t 04:00:00" in slurm.job_script()
    assert "DaskWorkerDisk = 2000000000" in condor.job_script()
    slurm.close()
    condor.close()
