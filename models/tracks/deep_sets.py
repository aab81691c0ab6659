"""Deep Sets on the hits of a track: a network per hit, the mean, a network behind it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.models import Model
from physbench.models.common.layers import masked_mean
from physbench.models.tracks import _track_regression as track_regression
from physbench.models.tracks._track_regression import Regressor


class Network(nn.Module):
    """rho(mean over hits of phi(hit)): invariant under permutations of the hits."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.phi = nn.Sequential(
            nn.Linear(3, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width),
        )  # fmt: skip
        self.rho = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.head = nn.Linear(width, 2)

    def pooled(self, hits: Tensor, mask: Tensor) -> Tensor:
        """(n, width): the representation of a track."""
        result: Tensor = self.rho(masked_mean(self.phi(hits), mask))
        return result

    def forward(self, hits: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = self.head(self.pooled(hits, mask))
        return result


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    width: int = 64,
    loss: str = "mse",
    quantile: float = 0.5,
    lr: float = 3e-3,
    batch: int = 256,
    epochs: int = 30,
    weight_decay: float = 0.0,
) -> Regressor:
    """Train with AdamW under a warm-up cosine schedule on standardised targets."""
    torch.manual_seed(seed)
    return track_regression.fit(
        Network(width),
        train,
        validation,
        configuration={"width": width},
        seed=seed,
        batch=batch,
        loss=loss,
        quantile=quantile,
        epochs=epochs,
        lr=lr,
        optimiser="adamw",
        weight_decay=weight_decay,
        schedule="warmup_cosine",
    )


def load(path: Path) -> Regressor:
    """The saved network."""
    return track_regression.load(path, Network)


MODEL = Model(
    tasks=("track_parameters",),
    reference="""@inproceedings{Zaheer:2017,
  author = {Zaheer, Manzil and Kottur, Satwik and Ravanbakhsh, Siamak and P{\\'o}czos,
    Barnab{\\'a}s and Salakhutdinov, Ruslan and Smola, Alexander},
  title = {Deep Sets},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {30},
  year = {2017},
  eprint = {1703.06114},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=track_regression.predict,
    presets={"generic_tracks": {"epochs": 80}},
    save=track_regression.save,
    load=load,
    parameters=track_regression.parameters,
)
