"""Multilayer perceptron on the hits of a track, written one behind the other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.models import Model
from physbench.models.tracks import _track_regression as track_regression
from physbench.models.tracks._track_regression import Regressor


class Network(nn.Module):
    """Dense layers on the first `slots` hits and their mask."""

    def __init__(self, widths: Sequence[int], slots: int) -> None:
        super().__init__()
        self.slots = slots
        sizes = (4 * slots, *widths)
        steps: list[nn.Module] = []
        for first, second in itertools.pairwise(sizes):
            steps += [nn.Linear(first, second), nn.SiLU()]
        self.body, self.head = nn.Sequential(*steps), nn.Linear(sizes[-1], 2)

    def pooled(self, hits: Tensor, mask: Tensor) -> Tensor:
        """(n, widths[-1]): the representation of a track."""
        rows = torch.cat([hits, mask[..., None].to(hits.dtype)], 2)[:, : self.slots]
        missing = self.slots - rows.shape[1]
        result: Tensor = self.body(nn.functional.pad(rows, (0, 0, 0, missing)).flatten(1))
        return result

    def forward(self, hits: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = self.head(self.pooled(hits, mask))
        return result


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    widths: tuple[int, ...] = (256, 256, 256),
    slots: int = 20,
    loss: str = "mse",
    quantile: float = 0.5,
    lr: float = 1e-3,
    batch: int = 256,
    epochs: int = 30,
    weight_decay: float = 0.0,
) -> Regressor:
    """Train with AdamW under a warm-up cosine schedule on standardised targets."""
    torch.manual_seed(seed)
    configuration = {"widths": list(widths), "slots": slots}
    return track_regression.fit(
        Network(**configuration),  # type: ignore[arg-type]
        train,
        validation,
        configuration=configuration,
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
    reference="Baseline without a paper: a multilayer perceptron.",
    fit=fit,
    predict=track_regression.predict,
    presets={"generic_tracks": {"epochs": 60}},
    save=track_regression.save,
    load=load,
    parameters=track_regression.parameters,
)
