"""Published Kob-Andersen data: their times and shares, and what their readers check alike.

One file a place, exact times, labels of the types, boxes, displacements.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import reading
from physbench.datasets.common.reading import DataError
from physbench.datasets.liquids import Configuration

# Times of the files by temperature, in order of their place.
GRID = {
    0.44: (0.13, 1.3, 13.0, 130.0, 412.0, 1300.0, 4120.0, 13000.0, 41200.0, 130000.0),
    0.50: (0.108, 0.434, 2.17, 6.86, 21.7, 68.6, 217.0, 686.0, 2170.0, 6860.0),
    0.56: (0.104, 0.33, 0.99, 1.65, 5.2, 16.5, 52.0, 165.0, 520.0, 1650.0),
    0.64: (0.032, 0.1, 0.165, 0.52, 1.65, 5.2, 16.5, 52.0, 165.0, 520.0),
}
TAU_ALPHA = {0.44: 4120.0, 0.50: 217.0, 0.56: 52.0, 0.64: 16.5}
DENSITY = 1.2  # in three dimensions
SHARES = (0.8, 0.2)  # of A and B

SPAN = (0.8, 5.0)  # of the starting positions in edges of the box; more where they are unwrapped
COMPOSITION = 0.02  # largest difference of a species' share


def put(files: dict[int, Path], place: int, path: Path) -> None:
    """Note the file of a place; raises DataError where another file already has it."""
    if files.setdefault(place, path) != path:
        raise DataError(
            f"{files[place]} and {path} are the same configuration at the same time; keep the one "
            "that is meant"
        )


def check_times(
    found: Mapping[Any, Mapping[int, Path]], times: Mapping[int, float], alpha: int
) -> None:
    """Raise DataError unless every configuration has the file of tau_alpha and the same times.

    `found` maps configurations to their files by place in the grid, `times` places to times.
    """
    wanted = {alpha}.union(*found.values())
    for configuration, files in found.items():
        unknown = sorted(set(files) - set(times))
        if unknown:
            raise DataError(
                f"{files[unknown[0]]}: no time is known for its place {unknown[0]}; the grid has "
                f"{min(times)} to {max(times)}"
            )
        missing = sorted(wanted - set(files))
        if missing:
            what = "tau_alpha, " if missing[0] == alpha else ""
            raise DataError(
                f"configuration {configuration} has no file for {what}t = {times[missing[0]]:g} "
                f"(tc{missing[0]:02d}); it has {next(iter(files.values())).name} and "
                f"{len(files) - 1} more. Every configuration needs the same times"
            )


def types_of(values: NDArray[Any], shares: Sequence[float], first: int, path: Path) -> Any:
    """(n,) types from 0, A being the majority, of labels that count from `first`.

    Raises DataError for other labels, and for shares of the species that are not the published
    ones: labels that are swapped, or count from somewhere else.
    """
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise DataError(f"{path}: types must be whole numbers (n,); got {values.dtype}")
    expected = {first + k: share for k, share in enumerate(shares)}
    labels, counts = np.unique(values, return_counts=True)
    found = dict(zip(labels.tolist(), (counts / len(values)).tolist(), strict=True))
    worst = max(abs(found.get(k, 0.0) - expected.get(k, 0.0)) for k in {*found, *expected})
    if worst > COMPOSITION:
        listed, present = (
            ", ".join(f"{k}: {share:.1%}" for k, share in side.items())
            for side in (expected, found)
        )
        raise DataError(f"{path}: types must have the shares {{{listed}}}; found {{{present}}}")
    return values.astype(np.int64) - first


def box_of(values: Any, dimensions: int, path: Path) -> NDArray[np.float64]:
    """(d,) edges of the box from one number (all edges alike) or one for each axis."""
    edges = np.ravel(np.asarray(values, dtype=np.float64))
    if edges.size not in (1, dimensions) or not (np.isfinite(edges) & (edges > 0)).all():
        raise DataError(f"{path}: box must be {dimensions} positive edges; got {edges.tolist()}")
    return np.broadcast_to(edges, dimensions).copy()


def check_start(positions: NDArray[Any], box: NDArray[Any], density: float, path: Path) -> None:
    """Positions (n, d) fill their box, and their density is the published one."""
    if positions.ndim != 2 or positions.shape[1] != len(box):
        raise DataError(f"{path}: positions must be (n, {len(box)}); got {positions.shape}")
    span = np.ptp(positions.astype(np.float64), axis=0) / box
    if (span < SPAN[0]).any() or (span > SPAN[1]).any():
        raise DataError(
            f"{path}: the positions span {span.round(3).tolist()} of the box "
            f"{box.round(4).tolist()}; expected about 1. Other units, or another box?"
        )
    found = len(positions) / float(np.prod(box))
    if abs(found / density - 1) > 0.02:
        raise DataError(
            f"{path}: {len(positions)} particles in the box {box.round(4).tolist()} have the "
            f"density {found:.4g}; expected {density}"
        )


def check_displacements(moved: NDArray[Any], box: NDArray[Any], path: Path) -> None:
    """Up to tau_alpha nobody moves half a box: who seems to was folded back into it."""
    far = np.abs(moved) > box / 2
    if far.any():
        raise DataError(
            f"{path}: {int(far.any(-1).sum())} displacements exceed half the box "
            f"{box.round(4).tolist()}; positions must be unwrapped, and from the same start"
        )


def check_apart(configurations: Sequence[Configuration], split: NDArray[Any]) -> None:
    """No configuration of the test split starts where one of the others does."""
    digests = [hashlib.sha256(c.thermal.tobytes()).digest() for c in configurations]
    rows = {
        "the test split": [d for d, part in zip(digests, split, strict=True) if part == 2],
        "the others": [d for d, part in zip(digests, split, strict=True) if part != 2],
    }
    reading.check_disjoint(rows, "configurations", "the files of train and test")
