"""ParticleNet: edge convolutions over the nearest tracks, first in the plane, then in features.

Unlike the released code an empty slot is nobody's neighbour: the mean runs over the tracks that
are there, so padding changes nothing. AdamW in place of the paper's Lookahead over RAdam.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.jets import _tagging
from physbench.models.jets._tagging import Batch, Classifier, Recipe, Tagger, owners, padded

FAR = 1e9


def neighbours(points: Tensor, mask: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(edges,) centre and neighbour of the k nearest filled slots, as places in `tensor[mask]`.

    `points` (n, slots, any). A track with fewer than k others has all of them.
    """
    slots = mask.shape[1]
    apart = torch.cdist(points, points) + torch.where(mask, 0.0, FAR)[:, None, :]
    apart = apart + FAR * torch.eye(slots, device=mask.device)
    near = min(k, slots - 1)
    distance, found = apart.topk(near, dim=2, largest=False)
    wanted = mask[..., None] & (distance < FAR / 2)
    place = torch.cumsum(mask.flatten(), 0).view(mask.shape) - 1
    jet, slot, _ = torch.nonzero(wanted, as_tuple=True)
    return place[jet, slot], place[jet, found[wanted]]


class EdgeConvolution(nn.Module):
    """x_i <- ReLU(mean_j M(x_i, x_j - x_i) + shortcut(x_i)), M three layers."""

    def __init__(self, width: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.width = widths[-1]
        self.first = nn.Linear(2 * width, widths[0], bias=False)
        layers: list[nn.Module] = [nn.BatchNorm1d(widths[0]), nn.ReLU()]
        for one, two in itertools.pairwise(widths):
            layers += [nn.Linear(one, two, bias=False), nn.BatchNorm1d(two), nn.ReLU()]
        self.rest = nn.Sequential(*layers)
        self.shortcut = nn.Sequential(
            nn.Linear(width, widths[-1], bias=False), nn.BatchNorm1d(widths[-1])
        )

    def forward(self, x: Tensor, centre: Tensor, other: Tensor) -> Tensor:
        """(tracks, widths[-1]) of x (tracks, width) and its edges."""
        own, difference = self.first.weight.chunk(2, dim=1)
        # A linear layer of (x_i, x_j - x_i), with one product a track instead of one an edge.
        start = (x @ (own - difference).T)[centre] + (x @ difference.T)[other]
        message = self.rest(start) if len(centre) else start.new_zeros(0, self.width)
        count = torch.bincount(centre, minlength=len(x)).clamp(min=1)
        summed = message.new_zeros(len(x), message.shape[1]).index_add(0, centre, message)
        return torch.relu(summed / count[:, None] + self.shortcut(x))


class ParticleNet(nn.Module):
    """Normalised inputs, edge convolutions, mean over tracks, a dense layer, logits."""

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        convolutions: Sequence[Sequence[int]] = ((64,) * 3, (128,) * 3, (256,) * 3),
        neighbours: int = 16,
        dense: int = 256,
        dropout: float = 0.1,
        joined: bool = False,
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        widths = [features, *(sizes[-1] for sizes in convolutions)]
        self.convolutions = nn.ModuleList(
            EdgeConvolution(width, sizes)
            for width, sizes in zip(widths, convolutions, strict=False)
        )
        self.neighbours = neighbours
        self.dense = nn.Sequential(nn.Linear(widths[-1], dense), nn.ReLU(), nn.Dropout(dropout))
        self.head = Classifier(dense, classes, joined=joined)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (n, classes)."""
        x = self.norm(batch.tracks[batch.mask])
        points = batch.kinematics[..., 1:]
        for convolution in self.convolutions:
            x = convolution(x, *neighbours(points, batch.mask, self.neighbours))
            points = padded(x, batch.mask)
        total = x.new_zeros(len(batch.mask), x.shape[1]).index_add(0, owners(batch.mask), x)
        pooled = total / batch.mask.sum(1, keepdim=True).clamp(min=1)
        logits: Tensor = self.head(self.dense(pooled), batch.jet)
        return logits


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = training.HERE,
    convolutions: tuple[tuple[int, ...], ...] = ((64, 64, 64), (128, 128, 128), (256, 256, 256)),
    neighbours: int = 16,
    dense: int = 256,
    dropout: float = 0.1,
    joined: bool = False,
    learning_rate: float = 1e-2,
    batch: int = 512,
    epochs: int = 50,
    weight_decay: float = 0.01,
    warmup: int = 50,
) -> Tagger:
    """Cross-entropy; the best epoch on validation is kept.

    Parameters
    ----------
    convolutions:
        Widths of the layers of each edge convolution.
    dense:
        Width of the layer before the logits.
    joined:
        Join ln pT and eta of the jet to it.
    """
    settings: dict[str, Any] = {
        "convolutions": tuple(tuple(sizes) for sizes in convolutions),
        "neighbours": neighbours,
        "dense": dense,
        "dropout": dropout,
        "joined": joined,
    }
    recipe = Recipe(epochs, learning_rate, batch, weight_decay, warmup)
    return _tagging.fit(
        ParticleNet, settings, train, validation, recipe, seed=seed, context=context
    )


def load(path: Path) -> Tagger:
    """A tagger that was saved."""
    return _tagging.load(ParticleNet, path)


LITE = {
    "convolutions": ((32, 32, 32), (64, 64, 64)),
    "neighbours": 7,
    "dense": 128,
    "joined": True,
    "learning_rate": 2e-3,
    "batch": 256,
}

MODEL = Model(
    tasks=("jet_flavour",),
    reference="""@article{Qu:2019gqs,
  author = {Qu, Huilin and Gouskos, Loukas},
  title = {Jet tagging via particle clouds},
  journal = {Phys. Rev. D},
  volume = {101},
  pages = {056019},
  year = {2020},
  eprint = {1902.08570},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=_tagging.predict,
    presets={"flavour_jets": LITE | {"epochs": 20}},
    quick=LITE | {"epochs": 1},
    save=_tagging.save,
    load=load,
    parameters=_tagging.parameters,
    checks={
        "size": lambda: training.parameters(ParticleNet(17, 10)),
        "size for two classes": lambda: training.parameters(ParticleNet(7, 2)),
    },
)
