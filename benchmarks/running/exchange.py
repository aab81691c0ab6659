"""Files between the judge and the model's process: opened by path, gone with the judge.

On Linux they lie in memory (`memfd_create`), so that no full disk loses an answer and no killed
run leaves them behind; elsewhere in the temporary folder.
"""

from __future__ import annotations

import contextlib
import io
import json
import mmap
import os
import pickle
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.running import guarded
from physbench.datasets.common import on_disk

ALIGNMENT = 64


class Shared:
    """A file that another process opens by `path`; the judge keeps it open and reads it."""

    def __init__(self, name: str) -> None:
        if hasattr(os, "memfd_create"):
            self.descriptor = os.memfd_create(f"physbench-{name}", os.MFD_CLOEXEC)
            self.path = f"/proc/{os.getpid()}/fd/{self.descriptor}"
        else:
            self.descriptor, self.path = tempfile.mkstemp(prefix=f"physbench-{name}-")
        self._read = 0

    def new(self) -> bytes:
        """What was appended since the last call."""
        found = b""
        while part := os.pread(self.descriptor, 1 << 20, self._read):
            self._read += len(part)
            found += part
        return found

    def unread(self, count: int) -> None:
        """Give the last bytes back: they are the beginning of something."""
        self._read -= count

    def drop(self, beyond: int) -> None:
        """Forget what was read when it is more than so many bytes."""
        if self._read > beyond:
            os.ftruncate(self.descriptor, 0)
            self._read = 0

    def close(self) -> None:
        """Let go of the file; without memory files, remove it."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)
        if not hasattr(os, "memfd_create"):
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def send(shared: Shared, value: Any) -> None:
    """Write a value, its arrays beside the pickle; the first eight bytes come last.

    Of a mapped array the place is written: the other process maps the same file.

    Raises TypeError for a value that cannot be pickled.
    """
    buffers: list[pickle.PickleBuffer] = []
    try:
        head = _pickled(value, buffers)
    except Exception as error:
        raise TypeError(
            "the splits cannot be handed to the model's process: "
            f"{type(error).__name__}: {error}. Inputs and targets must be arrays, "
            "dataclasses of arrays or lists of them"
        ) from error
    position, places = ALIGNMENT, []
    for buffer in buffers:
        raw = buffer.raw()
        places.append((position, raw.nbytes))
        _written(shared.descriptor, raw, position)
        position += -(-raw.nbytes // ALIGNMENT) * ALIGNMENT
    index = pickle.dumps((head, places), 5)
    _written(shared.descriptor, memoryview(index), position)
    os.pwrite(shared.descriptor, position.to_bytes(8, "little"), 0)


class _Pickler(pickle.Pickler):
    def reducer_override(self, item: Any) -> Any:
        found = on_disk.place(item) if type(item) is np.ndarray else None
        return NotImplemented if found is None else (on_disk.opened, found)


def _pickled(value: Any, buffers: list[pickle.PickleBuffer]) -> bytes:
    head = io.BytesIO()
    _Pickler(head, 5, buffer_callback=buffers.append).dump(value)
    return head.getvalue()


def _written(descriptor: int, data: memoryview, position: int) -> None:
    while len(data):
        count = os.pwrite(descriptor, data[: 1 << 30], position)
        position, data = position + count, data[count:]


def receive(path: str) -> Any:
    """Wait for a value and read it: arrays are views of the file, private and read-only.

    Private, because a library may write where NumPy would refuse: it changes its own copy.
    """
    with open(path, "rb") as stream:
        pause = 0.0005
        while not (start := os.pread(stream.fileno(), 8, 0).rjust(8, b"\0")).strip(b"\0"):
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)
        whole = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    head, places = pickle.loads(memoryview(whole)[int.from_bytes(start, "little") :])
    buffers = [memoryview(whole)[a : a + size] for a, size in places]
    return guarded.read_only(pickle.loads(head, buffers=buffers))


class Lines:
    """JSON lines that a model's process appends; each bears the nonce of its run."""

    def __init__(self, path: str, nonce: str) -> None:
        self.path, self.nonce, self.process = path, nonce, os.getpid()

    def __call__(self, event: str, **values: Any) -> None:
        """Append a line; a copy of the process that the model forked ends here instead."""
        if os.getpid() != self.process:
            os._exit(0)
        line = json.dumps({"nonce": self.nonce, "event": event, **values}) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def events(shared: Shared, nonce: str) -> Iterator[dict[str, Any]]:
    """The whole lines that have come since the last call; those of no other run."""
    data = shared.new()
    whole, _, rest = data.rpartition(b"\n")
    shared.unread(len(rest))
    for line in whole.split(b"\n"):
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and found.get("nonce") == nonce:
                yield found
