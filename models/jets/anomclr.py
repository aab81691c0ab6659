"""AnomCLR: contrastive learning with negatives from the batch and an anomalous view.

On jets as in AnomalyCLR: turned and moved copies with smeared soft constituents and collinear
splittings are positives, a copy that lost 30 % of its constituents is the anomalous view. Defaults
have DarkCLR's published size; the preset of the embedded board has 45 k parameters.
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
from physbench.models.jets._contrastive import anomaly_contrastive


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
    drop_probability: float = 0.3,
    moved: bool = True,
    both: bool = False,
    learning_rate: float = 5e-5,
    adam_epsilon: float = 1e-4,
    batch: int = 256,
    epochs: int = 150,
    score: str = "maha",
    representation: str = "head",
    context: Context = Context(),
) -> training.Contrastive:
    """Pre-train on QCD jets; parameters as in `physbench.models.jets.darkclr`."""
    training.check_choice(score, representation)
    shape = training.Shape(width, layers, heads, feed_forward, head, dropout, features)
    return training.fitted(
        train,
        validation,
        shape,
        partial(views.three_views, probability=drop_probability, resolved=True, moved=moved),
        partial(anomaly_contrastive, temperature=temperature, both=both),
        training.Training(learning_rate, adam_epsilon, batch, epochs),
        training.Scoring(score, representation, slots, drop_probability, seed),
        context,
    )


def predict(fitted: training.Contrastive, inputs: Jets) -> NDArray[np.float64]:
    """The chosen score."""
    return training.anomaly_score(fitted, inputs)


MODEL = Model(
    tasks=("dark_jets",),
    reference="""@article{Dillon:2023zac,
  author = {Dillon, Barry M. and Favaro, Luigi and Feiden, Friedrich and Modak, Tanmoy
    and Plehn, Tilman},
  title = {Anomalies, representations, and self-supervision},
  year = {2023},
  eprint = {2301.04660},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={"dark_showers": training.PRESET},
    quick=training.QUICK,
    save=training.save,
    load=training.load,
    parameters=training.parameters,
)
