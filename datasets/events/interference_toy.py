"""A signal that interferes with its background: three Gaussians, closed detector-level ratio.

The form of off-shell Higgs production, B + 2 rho kappa sqrt(B S) + kappa^2 S with kappa =
1 + 0.7 theta and rho = -0.6; background and signal differ in their means and in the correlations
of two pairs of observables (`_interference.py`). Sizes and roles of the splits as in `eft_toy`,
from which it differs in everything else, so that no method is tuned to one toy.
"""

from __future__ import annotations

from pathlib import Path

from physbench.datasets import Dataset, File, Splits
from physbench.datasets.common import store
from physbench.datasets.events import _drawn
from physbench.datasets.events._interference import PROCESS

NAME = "interference_toy.npz"


def load(*, folder: str = "") -> Splits:
    """The embedded sample, or the one that `make` wrote into `folder`."""
    path = Path(folder) / NAME if folder else store.checked("interference_toy", DATASET)[NAME]
    return _drawn.load(PROCESS, path)


def make(
    folder: Path, *, seed: int, events: int = 100_000, validation: int = 20_000, test: int = 6_000
) -> Path:
    """Draw a sample into `folder/interference_toy.npz` and return its path."""
    return _drawn.make(PROCESS, folder / NAME, seed, events, validation, test)


DATASET = Dataset(
    summary="signal interfering with background as three Gaussians, with the exact ratio",
    version="1",
    licence="MIT",
    citation="""@article{ATLAS:2024jry,
  author = {{ATLAS Collaboration}},
  title = {An implementation of neural simulation-based inference for parameter estimation in
    {ATLAS}},
  journal = {Rep. Prog. Phys.},
  volume = {88},
  pages = {067801},
  year = {2025},
  eprint = {2412.01600},
  archiveprefix = {arXiv}
}""",
    source="drawn by make() of this file, seed 1",
    load=load,
    embedded=True,
    files=(
        File(NAME, "25fe00db1a0eddf13e506f4171167afd867ce07726d9f4960cce7ff2fdd6e29c", 4138486),
    ),
    make=make,
)
