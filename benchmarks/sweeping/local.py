"""Many cells side by side, each with a judge and a model's process of its own.

A cell that fails, hangs, takes too much memory or dies leaves a record and ends no other. A sweep
that is killed goes on where it was when it is started again: cells are found by the content that
decides their result, and records are whole or absent.

The sweep's own process loads the data of a board once and forks a judge for each cell, at most
`jobs` at a time; it runs no thread of its own and no model. Libraries are imported once, by the
nursery.
"""

from __future__ import annotations

import ctypes
import datetime
import json
import os
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PR_SET_PDEATHSIG = 1
STOP_PATIENCE = 20.0  # seconds that judges have to write their records after a signal


@dataclass(frozen=True)
class Job:
    """One cell: `timeout` in seconds, `memory` in MB, `shards` in which it is predicted."""

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
    shards: int = 1

    @property
    def label(self) -> str:
        """The cell and seed for people."""
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
    shards: int = 1,
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
    shards:
        On Dask: parts in which the test units of a cell are predicted and scored, each where a
        worker is free. For tasks that are summed by unit; the digits are those of one process.
    """
    from benchmarks import registry
    from benchmarks.running import environment, stages, storing
    from benchmarks.sweeping import planning
    from physbench.leaderboard import record

    count = jobs or max((os.cpu_count() or 1) // threads, 1)
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not chosen:
        raise ValueError(f"seeds must name at least one seed; got {seeds!r}")
    if shards < 1 or (shards > 1 and on == "local"):
        raise ValueError(f"shards must be 1, or more with on='dask://HOST:PORT'; got {shards}")
    common = {
        "runs": str(storing.runs_root(runs)),
        "settings": dict(settings or {}),
        "again": again,
        "timeout": timeout,
        "memory": memory or _share(count),
        "threads": threads,
        "shards": shards,
    }
    report = _quiet_pipe(report)
    with stages.stoppable() as stop, engine(on, count) as cells_of:
        plan = planning.Plan(
            tasks or registry.names("task"), models, datasets, chosen, common, stop
        )
        plan.make()
        environment.environment()  # once here, not once in each fork
        environment.code()
        record.build()
        results = [_skipped(job, done) for job, done in plan.cells if done]
        todo = [job for job, done in plan.cells if not done]
        report(f"{len(plan.cells)} cells, {len(results)} of them done already")
        for problem in plan.problems:
            report(f"cannot run {problem}")
        begin, before = time.monotonic(), len(results)
        for result in cells_of.run(todo, plan):
            results.append(result)
            report(
                f"[{len(results)}/{len(plan.cells)}] {line(result)}"
                + _left(begin, len(results) - before, len(plan.cells) - len(results))
            )
    counts = Counter(result.status for result in results)
    report(", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "nothing to do")
    return Summary(results, plan.problems, bool(stop))


def _quiet_pipe(report: Callable[[str], None]) -> Callable[[str], None]:
    """A report whose reader may go away: the sweep goes on, and its exit status tells."""

    def told(text: str) -> None:
        try:
            report(text)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return told


def _share(count: int) -> int:
    import psutil

    return int(psutil.virtual_memory().total * 0.9 / 2**20 / count)


def _skipped(job: Job, done: Mapping[str, Any]) -> Result:
    return Result(job, skipped=True, **done)


def line(result: Result) -> str:
    """One line about a cell."""
    text = f"{result.job.label}  {result.status}"
    if result.value is not None:
        text += f"  {result.metric} {result.value:.4f}"
    text += f"  {result.seconds:.1f} s"
    return f"{text}  {result.message.splitlines()[0][:120]}" if result.message else text


def _left(begin: float, done: int, left: int) -> str:
    """An estimate, once there is something to base it on and to wait for."""
    gone = time.monotonic() - begin
    if not left or gone < 5:
        return ""
    return f"  (about {gone / done * left:.0f} s left)"


def engine(on: Any, count: int) -> Any:
    """Where the cells run; raises ValueError for an unknown place."""
    if on == "local":
        return Local(count)
    if isinstance(on, str) and not on.startswith("dask://"):
        raise ValueError(f"on must be 'local' or 'dask://HOST:PORT'; got '{on}'")
    from benchmarks.sweeping.cluster import Dask

    return Dask(on)


@dataclass
class Child:
    """A judge that has been forked: its process, the end of its pipe, what it has said."""

    job: Job
    process: int
    pipe: int
    begin: float
    started: str
    heard: bytes = b""


class Local:
    """Cells judged in forks of this process, `count` at a time."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.children: dict[int, Child] = {}

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.children.values():
            _signal(child, signal.SIGKILL)

    def run(self, jobs: Iterable[Job], plan: Any) -> Iterator[Result]:
        """Results as the cells end; after a signal no new one is begun."""
        waiting = list(jobs)
        told = False
        while self.children or (waiting and not plan.stop):
            if waiting and not plan.stop and len(self.children) < self.count:
                job = waiting.pop(0)
                try:
                    judge = plan.judge(job)
                except KeyboardInterrupt:
                    continue
                except Exception as error:  # noqa: BLE001 - a model's code raises anything
                    yield Result(job, "failed", message=f"{type(error).__name__}: {error}")
                    continue
                child = _forked(judge, job)
                self.children[child.pipe] = child
                continue
            if plan.stop and not told:
                told = True
                self._stop()
            yield from self._ended(plan)

    def _stop(self) -> None:
        """Tell the judges to write their records and end; those that do not are killed."""
        for child in self.children.values():
            _signal(child, signal.SIGTERM)
        self.until = time.monotonic() + STOP_PATIENCE

    def _ended(self, plan: Any) -> Iterator[Result]:
        """Results of the judges that end within a moment."""
        ready, _, _ = select.select(list(self.children), [], [], 0.2)
        for pipe in ready:
            child = self.children[pipe]
            data = os.read(pipe, 1 << 16)
            child.heard += data
            if not data:
                del self.children[pipe]
                os.close(pipe)
                _, status = os.waitpid(child.process, 0)
                yield _result(child, status, plan)
        if plan.stop and time.monotonic() > getattr(self, "until", float("inf")):
            for child in self.children.values():
                _signal(child, signal.SIGKILL)


def _signal(child: Child, number: int) -> None:
    try:
        os.kill(child.process, number)
    except ProcessLookupError:
        return


def _forked(judge: Any, job: Job) -> Child:
    """A fork of this process that judges one seed, says how it ended, and ends."""
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    ours, theirs = os.pipe()
    parent, process = os.getpid(), os.fork()
    if process == 0:
        try:
            os.close(ours)
            _judged(judge, job, theirs, parent)
        finally:
            os._exit(1)
    os.close(theirs)
    return Child(job, process, ours, time.perf_counter(), started)


def _judged(judge: Any, job: Job, pipe: int, parent: int) -> None:
    """In the fork: gone with the sweep, signalled by it alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    os.setpgid(0, 0)
    from benchmarks.running import stages

    with stages.stoppable() as judge.stop:
        done = judge.seed(job.seed)
    judge.dismiss()
    os.write(pipe, json.dumps(described(done)).encode())
    os._exit(0)


def described(done: Any) -> dict[str, Any]:
    """The part of a record that the sweep reports."""
    record = done.record
    metric = record.metrics[0] if record.metrics else None
    why = f"{record.failure.type}: {record.failure.message}" if record.failure else ""
    return {
        "status": record.status if done.path else "failed",
        "record": str(done.path) if done.path else None,
        "metric": metric.name if metric else None,
        "value": metric.value if metric else None,
        "message": why if done.path else f"the record could not be written; {why}",
    }


def _result(child: Child, status: int, plan: Any) -> Result:
    seconds = time.perf_counter() - child.begin
    try:
        return Result(child.job, seconds=seconds, **json.loads(child.heard))
    except ValueError:
        return Result(child.job, seconds=seconds, **plan.lost(child, status))
