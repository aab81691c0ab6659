"""What a record may lead to: a registered task and model, and the files beside it. Nothing else.

A record is untrusted input. Its names are looked up in the registry, never imported as paths; a
user's own task or model, and a folder of data, must be named on the command line by the user.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import registry
from physbench.datasets import Splits
from physbench.leaderboard import predictions as stored
from physbench.leaderboard.record import FilePart, Record, RecordError, digest_file
from physbench.models import Model
from physbench.tasks import Task

Named = str | os.PathLike[str] | None
WEIGHTS = 2 << 30  # bytes


def task_of(record: Record, given: Named = None) -> tuple[str, Task]:
    """Name (or the file given) and task of a record; RecordError where nobody vouches for it."""
    name = admitted("task", record.task.name, given)
    return name, registry.load("task", name).object


def model_of(record: Record, given: Named = None) -> tuple[str, Model]:
    """Name (or the file given) and model of a record; RecordError where nobody vouches for it."""
    name = admitted("model", record.model.name, given)
    return name, registry.load("model", name).object


def admitted(kind: str, name: str, given: Named = None) -> str:
    """The name of a registered entry, or the file that the user gave; else RecordError."""
    if given is not None:
        return os.fspath(given)
    if name not in registry.names(kind):
        raise RecordError(
            f"the record names the {kind} '{name}', which is not registered; a record's names are "
            f"not imported: give its file with --{kind} FILE.py"
        )
    return name


def protocol(record: Record, folder: Named = None) -> dict[str, Any]:
    """The record's protocol; a folder of data in it must be named again by the user.

    Raises RecordError where the record alone names one.
    """
    found = dict(record.task.protocol)
    if folder is not None:
        return found | {"folder": os.fspath(folder)}
    if found.get("folder"):
        raise RecordError(
            f"the record was made from data in '{found['folder']}'; a record's paths are not "
            "followed: name the folder with --folder FOLDER"
        )
    return found


def splits(task: Task, record: Record, protocol: Mapping[str, Any]) -> Splits:
    """The splits that a record was made on, those of its fold where it has one."""
    fold = {} if record.task.fold is None else {"fold": record.task.fold}
    return task.splits(record.dataset.name, **protocol, **fold)


def predictions(path: Path, record: Record) -> stored.Arrays:
    """The stored arrays beside the record at `path`; RecordError where it has none."""
    if record.predictions is None:
        raise RecordError(f"{path} has no predictions to score (status {record.status})")
    return stored.read(path.parent / record.predictions.file, record.predictions.sha256)


def weights(path: Path, part: FilePart) -> Path:
    """The weights beside the record at `path`: a regular file, whole, and no larger than stated.

    Raises RecordError for any other file.
    """
    found = path.parent / part.file
    if not found.exists() and not found.is_symlink():
        raise RecordError(
            f"the weights {found} are missing (large ones are not committed); verify with "
            "--level retrain"
        )
    if found.is_symlink() or not found.is_file():
        raise RecordError(f"the weights {found} are no regular file beside the record")
    size = found.stat().st_size
    if size > WEIGHTS or size != part.bytes:
        raise RecordError(f"the weights {found} have {size} bytes, the record says {part.bytes}")
    digest = digest_file(found)
    if digest != part.sha256:
        raise RecordError(
            f"the weights {found} were altered: sha256 {digest[:12]}, expected {part.sha256[:12]}"
        )
    return found
