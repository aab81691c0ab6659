"""DarkCLR: contrastive learning against jets that lost constituents, scored on the representation.

The anchor and a turned and moved copy of the jet are pulled together, a "dark drop" copy is pushed
away (AnomCLR+ loss). The dark drop is aimed at semi-visible jets: the method is signal-motivated.

Without the faults of the released script: every jet is recentred on its own, phi is wrapped
around the jet axis (by the dataset), and only the jet that a drop empties is drawn again. The
defaults are the published size (1.12 M parameters); the preset of the embedded board has 45 k.
The scores are documented in `physbench.models.jets._representation_scores`; which formula the
paper calls its CLR-inspired score could not be checked.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Model
from physbench.models.jets import _contrastive_training as training
from physbench.models.jets import _jet_augmentations as views
from physbench.models.jets._contrastive import anomaly_contrastive_plus


def three_views(
    jets: Tensor, generator: torch.Generator, *, drop_probability: float = 0.5
) -> tuple[Tensor, Tensor, Tensor]:
    """Anchor, positive and anomalous view of recentred jets (n, slots, 3)."""
    common = views.rotated(jets, generator)
    anchor = views.translated(common, generator)
    positive = views.translated(views.rotated(common, generator), generator)
    dropped = views.dark_dropped(views.translated(common, generator), generator, drop_probability)
    return anchor, positive, dropped


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    width: int = 128,
    layers: int = 4,
    heads: int = 4,
    feed_forward: int = 512,
    head: int = 512,
    dropout: float = 0.1,
    features: str = "linear",
    slots: int = 50,
    temperature: float = 0.1,
    drop_probability: float = 0.5,
    norm_weight: float = 1e-3,
    learning_rate: float = 5e-5,
    adam_epsilon: float = 1e-4,
    batch: int = 256,
    epochs: int = 150,
    score: str = "maha",
    representation: str = "head",
) -> training.Contrastive:
    """Pre-train on QCD jets; nothing is selected on validation.

    Parameters
    ----------
    features:
        What is embedded of a constituent: `linear` (published) or `log`.
    slots:
        Constituents used, the hardest ones.
    drop_probability:
        Of each constituent in the anomalous view; 0 switches the dark drop off.
    norm_weight:
        Weight of the mean length of z in the loss.
    score:
        `maha`, `cos_mean`, `view_gap`, `knn` or `nae`.
    representation:
        `head` (z) or `encoder` (h).
    """
    training.check_choice(score, representation)
    shape = training.Shape(width, layers, heads, feed_forward, head, dropout, features)
    return training.fitted(
        train.inputs,
        shape,
        partial(three_views, drop_probability=drop_probability),
        partial(anomaly_contrastive_plus, temperature=temperature),
        training.Training(learning_rate, adam_epsilon, batch, epochs, norm_weight),
        training.Scoring(score, representation, slots, drop_probability, seed),
    )


def predict(fitted: training.Contrastive, inputs: Jets) -> NDArray[np.float64]:
    """The chosen score."""
    return training.anomaly_score(fitted, inputs)


MODEL = Model(
    tasks=("dark_jets",),
    reference="""@article{Favaro:2023xdl,
  author = {Favaro, Luigi and Kr{\\"a}mer, Michael and Modak, Tanmoy and Plehn, Tilman
    and R{\\"u}schkamp, Jan},
  title = {Semi-visible jets, energy-based models, and self-supervision},
  journal = {SciPost Phys.},
  volume = {18},
  pages = {042},
  year = {2025},
  eprint = {2312.03067},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={"dark_showers": training.PRESET},
    save=training.save,
    load=training.load,
    parameters=training.parameters,
)
