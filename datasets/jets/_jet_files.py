"""What the downloaded jet datasets share: finding files, their digests, two-class samples."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset
from physbench.datasets.common import reading, store
from physbench.datasets.common.reading import DataError
from physbench.datasets.jets import TEST, Jets, JetTruth, Sample, matching_weights

MEDIAN_PT = (5.0, 20_000.0)  # GeV of a jet; in MeV or TeV the median is outside


def locate(name: str, dataset: Dataset, folder: str, files: list[str]) -> dict[str, Path]:
    """Paths of the files wanted, each checked against its digest: the card's, else that pinned.

    A file is looked for in `folder`, or in the store. `checksums.json` beside the files, with
    {"file": {"bytes": n, "sha256": "..."}}, extends the card's own table.
    """
    base = Path(folder).expanduser() if folder else store.folder(name, dataset)
    found = {file: base / file for file in files}
    for path in found.values():
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing.\n{store.advice(name, dataset)}")
    known = {file.name: file for file in dataset.files if file.sha256}
    for file in known.keys() & found.keys():
        store.check(found[file], known[file], store.mend(name, dataset))
    store.unchanged(base, found.values())
    return found


def digests(paths: dict[str, Path]) -> dict[str, str]:
    """sha256 of every file that was read whole, for the record; new ones are pinned."""
    found = {name: store.digest(path) for name, path in paths.items()}
    for name, path in paths.items():
        store.pin(path.parent, {path.name: found[name]})
    return found


def labels(values: NDArray[Any], jets: int, where: str) -> NDArray[np.int8]:
    """Labels (jets,) that are 0 or 1, as int8; raises DataError for anything else."""
    if values.shape != (jets,):
        raise DataError(f"{where} must hold one label a jet, shape ({jets},); got {values.shape}")
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        found = np.unique(values)[:5].tolist()
        raise DataError(f"{where} must be 0 or 1; got {found} of {values.dtype}")
    return values.astype(np.int8)


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

    A jet is its own event.
    """
    signal = (1 - label if inverse else label).astype(np.int8)
    background, kind = names[::-1] if inverse else names
    where = " and ".join(files)
    test = split == TEST
    for code, kind_of in ((0, background), (1, kind)):
        if not (test & (signal == code)).any():
            raise DataError(f"{where}: the test split has no {kind_of} jet; a score needs both")
    _check_units(jets, where)
    _check_copies(jets, split, where)
    with reading.reading(Path(where), f"{background} and {kind} jets in the same range of pT"):
        weight = matching_weights(signal, test, jets.pt)
    event = np.arange(len(jets), dtype=np.int64)
    truth = JetTruth(signal, weight, event, jets.pt, jets.mass, jets.multiplicity, (kind,))
    ids = tuple(f"{(background, kind)[s]}-{k}" for k, s in enumerate(signal))
    return Sample(jets, truth, split, ids, files)


def _check_units(jets: Jets, where: str) -> None:
    median = float(np.median(jets.pt))
    if not MEDIAN_PT[0] <= median <= MEDIAN_PT[1]:
        raise DataError(
            f"{where}: momenta must be in GeV; the median jet pT is {median:g}, expected "
            f"{MEDIAN_PT[0]:g} to {MEDIAN_PT[1]:g}. Are they in MeV?"
        )


def _check_copies(jets: Jets, split: NDArray[np.int8], where: str) -> None:
    """No jet of the test split may also be in train or validation, or in what is held for them."""
    rows = {
        name: [
            hashlib.blake2b(row.tobytes(), digest_size=12).digest()
            for row in jets.constituents[chosen]
        ]
        for name, chosen in (("the test split", split == TEST), ("the others", split != TEST))
    }
    reading.check_disjoint(rows, "jets", where)
