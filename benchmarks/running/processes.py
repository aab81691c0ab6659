"""The judge's side of a model's process: start it, hand it its data, follow it, end it."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.running import exchange

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
STARTUP = 600.0  # seconds for the imports of a model
GRACE = 5.0  # seconds that a model has after Ctrl-C before it is killed
DUMP = 0.3  # seconds to write down where it hangs
KEPT = 1 << 20  # bytes of output after which what was shown is forgotten
TAIL = 2000  # characters of output that tell why a process died
PROGRAM = """
import sys, types
sys.path[:] = {path!r}
if {ours!r}:
    module = types.ModuleType("physbench")
    module.__path__ = {ours!r}
    sys.modules["physbench"] = module
from benchmarks.running import nursery
nursery.main({descriptor})
"""


class Nursery:
    """The process that forks models' processes; see `nursery`. One a process and thread count."""

    def __init__(self, threads: int) -> None:
        ours, theirs = socket.socketpair()
        self.process = os.getpid()
        self.control, self.turn = ours, exchange.Shared("turn")
        program = PROGRAM.format(path=path(), ours=_patched(), descriptor=theirs.fileno())
        limits = dict.fromkeys(THREADS, str(threads))
        self.child = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if sys.stderr is None else None,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            env=os.environ
            | limits
            | {"PYTHONHASHSEED": "0", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"},
        )
        theirs.close()

    def start(self, request: Mapping[str, Any]) -> socket.socket:
        """Ask for a model's process; the socket of its keeper."""
        ours, theirs = socket.socketpair()
        with theirs:
            data = json.dumps(request).encode() + b"\n"
            fcntl.lockf(self.turn.descriptor, fcntl.LOCK_EX)  # the judges of a sweep share it
            try:
                sent = socket.send_fds(self.control, [data], [theirs.fileno()])
                self.control.sendall(data[sent:])
            finally:
                fcntl.lockf(self.turn.descriptor, fcntl.LOCK_UN)
        return ours

    def close(self) -> None:
        """End it; what it has forked ends with its own judge."""
        self.control.close()
        self.turn.close()
        if os.getpid() == self.process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(5)


_nurseries: dict[int, Nursery] = {}


def path() -> list[str]:
    """Where the judge finds modules, without reference to the folder that one stands in."""
    return [place or os.getcwd() for place in sys.path]


def _patched() -> list[str]:
    """The folders of `physbench` where a caller has put a module of its own in its place."""
    module = sys.modules.get("physbench")
    spec = getattr(module, "__spec__", None)
    return list(module.__path__) if module is not None and spec is None else []


def _nursery(threads: int) -> Nursery:
    if threads not in _nurseries:
        _nurseries[threads] = Nursery(threads)
    return _nurseries[threads]


def close(threads: int) -> None:
    """End the nursery; the next model gets a new one."""
    if threads in _nurseries:
        _nurseries.pop(threads).close()


@atexit.register
def close_all() -> None:
    """End all nurseries of this process."""
    for threads in list(_nurseries):
        close(threads)


def exit_text(code: int) -> str:
    """How a process ended, in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


class Refused(Exception):
    """A model's process that could not be started; the text says why."""


@dataclass
class Attempt:
    """One process of a model and all that it has said so far."""

    nonce: str
    threads: int
    keeper: socket.socket
    status: exchange.Shared
    output: exchange.Shared
    job: exchange.Shared
    show: Callable[[str], None] = lambda text: None
    sources: dict[str, str] = field(default_factory=dict)
    libraries: list[str] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    exit: int | None = None
    cpu_s: float = 0.0
    tail: str = ""
    heard: bytes = b""

    def find(self, event: str) -> dict[str, Any] | None:
        """The last line of that kind."""
        return next((line for line in reversed(self.said) if line["event"] == event), None)

    @property
    def stage(self) -> str:
        """Where it is, or was when it ended."""
        last = self.find("stage")
        return str(last["name"]) if last else "import"

    def look(self, seconds: float) -> None:
        """Wait for so long at most, and take in what has come."""
        if self.exit is None and select.select([self.keeper], [], [], seconds)[0]:
            data = self.keeper.recv(1 << 20)
            self.heard += data
            if not data:
                self.exit = -int(signal.SIGKILL)  # its keeper is gone, and it with it
        while b"\n" in self.heard:
            line, _, self.heard = self.heard.partition(b"\n")
            self._take(json.loads(line))
        self.said += exchange.events(self.status, self.nonce)
        if text := self.output.new().decode(errors="replace"):
            self.show(text)
            self.tail = (self.tail + text)[-TAIL:]
            self.output.drop(KEPT)

    def _take(self, line: dict[str, Any]) -> None:
        self.sources |= line.get("sources", {})
        self.libraries += line.get("libraries", [])
        if "exit" in line:
            self.exit, self.cpu_s = line["exit"], line["cpu_s"]
        if "error" in line:
            raise Refused(line["error"])

    def signal(self, number: int) -> None:
        """Have the keeper send a signal to the model's process and its group."""
        with contextlib.suppress(OSError):
            self.keeper.sendall(f"{int(number)} ".encode())

    def kill(self) -> None:
        """End it, and wait for the end."""
        self.signal(signal.SIGKILL)
        end = time.monotonic() + STARTUP
        while self.exit is None and time.monotonic() < end:
            self.look(0.05)
        self.look(0)

    def close(self) -> None:
        """End it if it lives; the files between us go."""
        with contextlib.suppress(OSError):
            self.keeper.close()
        for shared in (self.status, self.output, self.job):
            shared.close()


def start(request: Mapping[str, Any], threads: int, show: Callable[[str], None]) -> Attempt:
    """A process in which the model is being imported.

    Raises Refused when the nursery cannot read the model's sources.
    """
    for last in (False, True):
        try:
            return _started(request, threads, show)
        except (ConnectionError, _Stale):
            close(threads)
            if last:
                raise Refused("the process that starts models ends at once") from None
    raise AssertionError


class _Stale(Exception):
    """The nursery has modules in memory that are no longer those on the disk."""


def _started(request: Mapping[str, Any], threads: int, show: Callable[[str], None]) -> Attempt:
    nonce = secrets.token_hex(16)
    files = [exchange.Shared(name) for name in ("status", "output", "job")]
    ours = {"nonce": nonce, "path": path(), "cwd": os.getcwd(), "environ": _environment(threads)}
    places = dict(zip(("status", "output", "job"), (f.path for f in files), strict=True))
    keeper = _nursery(threads).start({**request, **ours, **places})
    status, output, job = files
    found = Attempt(nonce, threads, keeper, status, output, job, show)
    try:
        _first(found)
    except BaseException:
        found.close()
        raise
    return found


def _first(attempt: Attempt) -> None:
    """Wait for the nursery's own answer."""
    while b"\n" not in attempt.heard:
        data = attempt.keeper.recv(1 << 20)
        if not data:
            raise ConnectionError
        attempt.heard += data
    if json.loads(attempt.heard.partition(b"\n")[0]).get("stale"):
        raise _Stale
    attempt.look(0)


def _environment(threads: int) -> dict[str, str]:
    return dict(os.environ) | dict.fromkeys(THREADS, str(threads))
