"""Oracle: DarkCLR's encoder with one logit, trained with the signal labels.

It embeds logarithms of the momenta: with the published pT/300 it learned little in the same time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.jets import Jets, JetTruth
from physbench.models import Model
from physbench.models.jets import _jet_augmentations as views
from physbench.models.jets._contrastive import JetEncoder
from physbench.models.jets._contrastive_training import PRESET, Shape, tensor
from physbench.models.jets._cross_fitting import out_of_fold

TYPICAL = 20.0  # constituents that the sum runs over, in order of magnitude


class Classifier(nn.Module):
    """The encoder's sum over constituents and a linear logit."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.encoder = JetEncoder(**asdict(shape))
        self.logit = nn.Linear(shape.width, 1)

    def forward(self, jets: Tensor) -> Tensor:
        """Logits (n,)."""
        logits: Tensor = self.logit(self.encoder(jets)[0] / TYPICAL).squeeze(1)
        return logits


@dataclass(frozen=True)
class Fitted:
    """Settings: an oracle learns where the labels are, when it predicts."""

    shape: Shape
    slots: int
    learning_rate: float
    batch: int
    epochs: int
    folds: int
    seed: int


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
) -> Fitted:
    """Nothing is learned from background alone; parameters as in `darkclr`."""
    shape = Shape(width, layers, heads, feed_forward, head, dropout, features)
    return Fitted(shape, slots, learning_rate, batch, epochs, folds, seed)


def predict(fitted: Fitted, inputs: Jets, targets: JetTruth) -> NDArray[np.float64]:
    """Logit of signal, all signals together; each jet by a network that never saw its event."""

    def train(
        jets: Jets, label: NDArray[np.bool_], weights: NDArray[np.float64], seed: int
    ) -> Callable[[Jets], Any]:
        model = _trained(fitted, tensor(jets, fitted.slots), label, weights)
        return lambda rest: _logits(model, tensor(rest, fitted.slots))

    return out_of_fold(inputs, targets, train, number=fitted.folds, seed=fitted.seed)


def _trained(
    how: Fitted, data: Tensor, label: NDArray[np.bool_], weights: NDArray[np.float64]
) -> Classifier:
    """Weighted cross-entropy on turned jets; the rate falls to zero as a cosine."""
    generator = torch.Generator().manual_seed(how.seed)
    model = Classifier(how.shape)
    optimiser = torch.optim.Adam(model.parameters(), how.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, how.epochs)
    truth, weight = torch.from_numpy(label).float(), torch.from_numpy(weights).float()
    for epoch in range(how.epochs):
        for index in torch.split(torch.randperm(len(data), generator=generator), how.batch):
            logits = model(views.rotated(data[index], generator))
            loss = F.binary_cross_entropy_with_logits(logits, truth[index], weight[index])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            if not math.isfinite(loss.item()):
                raise FloatingPointError(f"the loss is {loss.item()} in epoch {epoch}")
        schedule.step()
    return model.eval()


@torch.no_grad()
def _logits(model: Classifier, data: Tensor) -> NDArray[np.float64]:
    return torch.cat([model(part) for part in torch.split(data, 1000)]).double().numpy()


MODEL = Model(
    tasks=("dark_jets",),
    reference="""@inproceedings{Vaswani:2017,
  author = {Vaswani, Ashish and others},
  title = {Attention is all you need},
  booktitle = {Advances in Neural Information Processing Systems 30},
  year = {2017},
  eprint = {1706.03762},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    role="oracle",
    presets={"dark_showers": PRESET | {"learning_rate": 2e-3, "epochs": 10}},
)
