"""One run: a process for the model, a judge for its predictions, one record whatever happens."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.running import cell as cells
from benchmarks.running import (
    exchange,
    guarded,
    judging,
    processes,
    reading,
    storing,
    tracking_wandb,
)
from benchmarks.running.cell import Cell, Question, cell_id
from benchmarks.running.judging import Outcome
from benchmarks.running.processes import Attempt
from benchmarks.running.settings import NO_SETTINGS, resolve
from benchmarks.running.storing import writable
from physbench.datasets import Splits
from physbench.leaderboard import record as records
from physbench.leaderboard.record import Record
from physbench.models import Context

__all__ = [
    "NO_SETTINGS",
    "Cell",
    "Done",
    "cell_id",
    "finished",
    "prepare",
    "resolve",
    "run",
    "run_seed",
    "runs_of",
    "writable",
]

Say = Callable[[str], None]
PRECISIONS = ("32", "bf16-mixed")


@dataclass(frozen=True)
class Done:
    """A record, where it lies (None: nowhere could be written), and whether it was run now."""

    record: Record
    path: Path | None
    reused: bool = False


class Found(list[Done]):
    """The seeds that were run or found, and whether a signal ended the rest."""

    interrupted = False


def run(
    task: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    seeds: int | Sequence[int] = 1,
    settings: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    runs: str | os.PathLike[str] | None = None,
    again: bool = False,
    timeout: float | None = None,
    device: str = "auto",
    threads: int = 1,
    track: str = "",
    checkpoints: str | os.PathLike[str] | None = None,
    precision: str = "32",
) -> list[Record]:
    """Run a model on a task, once a seed, and return one record a seed.

    Parameters
    ----------
    task, model:
        Registered names, or paths of files or package folders that end with `TASK = ...` or
        `MODEL = ...`.
    dataset:
        One of the task's datasets; the default is the task's first.
    seeds:
        A number of seeds (0, 1, ...) or the seeds themselves.
    settings, protocol:
        Keywords of the model's `fit` and of the task's `load` that differ from the defaults.
    runs:
        Folder of the records; default `$PHYSBENCH_RUNS` or `runs`.
    again:
        Run although a finished record of the same content exists.
    timeout:
        Seconds after which a seed is given up, with status `timeout`.
    device, threads, track, checkpoints:
        `auto`, `cpu` or `gpu`; threads of all libraries; `wandb`; a folder from which an
        interrupted training of the same cell goes on. A `fit` that declares `context` gets them.
    precision:
        `32`, or `bf16-mixed` for networks of the shared training loop: rows of their own.

    Raises
    ------
    UnknownName, FileNotFoundError, DataError, TypeError, OSError
        Before anything is run. What goes wrong later is in the record's `status`.
    """
    done = runs_of(
        task,
        model,
        dataset=dataset,
        seeds=seeds,
        settings=settings,
        protocol=protocol,
        runs=runs,
        again=again,
        timeout=timeout,
        context=asked_context(device, threads, track, checkpoints, precision),
    )
    return [one.record for one in done]


def asked_context(
    device: str = "auto",
    threads: int = 1,
    track: str | None = "",
    checkpoints: str | os.PathLike[str] | None = None,
    precision: str = "32",
) -> Context:
    """The context of a run; raises ValueError for what no run can have."""
    if device not in ("auto", "cpu", "gpu"):
        raise ValueError(f"device must be auto, cpu or gpu; got '{device}'")
    if threads < 1:
        raise ValueError(f"threads must be at least 1; got {threads}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be {' or '.join(PRECISIONS)}; got {precision!r}")
    tracking_wandb.check(track or "")
    folder = Path(os.path.abspath(checkpoints)) if checkpoints else None
    return Context(
        device=device,
        threads=threads,
        tracker=track or "",
        checkpoints=folder,
        precision=precision,
    )


def runs_of(
    task: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    seeds: int | Sequence[int] = 1,
    settings: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    runs: str | os.PathLike[str] | None = None,
    again: bool = False,
    timeout: float | None = None,
    context: Context | None = None,
    memory: int | None = None,
    say: Say | None = None,
) -> Found:
    """As `run`, with the paths of the records and whether they were found."""
    say = say or _to_stderr
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not chosen:
        raise ValueError(f"seeds must name at least one seed; got {seeds!r}")
    found = Found()
    with stoppable() as stop:
        asked = cells.question(
            task,
            model,
            dataset=dataset,
            settings=settings,
            protocol=protocol,
            runs=runs,
            context=context,
        )
        judge = Judge(asked, again, timeout, stop, say, memory)
        with judge:
            begin = time.perf_counter()
            for number, seed in enumerate(chosen):
                try:
                    found.append(judge.seed(seed))
                except KeyboardInterrupt:
                    if not found:
                        raise
                if stop or found[-1].record.status == "interrupted":
                    found.interrupted = True
                    break
                _estimate(say, begin, number + 1, len(chosen), found[-1])
    return found


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _estimate(say: Say, begin: float, done: int, count: int, last: Done) -> None:
    """Say how far the seeds are, where that takes long enough to be asked."""
    gone = time.perf_counter() - begin
    if count > done and not last.reused and gone > 5:
        left = gone / done * (count - done)
        say(f"{done} of {count} seeds after {gone:.0f} s; about {left:.0f} s left")


@dataclass
class Stop:
    """SIGINT and SIGTERM are remembered; only where it says so they interrupt what is going on."""

    number: int | None = None
    count: int = 0
    raising: bool = False

    def __call__(self, number: int, frame: Any) -> None:
        self.number, self.count = number, self.count + 1
        if self.raising:
            self.raising = False
            raise KeyboardInterrupt(self.reason)

    def __bool__(self) -> bool:
        return self.number is not None

    @property
    def reason(self) -> str:
        """What came, in words."""
        if self.number is None:
            return "interrupted"
        return f"interrupted by {signal.Signals(self.number).name}"

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """A stretch that a signal ends with KeyboardInterrupt."""
        if self:
            raise KeyboardInterrupt(self.reason)
        self.raising = True
        try:
            yield
        finally:
            self.raising = False


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Take SIGINT and SIGTERM over, in the main thread; give them back at the end."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class Judge:
    """Holds the truth of one question, and turns seeds into records."""

    asked: Question
    again: bool
    timeout: float | None
    stop: Stop
    say: Say
    memory: int | None = None
    show: Say | None = None
    attempt: Attempt | None = None
    splits: dict[int | None, Splits] = field(default_factory=dict)
    last: Cell | None = None

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()

    def dismiss(self) -> None:
        """End the model's process that waits for a seed."""
        if self.attempt is not None:
            self.attempt.close()
            self.attempt = None

    def summon(self) -> Attempt:
        """A model's process that has sent its card and waits for a seed.

        Raises what it refused with, before anything is run.
        """
        if self.attempt is None:
            request = cells.request(self.asked, self.memory)
            threads = self.asked.context.threads
            self.attempt = processes.start(request, threads, self.show or _show)
            try:
                with self.stop.breakable():
                    _introduced(self.attempt, self.timeout)
            except BaseException:
                self.dismiss()
                raise
        return self.attempt

    def cell(self, seed: int) -> Cell:
        """The cell of a seed: its data are read, and digested, once a fold."""
        model = cells.subject(self.asked, self.summon())
        fold = self.asked.fold(seed)
        if fold not in self.splits:
            self.splits.clear()
            with self.stop.breakable():
                self.splits[fold], self.last = cells.loaded(self.asked, fold), None
        if self.last is None or (self.last.model, self.last.fold) != (model, fold):
            self.last = cells.cell(self.asked, model, self.splits[fold], fold)
        return self.last

    def seed(self, seed: int) -> Done:
        """The record of a seed, found or run now."""
        cell = self.cell(seed)
        done = None if self.again else found(cell, seed)
        if done is None:
            done = self._locked(cell, seed)
        if done.reused:
            self.say(f"seed {seed}: found, not run again; --again runs it")
        return done

    def _locked(self, cell: Cell, seed: int) -> Done:
        """Run it, unless another run makes the same record at this moment."""
        began = time.time()
        storing.sweep(cell.folder)
        lock = cell.folder / f".{seed}-{cell_id(cell, seed)[:12]}.lock"
        with _held(lock, self.stop) as waited:
            done = found(cell, seed, since=began) if waited else None
            if done is not None:
                return done
            return self.attempted(cell, seed)

    def attempted(self, cell: Cell, seed: int) -> Done:
        """Run the seed in a process of its own and judge what it answered."""
        outcome, job = self.answered(cell, seed)
        judging.score(outcome, self.stop)
        record, path = judging.write(outcome)
        with tracking_wandb.tracked(*job["tracking"]) as log:
            if path is not None:
                log(record, path)
        return Done(record, path)

    def answered(
        self, cell: Cell, seed: int, part: Mapping[str, Any] = MappingProxyType({})
    ) -> tuple[Outcome, dict[str, Any]]:
        """What a model's process answers to its job, of which `part` replaces something."""
        attempt, self.attempt = self.summon(), None
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        outcome = Outcome(cell, seed, started)
        job = _job(cell, seed, outcome.nonce) | dict(part)
        try:
            exchange.send(attempt.job, job)
            ended = follow(attempt, self.timeout, self.stop)
        finally:
            attempt.close()
        outcome.take(attempt, ended)
        return outcome, job


def _show(text: str) -> None:
    """What a model prints goes to stderr: stdout is the result's."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()


@contextmanager
def _held(lock: Path, stop: Stop) -> Iterator[bool]:
    """The lock; without one where no file can be made, the run's results being rescued."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        holding = storing.locked(lock, lambda: bool(stop))
        waited = holding.__enter__()
    except OSError as error:
        print(f"no lock for this cell: {error}", file=sys.stderr)
        yield False
        return
    try:
        yield waited
    finally:
        holding.__exit__(None, None, None)


def _introduced(attempt: Attempt, timeout: float | None) -> None:
    """Wait for the card; raises what the import ended with.

    An import that fails is no run: there is nothing that a record could be about.
    """
    end = time.monotonic() + (timeout or 0) + processes.STARTUP
    pause = 0.0005
    while attempt.find("card") is None:
        attempt.look(pause)
        pause = min(pause * 1.5, 0.02)
        failure = attempt.find("failure")
        if failure is not None:
            where = failure["traceback"].rpartition("\n")[2]
            raise ImportError(f"{failure['type']}: {failure['message']} ({where})")
        if attempt.exit is not None and attempt.find("card") is None:
            raise ImportError(
                f"the model's process ended with {processes.exit_text(attempt.exit)} while it was "
                f"imported\n{attempt.tail}".strip()
            )
        if time.monotonic() > end:
            attempt.kill()
            raise ImportError("the model's import took too long and was given up")


def follow(attempt: Attempt, timeout: float | None, stop: Stop) -> str:
    """Follow a model's process to its end, which is `itself`, `timeout` or `interrupted`."""
    end = time.monotonic() + timeout if timeout else None
    pause, patience = 0.001, None
    ended = "itself"
    while attempt.exit is None:
        attempt.look(pause)
        pause = min(pause * 1.5, 0.05)
        if attempt.exit is not None:
            break
        now = time.monotonic()
        if stop and patience is None:
            ended, patience = "interrupted", now + processes.GRACE
            attempt.signal(signal.SIGINT)
        if patience is not None and (now > patience or stop.count > 1):
            attempt.kill()
        if end is not None and now > end and patience is None:
            ended = "timeout"
            attempt.signal(signal.SIGUSR1)  # faulthandler writes down where it hangs
            attempt.look(processes.DUMP)
            time.sleep(processes.DUMP)
            attempt.kill()
    attempt.look(0)
    return ended


def _job(cell: Cell, seed: int, nonce: str) -> dict[str, Any]:
    """What the model's process gets; the truth of the test split only for an oracle."""
    splits, identity = cell.splits, cell_id(cell, seed)
    folder = cell.context.checkpoints
    context = asdict(cell.context)
    context["checkpoints"] = folder / identity[:16] if folder else None
    name = f"{cell.task.name}/{cell.dataset}/{cell.model.name}/{seed}"
    config = {"seed": seed, **cell.settings, "protocol": dict(cell.protocol)}
    return {
        "train": splits.train,
        "validation": cells.without_metrics(splits.validation),
        "inputs": splits.test.inputs,
        "targets": splits.test.targets if cell.model.card["role"] == "oracle" else None,
        "weights": None,
        "seed": seed,
        "settings": dict(cell.settings),
        "context": context,
        "tracking": (name, config, cell.context.tracker, nonce[:12]),
        "runs": str(cell.runs),
        "below": str(cell.below),
        "scratch": f".{seed}-{identity[:12]}-{nonce[:8]}",
    }


def finished(cell: Cell, seed: int) -> Record | None:
    """A record of the same content with status ok whose predictions are there."""
    done = found(cell, seed)
    return done.record if done else None


def found(cell: Cell, seed: int, since: float | None = None) -> Done | None:
    """A good record of the same content; with `since`, any that was written after that time."""
    home = storing.rescue(cell.runs)
    for folder in (cell.folder, home / cell.below):
        identity = cell_id(cell, seed, reading.noted(folder / judging.notes(cell, seed)))
        for path in sorted(folder.glob(f"{seed}-*.json")):
            record = _read(path)
            if record is None or record.cell != identity:
                continue
            new = since is not None and path.stat().st_mtime >= since
            if new or judging.whole(record, folder):
                return Done(record, judging.brought_home(record, path, cell), reused=True)
    return None


def _read(path: Path) -> Record | None:
    """A record, or None and a line on stderr: one damaged file hides nothing else."""
    try:
        return records.read(path)
    except (records.RecordError, OSError) as error:
        print(f"ignored: {error}", file=sys.stderr)
        return None


def prepare(
    task: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    runs: str | os.PathLike[str] | None = None,
    splits: Splits | None = None,
    context: Context | None = None,
    seed: int = 0,
) -> Cell:
    """Names to objects, settings to a full configuration, data to checked splits.

    `splits` are what the task's load gave for this dataset and protocol, where it is known.
    """
    asked = cells.question(
        task,
        model,
        dataset=dataset,
        settings=settings,
        protocol=protocol,
        runs=runs,
        context=context,
    )
    known = {asked.fold(seed): guarded.guarded(splits)} if splits is not None else {}
    with stoppable() as stop, Judge(asked, True, None, stop, _to_stderr, splits=known) as judge:
        return judge.cell(seed)


def run_seed(cell: Cell, seed: int, *, timeout: float | None = None) -> Record:
    """One seed of a cell: always returns a record, which has been written."""
    asked = Question(
        cell.task,
        cell.dataset,
        _where(cell),
        cell.settings,
        cell.protocol,
        cell.runs,
        cell.context,
    )
    with stoppable() as stop:
        known = {asked.fold(seed): cell.splits}
        with Judge(asked, True, timeout, stop, _to_stderr, splits=known) as judge:
            return judge.seed(seed).record


def _where(cell: Cell) -> str:
    return cell.model.name if cell.model.origin == "zoo" else str(cell.model.path)


def context(model: Any) -> dict[str, Context]:
    """The keyword `context` for a `fit` that declares one, for those who call it themselves."""
    import inspect

    return {"context": Context()} if "context" in inspect.signature(model.fit).parameters else {}


def predict(model: Any, fitted: Any, test: Any) -> Any:
    """Predictions in this process: for those who do not judge them."""
    return model.predict(fitted, test.inputs, *((test.targets,) if model.oracle else ()))
