"""The store: where the files of a dataset are, and that they are what they should be.

Files lie below `$PHYSBENCH_DATA` (default: the platform's cache folder); those of embedded
datasets lie in the package. Every use checks sha256. Downloads go through pooch, continue where
they stopped and replace a file only when it is whole.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from physbench.datasets import Dataset, File
from physbench.datasets.common import reading
from physbench.datasets.common.reading import DataError as DataError

TABLE = "checksums.json"
load_arrays = reading.arrays
FROZEN = Path(__file__).resolve().parent.parent / "frozen"


def root() -> Path:
    """The store's folder: `$PHYSBENCH_DATA`, or the platform's cache folder."""
    chosen = os.environ.get("PHYSBENCH_DATA")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("physbench"))


def candidates(name: str, dataset: Dataset) -> list[Path]:
    """Folders where the files of a dataset may lie, in the order in which they are tried."""
    if dataset.embedded:
        return [FROZEN]
    return [root() / name, *(root() / folder for folder in dataset.folders)]


def folder(name: str, dataset: Dataset) -> Path:
    """The folder that holds the dataset.

    Raises FileNotFoundError with the command that fetches it and the embedded alternative.
    """
    for path in candidates(name, dataset):
        if path.is_dir() and _holds(path, dataset):
            return path
    tried = "".join(f"\n  {path}" for path in candidates(name, dataset))
    raise FileNotFoundError(
        f"dataset '{name}' is not on this machine. Looked in:{tried}\n{advice(name, dataset)}"
    )


def _holds(path: Path, dataset: Dataset) -> bool:
    return not dataset.files or any((path / file.name).exists() for file in dataset.files)


def advice(name: str, dataset: Dataset) -> str:
    """How to get the files of a dataset, as text."""
    lines = []
    if any(file.url for file in dataset.files):
        lines.append(f"Fetch it: python -m benchmarks data get {name}")
    if dataset.make:
        lines.append(f"Generate it: python -m benchmarks data make {name}")
    lines.append(f"Source: {dataset.source}")
    lines.append(f"Files already on disk are used when $PHYSBENCH_DATA (now {root()}) holds them.")
    lines.append("The task's embedded dataset works without any download: leave --dataset away.")
    return "\n".join(lines)


def checked(name: str, dataset: Dataset, *, partial: bool = False) -> dict[str, Path]:
    """Paths of all known files after checking size and sha256.

    With `partial` missing files are left out (at least one must be there). Raises
    FileNotFoundError or DataError naming the file, what was expected, what was found and the
    command that mends it.
    """
    base = folder(name, dataset)
    found: dict[str, Path] = {}
    for file in dataset.files:
        path = base / file.name
        if partial and not path.exists():
            continue
        check(path, file, mend(name, dataset))
        found[file.name] = path
    return found


def mend(name: str, dataset: Dataset) -> str:
    """The command that restores a damaged file."""
    if dataset.embedded:
        return "git checkout -- datasets/frozen (or install the package again)"
    return f"python -m benchmarks data get {name}"


def check(path: Path, file: File, remedy: str) -> None:
    """Raise unless `path` has the size and the sha256 that `file` states."""
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing; expected {file.bytes} bytes with sha256 {file.sha256}. "
            f"Mend it with: {remedy}"
        )
    size = path.stat().st_size
    if size != file.bytes:
        state = "truncated" if size < file.bytes else "altered"
        raise DataError(
            f"{path} is {state}: expected {file.bytes} bytes, found {size}. Mend it with: {remedy}"
        )
    found = digest(path)
    if found != file.sha256:
        raise DataError(
            f"{path} was altered: expected sha256 {file.sha256}, found {found}. "
            f"Mend it with: {remedy}"
        )


def digest(path: Path) -> str:
    """sha256 of a file; computed once for the same path, size and modification time."""
    stat = reading.regular(path).stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _digest(path: Path, size: int, changed: int) -> str:  # noqa: ARG001 - keys of the cache
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def pinned(base: Path, paths: Iterable[Path]) -> Iterator[dict[str, str]]:
    """sha256 of files by their path below `base`, for a block that reads them.

    For files whose digest nobody publishes: a file that changed since its first use is refused,
    and when the block has read them whole, the digests of new ones are pinned.
    """
    found = unchanged(base, paths)
    yield found
    pin(base, found)


def unchanged(base: Path, paths: Iterable[Path]) -> dict[str, str]:
    """sha256 of files by their path below `base`; DataError where one is not the one pinned.

    Pins stand in the user's own table (never in the data's folder), and in `checksums.json` beside
    the files, {"file": {"bytes": n, "sha256": "..."}}, where somebody put one.
    """
    tables = {place: _table(place) for place in (base / TABLE, pins(base))}
    found: dict[str, str] = {}
    for path in paths:
        name = path.relative_to(base).as_posix()
        found[name] = digest(path)
        for place, rows in tables.items():
            size, expected = rows.get(name, (0, found[name]))
            if found[name] != expected:
                raise DataError(
                    f"{path} has changed: expected sha256 {expected} ({size} bytes) as in "
                    f"{place}, found {found[name]} ({path.stat().st_size} bytes). Restore the "
                    f"file; if the change is meant, remove its line from {place}"
                )
    return found


def pin(base: Path, digests: Mapping[str, str]) -> None:
    """Note the digests of files below `base` that have none yet in the user's table."""
    known = _table(pins(base))
    fresh = {
        name: ((base / name).stat().st_size, sha)
        for name, sha in digests.items()
        if name not in known
    }
    if fresh:
        _write_table(pins(base), base, known | fresh)


def pins(base: Path) -> Path:
    """The user's table of the files below `base` whose digests are pinned."""
    place = hashlib.sha256(str(base.resolve()).encode()).hexdigest()[:16]
    return Path(platformdirs.user_state_dir("physbench")) / "pins" / f"{place}.json"


Rows = dict[str, tuple[int, str]]


def _table(path: Path) -> Rows:
    if not path.exists():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: (int(row["bytes"]), str(row["sha256"]))
            for name, row in rows.items()
            if name != "folder"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f'{path} must be {{"file": {{"bytes": n, "sha256": "..."}}}}; {error!r}'
        ) from error


def _write_table(path: Path, base: Path, rows: Rows) -> None:
    """Replace the table as a whole; where the user's folder cannot be written nothing is kept."""
    content: dict[str, Any] = {"folder": str(base.resolve())}
    content |= {name: {"bytes": size, "sha256": sha} for name, (size, sha) in rows.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=".", suffix=".json", encoding="utf-8", delete=False
        ) as stream:
            json.dump(content, stream, indent=1)
        os.replace(stream.name, path)
    except OSError as error:
        print(f"digests are not pinned: {path} cannot be written ({error})", file=sys.stderr)


def describe(path: Path, base: Path) -> File:
    """The `File` entry of an existing file, named relative to `base`."""
    return File(path.relative_to(base).as_posix(), digest(path), path.stat().st_size)


def frozen(filename: str, sha256: str) -> Path:
    """Path of an embedded file after checking its sha256; raises DataError when it differs."""
    path = FROZEN / filename
    if not path.exists():
        raise FileNotFoundError(f"embedded file {path} is missing; mend it with: git checkout")
    found = digest(path)
    if found != sha256:
        raise DataError(f"embedded file {path} was altered: expected {sha256}, found {found}")
    return path


def get(name: str, dataset: Dataset) -> list[Path]:
    """Fetch all files that are absent or damaged, and return their paths.

    Raises DataError when a file has no address (then its source must be asked by hand).
    """
    import pooch

    base = root() / name
    fetched = []
    for file in dataset.files:
        path = next((c / file.name for c in candidates(name, dataset) if _good(c, file)), None)
        if path is None:
            if file.url is None:
                raise DataError(
                    f"{name}: {file.name} has no download address. {advice(name, dataset)}"
                )
            pooch.retrieve(
                file.url, file.sha256, file.name, base, downloader=Resuming(base / file.name)
            )
            path = base / file.name
        fetched.append(path)
    return fetched


def _good(base: Path, file: File) -> bool:
    path = base / file.name
    return path.exists() and path.stat().st_size == file.bytes and digest(path) == file.sha256


class Resuming:
    """A pooch downloader over HTTP that continues an interrupted download.

    The bytes so far are kept in `<file>.part` beside the target; pooch checks the digest of the
    whole and moves it into place.
    """

    def __init__(self, target: Path, chunk: int = 1 << 20) -> None:
        self.part = target.with_name(target.name + ".part")
        self.chunk = chunk

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        """Write what lies at `url` to `output_file`."""
        import requests

        self.part.parent.mkdir(parents=True, exist_ok=True)
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=60) as answer:
            if answer.status_code == 416:  # nothing left: the part is already whole, or stale
                self._hand_over(output_file)
                return
            answer.raise_for_status()
            mode = "ab" if answer.status_code == 206 else "wb"
            with self.part.open(mode) as stream:
                for block in answer.iter_content(self.chunk):
                    stream.write(block)
        self._hand_over(output_file)

    def _hand_over(self, output_file: Any) -> None:
        """Give the part to pooch; a part that proves wrong must not be continued again."""
        shutil.move(self.part, output_file)


def verify(name: str, dataset: Dataset) -> list[tuple[File, str]]:
    """Each known file with `ok` or what is wrong with it."""
    report = []
    for file in dataset.files:
        places = [c / file.name for c in candidates(name, dataset)]
        path = next((p for p in places if p.exists()), places[0])
        try:
            check(path, file, mend(name, dataset))
            report.append((file, "ok"))
        except (FileNotFoundError, DataError) as error:
            report.append((file, str(error)))
    return report


def save_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], method: int = zipfile.ZIP_DEFLATED
) -> None:
    """Write a compressed `.npz` whose bytes depend on the arrays alone (no time stamps).

    `method` is one of zipfile's; ZIP_LZMA packs tighter and unpacks more slowly.
    """
    partial = path.with_name(path.name + ".part")
    with zipfile.ZipFile(partial, "w", method, compresslevel=9) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = method
            with archive.open(entry, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array))
    partial.replace(path)
