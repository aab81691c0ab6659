"""What runs in a process of its own for `sweep`: a job as JSON on stdin, its result on stdout.

Kinds of jobs: `plan` (which cells there are, and which are finished) and `run` (one cell).
"""

from __future__ import annotations

import ctypes
import json
import os
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
    os.dup2(2, 1)  # whatever is printed must not mix with the result
    result = {"plan": plan, "run": run}[job["kind"]](job)
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
    from physbench.models import Context

    (done,) = stages.runs_of(
        job["task"], job["model"], dataset=job["dataset"], seeds=[job["seed"]],
        settings=job["settings"], runs=job["runs"], again=job["again"], timeout=job["timeout"],
        memory=job["memory"], context=Context(threads=job["threads"]), say=lambda text: None,
    )  # fmt: skip
    return described(done.record, Path(job["runs"])) | {"record": str(done.path)}


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
        for model in job["models"] or registry.models_of(entry.name):
            try:
                cells += _plan_cell(job, task, dataset, model, splits)
            except registry.UnknownName as error:
                problems.append(f"{model} does not do {entry.name}: {error}")
            except Exception as error:
                problems.append(f"{task} {dataset} {model}: {type(error).__name__}: {error}")


def _plan_cell(
    job: dict[str, Any], task: str, dataset: str, model: str, splits: Any
) -> list[dict[str, Any]]:
    from benchmarks.running import stages

    names = {"task": task, "model": model, "dataset": dataset}
    cell = _cell(job | names, splits)
    seeds: Sequence[int] = job["seeds"]
    planned = []
    for seed in seeds[:1] if cell.model.card["deterministic"] else seeds:
        done = None if job["again"] else stages.finished(cell, seed)
        result = described(done, cell.runs) if done else None
        planned.append(names | {"seed": seed, "result": result})
    return planned


if __name__ == "__main__":
    sys.exit(main())
