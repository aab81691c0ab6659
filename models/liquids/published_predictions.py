"""Published per-particle predictions of GlassBench: BOTAN, CAGE, GlassMLP, SE3, order parameters.

Rows of what the authors' networks, trained on 400 configurations (CAGE and GlassMLP on fewer),
answered for the very particles that are scored here. The predictions lie in the archive's files of
test configurations; a configuration is found by its thermal positions. Nothing is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.liquids import Configuration, glassbench
from physbench.models import Model


@dataclass(frozen=True)
class Published:
    """Whose predictions, and the folder of the archive's files; empty for the usual one."""

    method: str
    folder: str


def fit(
    train: Split, validation: Split, *, seed: int, method: str = "SE3", folder: str = ""
) -> Published:
    """Nothing to learn.

    Parameters
    ----------
    method:
        `BOTAN`, `CAGE`, `GlassMLP`, `SE3`, or an order parameter (`SBO`, `SBO_CG`, `DEN`, `EPOT`,
        `PSI6`).
    folder:
        Where `KA_models` lies; empty for $PHYSBENCH_DATA/glassbench.
    """
    glassbench.check_method(method)
    return Published(method, folder)


def predict(fitted: Published, inputs: Sequence[Configuration]) -> list[NDArray[np.float64]]:
    """(n, t) a configuration. Raises ValueError for one that is not in the archive's test part."""
    wanted = {configuration.thermal.tobytes(): k for k, configuration in enumerate(inputs)}
    found: dict[int, NDArray[np.float64]] = {}
    for temperature in sorted({configuration.temperature for configuration in inputs}):
        for positions, values in glassbench.published(fitted.method, temperature, fitted.folder):
            number = wanted.get(positions.tobytes())
            if number is not None:
                found[number] = values.T
    missing = [k for k in range(len(inputs)) if k not in found]
    if missing:
        raise ValueError(
            f"{fitted.method} has published no predictions of {len(missing)} of the {len(inputs)} "
            f"configurations, the first at index {missing[0]}: run it on the dataset glassbench"
        )
    return [found[k] for k in range(len(inputs))]


MODEL = Model(
    tasks=("glass_mobility",),
    reference="""@article{Jung:2023roadmap,
  author = {Jung, Gerhard and Alkemade, Rinske M. and Bapst, Victor and Coslovich, Daniele and
    Filion, Laura and Landes, Fran{\\c{c}}ois P. and Liu, Andrea J. and Pezzicoli, Francesco
    Saverio and Shiba, Hayato and Volpe, Giovanni and Zamponi, Francesco and Berthier, Ludovic and
    Biroli, Giulio},
  title = {Roadmap on machine learning glassy dynamics},
  journal = {Nature Reviews Physics},
  year = {2025},
  eprint = {2311.14752},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    deterministic=True,
)
