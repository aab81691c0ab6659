"""The CSV files of the TrackML challenge: columns, types, and the one checked reader.

Columns and units are those of the challenge (arXiv:1904.06778): positions in mm, momenta in
GeV/c, charge in e; `particle_id` is a 64-bit integer with 0 for noise.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.reading import DataError, check_range, content

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "hits": {
        "hit_id": "int64",
        "x": "float64",
        "y": "float64",
        "z": "float64",
        "volume_id": "int64",
        "layer_id": "int64",
        "module_id": "int64",
    },
    "truth": {
        "hit_id": "int64",
        "particle_id": "int64",
        "tx": "float64",
        "ty": "float64",
        "tz": "float64",
        "weight": "float64",
    },
    "particles": {
        "particle_id": "int64",
        "vx": "float64",
        "vy": "float64",
        "vz": "float64",
        "px": "float64",
        "py": "float64",
        "pz": "float64",
        "q": "float64",
    },
}

OPTIONAL: Mapping[str, Mapping[str, str]] = {"particles": {"particle_type": "int64"}}

KINDS = ("hits", "truth", "particles")
MOST = 1 << 30  # bytes of one table; a full event's truth has 12 MB
PIXELS = (7, 8, 9)
# What a value of an official file can be: column -> (lowest, highest, why).
RANGES: Mapping[str, tuple[float, float, str]] = {
    **dict.fromkeys(("x", "y", "tx", "ty"), (-1200.0, 1200.0, "mm inside the detector")),
    **dict.fromkeys(("z", "tz"), (-3200.0, 3200.0, "mm inside the detector")),
    "volume_id": (1, 100, "a volume of the detector"),
    "layer_id": (1, 100, "a layer of the detector"),
    "module_id": (0, 100_000, "a module of the detector"),
    "hit_id": (0, 2**31, "a hit of the event"),
    "particle_id": (0, 2**63 - 1, "0 for noise, else a particle"),
    "weight": (0.0, 1.0, "a share of the event's score"),
    **dict.fromkeys(("vx", "vy"), (-1500.0, 1500.0, "mm inside the detector")),
    "vz": (-20_000.0, 20_000.0, "mm"),
    **dict.fromkeys(("px", "py", "pz"), (-7000.0, 7000.0, "GeV below the beam's")),
    "q": (-2, 2, "the charge in e"),
    "particle_type": (-(2**31), 2**31, "a PDG code"),
}
MEDIAN_PT = (0.05, 20.0)  # GeV; an event in MeV or TeV is outside
SMEARING = {True: 1.0, False: 30.0}  # mm between a hit and its truth: pixels, strips


def read_csv(path: Path, kind: str) -> pd.DataFrame:
    """One CSV file (`hits`, `truth` or `particles`), checked.

    Raises DataError naming the file and what is wrong: a missing column, NaN, a float where an
    identifier belongs, a truncated archive, a duplicate identifier, a value that no detector has.
    """
    import pandas as pd

    columns = COLUMNS[kind]
    raw = _unpacked(path)
    try:
        # Identifiers without a dtype: pandas would round a float id to an integer in silence.
        # Without the search for missing values reading is faster; an empty field then fails.
        table = pd.read_csv(
            io.BytesIO(raw),
            usecols=lambda name: name in columns or name in OPTIONAL.get(kind, {}),
            dtype={name: type_ for name, type_ in columns.items() if type_ == "float64"},
            na_filter=False,
            low_memory=False,
        )
        table[list(columns)]  # KeyError for a missing one
    except Exception as error:  # a damaged file makes pandas raise almost anything
        raise DataError(f"{path}: {_explain(raw, columns, error)}") from error
    known = {n: t for n, t in {**columns, **OPTIONAL.get(kind, {})}.items() if n in table}
    for name, type_ in known.items():
        values = table[name].to_numpy()
        if type_ == "float64" and not np.isfinite(values).all():
            raise DataError(f"{path}: column '{name}' holds NaN or infinity")
        if type_ == "int64" and len(table) and values.dtype != np.int64:
            reason = ValueError(f"column '{name}' must hold whole numbers (64-bit)")
            raise DataError(f"{path}: {_explain(raw, known, reason)}")
        check_range(values, *RANGES[name][:2], f"{path}: column '{name}'", RANGES[name][2])
    _check_unique(path, table[next(iter(columns))].to_numpy(), next(iter(columns)))
    return table


def _unpacked(path: Path) -> bytes:
    try:
        return content(path, MOST)
    except FileNotFoundError:
        raise
    except (EOFError, OSError, zlib.error, ValueError) as error:
        raise DataError(
            f"{path}: file is truncated or damaged ({error}); fetch it again"
        ) from error


def read_event(files: Mapping[str, Path]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Hits, truth in the order of the hits, and particles of one event: the one checked join.

    Raises DataError naming the file where hits are missing or have other ids than the truth, a
    particle with hits has no row, momenta are not in GeV, or hits lie far from their truth.
    """
    hits, truth, particles = (read_csv(files[kind], kind) for kind in KINDS)
    if not len(hits):
        raise DataError(f"{files['hits']}: the event has no hits")
    ids = hits["hit_id"].to_numpy(), truth["hit_id"].to_numpy()
    if len(hits) != len(truth) or not np.array_equal(np.sort(ids[0]), np.sort(ids[1])):
        raise DataError(
            f"{files['hits']} and {files['truth'].name} must hold the same hit_id; found "
            f"{len(hits)} hits and {len(truth)} truth rows, "
            f"{len(np.setxor1d(*ids))} ids are in one file alone"
        )
    truth = truth.set_index("hit_id").loc[ids[0]].reset_index()
    owner = truth["particle_id"].to_numpy()
    unknown = np.setdiff1d(owner[owner != 0], particles["particle_id"].to_numpy())
    if len(unknown):
        raise DataError(
            f"{files['particles']}: particle {unknown[0]} has hits, but no row in the particles "
            "file"
        )
    if truth["weight"].sum() > 1.001:
        raise DataError(
            f"{files['truth']}: the weights of an event sum to at most 1; found "
            f"{truth['weight'].sum():g}"
        )
    _check_units(files["particles"], particles[particles["particle_id"].isin(owner)])
    _check_smearing(files["truth"], hits, truth)
    return hits, truth, particles


def _check_units(path: Path, particles: pd.DataFrame) -> None:
    """Median pT of the particles with hits: 0.3 to 1 GeV in the official events."""
    if not len(particles):
        return
    median = float(np.median(np.hypot(particles["px"], particles["py"])))
    low, high = MEDIAN_PT
    if not low <= median <= high:
        raise DataError(
            f"{path}: px, py and pz must be in GeV; the median pT is {median:g}, expected "
            f"{low:g} to {high:g}. Are they in MeV?"
        )


def _check_smearing(path: Path, hits: pd.DataFrame, truth: pd.DataFrame) -> None:
    """A hit lies within its sensor's resolution of its truth (noise has none)."""
    steps = [hits[a].to_numpy() - truth[f"t{a}"].to_numpy() for a in "xyz"]
    distance = np.sqrt(sum(step**2 for step in steps))
    most = np.where(hits["volume_id"].isin(PIXELS), SMEARING[True], SMEARING[False])
    wrong = (distance > most) & (truth["particle_id"].to_numpy() != 0)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"{path}: hit {hits['hit_id'].iloc[first]} lies {distance[first]:.4g} mm from its "
            f"truth, at most {most[first]:g} mm are possible there ({int(wrong.sum())} such hits)"
        )


def _check_unique(path: Path, values: NDArray[Any], name: str) -> None:
    """Raise DataError where an identifier comes twice; files are mostly sorted by it."""
    if (values[1:] > values[:-1]).all():
        return
    ordered = np.sort(values)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        raise DataError(f"{path}: {name} {twice[0]} appears twice; identifiers must be unique")


def _explain(content: bytes, columns: Mapping[str, str], error: Exception) -> str:
    """What is wrong with a file that pandas could not read, in the user's words."""
    import pandas as pd

    try:
        raw = pd.read_csv(io.BytesIO(content), dtype=str, na_filter=False)
    except Exception as again:  # noqa: BLE001 - a parser may raise anything
        return f"file is truncated or not a CSV file ({type(again).__name__}: {again})"
    missing = [name for name in columns if name not in raw.columns]
    if missing:
        return f"column '{missing[0]}' is missing; found {', '.join(map(str, raw.columns))}"
    for name, type_ in columns.items():
        if type_ == "int64":
            whole = raw[name].str.fullmatch(r"\s*[+-]?\d+\s*")
            if not whole.all():
                value = raw.loc[~whole, name].iloc[0]
                return f"column '{name}' must hold whole numbers (64-bit); found '{value}'"
        elif (wrong := raw[name][pd.to_numeric(raw[name], errors="coerce").isna()]).size:
            return f"column '{name}' holds NaN or infinity; found '{wrong.iloc[0]}'"
    return f"{type(error).__name__}: {error}"
