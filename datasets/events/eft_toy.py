"""A contact term in a Drell-Yan-like process: six observables, closed detector-level ratio.

Two helicity amplitudes with a term that grows with mass (`_helicity.py` has the density). No
observable alone keeps more than a fifth of the information on theta, and two pairs of them must be
combined; two observables carry none. 100,000 training events, half of them drawn at the reference
theta = 0 and half at theta ~ U(-1, 1), 20,000 for validation, 6,000 test events at the reference
with their exact ln p(x|theta)/p(x|0).

A toy: its figures say nothing about a real detector and do not compare with published ones.
"""

from __future__ import annotations

from pathlib import Path

from physbench.datasets import Dataset, File, Splits
from physbench.datasets.common import store
from physbench.datasets.events import _drawn
from physbench.datasets.events._helicity import PROCESS

NAME = "eft_toy.npz"


def load(*, folder: str = "") -> Splits:
    """The embedded sample, or the one that `make` wrote into `folder`."""
    path = Path(folder) / NAME if folder else store.checked("eft_toy", DATASET)[NAME]
    return _drawn.load(PROCESS, path)


def make(
    folder: Path, *, seed: int, events: int = 100_000, validation: int = 20_000, test: int = 6_000
) -> Path:
    """Draw a sample into `folder/eft_toy.npz` and return its path."""
    return _drawn.make(PROCESS, folder / NAME, seed, events, validation, test)


DATASET = Dataset(
    summary="contact term in a Drell-Yan-like toy, with the exact detector-level ratio",
    version="1",
    licence="MIT",
    citation="""@article{Brehmer:2018eca,
  author = {Brehmer, Johann and Cranmer, Kyle and Louppe, Gilles and Pavez, Juan},
  title = {A Guide to Constraining Effective Field Theories with Machine Learning},
  journal = {Phys. Rev. D},
  volume = {98},
  pages = {052004},
  year = {2018},
  eprint = {1805.00020},
  archiveprefix = {arXiv}
}""",
    source="drawn by make() of this file, seed 1",
    load=load,
    embedded=True,
    files=(
        File(NAME, "73ac76a97aa7438e69784f50e8f046eebd23489b9dfca93a4bc5f8829d888b6f", 4117565),
    ),
    make=make,
)
