"""What a contrastive encoder has learned: its representation, and how its loss fell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.jets import Jets
from physbench.models.jets._contrastive_training import Contrastive, represented, tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


def leading(known: Array, components: int = 2) -> tuple[Array, Array]:
    """The leading principal components (n, components) of `known` (n, k), and their shares.

    The share is that of the total variance.
    """
    centred = known - known.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    return u[:, :components] * s[:components], (s**2 / (s**2).sum())[:components]


def effective_rank(known: Array) -> float:
    """exp of the entropy of the shares of variance: 1 for a collapsed representation, up to k."""
    shares = np.linalg.svd(known - known.mean(axis=0), compute_uv=False) ** 2
    p = shares[shares > 0] / shares.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def representation_figure(fitted: Contrastive, jets: Jets) -> Figure:
    """Two leading components of the representation, coloured by multiplicity and by mass."""
    import matplotlib.pyplot as plt

    how = fitted.scoring
    known = represented(fitted.encoder, tensor(jets, how.slots), how.representation)
    (x, y), shares = leading(known)[0].T, leading(known)[1]
    figure, grid = plt.subplots(1, 2, figsize=(9.0, 3.8), layout="constrained", sharey=True)
    colours: dict[str, NDArray[Any]] = {
        "number of constituents": jets.multiplicity,
        "jet mass in GeV": jets.mass,
    }
    for axes, (label, values) in zip(grid, colours.items(), strict=True):
        high = float(np.quantile(values, 0.98))
        points = axes.scatter(x, y, c=values, s=4, vmax=high, cmap="viridis", rasterized=True)
        figure.colorbar(points, ax=axes, label=label)
        axes.set_xlabel(f"first component ({shares[0]:.0%} of the variance)")
    grid[0].set_ylabel(f"second component ({shares[1]:.0%})")
    rank, size = effective_rank(known), known.shape[1]
    figure.suptitle(f"effective rank {rank:.1f} of {size}", fontsize="medium")
    plt.close(figure)
    return figure


def loss_figure(history: list[dict[str, Any]]) -> Figure:
    """Loss of training and of held-out background after each epoch."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(4.8, 3.4), layout="constrained")
    epochs = np.arange(1, len(history) + 1)
    for key, label in (("train_loss", "training"), ("validation_loss", "held-out background")):
        axes.plot(epochs, [row[key] for row in history], "o-", label=label)
    axes.set(xlabel="epoch", ylabel="loss", xticks=epochs[:: max(1, len(epochs) // 10)])
    axes.legend()
    plt.close(figure)
    return figure
