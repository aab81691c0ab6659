"""Gated recurrent network that reads the hits of a track from inside out."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from physbench.models import Model
from physbench.models.tracks import _track_regression as track_regression


class Network(nn.Module):
    """The state after the last hit, and two dense layers."""

    def __init__(
        self, features: int = 3, outputs: int = 2, *, width: int = 64, layers: int = 1
    ) -> None:
        super().__init__()
        self.recurrent = nn.GRU(features, width, layers, batch_first=True)
        self.body = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.head = nn.Linear(width, outputs)

    def pooled(self, hits: Tensor, mask: Tensor) -> Tensor:
        """(n, width): the representation of a track."""
        states, _ = self.recurrent(hits)
        # Empty slots come last, so the state after the last real hit has not seen them.
        last = states[torch.arange(len(hits)), mask.sum(1) - 1]
        result: Tensor = self.body(last)
        return result

    def forward(self, hits: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = self.head(self.pooled(hits, mask))
        return result


fit = track_regression.fits(Network, learning_rate=3e-3, clip=1.0)

MODEL = Model(
    tasks=("track_parameters",),
    reference="""@inproceedings{Cho:2014,
  author = {Cho, Kyunghyun and van Merri{\\"e}nboer, Bart and Gulcehre, Caglar and Bahdanau,
    Dzmitry and Bougares, Fethi and Schwenk, Holger and Bengio, Yoshua},
  title = {Learning phrase representations using {RNN} encoder-decoder for statistical machine
    translation},
  booktitle = {EMNLP},
  year = {2014},
  eprint = {1406.1078},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=track_regression.predict,
    presets={"generic_tracks": {"epochs": 24}},
    quick={"epochs": 2, "width": 8},
    save=track_regression.save,
    load=partial(track_regression.load, Network),
    parameters=track_regression.parameters,
)
