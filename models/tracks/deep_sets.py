"""Deep Sets on the hits of a track: a network per hit, the mean, a network behind it."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from physbench.models import Model
from physbench.models.common.layers import masked_mean
from physbench.models.tracks import _track_regression as track_regression


class Network(nn.Module):
    """rho(mean over hits of phi(hit)): invariant under permutations of the hits."""

    def __init__(self, features: int = 3, outputs: int = 2, *, width: int = 64) -> None:
        super().__init__()
        self.phi = nn.Sequential(
            nn.Linear(features, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
        )
        self.rho = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.head = nn.Linear(width, outputs)

    def pooled(self, hits: Tensor, mask: Tensor) -> Tensor:
        """(n, width): the representation of a track."""
        result: Tensor = self.rho(masked_mean(self.phi(hits), mask))
        return result

    def forward(self, hits: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = self.head(self.pooled(hits, mask))
        return result


fit = track_regression.fits(Network, learning_rate=3e-3)

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
    quick={"epochs": 2, "width": 8},
    save=track_regression.save,
    load=partial(track_regression.load, Network),
    parameters=track_regression.parameters,
)
