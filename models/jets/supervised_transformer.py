"""Oracle: DarkCLR's encoder with an output for each signal, trained with the signal labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.jets import Jets, JetTruth
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.jets import _cross_fitting
from physbench.models.jets import _jet_augmentations as views
from physbench.models.jets._batches import Batches
from physbench.models.jets._contrastive import JetEncoder
from physbench.models.jets._contrastive_training import QUICK, Shape, tensor

TYPICAL = 20.0  # constituents that the sum runs over, in order of magnitude
HELD = 10  # one jet in so many chooses the epoch


class Classifier(nn.Module):
    """The encoder's sum over constituents and a linear output for each class."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.encoder = JetEncoder(**asdict(shape))
        self.output = nn.Linear(shape.width, classes)

    def forward(self, jets: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.output(self.encoder(jets)[0] / TYPICAL)
        return logits


@dataclass(frozen=True)
class Fitted:
    """Settings, and the training background: labels are seen at prediction."""

    background: Tensor
    shape: Shape
    slots: int
    learning_rate: float
    batch: int
    epochs: int
    folds: int
    seed: int
    context: Context


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
    features: str = "log",
    slots: int = 50,
    learning_rate: float = 5e-4,
    batch: int = 256,
    epochs: int = 30,
    folds: int = 3,
    context: Context = Context(),
) -> Fitted:
    """Nothing is learned from background alone; parameters as in `physbench.models.jets.darkclr`.

    `folds` are those of the cross-fitting.
    """
    shape = Shape(width, layers, heads, feed_forward, head, dropout, features)
    background = tensor(train.inputs, slots)
    return Fitted(background, shape, slots, learning_rate, batch, epochs, folds, seed, context)


def predict(fitted: Fitted, inputs: Jets, targets: JetTruth) -> NDArray[np.float64]:
    """Log odds (n, signals) of each signal; every jet by a network that never saw its event."""
    data = tensor(inputs, fitted.slots)
    scores = np.zeros((len(targets), len(targets.signals)))
    for number, (learn, score) in enumerate(
        _cross_fitting.parts(targets, fitted.folds, fitted.seed)
    ):
        model = _trained(fitted, data[learn], targets.take(learn), number)
        logits = _logits(model, data[score])
        scores[score] = logits[:, 1:] - logits[:, :1]
    return _cross_fitting.own_columns(scores, targets)


def _trained(fitted: Fitted, data: Tensor, truth: JetTruth, number: int) -> Classifier:
    """Cross-entropy of turned jets with all classes weighing the same at one pT spectrum."""
    extra = len(fitted.background)
    signal = np.r_[truth.signal, np.zeros(extra, dtype=np.int8)]
    weight = _cross_fitting.balanced(signal, np.r_[truth.weight, np.ones(extra)])
    columns = (
        torch.cat([data, fitted.background]),
        torch.from_numpy(signal.astype(np.int64)),
        torch.from_numpy(weight.astype(np.float32)),
    )
    torch.manual_seed(fitted.seed)
    model = Classifier(fitted.shape, len(truth.signals) + 1)
    order = np.random.default_rng(fitted.seed).permutation(len(signal))
    held, rest = order[::HELD], np.setdiff1d(order, order[::HELD])
    batches, held_batches = (
        Batches(fitted.batch, fitted.seed, *(column[rows] for column in columns))
        for rows in (rest, held)
    )
    training.train(
        model,
        _step,
        batches,
        held_batches,
        seed=fitted.seed,
        epochs=fitted.epochs,
        learning_rate=fitted.learning_rate,
        schedule="cosine",
        context=fitted.context,
        name=f"fold {number}",
    )
    return model.eval()


def _step(module: Any, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    jets, label, weight = batch
    losses = F.cross_entropy(module(views.rotated(jets)), label, reduction="none")
    return (weight * losses).mean()


@torch.no_grad()
def _logits(model: Classifier, data: Tensor) -> NDArray[np.float64]:
    return torch.cat([model(part) for part in torch.split(data, 1000)]).double().numpy()


MODEL = Model(
    tasks=("dark_jets",),
    reference="""@inproceedings{Vaswani:2017,
  author = {Vaswani, Ashish and Shazeer, Noam and Parmar, Niki and Uszkoreit, Jakob and Jones,
    Llion and Gomez, Aidan N. and Kaiser, {\\L}ukasz and Polosukhin, Illia},
  title = {Attention is all you need},
  booktitle = {Advances in Neural Information Processing Systems 30},
  year = {2017},
  eprint = {1706.03762},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    role="oracle",
    presets={
        "dark_showers": {
            "width": 48,
            "layers": 2,
            "feed_forward": 96,
            "head": 64,
            "dropout": 0.0,
            "learning_rate": 2e-3,
            "epochs": 8,
            "folds": 2,
        }
    },
    quick=QUICK | {"folds": 2},
)
