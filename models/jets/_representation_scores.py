"""Anomaly scores on representations: how far a jet lies from those of the background.

None of these is the published CLR-inspired score of DarkCLR, whose formula could not be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def normalised(z: NDArray[np.floating[Any]]) -> Array:
    """Rows of unit length."""
    z = np.asarray(z, dtype=np.float64)
    return np.asarray(z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12))


@dataclass(frozen=True)
class Background:
    """Normalised representations (n, k) of background jets, their mean and inverse covariance."""

    bank: Array
    mean: Array
    precision: Array

    @classmethod
    def of(cls, z: NDArray[np.floating[Any]], ridge: float = 1e-6) -> Background:
        """From representations; `ridge` times the mean variance steadies the inverse."""
        bank = normalised(z)
        covariance = np.asarray(np.cov(bank, rowvar=False), dtype=np.float64)
        size = len(covariance)
        covariance += (ridge * np.trace(covariance) / size + 1e-15) * np.eye(size)
        return cls(
            bank,
            np.asarray(bank.mean(axis=0), dtype=np.float64),
            np.asarray(np.linalg.inv(covariance), dtype=np.float64),
        )

    def maha(self, z: NDArray[np.floating[Any]]) -> Array:
        """Squared Mahalanobis distance of normalised z to the background (n,)."""
        d = normalised(z) - self.mean
        return np.asarray(np.einsum("ni,ij,nj->n", d, self.precision, d))

    def cos_mean(self, z: NDArray[np.floating[Any]]) -> Array:
        """Minus the cosine to the mean of the normalised background z (n,)."""
        return np.asarray(-normalised(z) @ self.mean / np.linalg.norm(self.mean))

    def knn(self, z: NDArray[np.floating[Any]], neighbours: int = 10) -> Array:
        """Mean distance to the nearest background z (n,)."""
        from sklearn.neighbors import NearestNeighbors

        found = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(self.bank)
        distances, _ = found.kneighbors(normalised(z))
        return np.asarray(distances.mean(axis=1))
