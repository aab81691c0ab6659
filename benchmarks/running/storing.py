"""Where results lie: written whole or not at all, rescued where a disk is full, swept when stale.

Everything is first written in a scratch folder `.SEED-CELL-NONCE` beside its place. A lock of the
same beginning tells whether the run is alive: without a holder, the scratch is swept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

PROBE = 65536  # bytes that must fit before anything is run
DAY = 86400.0  # seconds
PAUSE = 0.02  # seconds between two tries to get a lock


def writable(folder: Path) -> Path:
    """The folder, made if absent; raises OSError before a run that could not be stored."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0" * PROBE)
            probe.flush()
    except OSError as error:
        raise OSError(
            f"cannot write records into {folder.resolve()}: {error}. Free some space or choose "
            "another folder with --runs or $PHYSBENCH_RUNS"
        ) from error
    return folder


def runs_root(runs: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the user's records: `runs`, `$PHYSBENCH_RUNS`, or `runs` here."""
    return Path(os.path.abspath(runs or os.environ.get("PHYSBENCH_RUNS") or "runs"))


def kept(
    job: Mapping[str, Any], name: str | Callable[[], str], write: Callable[[Path], None]
) -> Path:
    """Write a file into the cell's folder, or into the rescue folder where that fails.

    `job` names `runs`, the cell's folder `below` it and the `scratch` name; `name` may depend on
    what was written. Raises OSError when both places are full.
    """
    runs, below = Path(job["runs"]), job["below"]
    try:
        return _placed(runs / below, job["scratch"], name, write)
    except OSError as error:
        path = _placed(rescue(runs, make=True) / below, job["scratch"], name, write)
        print(f"{error}\nkept in {path} instead", file=sys.stderr)
        return path


def _placed(
    folder: Path, scratch: str, name: str | Callable[[], str], write: Callable[[Path], None]
) -> Path:
    place = folder / scratch
    place.mkdir(parents=True, exist_ok=True)
    try:
        written = place / "file"
        write(written)
        target = folder / (name if isinstance(name, str) else name())
        with written.open("rb") as stream:
            os.fsync(stream.fileno())
        os.chmod(written, 0o644)
        os.replace(written, target)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return target


def rescue(runs: Path, *, make: bool = False) -> Path:
    """The private folder for results of `runs` that could not be written there.

    It lies in a temporary folder, its name begins alike for equal `runs`, and only one that is
    ours and closed to others is taken. Without `make` the path may not exist.
    """
    mark = hashlib.sha256(str(runs).encode()).hexdigest()[:12]
    prefix = f"physbench-rescue-{mark}-"
    for base in _temporary():
        for path in sorted(base.glob(f"{prefix}*")):
            found = path.lstat()
            private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
            if private and found.st_uid == os.getuid():
                return path
    return Path(tempfile.mkdtemp(prefix=prefix)) if make else _temporary()[0] / f"{prefix}none"


def _temporary() -> list[Path]:
    """Where processes of one run may put temporary files: a full place sends some elsewhere."""
    named = [os.environ.get("TMPDIR"), tempfile.gettempdir(), "/tmp", "/var/tmp"]
    return [Path(place) for place in dict.fromkeys(named) if place]


def sweep(folder: Path) -> None:
    """Remove scratch folders and locks in a cell's folder whose run is gone."""
    with contextlib.suppress(OSError):
        for path in list(folder.glob(".*.lock")):
            _sweep_one(path)


def sweep_all(runs: Path) -> None:
    """Sweep the folders of all cells, and hidden files of other writers that are a day old."""
    old = time.time() - DAY
    with contextlib.suppress(OSError):
        for path in list(runs.glob("*/*/*/.*")):
            if path.name.endswith(".lock"):
                _sweep_one(path)
            elif path.lstat().st_mtime < old:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _sweep_one(path: Path) -> None:
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove_scratch(path)
        path.unlink(missing_ok=True)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _remove_scratch(lock: Path) -> None:
    for place in lock.parent.glob(f"{lock.name.removesuffix('.lock')}-*"):
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path, stopped: Callable[[], bool] = lambda: False) -> Iterator[bool]:
    """Hold an exclusive lock on `path`; yields whether we had to wait for another run.

    The kernel frees it however the process ends. Raises KeyboardInterrupt when `stopped()` while
    waiting.
    """
    import fcntl

    waited = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before us may have removed the file that we opened.
            if os.fstat(descriptor).st_ino == os.stat(path).st_ino:
                break
        except (BlockingIOError, FileNotFoundError):
            waited = True
            if stopped():
                os.close(descriptor)
                raise KeyboardInterrupt("interrupted while another run had the cell") from None
            time.sleep(PAUSE)
        os.close(descriptor)
    try:
        yield waited
    finally:
        with contextlib.suppress(OSError):
            _remove_scratch(path)
            path.unlink()
        os.close(descriptor)
