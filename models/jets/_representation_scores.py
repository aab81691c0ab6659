"""Anomaly scores on representations: how far a jet lies from those of the background.

None of these is the published CLR-inspired score of DarkCLR, whose formula could not be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BANK = 5000  # background representations kept for the nearest neighbours


def normalised(z: NDArray[np.floating[Any]]) -> Array:
    """Rows of unit length."""
    z = np.asarray(z, dtype=np.float64)
    return np.asarray(z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12))


@dataclass(frozen=True)
class Background:
    """Mean (k,) and inverse covariance (k, k) of background representations, and some of them."""

    bank: Array
    mean: Array
    precision: Array

    @classmethod
    def of(cls, z: NDArray[np.floating[Any]], ridge: float = 1e-6) -> Background:
        """From representations (n, k); `ridge` times the mean variance steadies the inverse."""
        known = np.asarray(z, dtype=np.float64)
        covariance = np.asarray(np.cov(known, rowvar=False), dtype=np.float64).reshape(
            known.shape[1], -1
        )
        size = len(covariance)
        covariance += (ridge * np.trace(covariance) / size + 1e-15) * np.eye(size)
        precision = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
        return cls(known[:BANK], np.asarray(known.mean(axis=0)), precision)

    def maha(self, z: NDArray[np.floating[Any]]) -> Array:
        """Squared Mahalanobis distance to the background (n,)."""
        return np.asarray((self.whitened(z) ** 2).sum(axis=1))

    def whitened(self, z: NDArray[np.floating[Any]]) -> Array:
        """Representations (n, k) in which the background has mean 0 and covariance 1."""
        values, vectors = np.linalg.eigh(self.precision)
        return np.asarray((z - self.mean) @ (vectors * np.sqrt(np.maximum(values, 0.0))))

    def cos_mean(self, z: NDArray[np.floating[Any]]) -> Array:
        """Minus the cosine to the mean of the background (n,)."""
        return np.asarray(-normalised(z) @ self.mean / np.linalg.norm(self.mean))

    def knn(self, z: NDArray[np.floating[Any]], neighbours: int = 10) -> Array:
        """Mean distance to the nearest background representations (n,)."""
        from sklearn.neighbors import NearestNeighbors

        found = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(self.bank)
        distances, _ = found.kneighbors(z)
        return np.asarray(distances.mean(axis=1))

    def tensors(self) -> dict[str, Any]:
        """As tensors, to store."""
        import torch

        return {name: torch.from_numpy(np.array(value)) for name, value in vars(self).items()}

    @classmethod
    def from_tensors(cls, stored: dict[str, Any]) -> Background:
        """What `tensors` gave."""
        return cls(**{name: value.numpy() for name, value in stored.items()})
