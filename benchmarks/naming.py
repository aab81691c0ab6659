"""Records by the short ids that boards print: wherever a file is asked for, an id will do."""

from __future__ import annotations

import os
import re
from pathlib import Path

from benchmarks import registry

SHORTEST = 6  # hexadecimal digits
NAME = re.compile(rf"[0-9a-f]{{{SHORTEST},64}}")


def runs_folder(runs: str | os.PathLike[str] | None = None) -> Path:
    """Folder of the user's own records."""
    from benchmarks.running import storing

    return storing.runs_root(runs)


def is_id(name: str | os.PathLike[str]) -> bool:
    """Whether a word looks like the beginning of a record's id, and is no file.

    >>> is_id("b0bc385a"), is_id("truth"), is_id("0-b0bc385a4526.json")
    (True, False, False)
    """
    return bool(NAME.fullmatch(os.fspath(name))) and not Path(name).exists()


def record(name: str | os.PathLike[str], runs: str | os.PathLike[str] | None = None) -> Path:
    """The file of a record, given as such or by the beginning of its id.

    Raises ValueError where no record, or more than one, begins like this, and for what is no file.
    """
    if not is_id(name):
        return _file(Path(name))
    text = os.fspath(name)
    folders = registry.records_folder(), runs_folder(runs)
    found = sorted(
        path for folder in folders for path in folder.glob(f"*/*/*/*-{text[:12]}*.json")
    )
    if len({path.stem.partition("-")[2] for path in found}) == 1:
        return found[0]
    if not found:
        raise ValueError(
            f"no record's id begins with '{text}' (looked in {folders[1]} and among those "
            "that are committed); boards and `run` print the ids"
        )
    raise ValueError(f"'{text}' begins {len(found)} ids, among them {found[0]} and {found[1]}")


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    what = "is a folder" if path.is_dir() else "does not exist"
    raise ValueError(f"record '{path}' {what}; give a record's .json file, or its id from a board")
