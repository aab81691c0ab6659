"""Predictions made elsewhere become a record: read, checked, scored by the judge, written.

The file is untrusted: sizes are capped before it is read, nothing in it is executed. The card says
who made it and how; its numbers of cost are the author's own.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmarks import registry
from benchmarks.exporting import asked_protocol
from benchmarks.reports import boards
from benchmarks.running import environment, scoring
from physbench.datasets import Split, Splits
from physbench.datasets.common import store
from physbench.datasets.common.store import DataError
from physbench.leaderboard import predictions as stored
from physbench.leaderboard import record as records
from physbench.leaderboard.record import Cost, DatasetPart, FilePart, ModelPart, Record, TaskPart
from physbench.tasks import Task

LARGEST = 500_000_000  # bytes of a file of predictions
LARGEST_CARD = 20_000


class Card(BaseModel):
    """What an author states of a model: `card.toml`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=records.NAME, max_length=60, description="of the model")
    authors: str = Field(min_length=1, max_length=500)
    paper: str = Field(min_length=1, max_length=4000, description="BibTeX, a DOI or a sentence")
    training_data: str = Field(min_length=1, max_length=500)
    seed: int = Field(0, ge=0, le=2**63 - 1, description="which of the trainings this is")
    parameters: int | None = Field(None, ge=0, description="trained parameters")
    deterministic: bool = False
    train_s: float = Field(0.0, ge=0, description="seconds of training, as the author states")
    settings: dict[str, str | int | float | bool] = Field(default={}, max_length=50)


def read_card(path: Path) -> Card:
    """A card; raises DataError naming the field that is wrong and what is expected."""
    if path.stat().st_size > LARGEST_CARD:
        raise DataError(f"{path} is larger than {LARGEST_CARD} bytes; a card is a short text")
    try:
        return Card.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a TOML file: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        known = ", ".join(Card.model_fields)
        raise DataError(f"{path}: {where}: {first['msg']}. A card has: {known}") from error


def submit(
    task: str | os.PathLike[str],
    predictions: str | os.PathLike[str],
    *,
    card: str | os.PathLike[str],
    dataset: str | None = None,
    protocol: Mapping[str, Any] | None = None,
    runs: str | os.PathLike[str] | None = None,
) -> Record:
    """Score predictions for the test split and write their record, of origin `submitted`.

    Parameters
    ----------
    task, dataset, protocol:
        As in `export`.
    predictions:
        `.csv` or `.npz` as `schema.json` of the export says.
    card:
        `card.toml`: name, authors, paper, training_data; optionally seed, parameters,
        deterministic, train_s and [settings].
    runs:
        Folder of the records.

    Raises DataError for a file that does not fit, with what was expected.
    """
    entry = registry.load("task", task)
    the_task: Task = entry.object
    name = dataset or next(iter(the_task.named))
    if name not in the_task.named:
        raise registry.unknown(f"dataset of task '{entry.name}'", name, list(the_task.named))
    told = read_card(Path(card))
    splits = the_task.load(name, **asked_protocol(the_task, entry.name, protocol))
    arrays = _kept(the_task, splits.test, Path(predictions))
    digest = stored.digest(arrays)
    path = (
        boards.runs_root(runs) / entry.name / name / told.name / f"{told.seed}-{digest[:12]}.npz"
    )
    stored.write(path, arrays)
    part = FilePart(file=path.name, sha256=digest, bytes=path.stat().st_size)
    split = scoring.split_digest(splits)
    scored = the_task.prepare(splits.test.inputs, stored.unpack(arrays))
    record = Record(
        status="ok",
        cell=records.sha256([entry.name, name, split, told.name, told.settings, digest]),
        task=_task(entry, splits, split, boards.resolved(the_task, protocol or {}) or {}),
        dataset=_dataset(name, the_task.named[name].version, splits),
        model=_model(told),
        seed=told.seed,
        code=environment.code(),
        environment=environment.environment(),
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        cost={
            "train": Cost(wall_s=told.train_s, cpu_s=told.train_s, peak_rss_mb=0.0),
            "predict": Cost(wall_s=0.0, cpu_s=0.0, peak_rss_mb=0.0),
        },
        predictions=part,
        metrics=scoring.evaluate(the_task, splits.test, scored, split),
        cite=[r for r in (the_task.reference, told.paper) if "@" in r],
    )
    record = records.sealed(record)
    records.write(record, boards.runs_root(runs))
    return record


def _kept(task: Task, test: Split, path: Path) -> stored.Arrays:
    """What the judge keeps of a file of predictions."""
    values = read(path, task, test)
    try:
        return scoring.kept(task, test, task.prepare(test.inputs, values))
    except (ValueError, TypeError, FloatingPointError) as error:
        raise DataError(f"{path}: {error}") from error


def _task(entry: registry.Entry, splits: Splits, split: str, protocol: dict[str, Any]) -> TaskPart:
    return TaskPart(
        name=entry.name,
        version=entry.object.version,
        source=registry.source_digest(entry.path),
        protocol=protocol,
        split=split,
        unit=entry.object.unit,
        units={n: len(getattr(splits, n)) for n in ("train", "validation", "test")},
    )


def _dataset(name: str, version: str, splits: Splits) -> DatasetPart:
    return DatasetPart(
        name=name,
        version=version,
        digest=records.sha256([f"{n} {d}" for n, d in sorted(splits.files.items())]),
        files=dict(sorted(splits.files.items())[:32]),
    )


def _model(told: Card) -> ModelPart:
    words = f"{told.authors}. {told.paper} Trained on: {told.training_data}"
    return ModelPart(
        name=told.name,
        source=hashlib.sha256(told.model_dump_json().encode()).hexdigest(),
        origin="submitted",
        reference=told.paper if "@" in told.paper else words[:1000],
        parameters=told.parameters,
        hyper_parameters=dict(told.settings) | {"training_data": told.training_data},
        oracle=False,
        deterministic=told.deterministic,
        role="learned",
    )


def read(path: Path, task: Task, test: Split) -> Any:
    """Predictions of a file, in the shape that the task's `prepare` takes."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; give predictions as .csv or .npz")
    if path.stat().st_size > LARGEST:
        raise DataError(f"{path} has {path.stat().st_size:,} bytes; at most {LARGEST:,} are read")
    if path.suffix == ".npz":
        return _arrays(path, store.load_arrays(path))
    if path.suffix == ".csv":
        return _table(path, task, test)
    raise DataError(f"{path}: predictions are read from .csv and .npz; got '{path.suffix}'")


def _arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Any:
    names = set(arrays)
    if not names:
        raise DataError(f"{path} holds no array; give predictions as the export's schema says")
    if names == {"values"} or any("." in name for name in names) or "flat" in names:
        try:
            return stored.unpack(arrays)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise DataError(f"{path}: {error}") from error
    return dict(arrays) if len(names) > 1 else next(iter(arrays.values()))


def _table(path: Path, task: Task, test: Split) -> Any:
    """Columns of numbers; rows of one unit belong together where a column `unit` names it."""
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype={"unit": str}, low_memory=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a CSV file: {error}") from error
    columns = [name for name in table.columns if name != "unit"]
    known = [field.name for field in task.predicts] or columns
    wrong = [name for name in columns if name not in known and not _numbered(name, known)]
    if wrong or not columns:
        raise DataError(
            f"{path}: columns {', '.join(map(str, wrong)) or 'none'} found; expected "
            f"{', '.join(known)}" + (" and `unit`" if "unit" in table else "")
        )
    if "unit" not in table:
        return _units(table, columns, known)
    if len(table) == len(test.ids) and set(table["unit"]) == set(test.ids):
        return _units(table.set_index("unit").loc[list(test.ids)], columns, known)
    doubled = table["unit"][table["unit"].duplicated()]
    if len(doubled) and not isinstance(test.inputs, Sequence):
        raise DataError(
            f"{path}: unit {doubled.iloc[0]} has more than one row; give one row for each of the "
            f"{len(test.ids)} units of test.ids.csv"
        )
    return _grouped(path, table, columns, test.ids)


def _numbered(name: str, known: Sequence[str]) -> bool:
    """`log_ratio_3` is the fourth column of `log_ratio`."""
    stem, _, number = name.rpartition("_")
    return stem in known and number.isdigit()


def _units(table: Any, columns: Sequence[str], known: Sequence[str]) -> Any:
    found: dict[str, NDArray[Any]] = {}
    for name in known:
        parts = [c for c in columns if c == name or _numbered(c, [name])]
        if parts:
            numbers = sorted(int(c.rpartition("_")[2]) for c in parts if c != name)
            if parts != [name] and (name in parts or numbers != list(range(len(parts)))):
                raise DataError(
                    f"columns of {name} must be '{name}' alone, or {name}_0, {name}_1, ... no "
                    f"gap between; got {', '.join(sorted(parts))}"
                )
            parts.sort(key=lambda c: int(c.rpartition("_")[2]) if c != name else 0)
            values = table[parts].to_numpy()
            found[name] = values[:, 0] if parts == [name] else values
    return found if len(found) > 1 else next(iter(found.values()))


def _grouped(path: Path, table: Any, columns: Sequence[str], ids: Sequence[str]) -> list[Any]:
    groups = {str(name): rows for name, rows in table.groupby("unit", sort=False)}
    missing = [name for name in ids if name not in groups]
    extra = [name for name in groups if name not in set(ids)]
    if missing or extra:
        raise DataError(
            f"{path}: {len(missing)} units of the test split are missing"
            f"{f' (the first is {missing[0]})' if missing else ''} and {len(extra)} are unknown"
            f"{f' (the first is {extra[0]})' if extra else ''}"
        )
    if len(columns) == 1:
        return [groups[name][columns[0]].to_numpy() for name in ids]
    return [{c: groups[name][c].to_numpy() for c in columns} for name in ids]


__all__ = ["Card", "read", "read_card", "submit"]
