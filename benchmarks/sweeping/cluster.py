"""Cells on the workers of a Dask cluster; records come back and are written here alone."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.sweeping.local import Job, Result

ADDRESS = re.compile(r"dask://(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})/?")
TAIL = 2000  # characters of what a judge that died had printed
SUFFIXES = (".npz", ".weights", ".json")  # of the files of a cell, in the order of writing


@contextlib.contextmanager
def client(on: Any) -> Iterator[Any]:
    """A client of the scheduler at `dask://HOST:PORT`, or the one that was given.

    Raises ValueError for another address.
    """
    if not isinstance(on, str):
        yield on
        return
    where = address(on)
    import distributed

    with distributed.Client(where) as found:
        yield found


def address(on: str) -> str:
    """Where the scheduler of `dask://HOST:PORT` listens, as Dask writes it.

    Raises ValueError without a host, or without a port from 1 to 65535.

    >>> address("dask://localhost:8786")
    'tcp://localhost:8786'
    """
    found = ADDRESS.fullmatch(on)
    if not found or not 0 < int(found[2]) < 2**16:
        raise ValueError(f"on must be 'dask://HOST:PORT' or a distributed.Client; got '{on}'")
    return f"tcp://{found[1]}:{found[2]}"


class Dask:
    """Workers need the project and the data, but no folder in common with this machine.

    Start them with one thread each, so that one cell runs at a time.
    """

    def __init__(self, on: Any) -> None:
        import distributed

        self._distributed = distributed
        self._own = isinstance(on, str)
        self._client = distributed.Client(address(on)) if self._own else on
        self._futures: dict[Any, Job] = {}

    def __enter__(self) -> Dask:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.cancel(list(self._futures))
        if self._own:
            self._client.close()

    def run(self, jobs: Iterable[Job], plan: Any) -> Iterator[Result]:
        """Results as the cells end; cells of a worker that dies are run on another one.

        After a signal the cells that have not come back leave no record; they run again.
        """
        jobs = list(jobs)
        whole = [job for job in jobs if job.shards == 1]
        self._futures = {self._client.submit(remote, job, pure=False): job for job in whole}
        try:
            with plan.stop.breakable():
                for future in self._distributed.as_completed(list(self._futures)):
                    yield self._ended(future)
                yield from self._in_shards([job for job in jobs if job.shards > 1], plan)
        except KeyboardInterrupt:
            return

    def _in_shards(self, jobs: list[Job], plan: Any) -> Iterator[Result]:
        """Cells whose parts are all on the cluster at once, put together one after another."""
        from benchmarks.sweeping import sharding

        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        asked = [(job, *sharding.submitted(self._client, job, plan)) for job in jobs]
        for job, cell, futures in asked:
            begin = time.perf_counter()
            try:
                result = sharding.together(job, cell, self._client.gather(futures), started)
            except Exception as error:  # noqa: BLE001 - a model's code raises anything
                result = Result(job, "failed", message=f"on the cluster: {error}")
            yield replace(result, seconds=time.perf_counter() - begin)

    def _ended(self, future: Any) -> Result:
        job = self._futures.pop(future)
        if future.status == "finished":
            found = placed(future.result(), job)
        else:
            found = Result(job, "failed", message=f"on the cluster: {future.exception()}")
        future.release()
        return found


def remote(job: Job) -> Result:
    """Run a cell on a worker, in a scratch folder, and bring home what it wrote."""
    with tempfile.TemporaryDirectory() as scratch:
        result = attempt(replace(job, runs=scratch))
        files = {
            str(path.relative_to(scratch)): path.read_bytes()
            for path in sorted(Path(scratch).rglob("*"))
            if path.is_file() and path.name[0] != "."
        }
        record = result.record and str(Path(result.record).relative_to(scratch))
    return replace(result, job=job, record=record, files=files)


def attempt(job: Job) -> Result:
    """Run one cell in a fresh process; whatever happens there, a result comes back."""
    try:
        return Result(job, **asked(job))
    except ChildProcessError as error:
        return Result(job, "failed", message=str(error))


def asked(job: Job, **more: Any) -> dict[str, Any]:
    """What a fresh process answers to a job; ChildProcessError with its last words without one."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.sweeping.job"],
        input=json.dumps({**asdict(job), "parent": os.getpid(), **more}).encode(),
        capture_output=True,
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        why = done.stderr.decode(errors="replace").strip()[-TAIL:]
        raise ChildProcessError(f"ended with status {done.returncode}\n{why}") from None
    return found


def placed(result: Result, job: Job) -> Result:
    """Write what a cell wrote elsewhere into the folder of the runs, the record last.

    Only files of the kinds that a cell writes, and only below the cell's own folder.
    """
    root = Path(job.runs)
    for name in sorted(result.files, key=lambda name: (name.endswith(".json"), name)):
        parts = Path(name).parts
        if len(parts) != 4 or ".." in parts or not name.endswith(SUFFIXES) or name[0] == "/":
            return Result(job, "failed", message=f"the cluster sent a file named {name!r}")
        _place(root / name, result.files[name])
    record = None if result.record is None else str(root / result.record)
    return replace(result, job=job, record=record, files={})


def _place(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.chmod(stream.name, 0o644)
    os.replace(stream.name, target)
