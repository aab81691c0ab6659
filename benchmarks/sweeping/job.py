"""One cell in a process of its own on a cluster's worker: a job on stdin, its result on stdout."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from dataclasses import asdict
from typing import Any

from benchmarks.sweeping.local import PR_SET_PDEATHSIG, described


def main() -> int:
    """Read the job, do it, and write the result as the last thing on stdout."""
    job = json.load(sys.stdin)
    _die_with(job["parent"])
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed must not mix with the result
    answer.write(json.dumps(part(job) if "units" in job else run(job)) + "\n")
    answer.flush()
    return 0


def _die_with(parent: int) -> None:
    """End when the worker is killed: the cell is run again elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Run the cell under its limits, or find the record of an earlier run."""
    from benchmarks.running import stages
    from physbench.models import Context

    (done,) = stages.runs_of(
        job["task"],
        job["model"],
        dataset=job["dataset"],
        seeds=[job["seed"]],
        settings=job["settings"],
        runs=job["runs"],
        again=job["again"],
        timeout=job["timeout"],
        memory=job["memory"],
        context=Context(threads=job["threads"]),
        say=lambda text: None,
    )
    return described(done)


def part(job: dict[str, Any]) -> dict[str, Any]:
    """Predict the test units from one to another, with given weights or with fitted ones."""
    from benchmarks.running import cell as cells
    from benchmarks.running import stages
    from physbench.datasets import take
    from physbench.models import Context

    asked = cells.question(
        job["task"],
        job["model"],
        dataset=job["dataset"],
        settings=job["settings"],
        runs=job["runs"],
        context=Context(threads=job["threads"]),
    )
    with (
        stages.stoppable() as stop,
        stages.Judge(asked, True, job["timeout"], stop, _silent, job["memory"]) as judge,
    ):
        cell = judge.cell(job["seed"])
        units = {"inputs": take(cell.splits.test.inputs, range(*job["units"]))}
        outcome, _ = judge.answered(cell, job["seed"], units | {"weights": job["weights"]})
    return told(outcome)


def told(outcome: Any) -> dict[str, Any]:
    """What an outcome says, as plain values."""
    folder, files = outcome.folder, (outcome.predictions, outcome.weights)
    paths = [str(folder / part.file) if folder and part else None for part in files]
    return {
        "status": outcome.status,
        "failure": outcome.failure and outcome.failure.model_dump(),
        "cost": {stage: asdict(cost) for stage, cost in outcome.cost.items()},
        "parameters": outcome.parameters,
        "threads": outcome.threads,
        "gpu": outcome.gpu,
        "late": outcome.late,
        "predictions": paths[0],
        "sha256": outcome.predictions and outcome.predictions.sha256,
        "weights": paths[1],
    }


def _silent(text: str) -> None:
    """What a model prints is shown in its record alone, where it fails."""


if __name__ == "__main__":
    sys.exit(main())
