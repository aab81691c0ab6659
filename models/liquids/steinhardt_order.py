"""Untrained: minus the Steinhardt bond order q_6, coarse-grained. Disordered is mobile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.liquids import Configuration
from physbench.models import Model
from physbench.models.liquids._order_parameters import OrderParameter, coarse_grained, fit
from physbench.models.liquids._structure import bond_order

DEGREE = 6


def predict(fitted: OrderParameter, inputs: Sequence[Configuration]) -> list[NDArray[np.float64]]:
    """(n, t) a configuration: -q_6 of the first shell (weights centred on 1.1), averaged."""
    found = []
    for configuration in inputs:
        order = bond_order(
            configuration,
            fitted.positions,
            degrees=DEGREE,
            first=1.1,
            last=1.2,
            step=0.1,
            width=0.2,
        )
        found.append(coarse_grained(configuration, -order[:, 2 * (DEGREE - 1)], fitted))
    return found


MODEL = Model(
    tasks=("glass_mobility",),
    role="classical",
    reference="""@article{Steinhardt:1983,
  author = {Steinhardt, Paul J. and Nelson, David R. and Ronchetti, Marco},
  title = {Bond-orientational order in liquids and glasses},
  journal = {Phys. Rev. B},
  volume = {28},
  pages = {784--805},
  year = {1983},
  doi = {10.1103/PhysRevB.28.784}
}""",
    fit=fit,
    predict=predict,
    deterministic=True,
)
