"""What runs in a process of its own for `sweep`: a job as JSON on stdin, its result on stdout.

Kinds of jobs: `plan` (which cells there are, and which are finished), `run` (one cell) and `lost`
(the record of a cell whose process had to be killed).
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


def main() -> int:
    """Read the job, do it, and write the result as the last thing on stdout."""
    job = json.load(sys.stdin)
    _die_with(job["parent"])
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a model prints must not mix with the result
    result = {"plan": plan, "run": run, "lost": lost}[job["kind"]](job)
    answer.write(json.dumps(result) + "\n")
    answer.flush()
    return 0


def _die_with(parent: int) -> None:
    """End when the sweep is killed: its next start must not meet cells that still run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Run the cell under its limits, or find the record of an earlier run."""
    from benchmarks.running import stages
    from benchmarks.running.locking import locked

    cell, seed = _cell(job), job["seed"]
    folder = stages.writable(cell.runs / cell.task.name / cell.dataset / cell.model.name)
    with locked(folder / f".{seed}-{stages.cell_id(cell, seed)[:12]}.lock"):
        found = None if job["again"] else stages.finished(cell, seed)
        if found is None:
            limit_memory(job["memory"])
            if job["timeout"]:
                # A hang inside C code never sees the signal of the time limit; this thread does.
                faulthandler.dump_traceback_later(job["timeout"] + job["grace"], exit=True)
            found = stages.run_seed(cell, seed, timeout=job["timeout"])
            faulthandler.cancel_dump_traceback_later()
    return described(found, cell.runs)


def lost(job: dict[str, Any]) -> dict[str, Any]:
    """Write the record of a cell whose process could not do so itself."""
    from benchmarks.running import stages

    cell = _cell(job)
    record = stages.given_up(cell, job["seed"], job["started"], job["status"], job["message"])
    return described(record, cell.runs)


def described(record: Any, runs: Path) -> dict[str, Any]:
    """The part of a record that the sweep reports."""
    metric = record.metrics[0] if record.metrics else None
    return {
        "status": record.status,
        "record": str(runs / record.path),
        "metric": metric.name if metric else None,
        "value": metric.value if metric else None,
        "message": f"{record.failure.type}: {record.failure.message}" if record.failure else "",
    }


def _cell(job: dict[str, Any], splits: Any = None) -> Any:
    from benchmarks.running import stages

    return stages.prepare(
        job["task"],
        job["model"],
        dataset=job["dataset"],
        settings=job["settings"],
        runs=job["runs"],
        splits=splits,
    )


def limit_memory(megabytes: int | None) -> None:
    """Let the process have at most so much memory, beyond what it maps without using it.

    Libraries reserve far more than they touch, so the limit of the kernel, which counts what is
    mapped, is set above the resident size by what is mapped and not resident now.
    """
    if megabytes is None or sys.platform != "linux":
        return
    status = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
    )
    mapped, resident = (int(status[name].split()[0]) // 1024 for name in ("VmData", "VmRSS"))
    limit = max(megabytes + mapped - resident, mapped) * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def plan(job: dict[str, Any]) -> dict[str, Any]:
    """All cells of the sweep, with the records of those that are finished."""
    cells: list[dict[str, Any]] = []
    problems: list[str] = []
    for task in job["tasks"]:
        try:
            _plan_task(job, task, cells, problems)
        except Exception as error:
            problems.append(f"{task}: {type(error).__name__}: {error}")
    return {"cells": cells, "problems": problems}


def _plan_task(
    job: dict[str, Any], task: str, cells: list[dict[str, Any]], problems: list[str]
) -> None:
    from benchmarks import registry

    entry = registry.load("task", task)
    known = list(entry.object.named)
    chosen = [d for d in known if d in job["datasets"]]
    for dataset in chosen if job["datasets"] else known[:1]:
        splits = entry.object.splits(dataset)
        for model in job["models"] or registry.names("model"):
            try:
                found = registry.load("model", model).object
                if entry.name in found.tasks:
                    seeds = job["seeds"][:1] if found.deterministic else job["seeds"]
                    cells += _plan_cell(job, task, dataset, model, seeds, splits)
                elif job["models"]:
                    problems.append(f"{model} does not do {entry.name}")
            except Exception as error:
                problems.append(f"{task} {dataset} {model}: {type(error).__name__}: {error}")


def _plan_cell(
    job: dict[str, Any], task: str, dataset: str, model: str, seeds: Sequence[int], splits: Any
) -> list[dict[str, Any]]:
    from benchmarks.running import stages

    names = {"task": task, "model": model, "dataset": dataset}
    cell = _cell(job | names, splits)
    planned = []
    for seed in seeds:
        done = None if job["again"] else stages.finished(cell, seed)
        result = described(done, cell.runs) if done else None
        planned.append(names | {"seed": seed, "result": result})
    return planned


if __name__ == "__main__":
    sys.exit(main())
