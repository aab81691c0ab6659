"""Many cells side by side, each in a process of its own with limits of its own.

A cell that fails, hangs, takes too much memory or dies leaves a record and ends no other. A sweep
that is killed goes on where it was when it is started again: cells are found by the content that
decides their result, and records are whole or absent.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

GRACE = 10.0  # seconds beyond the time limit that a cell has to give up by itself
PLAN_TIMEOUT = 1800.0
STARTUP = 600.0  # seconds for imports and reading data
STOP_PATIENCE = 20.0  # seconds that a cell has to write its record after SIGTERM
TAIL = 2000  # characters of a dead cell's stderr that go into its record
WATCHDOG = "Timeout ("  # how faulthandler begins the traceback of a cell that hung
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """One cell with its limits: `timeout` in seconds, `memory` in MB."""

    task: str
    model: str
    dataset: str
    seed: int
    runs: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False
    timeout: float | None = None
    memory: int | None = None
    threads: int = 1
    grace: float = GRACE

    @property
    def label(self) -> str:
        return f"{self.task} {self.dataset} {self.model} seed {self.seed}"


@dataclass(frozen=True)
class Result:
    """How a cell ended. `files` are what it wrote, where it ran on another machine."""

    job: Job
    status: str
    seconds: float = 0.0
    record: str | None = None
    metric: str | None = None
    value: float | None = None
    message: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    skipped: bool = False


@dataclass(frozen=True)
class Summary:
    """All results, and what could not even be started."""

    results: Sequence[Result]
    problems: Sequence[str]
    interrupted: bool = False

    @property
    def status(self) -> int:
        """Exit status: 0 when every cell has a good record, 130 when stopped, else 1."""
        if self.interrupted:
            return 130
        return int(bool(self.problems) or any(r.status != "ok" for r in self.results))


def sweep(
    tasks: Sequence[str] = (),
    *,
    models: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: int | Sequence[int] = 3,
    settings: Mapping[str, Any] | None = None,
    runs: str | os.PathLike[str] | None = None,
    again: bool = False,
    on: Any = "local",
    jobs: int | None = None,
    threads: int = 1,
    memory: int | None = None,
    timeout: float | None = None,
    grace: float = GRACE,
    report: Callable[[str], None] = print,
) -> Summary:
    """Run every cell of the tasks and models that has no good record yet.

    Parameters
    ----------
    tasks, models:
        Names or files; without any, all tasks and all models that do them.
    datasets:
        Which of each task's datasets; without any, its first.
    on:
        `local`, `dask://HOST:PORT`, or a `distributed.Client`.
    jobs, threads, memory, timeout:
        Cells at a time (default: cores / threads); threads, MB (default: an equal share of 90 %
        of the machine's) and seconds for each cell.
    grace:
        Seconds beyond `timeout` after which a cell that does not react is ended.
    """
    root = str(Path(runs or os.environ.get("PHYSBENCH_RUNS") or "runs").resolve())
    count = jobs or max((os.cpu_count() or 1) // threads, 1)
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not chosen:
        raise ValueError(f"seeds must name at least one seed; got {seeds!r}")
    limits = {"timeout": timeout, "memory": memory or _share(count), "threads": threads}
    common = {"runs": root, "settings": dict(settings or {}), "again": again}
    cells, problems = planned(tasks, models, datasets, chosen, common, threads)
    found = [_job(cell, common | limits | {"grace": grace}) for cell in cells]
    results = [Result(job, skipped=True, **c["result"])
               for job, c in zip(found, cells, strict=True) if c["result"]]  # fmt: skip
    todo = [job for job, c in zip(found, cells, strict=True) if not c["result"]]
    report(f"{len(found)} cells, {len(results)} of them done already")
    for problem in problems:
        report(f"cannot run {problem}")
    interrupted = False
    with _stoppable(), engine(on, count) as cells_of:
        try:
            for result in cells_of.run(todo):
                results.append(result)
                report(f"[{len(results)}/{len(found)}] {line(result)}")
        except KeyboardInterrupt:
            interrupted = True
            for result in cells_of.stop():
                results.append(result)
                report(f"[{len(results)}/{len(found)}] {line(result)}")
    counts = Counter(result.status for result in results)
    report(", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "nothing to do")
    return Summary(results, problems, interrupted)


def _job(cell: Mapping[str, Any], common: Mapping[str, Any]) -> Job:
    names = {name: cell[name] for name in ("task", "model", "dataset", "seed")}
    return Job(**names, **common)


def _share(count: int) -> int:
    import psutil

    return int(psutil.virtual_memory().total * 0.9 / 2**20 / count)


def line(result: Result) -> str:
    """One line about a cell."""
    text = f"{result.job.label}  {result.status}"
    if result.value is not None:
        text += f"  {result.metric} {result.value:.4f}"
    text += f"  {result.seconds:.1f} s"
    return f"{text}  {result.message.splitlines()[0][:120]}" if result.message else text


def planned(
    tasks: Sequence[str],
    models: Sequence[str],
    datasets: Sequence[str],
    seeds: Sequence[int],
    common: Mapping[str, Any],
    threads: int,
) -> tuple[list[dict[str, Any]], list[str]]:
    """The cells, with the results of those that are finished, and what cannot be run.

    Planning imports the models, in another process. If that one dies, each model is planned in
    a process of its own, so that a broken file costs its own cells alone.
    """
    from benchmarks import registry

    request = {
        "kind": "plan",
        "tasks": list(tasks or registry.names("task")),
        "models": list(models),
        "datasets": list(datasets),
        "seeds": list(seeds),
        **common,
    }
    answer, why = _ask(request, threads, PLAN_TIMEOUT)
    if answer is not None:
        return answer["cells"], answer["problems"]
    every = list(models) or registry.names("model")
    if len(every) == 1:
        return [], [f"{every[0]}: {why}"]
    parts = [planned(tasks, [m], datasets, seeds, common, threads) for m in every]
    cells = [cell for part, _ in parts for cell in part]
    refused = () if models else tuple(f"{m} does not do " for m in every)
    return cells, [p for _, part in parts for p in part if not (refused and p.startswith(refused))]


def _ask(
    request: Mapping[str, Any], threads: int, timeout: float | None
) -> tuple[dict[str, Any] | None, str]:
    """Send a job to a fresh process; its answer, or None and the reason."""
    environment = os.environ | dict.fromkeys(THREADS, str(threads))
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sweeping.job"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
        with _alive(child):
            text, late = _exchange(child, json.dumps({**request, "parent": os.getpid()}), timeout)
        if text:
            return json.loads(text), ""
        if late:
            return None, f"killed after {timeout:g} s without an answer"
        errors.seek(max(errors.seek(0, os.SEEK_END) - TAIL, 0))
        tail = errors.read().decode(errors="replace").strip()
    return None, f"process ended with {_exit(child.returncode)}\n{tail}".strip()


def _exchange(
    child: subprocess.Popen[bytes], request: str, timeout: float | None
) -> tuple[bytes, bool]:
    """The child's answer, and whether it had to be killed; an answer counts even then."""
    try:
        return child.communicate(request.encode(), timeout)[0], False
    except subprocess.TimeoutExpired:
        _signal(child, signal.SIGKILL)
        return child.communicate()[0], True


def _exit(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


_children: set[subprocess.Popen[bytes]] = set()
_stopped = threading.Event()


@contextmanager
def _alive(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Keep the child in the list of those that must end with us."""
    _children.add(child)
    if _stopped.is_set():
        _signal(child, signal.SIGTERM)
    try:
        yield
    finally:
        _signal(child, signal.SIGKILL)  # what the cell itself started ends with it
        child.wait()
        _children.discard(child)


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the child and to all that it started."""
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM stops a sweep like Ctrl-C."""
    _stopped.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def attempt(job: Job) -> Result:
    """Run one cell in a process of its own; whatever happens there, a result comes back."""
    begin = time.perf_counter()
    limit = None if job.timeout is None else job.timeout + job.grace + STARTUP
    answer, why = _ask({"kind": "run", **asdict(job)}, job.threads, limit)
    seconds = time.perf_counter() - begin
    if answer is not None:
        return Result(job, seconds=seconds, **answer)
    late = WATCHDOG in why or (limit is not None and seconds >= limit)
    status = "interrupted" if _stopped.is_set() else "timeout" if late else "failed"
    return Result(job, status, seconds, message=f"no record could be written: {why}")


def engine(on: Any, count: int) -> Local | Dask:
    """Where the cells run; raises ValueError for an unknown place."""
    if on == "local":
        return Local(count)
    if isinstance(on, str) and not on.startswith("dask://"):
        raise ValueError(f"on must be 'local' or 'dask://HOST:PORT'; got '{on}'")
    return Dask(on)


class Local:
    """Cells in processes of this machine, `count` at a time."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count)
        self._pending: dict[Future[Result], Job] = {}

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def run(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Results as the cells end."""
        self._pending = {self._pool.submit(attempt, job): job for job in jobs}
        for future in as_completed(list(self._pending)):
            del self._pending[future]
            yield future.result()

    def stop(self) -> list[Result]:
        """Tell the running cells to write their records and end."""
        _stopped.set()
        running = [future for future in self._pending if not future.cancel()]
        for child in list(_children):
            _signal(child, signal.SIGTERM)
        end = time.monotonic() + STOP_PATIENCE
        while not all(future.done() for future in running):
            if time.monotonic() > end:
                for child in list(_children):
                    _signal(child, signal.SIGKILL)
            time.sleep(0.05)
        return [future.result() for future in running]


class Dask:
    """Cells on the workers of a Dask cluster; records come back and are written here alone.

    Workers need the project and the data, but no folder in common with this machine. Start them
    with one thread each, so that one cell runs at a time.
    """

    def __init__(self, on: Any) -> None:
        import distributed

        self._distributed = distributed
        self._own = isinstance(on, str)
        self._client = distributed.Client(on.replace("dask://", "tcp://")) if self._own else on
        self._futures: dict[Any, Job] = {}

    def __enter__(self) -> Dask:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.cancel(list(self._futures))
        if self._own:
            self._client.close()

    def run(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Results as the cells end; cells of a worker that dies are run on another one."""
        self._futures = {self._client.submit(remote, job, pure=False): job for job in jobs}
        for future in self._distributed.as_completed(list(self._futures)):
            job = self._futures.pop(future)
            if future.status == "finished":
                yield placed(future.result())
            else:
                yield Result(job, "failed", message=f"on the cluster: {future.exception()}")
            future.release()

    def stop(self) -> list[Result]:
        """Cells that have not come back leave no record; they will be run again."""
        return []


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


def placed(result: Result) -> Result:
    """Write what a cell wrote elsewhere into the folder of the runs, the record last."""
    root = Path(result.job.runs)
    for name in sorted(result.files, key=lambda name: (name.endswith(".json"), name)):
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as stream:
            stream.write(result.files[name])
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(stream.name, 0o644)
        os.replace(stream.name, target)
    record = None if result.record is None else str(root / result.record)
    return replace(result, record=record, files={})
