"""b, c and light jets of ttbar events in a parametrised tracker, files of the user.

Zenodo 13350327, "Dataset for flavour tagging R&D": ROOT tables of jets with jagged tracks, matched
in pT, eta and number of tracks. Light and gluon jets are one class here. The meaning of the values
of `jet_flav` was not seen in a real file: the reader lists those it finds and asks for `codes`
rather than guess; the same goes for the names of the branches with the errors of d0 and z0.
"""

from __future__ import annotations

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
    wrap,
)

CLASSES = ("b", "c", "light")
JET = ("jet_pt", "jet_eta", "jet_phi", "jet_flav")
TRACK = ("trk_pt", "trk_eta", "trk_phi", "trk_charge", "trk_d0", "trk_z0")
PARTS = {TRAIN: "train", VALIDATION: "validate", TEST: "test"}
SLOTS = 24
LARGEST_PT = 5000.0  # GeV; a larger median says that the file is in MeV


def load(
    *, folder: str = "", codes: str = "", scale: float = 1.0, jets: int = 200_000
) -> FlavourSample:
    """The first `jets` jets of the files `train*.root`, `validate*.root` and `test*.root`.

    Parameters
    ----------
    codes:
        The values of `jet_flav` for b, c and light jets, such as "5,4,0"; jets of others are left
        out.
    scale:
        GeV in a unit of the momenta of the file: 0.001 for MeV.

    Raises FileNotFoundError, or DataError with what the file holds where that is not enough.
    """
    base = Path(folder).expanduser() if folder else store.folder("flavour_zenodo", DATASET)
    parts = []
    for code, name in PARTS.items():
        paths = sorted(base.glob(f"{name}*.root"))
        if not paths:
            raise FileNotFoundError(
                f"{base} has no {name}*.root.\n{store.advice('flavour_zenodo', DATASET)}"
            )
        parts += [_read(path, code, codes, scale, jets) for path in paths]
    return joined(parts)


def _read(path: Path, split: int, codes: str, scale: float, jets: int) -> FlavourSample:
    """The jets of one file."""
    errors = [_error_branch(path, quantity) for quantity in ("d0", "z0")]
    found = _root_files.rows(path, [*JET, *TRACK, *errors], last=jets)
    label, kept = _labels(np.asarray(found["jet_flav"]), codes, path)
    column = {k: _root_files.flat(found[k], path, k)[kept] for k in JET[:3]}
    pt = _in_gev(column["jet_pt"] * scale, path)
    full = _root_files.padded(
        {k: found[k][kept] for k in (*TRACK, *errors)}, "trk_pt", SLOTS, path
    )
    inputs = FlavourJets(
        _tracks(full, column, scale),
        pt.astype(np.float32),
        column["jet_eta"].astype(np.float32),
        np.stack([_positive(full, name, path) for name in errors], axis=2).astype(np.float32),
        classes=CLASSES,
    )
    unknown = np.full(inputs.mask.shape, -1, dtype=np.int8)
    truth = Flavours(
        label[kept], unknown, unknown, np.flatnonzero(kept), inputs.pt, inputs.eta, CLASSES
    )
    ids = tuple(f"{path.stem}-{k}" for k in np.flatnonzero(kept))
    code = np.full(len(ids), split, dtype=np.int8)
    return FlavourSample(inputs, truth, code, ids, {path.name: store.digest(path)})


def _error_branch(path: Path, quantity: str) -> str:
    """The branch of the error of d0 or z0: the only `trk_*err` with that in its name."""
    names = _root_files.branches(path)
    fitting = [n for n in names if n.startswith("trk_") and quantity in n and n.endswith("err")]
    if len(fitting) != 1:
        raise DataError(
            f"{path}: expected one branch trk_*{quantity}*err; found "
            f"{', '.join(fitting) or 'none'} among {', '.join(names)}"
        )
    return fitting[0]


def _labels(
    values: NDArray[Any], codes: str, path: Path
) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Class of every jet, and which jets have one."""
    present, counts = np.unique(values, return_counts=True)
    table = ", ".join(f"{v:g} ({n} jets)" for v, n in zip(present, counts, strict=True))
    try:
        wanted = [float(code) for code in codes.split(",")]
    except ValueError:
        wanted = []
    if len(wanted) != len(CLASSES) or not set(wanted) <= set(present.tolist()):
        raise DataError(
            f"{path}: jet_flav holds {table}; say which values are {', '.join(CLASSES)} in that "
            f'order with --protocol codes=..., such as "5,4,0"; got "{codes}"'
        )
    label = np.full(len(values), -1, dtype=np.int8)
    for k, code in enumerate(wanted):
        label[values == code] = k
    return label, label >= 0


def _in_gev(pt: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    if np.median(pt) > LARGEST_PT:
        raise DataError(
            f"{path}: the median jet pT is {np.median(pt):.0f}, no GeV; pass --protocol "
            "scale=0.001 where the file is in MeV"
        )
    return pt


def _tracks(
    full: dict[str, NDArray[np.float64]], jet: dict[str, NDArray[np.float64]], scale: float
) -> NDArray[np.float32]:
    """(n, slots, 6) with the lifetime sign of d0, whose own sign is that of (P x p)_z."""
    filled = full["trk_pt"] > 0
    dphi = wrap(full["trk_phi"] - jet["jet_phi"][:, None])
    d0 = np.abs(full["trk_d0"]) * np.sign(full["trk_d0"] * np.sin(dphi))
    deta = full["trk_eta"] - jet["jet_eta"][:, None]
    columns = (full["trk_pt"] * scale, deta, dphi, full["trk_charge"], d0, full["trk_z0"])
    return np.asarray((np.stack(columns, axis=2) * filled[..., None]).astype(np.float32))


def _positive(full: dict[str, NDArray[np.float64]], name: str, path: Path) -> NDArray[np.float64]:
    """Errors of the tracks, 1 in empty slots; raises DataError unless they are positive."""
    filled = full["trk_pt"] > 0
    if (full[name][filled] <= 0).any():
        raise DataError(f"{path}: {name} must be positive; found values <= 0")
    return np.where(filled, full[name], 1.0)


DATASET = Dataset(
    summary="b, c and light jets of ttbar events, parametrised tracker (Zenodo 13350327)",
    version="1",
    licence="unknown: see the archive",
    citation="""@misc{FlavourTagging:2024,
  title = {Dataset for flavour tagging R\\&D},
  howpublished = {Zenodo},
  year = {2024},
  doi = {10.5281/zenodo.13350327}
}""",
    source="Zenodo 10.5281/zenodo.13350327: train_small, validate_small and test_small (.root)",
    load=load,
    folders=("jets/flavour_zenodo", "flavour_zenodo"),
)
