"""Optimal-transport distance to the nearest of a few typical QCD jets.

The medoids minimise the summed energy mover's distance of a sample of background jets to the
nearest of them. After Fraser et al. (event-to-ensemble distances for anomaly detection).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Model
from physbench.models.jets import _arrays
from physbench.models.jets._optimal_transport import Cloud, clouds, distances


@dataclass(frozen=True)
class Fitted:
    """The medoids."""

    medoids: list[Cloud]
    hardest: int


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    medoids: int = 5,
    sample: int = 200,
    hardest: int = 30,
) -> Fitted:
    """Choose medoids among `sample` random QCD jets, using their `hardest` constituents."""
    generator = np.random.default_rng(seed)
    chosen = generator.choice(len(train), min(sample, len(train)), replace=False)
    jets = clouds(train.inputs.take(np.sort(chosen)), hardest)
    table = distances(jets, jets)
    return Fitted([jets[i] for i in k_medoids(table, medoids)], hardest)


def k_medoids(table: NDArray[np.float64], number: int) -> list[int]:
    """Medoids of a distance table (n, n): greedy build, then swaps while the total falls."""
    if not 1 <= number <= len(table):
        raise ValueError(f"medoids must be between 1 and {len(table)} jets; got {number}")
    found: list[int] = []
    nearest = np.full(len(table), np.inf)
    for _ in range(number):
        totals = np.minimum(nearest[:, None], table).sum(axis=0)
        totals[found] = np.inf
        found.append(int(np.argmin(totals)))
        nearest = np.minimum(nearest, table[:, found[-1]])
    return _swapped(table, found)


def _swapped(table: NDArray[np.float64], found: list[int]) -> list[int]:
    best = table[:, found].min(axis=1).sum()
    improved = True
    while improved:
        improved = False
        for place in range(len(found)):
            others = found[:place] + found[place + 1 :]
            rest = table[:, others].min(axis=1) if others else np.full(len(table), np.inf)
            totals = np.minimum(rest[:, None], table).sum(axis=0)
            candidate = int(np.argmin(totals))
            if totals[candidate] < best - 1e-12:
                found[place], best, improved = candidate, totals[candidate], True
    return found


def predict(fitted: Fitted, inputs: Jets) -> NDArray[np.float64]:
    """Distance to the nearest medoid."""
    return np.asarray(distances(clouds(inputs, fitted.hardest), fitted.medoids).min(axis=1))


def save(fitted: Fitted, path: Path) -> None:
    """Weights and angles of the medoids, one after the other."""
    weights, angles = (list(part) for part in zip(*fitted.medoids, strict=True))
    sizes = [len(part) for part in weights]
    _arrays.write(
        path,
        weights=np.concatenate(weights),
        angles=np.concatenate(angles),
        sizes=sizes,
        hardest=fitted.hardest,
    )


def load(path: Path) -> Fitted:
    """What `save` wrote."""
    stored = _arrays.read(path)
    ends = np.cumsum(stored["sizes"])[:-1]
    parts = (np.split(stored[name], ends) for name in ("weights", "angles"))
    return Fitted(list(zip(*parts, strict=True)), int(stored["hardest"]))


MODEL = Model(
    tasks=("dark_jets",),
    role="classical",
    reference="""@article{Fraser:2021lxm,
  author = {Fraser, Katherine and Homiller, Samuel and Mishra, Rashmish K. and Ostdiek, Bryan
    and Schwartz, Matthew D.},
  title = {Challenges for unsupervised anomaly detection in particle physics},
  journal = {JHEP},
  volume = {03},
  pages = {066},
  year = {2022},
  eprint = {2110.06948},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    quick={"medoids": 2, "sample": 12, "hardest": 10},
    save=save,
    load=load,
)
