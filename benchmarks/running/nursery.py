"""The nursery: a process that never sees data and forks the processes in which models run.

Three kinds of process take part in a run. The *judge* (the command line, a notebook, a sweep)
holds the truth. The *nursery* is a fresh interpreter with the libraries that a model imports; it
runs no model code, so that every fork of it is as good as new and costs milliseconds. For each
seed it forks a *keeper*, which starts the model's process, passes on the judge's signals, collects
whatever the model's process started, and says how it ended. When the judge goes, all go.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
PATIENCE = 10.0  # seconds that killed processes have to disappear


def main(descriptor: int) -> None:
    """Serve until the judge is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are not waited for
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=descriptor)
    from benchmarks.running import preloading

    while True:
        message, descriptors, *_ = socket.recv_fds(control, 1 << 22, 1)
        if not message or not descriptors:
            os._exit(0)
        while not message.endswith(b"\n"):
            message += control.recv(1 << 22)
        request = json.loads(message)
        with socket.socket(fileno=descriptors[0]) as cell:
            answer = preloading.prepared(request)
            with contextlib.suppress(OSError):
                tell(cell, **answer)
                if "sources" in answer and os.fork() == 0:
                    control.close()
                    _keep(cell, request | {"libraries": answer["libraries"]})


def tell(channel: socket.socket, **values: Any) -> None:
    """Send a JSON line."""
    channel.sendall(json.dumps(values).encode() + b"\n")


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _keep(cell: socket.socket, request: dict[str, Any]) -> None:
    """Start the model's process, watch it and the judge, clear up, say how it ended."""
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _prctl(PR_SET_CHILD_SUBREAPER, 1)  # what leaves the model's session comes to us
        keeper, child = os.getpid(), os.fork()
        if child == 0:
            _begin(cell, request, keeper)
        status, usage = _watched(cell, child)
        _clear(child)
        with contextlib.suppress(OSError):
            tell(cell, exit=status, cpu_s=usage.ru_utime + usage.ru_stime)
    finally:
        os._exit(0)


def _begin(cell: socket.socket, request: dict[str, Any], keeper: int) -> None:
    """In the model's process: alone in its session, gone with its keeper."""
    try:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(1)
        cell.close()
        os.setsid()
        from benchmarks.running import worker

        worker.main(request)
    finally:
        os._exit(1)


def _watched(cell: socket.socket, child: int) -> tuple[int, Any]:
    """Pass on the judge's signals until the child ends; the judge's end is the child's."""
    watched: list[Any] = [cell]
    ended = os.pidfd_open(child) if hasattr(os, "pidfd_open") else None
    if ended is not None:
        watched.append(ended)
    while True:
        ready, _, _ = select.select(watched, [], [], None if ended is not None else 0.02)
        if cell in ready:
            orders = cell.recv(4096)
            for order in orders.split() or [b"9"]:
                _signal(child, int(order))
            if not orders:
                watched.remove(cell)
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), usage


def _signal(child: int, number: int) -> None:
    """Signal a child with its process group; the child alone while it has none yet."""
    try:
        os.killpg(child, number)
    except ProcessLookupError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)


def _clear(child: int) -> None:
    """Kill the session of the child and all orphans that came to us, until none is left."""
    end = time.monotonic() + PATIENCE
    _signal(child, signal.SIGKILL)
    while time.monotonic() < end:
        for process in _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.001)
        except ChildProcessError:
            return


def _children() -> Iterator[int]:
    """Processes whose parent we are."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    with contextlib.suppress(OSError):
        yield from map(int, listed.read_text().split())
