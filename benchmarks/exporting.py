"""A task's splits as plain files, for any language: arrays as .npz, tables as .csv.

The test split goes without its truth. What comes back is handed in with `submit`.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import registry
from benchmarks.running.settings import resolve
from physbench.datasets import Dataset, Split, Splits, description
from physbench.datasets.common import store
from physbench.leaderboard import record as records
from physbench.tasks import Task

Arrays = dict[str, NDArray[Any]]

PARTS = ("train", "validation", "test")


def export(
    task: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    protocol: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write the splits of a task below `folder` and return the paths.

    `SPLIT.inputs.npz`, `SPLIT.targets.npz` (not for test) and `SPLIT.ids.csv`; `SPLIT.inputs.csv`
    where the inputs are a table; `schema.json` with shapes, units and how to hand predictions in.
    In a .npz, `NAME` has one element a unit; where units differ in length `NAME.flat` holds all of
    them and unit i is `NAME.flat[NAME.offsets[i]:NAME.offsets[i + 1]]`.

    Raises UnknownName for an unknown task or dataset and FileExistsError for a folder that is not
    empty, or a file.
    """
    place = _new_folder(Path(folder))
    entry = registry.load("task", task)
    the_task: Task = entry.object
    name = dataset or next(iter(the_task.named))
    splits = the_task.load(name, **asked_protocol(the_task, entry.name, protocol))
    place.mkdir(parents=True, exist_ok=True)
    paths, shapes = [], {}
    for part in PARTS:
        split: Split = getattr(splits, part)
        for kind in ("inputs", "targets") if part != "test" else ("inputs",):
            arrays = flattened(getattr(split, kind))
            paths.append(place / f"{part}.{kind}.npz")
            store.save_arrays(paths[-1], arrays)
            shapes[paths[-1].name] = {n: [a.dtype.str, list(a.shape)] for n, a in arrays.items()}
        paths += _tables(place, part, split)
    paths.append(place / "schema.json")
    words = schema(entry.name, the_task, name, splits, dict(protocol or {})) | {"files": shapes}
    records.atomic(paths[-1], json.dumps(words, indent=1, ensure_ascii=False) + "\n")
    return paths


def _new_folder(place: Path) -> Path:
    """The folder, if nothing lies there yet."""
    if place.is_dir() and any(place.iterdir()):
        raise FileExistsError(f"{place} is not empty; name a new folder")
    if place.exists() and not place.is_dir():
        raise FileExistsError(f"{place} is a file; name a new folder to export into")
    return place


def asked_protocol(task: Task, name: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The keywords of `load` that were given, of the right names and types.

    Raises UnknownName or TypeError.
    """
    skip = ("fold",) if task.folds and "fold" not in (given or {}) else ()
    whole = resolve(task.load, given or {}, f"protocol of {name}", skip)
    return {key: whole[key] for key in given or {}}


def flattened(values: Any) -> Arrays:
    """Named arrays of inputs or targets: an array, a mapping, a type of ours, or a list of these.

    >>> {k: v.tolist() for k, v in flattened([np.array([1, 2]), np.array([3])]).items()}
    {'values.flat': [1, 2, 3], 'values.offsets': [0, 2, 3]}
    """
    if not isinstance(values, Sequence):
        return _columns(values)
    tables = [_columns(unit) for unit in values]
    found: Arrays = {}
    for name in tables[0] if tables else ():
        found |= _joined(name, [table[name] for table in tables if name in table])
    return found


def _columns(values: Any) -> Arrays:
    if isinstance(values, np.ndarray):
        return {"values": values}
    if isinstance(values, Mapping):
        return {str(name): np.asarray(column) for name, column in values.items()}
    if is_dataclass(values):
        named = {f.name: getattr(values, f.name) for f in fields(values)}
        return {
            name: np.asarray(value)
            for name, value in named.items()
            if isinstance(value, np.ndarray | int | float) and not isinstance(value, bool)
        }
    raise TypeError(f"{type(values).__name__} cannot be exported: no array, mapping or dataclass")


def _joined(name: str, parts: Sequence[NDArray[Any]]) -> Arrays:
    """One array of all units: stacked where all have one shape, else flat with offsets."""
    if len({part.shape for part in parts}) == 1:
        return {name: np.stack(parts)}
    axis = 1 if len({part.shape[1:] for part in parts}) > 1 and parts[0].ndim == 2 else 0
    moved = [np.moveaxis(part, axis, 0) for part in parts]
    offsets = np.cumsum([0, *(len(part) for part in moved)], dtype=np.int64)
    return {f"{name}.flat": np.concatenate(moved), f"{name}.offsets": offsets}


def _tables(place: Path, part: str, split: Split) -> list[Path]:
    """The ids, and the inputs as a table where they are one; a list has a column `unit`."""
    import pandas as pd

    paths = [place / f"{part}.ids.csv"]
    pd.DataFrame({"unit": list(split.ids)}).to_csv(paths[0], index=False)
    if isinstance(split.inputs, np.ndarray) and split.inputs.ndim <= 2:
        paths.append(place / f"{part}.inputs.csv")
        pd.DataFrame(split.inputs).add_prefix("x").to_csv(paths[-1], index=False)
    units = split.inputs if isinstance(split.inputs, Sequence) else [split.inputs]
    if units and all(hasattr(unit, "to_frame") for unit in units):
        tables = [unit.to_frame() for unit in units]
        if isinstance(split.inputs, Sequence):
            for name, table in zip(split.ids, tables, strict=True):
                table.insert(0, "unit", name)
        paths.append(place / f"{part}.inputs.csv")
        pd.concat(tables).to_csv(paths[-1], index=False)
    return paths


def _options(protocol: Mapping[str, Any]) -> str:
    return "".join(f" --protocol {shlex.quote(f'{k}={v}')}" for k, v in protocol.items())


def schema(
    name: str, task: Task, dataset: str, splits: Splits, protocol: Mapping[str, Any]
) -> dict[str, Any]:
    """What the files hold, in words and numbers."""
    from benchmarks.running.scoring import split_digest

    card: Dataset = task.named[dataset]
    words = ("name", "shape", "unit", "meaning")
    inputs = description(task.inputs) if task.inputs else []
    return {
        "task": name,
        "summary": task.summary,
        "unit": task.unit,
        "dataset": {
            "name": dataset,
            "version": card.version,
            "licence": card.licence,
            "citation": card.citation,
        },
        "protocol": dict(protocol),
        "split": split_digest(splits),
        "units": {part: len(getattr(splits, part)) for part in PARTS},
        "inputs": [dict(zip(words, f, strict=True)) for f in inputs],
        "predictions": [field._asdict() for field in task.predicts],
        "hand_in": (
            f"python -m benchmarks submit {name} predictions.csv --card card.toml --dataset "
            f"{dataset}{_options(protocol)}: one row a unit in the order of "
            "test.ids.csv, with the columns above; if a unit has many rows (hits, particles) "
            "a first column `unit` holds its id"
        ),
    }
