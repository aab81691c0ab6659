"""Softness: signed distance to the plane between slow and fast particles' structures.

100 radial and 66 angular structure functions; a linear support vector machine tells the most from
the least mobile A particles of the training configurations apart, here by their propensity at
tau_alpha instead of the hops of single trajectories, which these data do not keep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.liquids import Configuration
from physbench.models import Model
from physbench.models.liquids._particle_regression import Standard
from physbench.models.liquids._structure_functions import describe


@dataclass(frozen=True, eq=False)
class Softness:
    """For each type the scaling and the plane; `times` is how many columns to fill."""

    planes: dict[int, tuple[Standard, Any]]
    functions: Callable[[Configuration], NDArray[np.float64]]
    times: int


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    positions: str = "inherent",
    radial_last: float = 5.0,
    angular_cutoff: float = 2.5,
    share: float = 0.2,
    penalty: float = 0.1,
) -> Softness:
    """Find the plane of each type on train and validation configurations together.

    Parameters
    ----------
    positions, radial_last, angular_cutoff:
        As in `structure_ridge`.
    share:
        Of the particles of a configuration that are labelled fast, and as many slow.
    penalty:
        C of the support vector machine.
    """
    if not 0 < share <= 0.5:
        raise ValueError(f"share must be above 0 and at most 0.5; got {share}")
    functions = partial(
        describe, positions=positions, radial_last=radial_last, angular_cutoff=angular_cutoff
    )
    inputs = [*train.inputs, *validation.inputs]
    targets = [*train.targets, *validation.targets]
    tables = [functions(configuration) for configuration in inputs]
    planes = {}
    for kind in np.unique(inputs[0].types).tolist():
        x = [t[c.types == kind] for t, c in zip(tables, inputs, strict=True)]
        y = [m.propensity[m.alpha][m.types == kind] for m in targets]
        planes[kind] = _plane(x, y, share, penalty, seed)
    return Softness(planes, functions, len(targets[0].times))


def _plane(
    x: list[NDArray[np.float64]],
    y: list[NDArray[np.float32]],
    share: float,
    penalty: float,
    seed: int,
) -> tuple[Standard, Any]:
    from sklearn.svm import LinearSVC

    standard = Standard.of(np.concatenate(x))
    table, label = [], []
    for features, mobility in zip(x, y, strict=True):
        slow, fast = np.quantile(mobility, (share, 1 - share))
        chosen = (mobility <= slow) | (mobility >= fast)
        table.append(standard(features[chosen]))
        label.append(mobility[chosen] >= fast)
    machine = LinearSVC(C=penalty, dual=False, random_state=seed)
    return standard, machine.fit(np.concatenate(table), np.concatenate(label))


def predict(fitted: Softness, inputs: Sequence[Configuration]) -> list[NDArray[np.float64]]:
    """(n, t) a configuration: the softness, the same at every time."""
    found = []
    for configuration in inputs:
        table = fitted.functions(configuration)
        softness = np.zeros(len(configuration))
        for kind, (standard, machine) in fitted.planes.items():
            chosen = configuration.types == kind
            softness[chosen] = machine.decision_function(standard(table[chosen]))
        found.append(np.repeat(softness[:, None], fitted.times, axis=1))
    return found


MODEL = Model(
    tasks=("glass_mobility",),
    role="classical",
    reference="""@article{Schoenholz:2016,
  author = {Schoenholz, S. S. and Cubuk, E. D. and Sussman, D. M. and Kaxiras, E. and Liu, A. J.},
  title = {A structural approach to relaxation in glassy liquids},
  journal = {Nature Physics},
  volume = {12},
  pages = {469--471},
  year = {2016},
  doi = {10.1038/nphys3644}
}""",
    fit=fit,
    predict=predict,
    quick={"radial_last": 2.0, "angular_cutoff": 1.5},
    presets={"kob_andersen": {"radial_last": 4.3}},
    deterministic=True,
)
