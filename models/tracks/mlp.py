"""Multilayer perceptron on the hits of a track, written one behind the other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from physbench.models import Model
from physbench.models.tracks import _track_regression as track_regression


class Network(nn.Module):
    """Dense layers on the first `slots` hits and their mask."""

    def __init__(
        self,
        features: int = 3,
        outputs: int = 2,
        *,
        widths: Sequence[int] = (256, 256, 256),
        slots: int = 20,
    ) -> None:
        super().__init__()
        self.slots = slots
        sizes = ((features + 1) * slots, *widths)
        steps: list[nn.Module] = []
        for first, second in itertools.pairwise(sizes):
            steps += [nn.Linear(first, second), nn.SiLU()]
        self.body, self.head = nn.Sequential(*steps), nn.Linear(sizes[-1], outputs)

    def pooled(self, hits: Tensor, mask: Tensor) -> Tensor:
        """(n, widths[-1]): the representation of a track."""
        rows = torch.cat([hits, mask[..., None].to(hits.dtype)], 2)[:, : self.slots]
        missing = self.slots - rows.shape[1]
        result: Tensor = self.body(nn.functional.pad(rows, (0, 0, 0, missing)).flatten(1))
        return result

    def forward(self, hits: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = self.head(self.pooled(hits, mask))
        return result


fit = track_regression.fits(Network)

MODEL = Model(
    tasks=("track_parameters",),
    reference="Baseline without a paper: a multilayer perceptron.",
    fit=fit,
    predict=track_regression.predict,
    presets={"generic_tracks": {"epochs": 60}},
    quick={"epochs": 2, "widths": (8,)},
    save=track_regression.save,
    load=partial(track_regression.load, Network),
    parameters=track_regression.parameters,
)
