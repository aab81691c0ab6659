"""One cell in a process of its own on a cluster's worker: a job on stdin, its result on stdout."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any

from benchmarks.sweeping.local import PR_SET_PDEATHSIG, described


def main() -> int:
    """Read the job, do it, and write the result as the last thing on stdout."""
    job = json.load(sys.stdin)
    _die_with(job["parent"])
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed must not mix with the result
    answer.write(json.dumps(run(job)) + "\n")
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


if __name__ == "__main__":
    sys.exit(main())
