"""Constituents of jets in about 110 bytes a jet: quantised, differenced, split into byte planes.

pT is stored as the nearest step of ln pT (0.5 %, half the best track resolution of the detector
model), as differences along the falling order; eta and phi as steps of 1/1024. Low and high bytes
of all numbers stand together, which is what makes them compress.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOG_STEP = 1 / 200  # of ln(pT / GeV)
ANGLE_STEP = 1 / 1024  # of eta and phi


def pack(constituents: NDArray[np.floating[Any]]) -> dict[str, NDArray[np.uint8]]:
    """Columns of the filled slots of jets (n, slots, 3), pT (GeV, falling), eta, phi.

    `stored` holds the number of slots of each jet, `constituents` the bytes (2, 3, all slots).
    """
    filled = constituents[..., 0] > 0
    count = filled.sum(axis=1)
    pt, eta, phi = constituents[filled].astype(np.float64).T
    steps = np.round(np.log(pt) / LOG_STEP).astype(np.int16)
    change = np.diff(steps, prepend=np.int16(0))
    start = np.cumsum(count) - count
    change[start] = steps[start]
    angles = [np.round(a / ANGLE_STEP).astype(np.int16) for a in (eta, phi)]
    numbers = np.stack([change, *angles]).astype("<i2")
    planes = np.moveaxis(numbers.view(np.uint8).reshape(3, -1, 2), 2, 0)
    return {"stored": count.astype(np.uint8), "constituents": np.ascontiguousarray(planes)}


def unpack(
    stored: NDArray[np.uint8], constituents: NDArray[np.uint8], slots: int
) -> NDArray[np.float32]:
    """What `pack` packed, (n, slots, 3); every jet has at least one slot."""
    low, high = constituents
    change, eta, phi = (low | high.astype(np.uint16) << 8).view(np.int16)
    count = stored.astype(np.int64)
    start = np.cumsum(count) - count
    total = np.cumsum(change, dtype=np.int64)
    steps = total - np.repeat(total[start] - change[start], count)
    place = np.arange(len(change)) + np.repeat(np.arange(len(stored)) * slots - start, count)
    jets = np.zeros((len(stored) * slots, 3), dtype=np.float32)
    columns = np.exp(steps * LOG_STEP), eta * ANGLE_STEP, phi * ANGLE_STEP
    for number, column in enumerate(columns):
        jets[place, number] = column
    return jets.reshape(len(stored), slots, 3)
