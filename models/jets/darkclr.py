"""DarkCLR: contrastive learning against jets that lost constituents, scored on the representation.

The anchor and a turned copy of the jet are pulled together, a "dark drop" copy is pushed away
(AnomCLR+ loss). The dark drop is aimed at semi-visible jets: the method is signal-motivated.

All views carry the same information about position: displaced last and within the same bounds as
in the released script (`moved`), or all centred. (An earlier version here centred the anomalous
view alone; the network then learned to tell centred jets, and its rows were withdrawn.) phi is
wrapped around the jet axis (by the dataset), and only the jet that a drop empties is drawn again.
Defaults are the released settings (1.12 M parameters). The preset of the embedded board has 45 k,
logarithmic inputs, smeared and split positives and a drop probability drawn for each jet; all of
it was fixed before this board existed. The scores are documented in `_representation_scores`;
which formula the paper calls its CLR-inspired score could not be checked.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Context, Model
from physbench.models.common.training import parameters
from physbench.models.jets import _contrastive_training as training
from physbench.models.jets import _jet_augmentations as views
from physbench.models.jets._contrastive import JetEncoder, anomaly_contrastive_plus


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
    drop: str = "constituents",
    drop_probability: float = 0.5,
    drop_range: tuple[float, ...] = (),
    resolved: bool = False,
    moved: bool = True,
    both: bool = False,
    norm_weight: float = 1e-3,
    spread_weight: float = 0.0,
    learning_rate: float = 5e-5,
    adam_epsilon: float = 1e-4,
    batch: int = 256,
    epochs: int = 150,
    score: str = "maha",
    representation: str = "head",
    context: Context = Context(),
) -> training.Contrastive:
    """Pre-train on QCD jets; the lowest loss on held-out QCD is kept.

    Parameters
    ----------
    features:
        What is embedded of a constituent: `linear` (published) or `log`.
    slots:
        Constituents used, the hardest ones.
    drop:
        What the anomalous view loses: `constituents`, each on its own, or `subjets`, neighbours
        together.
    drop_probability:
        Of each of them; 0 switches the dark drop off.
    drop_range:
        (low, high): the probability is drawn for each jet, uniformly between them, instead.
    resolved:
        The positive is also smeared and split collinearly.
    moved:
        Views are displaced (last, within the same bounds), not centred.
    both:
        The positive is pushed away from the anomalous view as well (released: the anchor alone).
    norm_weight, spread_weight:
        Weights of the mean length of z, and of VICReg's variance and covariance terms.
    score:
        `maha`, `cos_mean`, `view_gap`, `knn`, `nae` or `flow`.
    representation:
        `head` (z) or `encoder` (h).
    """
    training.check_choice(score, representation)
    chance = views.probability(drop_probability, drop_range)
    shape = training.Shape(width, layers, heads, feed_forward, head, dropout, features)
    return training.fitted(
        train,
        validation,
        shape,
        partial(
            views.three_views,
            drop=drop,
            probability=chance,
            resolved=resolved,
            moved=moved,
        ),
        partial(anomaly_contrastive_plus, temperature=temperature, both=both),
        training.Training(
            learning_rate,
            adam_epsilon,
            batch,
            epochs,
            norm_weight,
            spread_weight,
            bound=-2 / temperature,
        ),
        training.Scoring(score, representation, slots, chance, seed),
        context,
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
    presets={
        "dark_showers": training.PRESET
        | {"resolved": True, "drop_range": (0.1, 0.6), "moved": False}
    },
    quick=training.QUICK,
    save=training.save,
    load=training.load,
    parameters=training.parameters,
    checks={"size in millions": lambda: parameters(JetEncoder()) / 1e6},
)
