"""Resolution of the impact parameters of the parametrised tracker, as it is reported a track."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

D0 = (0.020, 0.120)  # mm; mm GeV: intrinsic, multiple scattering
Z0 = (0.040, 0.180)


def sigma_d0(pt: Array, eta: Array) -> Array:
    """sigma(d0) = 0.020 (+) 0.120 / (pT sqrt(sin theta)) in mm, pT in GeV.

    >>> float(np.round(sigma_d0(np.array([1.0]), np.array([0.0]))[0], 6))
    0.121655
    """
    first, second = D0
    result: Array = np.hypot(first, second * np.sqrt(np.cosh(eta)) / pt)
    return result


def sigma_z0(pt: Array, eta: Array) -> Array:
    """sigma(z0) = 0.040 (+) 0.180 / (pT sin^1.5 theta) in mm, pT in GeV.

    >>> float(np.round(sigma_z0(np.array([1.0]), np.array([0.0]))[0], 6))
    0.184391
    """
    first, second = Z0
    result: Array = np.hypot(first, second * np.cosh(eta) ** 1.5 / pt)
    return result
