"""Simulated events of a one-parameter theory, and what the simulator knows of each.

The parameter theta is a coupling in units in which the range of interest is [-1, 1] and the
reference is 0. A density that is quadratic in theta,

    p(z|theta) = p(z|0) (1 + theta C1(z) + theta^2 C2(z)) / (1 + theta n1 + theta^2 n2),

n_k = E[C_k] under the reference, is what any interference of a new amplitude with a known one
gives: |A0 + theta A1|^2. Two numbers an event, its morphing coefficients, then hold its ratio and
its score at every theta (Brehmer, Cranmer, Louppe, Pavez, arXiv:1805.00020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import described

__all__ = ["GRID", "Gold", "Process", "Simulated", "log_ratio", "score"]

Array = NDArray[np.float64]
Norms = tuple[float, float]

GRID = np.arange(-10, 11) / 10  # theta at which a model answers; holds the reference 0


class _Columns:
    """Dataclasses whose array fields have one element an event."""

    def take(self, index: Any) -> Self:
        """The events `index` (integers, a slice or a mask), in that order."""
        values = {
            f.name: getattr(self, f.name)
            for f in fields(self)  # type: ignore[arg-type]
        }
        chosen = {k: v[index] if isinstance(v, np.ndarray) else v for k, v in values.items()}
        return type(self)(**chosen)


@dataclass(frozen=True, eq=False)
class Simulated(_Columns):
    """Events as a detector saw them, each with the theta a model is asked about.

    Raises ValueError for other shapes and for values that are not finite.
    """

    x: NDArray[np.float32] = described("(n, d)", "1", "observables")
    theta: NDArray[np.float32] = described(
        "(n,)", "1", "parameter that goes with the event; 0 and without meaning in the test split"
    )

    def __post_init__(self) -> None:
        if self.x.ndim != 2:
            raise ValueError(f"x must have shape (events, observables); got {self.x.shape}")
        if self.theta.shape != self.x.shape[:1]:
            raise ValueError(
                f"theta must hold one value an event, shape ({len(self.x)},); got "
                f"{self.theta.shape}"
            )
        for name in ("x", "theta"):
            bad = ~np.isfinite(getattr(self, name)).reshape(len(self.x), -1).all(1)
            if bad.any():
                raise ValueError(
                    f"{name} of {int(bad.sum())} events is NaN or infinite, first of event "
                    f"{int(np.flatnonzero(bad)[0])}; drop them with take()"
                )

    def __len__(self) -> int:
        return len(self.x)

    def to_numpy(self) -> NDArray[np.float32]:
        """(n, d + 1): the observables and theta."""
        return np.column_stack([self.x, self.theta])

    def to_torch(self) -> Any:
        """`to_numpy` as a tensor."""
        import torch

        return torch.from_numpy(self.to_numpy())

    def to_frame(self) -> Any:
        """One row an event, columns x0, x1, ... and theta."""
        import pandas as pd

        columns = [f"x{k}" for k in range(self.x.shape[1])]
        return pd.DataFrame(self.x, columns=columns).assign(theta=self.theta)


@dataclass(frozen=True, eq=False)
class Gold(_Columns):
    """What the simulator knows of its events, beyond what the detector saw."""

    label: NDArray[np.uint8] = described(
        "(n,)", "1", "1: drawn at the reference theta = 0; 0: drawn at the theta of the event"
    )
    coefficients: NDArray[np.float32] = described(
        "(n, 2)", "1", "morphing coefficients C1, C2 of the latent variables; NaN when withheld"
    )
    exact: Array = described(
        "(n, 21)", "1", "exact ln p(x|theta)/p(x|0) on the grid; (n, 0) outside the test split"
    )
    exact_score: Array = described(
        "(n,)", "1", "exact d ln p(x|theta)/dtheta at 0; NaN outside the test split"
    )
    norms: Norms = described("(2,)", "1", "n1, n2: means of C1, C2 at the reference")
    process: str = described("()", "", "name of the simulated process")

    def __len__(self) -> int:
        return len(self.label)

    def to_frame(self) -> Any:
        """One row an event: label, c1, c2."""
        import pandas as pd

        first, second = self.coefficients.T
        return pd.DataFrame({"label": self.label, "c1": first, "c2": second})


class Process(NamedTuple):
    """A simulator whose detector-level ratio is known.

    `simulate(theta, generator)` gives latent variables and observables of one event for each
    theta; `coefficients(z)` is (n, 2); `expected(x)` is E[C1, C2 | x] at the reference, (n, 2).
    """

    name: str
    simulate: Callable[[Array, np.random.Generator], tuple[Array, Array]]
    coefficients: Callable[[Array], Array]
    expected: Callable[[Array], Array]
    norms: Norms


def log_ratio(
    coefficients: NDArray[Any], theta: Any, norms: Norms, *, floor: float = 0.0
) -> Array:
    """ln r = ln(1 + theta C1 + theta^2 C2) - ln(1 + theta n1 + theta^2 n2), natural logarithm.

    The ratio to theta = 0 of latent variables with these coefficients (the joint ratio), or of
    observables when the coefficients are their expectations given x. `coefficients` is (..., 2);
    `theta` broadcasts against its leading axes. Estimated coefficients may make the first
    argument negative: it is not taken below `floor`.

    >>> c = np.array([0.83015430, 1.26408579])
    >>> round(float(log_ratio(c, 0.5, (1.183225610, 1.538865570))), 6)
    -0.132485
    """
    c1, c2 = np.moveaxis(np.asarray(coefficients, dtype=np.float64), -1, 0)
    theta = np.asarray(theta, dtype=np.float64)
    joint = np.log1p(np.maximum(theta * (c1 + theta * c2), floor - 1))
    return np.asarray(joint - np.log1p(theta * (norms[0] + theta * norms[1])))


def score(coefficients: NDArray[Any], theta: Any, norms: Norms) -> Array:
    """t = d ln r/dtheta of `log_ratio`, same shapes.

    >>> c = np.array([0.83015430, 1.26408579])
    >>> round(float(score(c, 0.0, (1.183225610, 1.538865570))), 7)
    -0.3530713
    """
    c1, c2 = np.moveaxis(np.asarray(coefficients, dtype=np.float64), -1, 0)
    theta = np.asarray(theta, dtype=np.float64)
    n1, n2 = norms
    numerator = (c1 + 2 * theta * c2) / (1 + theta * (c1 + theta * c2))
    return np.asarray(numerator - (n1 + 2 * theta * n2) / (1 + theta * (n1 + theta * n2)))
