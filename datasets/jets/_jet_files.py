"""What the downloaded jet datasets share: finding files, their digests, two-class samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset
from physbench.datasets.common import store
from physbench.datasets.jets import TEST, Jets, JetTruth, Sample, match_pt

TABLE = "checksums.json"


def locate(name: str, dataset: Dataset, folder: str, files: list[str]) -> dict[str, Path]:
    """Paths of the files wanted, each checked against the table of checksums where there is one.

    A file is looked for in `folder`, or in the store. `checksums.json` beside the files, with
    {"file": {"bytes": n, "sha256": "..."}}, extends the card's own table: the archive's checksums
    that are not known here are pinned by the user on the first verified download.
    """
    base = Path(folder).expanduser() if folder else store.folder(name, dataset)
    known = {file.name: (file.bytes, file.sha256) for file in dataset.files if file.sha256}
    known |= _table(base / TABLE)
    found = {}
    for file in files:
        path = base / file
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing.\n{store.advice(name, dataset)}")
        if file in known:
            _check(path, *known[file])
        found[file] = path
    return found


def _table(path: Path) -> dict[str, tuple[int, str]]:
    if not path.exists():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {name: (int(row["bytes"]), str(row["sha256"])) for name, row in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise store.DataError(
            f'{path} must be {{"file": {{"bytes": n, "sha256": "..."}}}}; {error!r}'
        ) from error


def _check(path: Path, size: int, sha256: str) -> None:
    found_size = path.stat().st_size
    if found_size != size:
        raise store.DataError(f"{path} has {found_size} bytes, expected {size}; fetch it again")
    found = store.digest(path)
    if found != sha256:
        raise store.DataError(f"{path} has sha256 {found}, expected {sha256}; fetch it again")


def digests(paths: dict[str, Path]) -> dict[str, str]:
    """sha256 of every file, for the record."""
    return {name: store.digest(path) for name, path in paths.items()}


def two_class(
    jets: Jets,
    label: NDArray[np.int8],
    split: NDArray[np.int8],
    *,
    names: tuple[str, str],
    inverse: bool,
    files: dict[str, str],
) -> Sample:
    """A sample of one background and one signal, label 1 being the signal unless `inverse`.

    The pT-matched test set is drawn with a fixed seed; a jet is its own event.
    """
    signal = (1 - label if inverse else label).astype(np.int8)
    background, kind = names[::-1] if inverse else names
    matched = signal == 0
    test = split == TEST
    chosen = np.flatnonzero(test & (signal == 1))
    if len(chosen) and (test & matched).any():
        generator = np.random.default_rng(0)
        matched[chosen] = match_pt(jets.pt[chosen], jets.pt[test & (signal == 0)], generator)
    event = np.arange(len(jets), dtype=np.int64)
    truth = JetTruth(signal, matched, event, jets.pt, jets.mass, jets.multiplicity, (kind,))
    ids = tuple(f"{(background, kind)[s]}-{k}" for k, s in enumerate(signal))
    return Sample(jets, truth, split, ids, files)
