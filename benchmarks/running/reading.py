"""Files that a model reads while it runs: nobody names them beforehand, yet they decide.

The first run notes them beside its record, in `SEED-CELL.reads`. The next run of the same cell
digests them again before it decides whether that record is one of the same content.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import sources

SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib/", "/bin/", "/run/")
MOST, LARGEST = 1000, 1 << 32  # files, and bytes of one, that are followed
_seen: dict[str, None] = {}
_start = [0.0]


def watch() -> None:
    """Note every file that is opened for reading in this process from now on."""
    _start[0] = time.time()
    sys.addaudithook(_opened)


def _opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or len(_seen) >= MOST:
        return
    path, _, flags = arguments
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if isinstance(path, str) and isinstance(flags, int) and not flags & os.O_ACCMODE:
        _seen.setdefault(os.path.abspath(path))


def found(apart: Iterable[str]) -> dict[str, str]:
    """sha256 of the files that were read.

    Not Python's, the system's, those below `apart`, or those that the run itself has written.
    """
    apart = (*SYSTEM, *apart)
    kept: dict[str, str] = {}
    for path in list(_seen):
        ours = path.startswith(apart) or Path(path) in sources.taken or sources.library(path)
        if not ours and not path.endswith(".pyc") and _written(path) < _start[0]:
            kept |= digests([path])
    return kept


def _written(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return float("inf")


def digests(paths: Iterable[str]) -> dict[str, str]:
    """sha256 of regular files; of what is no such file, that it is none."""
    return {path: _digest(path) for path in paths}


def _digest(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as stream:
            what = os.fstat(descriptor)
            if not stat.S_ISREG(what.st_mode) or what.st_size > LARGEST:
                return "no file"
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return "no file"


def note(path: Path, late: Mapping[str, str]) -> None:
    """Write down which files a run has read."""
    path.write_text(json.dumps(sorted(late)), encoding="utf-8")


def noted(path: Path) -> dict[str, str]:
    """The files that an earlier run of a cell read, with the digests that they have now."""
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(names, list):
        return {}
    return digests([name for name in names[:MOST] if isinstance(name, str)])
