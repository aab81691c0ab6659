"""JetClass: ten classes of jets of 500 to 1000 GeV, Delphes, files of the user.

Zenodo 6619768, 100 M training, 5 M validation and 20 M test jets in ROOT files of 100,000, one
process a file (`HToBB_000.root`, ...), in the folders `train_100M`, `val_5M` and `test_20M`. Class
0, the signal of the rejections, is H to bb. d0 is unsigned by the jet axis and neutral particles
have none. `part_deta` is stored times the sign of the jet's eta, which is undone here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset
from physbench.datasets.common import store
from physbench.datasets.common.reading import DataError
from physbench.datasets.jets import (
    TEST,
    TRAIN,
    VALIDATION,
    FlavourJets,
    Flavours,
    FlavourSample,
    _root_files,
    joined,
)

FOLDERS = {TRAIN: "train_100M", VALIDATION: "val_5M", TEST: "test_20M"}
CLASSES = ("Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl", "QCD")
KINDS = ("ChargedHadron", "NeutralHadron", "Photon", "Electron", "Muon")
JET = ("jet_pt", "jet_eta")
PARTICLE = (
    "part_px",
    "part_py",
    "part_energy",
    "part_deta",
    "part_dphi",
    "part_charge",
    "part_d0val",
    "part_d0err",
    "part_dzval",
    "part_dzerr",
    *(f"part_is{kind}" for kind in KINDS),
)
SLOTS = 128


def load(*, folder: str = "", jets: int = 10_000) -> FlavourSample:
    """The first `jets` jets of every file of the three folders.

    They are read part by part; beyond half a gigabyte they lie on disk (`physbench.datasets.common
    .on_disk`), so that the number of jets is bounded by the temporary folder, not by memory.

    Raises FileNotFoundError where a folder has no file, DataError for a file of another format.
    """
    base = Path(folder).expanduser() if folder else store.folder("jetclass", DATASET)
    found = {name: sorted((base / name).glob("*.root")) for name in FOLDERS.values()}
    for name, paths in found.items():
        if not paths:
            raise FileNotFoundError(
                f"{base / name} has no .root files.\n{store.advice('jetclass', DATASET)}"
            )
    return joined(
        part
        for code, name in FOLDERS.items()
        for path in found[name]
        for part in _read(path, code, jets, f"{name}/{path.stem}")
    )


def _read(path: Path, split: int, jets: int, name: str) -> Iterator[FlavourSample]:
    """The first jets of one file, part by part."""
    labels = [f"label_{kind}" for kind in CLASSES]
    digest, first = {f"{name}.root": store.digest(path)}, 0
    for found in _root_files.parts(path, [*JET, *PARTICLE, *labels], last=jets):
        inputs, label = _jets(found, path), _label([found[k] for k in labels], path)
        unknown = np.full(inputs.mask.shape, -1, dtype=np.int8)
        event = np.arange(first, first + len(label))
        truth = Flavours(label, unknown, unknown, event, inputs.pt, inputs.eta, CLASSES)
        ids = tuple(f"{name}-{k}" for k in event)
        code = np.full(len(label), split, dtype=np.int8)
        yield FlavourSample(inputs, truth, code, ids, digest)
        first += len(label)


def _jets(found: dict[str, Any], path: Path) -> FlavourJets:
    """Columns of a file as jets."""
    pt, eta = (_root_files.flat(found[k], path, k).astype(np.float32) for k in JET)
    columns = {k: found[k] for k in PARTICLE}
    columns["pt"] = np.hypot(columns.pop("part_px"), columns.pop("part_py"))
    full = _root_files.padded(columns, "pt", SLOTS, path)
    deta = full["part_deta"] * np.sign(eta)[:, None]
    tracks = np.stack(
        [
            full["pt"],
            deta,
            full["part_dphi"],
            full["part_charge"],
            full["part_d0val"],
            full["part_dzval"],
        ],
        axis=2,
    )
    # A neutral particle has no impact parameter and reports an error of 0.
    sigma = np.stack([full["part_d0err"], full["part_dzerr"]], axis=2)
    sigma = np.where(sigma > 0, sigma, 1.0)
    extra = np.stack([_log_energy(full), *(full[f"part_is{kind}"] for kind in KINDS)], axis=2)
    return FlavourJets(
        tracks.astype(np.float32),
        pt,
        eta,
        sigma.astype(np.float32),
        extra.astype(np.float32),
        CLASSES,
    )


def _log_energy(full: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """0.7 (ln E - 2) with E in GeV; 0 in empty slots."""
    filled = full["pt"] > 0
    energy = np.where(filled, np.maximum(full["part_energy"], 1e-8), np.e**2)
    return np.asarray(0.7 * (np.log(energy) - 2.0))


def _label(columns: Sequence[Any], path: Path) -> NDArray[np.int8]:
    """The class whose flag is set; raises DataError unless that is exactly one a jet."""
    flags = np.stack([np.asarray(column) for column in columns], axis=1)
    if not (flags.astype(np.int64).sum(axis=1) == 1).all():
        raise DataError(f"{path}: every jet needs exactly one label_* that is 1")
    return np.asarray(flags.argmax(axis=1).astype(np.int8))


DATASET = Dataset(
    summary="ten classes of 500 to 1000 GeV jets, Delphes (JetClass)",
    version="1.0.0",
    licence="unknown: the mirror says MIT, the archive's own field was not seen",
    citation="""@misc{JetClass:2022,
  author = {Qu, Huilin and Li, Congqiao and Qian, Sitian},
  title = {JetClass: A Large-Scale Dataset for Deep Learning in Jet Physics},
  year = {2022},
  doi = {10.5281/zenodo.6619768}
}""",
    source="Zenodo 10.5281/zenodo.6619768: train_100M, val_5M and test_20M with .root files",
    load=load,
    folders=("jets/jetclass", "JetClass"),
)
