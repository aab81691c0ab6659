"""The metrics of the CaloChallenge 2022 as its evaluation defines them, under `cc_` names.

They are comparable with the challenge's tables (arXiv:2410.21611) only on its own sets, with all
showers of the evaluation file. Voxels below the set's threshold are zero on both sides. On grids
that are not the challenge's they are undefined.

The classifier test trains a network of 2048 x 3 units in double precision for 50 epochs: hours
without a GPU. It is run where the protocol asks for it (`classifier`), and undefined elsewhere.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.showers import Grid, Showers, decode
from physbench.tasks.metrics import ranking
from physbench.tasks.metrics.shower_formulas import (
    blocks,
    covariance_distance,
    kernel_distance,
    separation,
)

Floats = NDArray[np.float64]
Columns = dict[str, Floats]

TINY = 1e-16
FPD_SIZES = (10_000, 50_000)  # showers, ends of the extrapolation
FPD_POINTS, FPD_REPEATS = 10, 20
KPD_BATCHES, KPD_SIZE = 10, 10_000
LAYER_EDGES = 40
FAR = (12, 13)  # layers of the ATLAS tile calorimeter, with wider histograms
# Ranges of the histograms: set 1, its far layers, sets 2 and 3; all in mm.
RANGES = {
    "centre": ((-100, 100), (-500, 500), (-30, 30)),
    "width": ((0, 100), (0, 400), (0, 30)),
    "radius": ((0, 500), (0, 1500), (0, 42)),
    "radius_width": ((0, 500), (0, 1500), (0, 20)),
}
NETWORK = {"width": 2048, "layers": 3, "epochs": 50, "batch": 1000, "learning_rate": 2e-4}


@dataclass(frozen=True, eq=False)
class Challenge:
    """High-level columns of simulated and generated showers, and what the classifiers said.

    `auc` maps `low` and `high` to the area under the ROC, where the test was asked for.
    """

    grid: Grid
    simulated: Columns
    generated: Columns
    vectors: tuple[Floats, Floats]
    auc: dict[str, float]


def judged(targets: Showers, codes: NDArray[Any]) -> Challenge | None:
    """What the challenge's metrics need of a sample, by codes; None on other grids."""
    grid = targets.grid
    if not grid.challenge:
        return None
    sides = (targets.voxels, codes)
    columns = [_in_parts(side, targets.energy, grid) for side in sides]
    vectors = [vector(c, targets.energy) for c in columns]
    auc = {}
    if targets.classifier:
        low = [low_level(_energies(side, grid), targets.energy) for side in sides]
        auc = {"low": classified(*low), "high": classified(*vectors)}
    return Challenge(grid, columns[0], columns[1], (vectors[0], vectors[1]), auc)


def _energies(side: NDArray[Any], grid: Grid) -> Floats:
    """Energies in MeV in double precision, of codes or of energies."""
    return (side if side.dtype.kind == "f" else decode(side, grid)).astype(np.float64)


def _in_parts(side: NDArray[Any], energy: NDArray[Any], grid: Grid) -> Columns:
    """`features` of some showers at a time."""
    found = [
        features(_energies(side[rows], grid), energy[rows], grid)
        for rows in blocks(len(side), grid.voxels)
    ]
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def features(voxels: Floats, energy: NDArray[Any], grid: Grid) -> Columns:
    """High-level features, each (n, layers): those in angle for layers with angles alone.

    Energies in MeV, places in mm: eta = r cos(alpha), phi = r sin(alpha) of a voxel's middle.
    """
    angle = np.concatenate([layer.angle for layer in grid.layers])
    several = np.array([layer.angles > 1 for layer in grid.layers])
    layers = grid.by_layer(voxels)
    found = {"total": voxels.sum(1, keepdims=True) / energy[:, None], "layers": layers}
    for name, place in (
        ("eta", grid.radius * np.cos(angle)),
        ("phi", grid.radius * np.sin(angle)),
        ("radius", grid.radius),
    ):
        centre = grid.by_layer(voxels * place) / (layers + TINY)
        square = grid.by_layer(voxels * place**2) / (layers + TINY)
        width = np.sqrt(np.maximum(square - centre**2, 0.0))
        kept = slice(None) if name == "radius" else several
        found |= {name: centre[:, kept], f"{name}_width": width[:, kept]}
    occupied = grid.by_layer((voxels > 0).astype(np.float64)) / np.diff(grid.starts)
    return found | {"sparsity": 1 - occupied}


def vector(columns: Columns, energy: NDArray[Any]) -> Floats:
    """The challenge's high-level vector, (n, columns), for its classifier, FPD and KPD."""
    total = columns["layers"].sum(1, keepdims=True)
    centres = [columns[name] / 100 for name in ("eta", "phi", "eta_width", "phi_width")]
    radial = [columns["sparsity"], columns["radius"] / 100, columns["radius_width"] / 100]
    return np.hstack(
        [
            np.log10(energy[:, None].astype(np.float64)),
            np.log10(columns["layers"] + 1e-8),
            *centres,
            np.log10(np.maximum(total, 1e-8)),
            *radial,
        ]
    )


def low_level(voxels: Floats, energy: NDArray[Any]) -> Floats:
    """log10 of the incident energy, and voxels in per cent of it: (n, 1 + voxels)."""
    return np.column_stack([np.log10(energy), 100 * voxels / energy[:, None]])


def separations(found: Challenge) -> dict[str, float]:
    """Mean separation power of the histograms of each class of features."""
    return {
        name: float(np.mean(_class(found, name))) for name, c in found.simulated.items() if c.size
    }


def _class(found: Challenge, name: str) -> list[float]:
    first, second = found.simulated[name], found.generated[name]
    numbers = [layer.number for layer in found.grid.layers]
    if first.shape[1] < len(numbers) and name != "total":
        numbers = [layer.number for layer in found.grid.layers if layer.angles > 1]
    return [
        binned_separation(a, b, edges(name, number, a, found.grid))
        for a, b, number in zip(first.T, second.T, numbers, strict=False)
    ]


def edges(name: str, number: int, reference: Floats, grid: Grid) -> Floats:
    """The challenge's edges of the histogram of one feature of one layer."""
    if name == "total":
        return np.linspace(0.5, 1.5, 101)
    if name == "sparsity":
        return np.linspace(0, 1, 21)
    if name == "layers":
        high = max(float(reference.max()), 1.01 * grid.threshold)
        return np.geomspace(grid.threshold, high, LAYER_EDGES)
    kind = {"eta": "centre", "phi": "centre", "eta_width": "width", "phi_width": "width"}
    column = (1 if number in FAR else 0) if grid.challenge.startswith("1") else 2
    return np.linspace(*RANGES[kind.get(name, name)][column], 101)


def binned_separation(first: Floats, second: Floats, edges: Floats) -> float:
    """Separation power of two histograms, each normalised within the range of the edges.

    1 where a sample has nothing in it.
    """
    counts = [np.histogram(sample, edges)[0].astype(np.float64) for sample in (first, second)]
    if not all(c.sum() for c in counts):
        return float(counts[0].sum() != counts[1].sum())
    return float(separation(*(c / c.sum() for c in counts)))


def frechet_intercept(first: Floats, second: Floats) -> float:
    """FPD without the bias of a finite sample: intercept of a line in 1/N (arXiv:2211.10295).

    10 sizes from 10,000 to 50,000 showers, equally spaced in 1/N, 20 random subsets each. NaN
    with fewer than 10,000 showers.
    """
    least, most = FPD_SIZES[0], min(FPD_SIZES[1], len(first))
    if most < 2 * least:
        return math.nan
    generator = np.random.default_rng(0)
    sizes = (1 / np.linspace(1 / least, 1 / most, FPD_POINTS)).astype(int)
    means = [
        np.mean([_subset_distance(first, second, size, generator) for _ in range(FPD_REPEATS)])
        for size in sizes
    ]
    return float(np.polyfit(1 / sizes, means, 1)[1])


def _subset_distance(
    first: Floats, second: Floats, size: int, generator: np.random.Generator
) -> float:
    parts = [s[generator.choice(len(s), size, replace=False)] for s in (first, second)]
    difference = parts[0].mean(0) - parts[1].mean(0)
    covariances = [np.atleast_2d(np.cov(part.T)) for part in parts]
    return float(difference @ difference) + covariance_distance(*covariances)


def scaled(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Columns over the largest magnitude in the reference, as FPD and KPD want them."""
    largest = np.abs(first).max(0)
    largest = np.where(largest > 0, largest, 1.0)
    return first / largest, second / largest


def classified(simulated: Floats, generated: Floats) -> float:
    """AUC of the challenge's classifier on the last fifth, at its best epoch on the fourth."""
    import torch

    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    columns, labels = [], []
    for label, sample in ((1.0, simulated), (0.0, generated)):
        order = generator.permutation(len(sample))
        columns.append(np.split(sample[order], [3 * len(sample) // 5, 4 * len(sample) // 5]))
        labels.append([np.full(len(part), label) for part in columns[-1]])
    parts = [
        (torch.from_numpy(np.concatenate(x)), torch.from_numpy(np.concatenate(y)))
        for x, y in zip(zip(*columns, strict=True), zip(*labels, strict=True), strict=True)
    ]
    network = _trained(*parts[:2])
    x, y = parts[2]
    with torch.no_grad():
        score = network(x.to(next(network.parameters()).device))[:, 0].cpu().numpy()
    real = y.numpy() == 1
    return ranking.area_under_curve(score[~real], score[real])


def _trained(train: Any, held: Any) -> Any:
    """The classifier with the weights of its most accurate epoch."""
    import torch
    from torch import nn

    sizes = [train[0].shape[1]] + [int(NETWORK["width"])] * int(NETWORK["layers"])
    parts: list[Any] = []
    for a, b in itertools.pairwise(sizes):
        parts += [nn.Linear(a, b), nn.LeakyReLU()]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = nn.Sequential(*parts, nn.Linear(sizes[-1], 1)).double().to(device)
    optimiser = torch.optim.Adam(network.parameters(), NETWORK["learning_rate"])
    best, kept = -1.0, network.state_dict()
    for _ in range(int(NETWORK["epochs"])):
        for index in torch.split(torch.randperm(len(train[0])), int(NETWORK["batch"])):
            x, y = (t[index].to(device) for t in train)
            optimiser.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(network(x)[:, 0], y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            right = (network(held[0].to(device))[:, 0].cpu() > 0) == (held[1] > 0.5)
        if float(right.double().mean()) > best:
            best = float(right.double().mean())
            kept = {key: value.clone() for key, value in network.state_dict().items()}
    network.load_state_dict(kept)
    return network


def cc_separation(truth: Any, table: Any) -> dict[str, float]:
    """Mean separation power over all histograms of the CaloChallenge, and by class of feature."""
    if table.challenge is None:
        return {"all": math.nan}
    found = separations(table.challenge)
    every = [
        s
        for name, c in table.challenge.simulated.items()
        if c.size
        for s in _class(table.challenge, name)
    ]
    return {"all": float(np.mean(every))} | found


def cc_fpd(truth: Any, table: Any) -> float:
    """Frechet physics distance of the CaloChallenge, extrapolated to infinite samples."""
    if table.challenge is None:
        return math.nan
    return frechet_intercept(*scaled(*table.challenge.vectors))


def cc_kpd(truth: Any, table: Any) -> float:
    """Kernel physics distance of the CaloChallenge: median over 10 batches of 10,000 showers."""
    if table.challenge is None or len(table) < KPD_SIZE:
        return math.nan
    first, second = scaled(*table.challenge.vectors)
    generator = np.random.default_rng(0)
    batches = [generator.choice(len(first), KPD_SIZE, replace=False) for _ in range(KPD_BATCHES)]
    return float(np.median([kernel_distance(first[b], second[b]) for b in batches]))


def cc_auc_low(truth: Any, table: Any) -> float:
    """AUC of the CaloChallenge's classifier on voxels: 0.5 where it cannot tell."""
    return table.challenge.auc.get("low", math.nan) if table.challenge else math.nan


def cc_auc_high(truth: Any, table: Any) -> float:
    """AUC of the CaloChallenge's classifier on high-level features."""
    return table.challenge.auc.get("high", math.nan) if table.challenge else math.nan
