"""Circle fit (Taubin by default), and a straight line of z against arc length: no training."""

from __future__ import annotations

from physbench.datasets import Split
from physbench.datasets.tracks import Tracks
from physbench.models import Model
from physbench.models.tracks import _circles as circles


def fit(train: Split, validation: Split, *, seed: int, method: str = "taubin") -> str:
    """Nothing is learned; `method` is `taubin`, `kasa`, `pratt`, `riemann` or `geometric`."""
    if method not in circles.METHODS:
        raise ValueError(f"method must be one of {', '.join(circles.METHODS)}; got '{method}'")
    return method


def predict(fitted: str, inputs: Tracks) -> dict[str, circles.Array]:
    """q/pT, pz, d0, z0; q/pT = 0 (no answer) for hits on a straight line."""
    return dict(circles.helix(inputs, fitted))


MODEL = Model(
    tasks=("track_parameters",),
    role="classical",
    reference="""@article{AlSharadqah:2009,
  author = {Al-Sharadqah, Ali and Chernov, Nikolai},
  title = {Error analysis for circle fitting algorithms},
  journal = {Electron. J. Stat.},
  volume = {3},
  pages = {886},
  year = {2009},
  eprint = {0907.0421},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    deterministic=True,
)
