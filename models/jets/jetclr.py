"""JetCLR: contrastive learning of jets from symmetries alone, without an anomalous view.

Both views are turned and moved, the second also has smeared soft constituents and collinear
splittings; the loss is NT-Xent. Soft constituents fade continuously from the attention and from
the sum. The ablation of DarkCLR: the same scores, nothing signal-motivated. Defaults are JetCLR's
published size; the preset of the embedded board has 45 k parameters.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Context, Model
from physbench.models.jets import _contrastive_training as training
from physbench.models.jets import _jet_augmentations as views
from physbench.models.jets._contrastive import contrastive


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    width: int = 1000,
    layers: int = 4,
    heads: int = 4,
    feed_forward: int = 1000,
    head: int = 1000,
    dropout: float = 0.1,
    features: str = "linear",
    continuous: bool = True,
    slots: int = 50,
    temperature: float = 0.1,
    moved: bool = True,
    learning_rate: float = 5e-5,
    adam_epsilon: float = 1e-8,
    batch: int = 128,
    epochs: int = 500,
    score: str = "maha",
    representation: str = "head",
    context: Context = Context(),
) -> training.Contrastive:
    """Pre-train on QCD jets; parameters as in `physbench.models.jets.darkclr`.

    `continuous`: attention in proportion to sqrt(pT), and a sum with pT shares.
    """
    training.check_choice(score, representation)
    shape = training.Shape(width, layers, heads, feed_forward, head, dropout, features, continuous)
    return training.fitted(
        train,
        validation,
        shape,
        partial(views.two_views, moved=moved),
        partial(contrastive, temperature=temperature),
        training.Training(learning_rate, adam_epsilon, batch, epochs),
        training.Scoring(score, representation, slots, 0.5, seed),
        context,
    )


def predict(fitted: training.Contrastive, inputs: Jets) -> NDArray[np.float64]:
    """The chosen score."""
    return training.anomaly_score(fitted, inputs)


MODEL = Model(
    tasks=("dark_jets",),
    reference="""@article{Dillon:2021gag,
  author = {Dillon, Barry M. and Kasieczka, Gregor and Olischlager, Hans and Plehn, Tilman
    and Sorrenson, Peter and Vogel, Lorenz},
  title = {Symmetries, safety, and self-supervision},
  journal = {SciPost Phys.},
  volume = {12},
  pages = {188},
  year = {2022},
  eprint = {2108.04253},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={"dark_showers": training.PRESET | {"batch": 256}},
    quick=training.QUICK,
    save=training.save,
    load=training.load,
    parameters=training.parameters,
)
