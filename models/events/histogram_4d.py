"""Histogram of the four observables that know theta, 5^4 bins."""

from __future__ import annotations

from physbench.datasets import Split
from physbench.models import Model
from physbench.models.events import _morphing
from physbench.models.events._morphing import Histogram


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    columns: tuple[int, ...] = (0, 1, 2, 3),
    bins: int = 5,
) -> Histogram:
    """Mean morphing coefficients of reference events in `bins` quantile bins a variable."""
    return _morphing.fit_histogram(train, columns, bins)


MODEL = Model(
    tasks=("likelihood_ratio",),
    reference="""@article{Brehmer:2018eca,
  author = {Brehmer, Johann and Cranmer, Kyle and Louppe, Gilles and Pavez, Juan},
  title = {A Guide to Constraining Effective Field Theories with Machine Learning},
  journal = {Phys. Rev. D},
  volume = {98},
  pages = {052004},
  year = {2018},
  eprint = {1805.00020},
  archiveprefix = {arXiv}
}""",
    role="classical",
    fit=fit,
    predict=_morphing.predict_histogram,
    deterministic=True,
)
