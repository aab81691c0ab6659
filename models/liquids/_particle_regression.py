"""Ridge regression from particle descriptors to propensities: one for each type and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from physbench.datasets import Split
from physbench.datasets.liquids import Configuration

Array = NDArray[np.float64]
PENALTIES = (1e1, 1e2, 1e3, 1e4, 1e5)
Describe = Callable[[Configuration], Array]


@dataclass(frozen=True, eq=False)
class Standard:
    """Mean and standard deviation of each column; constant columns become zero."""

    mean: Array
    scale: Array

    @classmethod
    def of(cls, table: Array) -> Standard:
        """From a table (n, f)."""
        deviation = table.std(0)
        used = deviation > 1e-9 * (np.abs(table).max(0, initial=0.0) + 1e-300)
        return cls(table.mean(0), np.where(used, deviation, np.inf))

    def __call__(self, table: Array) -> Array:
        return np.asarray((table - self.mean) / self.scale)


@dataclass(frozen=True, eq=False)
class Ridge:
    """Coefficients for each type: {type: (standard, weights (f, t), intercept (t,), penalty)}."""

    by_type: dict[int, tuple[Standard, Array, Array, float]]
    describe: Describe

    def __call__(self, configuration: Configuration) -> Array:
        """(n, t). Raises ValueError for a type that training did not have."""
        table = self.describe(configuration)
        unknown = set(np.unique(configuration.types)) - set(self.by_type)
        if unknown:
            raise ValueError(
                f"the configuration has particles of type {sorted(unknown)}, never seen in "
                f"training (types {sorted(self.by_type)})"
            )
        times = next(iter(self.by_type.values()))[1].shape[1]
        found = np.empty((len(configuration), times))
        for kind, (standard, weights, intercept, _) in self.by_type.items():
            chosen = configuration.types == kind
            found[chosen] = standard(table[chosen]) @ weights + intercept
        return found


def predict(fitted: Ridge, inputs: Sequence[Configuration]) -> list[Array]:
    """(n, t) a configuration."""
    return [fitted(configuration) for configuration in inputs]


def parameters(fitted: Ridge) -> int:
    """Weights and intercepts of all types and times."""
    return sum(w.size + b.size for _, w, b, _ in fitted.by_type.values())


def fit(
    splits: Sequence[Split],
    describe: Describe,
    penalties: Sequence[float] = PENALTIES,
    *,
    per_configuration: bool = False,
) -> Ridge:
    """Ridge on all configurations of `splits`, with the penalty of least error on left-out ones.

    Columns are standardised with the training particles of the type. The penalty is chosen by
    leaving out one configuration at a time: least squared error at tau_alpha. With
    `per_configuration` targets are standardised within each configuration: how mobile it is as a
    whole is then not learned, which a score per configuration does not ask for.
    """
    inputs = [c for split in splits for c in split.inputs]
    targets = [m for split in splits for m in split.targets]
    if len(inputs) < 2:
        raise ValueError(
            f"ridge needs at least 2 training configurations to choose its penalty; got "
            f"{len(inputs)}"
        )
    tables = [describe(configuration) for configuration in inputs]
    by_type = {}
    for kind in np.unique(np.concatenate([c.types for c in inputs])).tolist():
        x = [t[c.types == kind] for t, c in zip(tables, inputs, strict=True)]
        y = [m.propensity[:, m.types == kind].T.astype(float) for m in targets]
        means, deviations = (np.mean([f(v, axis=0) for v in y], axis=0) for f in (np.mean, np.std))
        if per_configuration:
            y = [(v - v.mean(0)) / np.where(v.std(0) > 0, v.std(0), 1.0) for v in y]
        standard, weights, intercept, penalty = _ridge(x, y, targets[0].alpha, penalties)
        if per_configuration:
            weights, intercept = weights * deviations, intercept * deviations + means
        by_type[kind] = standard, weights, intercept, penalty
    return Ridge(by_type, describe)


def _ridge(
    x: list[Array], y: list[Array], alpha: int, penalties: Sequence[float]
) -> tuple[Standard, Array, Array, float]:
    standard = Standard.of(np.concatenate(x))
    intercept = np.concatenate(y).mean(0)
    x = [standard(table) for table in x]
    y = [values - intercept for values in y]
    grams = [table.T @ table for table in x]
    moments = [table.T @ values for table, values in zip(x, y, strict=True)]
    gram, moment = np.sum(grams, axis=0), np.sum(moments, axis=0)
    errors = []
    for penalty in penalties:
        error = 0.0
        for table, values, own, its in zip(x, y, grams, moments, strict=True):
            weights = _solve(gram - own, (moment - its)[:, alpha], penalty)
            error += float(((table @ weights - values[:, alpha]) ** 2).sum())
        errors.append(error)
    best = penalties[int(np.argmin(errors))]
    return standard, _solve(gram, moment, best), intercept, best


def _solve(gram: Array, moment: Array, penalty: float) -> Array:
    matrix = gram + penalty * np.eye(len(gram))
    return np.asarray(cho_solve(cho_factor(matrix, lower=True, overwrite_a=True), moment))
