"""What the contrastive jet models share: pre-training on views, scoring, storing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from physbench.datasets.jets import Jets
from physbench.models.jets import _jet_augmentations as views
from physbench.models.jets._contrastive import JetEncoder
from physbench.models.jets._normalized_autoencoder import (
    Chain,
    Normalization,
    NormalizedAutoencoder,
)
from physbench.models.jets._representation_scores import Background, normalised

SCORES = ("maha", "cos_mean", "view_gap", "knn", "nae")
DRAWS = 8  # random views a jet of the score `view_gap`

# The embedded board: 45 k parameters and 8 epochs instead of 1.12 M and 150.
PRESET = {
    "width": 48,
    "layers": 2,
    "feed_forward": 96,
    "head": 64,
    "dropout": 0.0,
    "learning_rate": 5e-4,
    "epochs": 8,
}

Views = Callable[[Tensor, torch.Generator], tuple[Tensor, ...]]
Loss = Callable[..., Tensor]


@dataclass(frozen=True)
class Training:
    """Settings of the pre-training; defaults are those published for DarkCLR."""

    learning_rate: float = 5e-5
    adam_epsilon: float = 1e-4
    batch: int = 256
    epochs: int = 150
    norm_weight: float = 0.0


@dataclass(frozen=True)
class Shape:
    """Size of the encoder."""

    width: int
    layers: int
    heads: int
    feed_forward: int
    head: int
    dropout: float
    features: str = "linear"


@dataclass(frozen=True)
class Scoring:
    """How a jet's score is made from its representation; `drop_probability` is for `view_gap`."""

    score: str
    representation: str
    slots: int
    drop_probability: float
    seed: int


@dataclass(frozen=True)
class Contrastive:
    """A trained encoder with what its score needs, and the mean loss of each epoch."""

    encoder: JetEncoder
    shape: Shape
    scoring: Scoring
    background: Background
    energy: NormalizedAutoencoder | None
    history: tuple[float, ...]


def fitted(
    jets: Jets, shape: Shape, make_views: Views, loss: Loss, how: Training, scoring: Scoring
) -> Contrastive:
    """Pre-train an encoder on background jets and learn where their representations lie."""
    encoder = JetEncoder(**asdict(shape))
    data = tensor(jets, scoring.slots)
    history = pretrain(encoder, data, make_views, loss, scoring.seed, how)
    background = Background.of(represented(encoder, data, scoring.representation))
    energy = _energy(background.bank, scoring.seed) if scoring.score == "nae" else None
    return Contrastive(encoder, shape, scoring, background, energy, history)


def tensor(jets: Jets, slots: int) -> Tensor:
    """Recentred constituents (n, slots, 3): the hardest `slots` of each jet."""
    return views.recentred(torch.from_numpy(jets.constituents[:, :slots]))


def pretrain(
    encoder: JetEncoder, data: Tensor, make_views: Views, loss: Loss, seed: int, how: Training
) -> tuple[float, ...]:
    """Train the encoder in place on the views of background jets; the mean loss of each epoch.

    `loss(*z)` takes the head outputs of the views in order. `norm_weight` times the mean length of
    the first z is added. A last batch of fewer than two jets is left out.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(encoder.parameters(), how.learning_rate, eps=how.adam_epsilon)
    history = []
    encoder.train()
    for epoch in range(how.epochs):
        total, seen = 0.0, 0
        for index in torch.split(torch.randperm(len(data), generator=generator), how.batch):
            if len(index) < 2:
                continue
            z = [encoder(view)[1] for view in make_views(data[index], generator)]
            value = loss(*z) + how.norm_weight * z[0].norm(dim=1).mean()
            optimiser.zero_grad()
            torch.autograd.backward(value)
            optimiser.step()
            total, seen = total + value.item() * len(index), seen + len(index)
        history.append(total / seen)
        if not math.isfinite(history[-1]):
            raise FloatingPointError(f"the contrastive loss is {history[-1]} in epoch {epoch}")
    encoder.eval()
    return tuple(history)


@torch.no_grad()
def represented(encoder: JetEncoder, data: Tensor, representation: str) -> NDArray[np.float32]:
    """z (`head`) or h (`encoder`) of jets, (n, k)."""
    which = {"encoder": 0, "head": 1}[representation]
    encoder.eval()
    return torch.cat([encoder(part)[which] for part in torch.split(data, 1000)]).numpy()


def _energy_network(size: int) -> NormalizedAutoencoder:
    return NormalizedAutoencoder(size, hidden=(128, 64), latent=8)


def _energy(bank: NDArray[np.float64], seed: int) -> NormalizedAutoencoder:
    """Normalized autoencoder on representations.

    The settings published for images are kept where they carry over; those that DarkCLR uses on
    representations are not public.
    """
    model = _energy_network(bank.shape[1]).standardise(bank)
    data = model.standardised(bank)
    model.reconstruct(data, epochs=30, learning_rate=1e-3, batch=256, clip=0.1, seed=seed)
    how = Normalization(
        epochs=5,
        latent_chain=Chain(steps=10, step=1.0, noise=0.02),
        chain=Chain(steps=10, step=10.0, noise=1e-2, annealed=True),
        learning_rate=1e-4,
    )
    model.normalize(data, how, seed)
    return model


def check_choice(score: str, representation: str) -> None:
    """Raise ValueError for an unknown score or representation, before any training."""
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}; got '{score}'")
    if representation not in ("head", "encoder"):
        raise ValueError(f"representation must be 'head' or 'encoder'; got '{representation}'")


def anomaly_score(fitted: Contrastive, inputs: Jets) -> NDArray[np.float64]:
    """The chosen score of jets (n,), larger for more anomalous ones."""
    how = fitted.scoring
    data = tensor(inputs, how.slots)
    if how.score == "view_gap":
        return view_gap(fitted, data)
    z = represented(fitted.encoder, data, how.representation)
    if how.score == "nae":
        assert fitted.energy is not None
        return fitted.energy.energies(normalised(z))
    scores: NDArray[np.float64] = getattr(fitted.background, how.score)(z)
    return scores


@torch.no_grad()
def view_gap(fitted: Contrastive, data: Tensor) -> NDArray[np.float64]:
    """mean_k [s(z(x), z(drop_k x)) - s(z(x), z(turn_k x))] of jets (n,); needs no background."""
    generator = torch.Generator().manual_seed(fitted.scoring.seed)

    def z(jets: Tensor) -> Tensor:
        return torch.from_numpy(represented(fitted.encoder, jets, fitted.scoring.representation))

    own = z(data)
    gap = torch.zeros(len(data))
    for _ in range(DRAWS):
        dropped = z(views.dark_dropped(data, generator, fitted.scoring.drop_probability))
        turned = z(views.translated(views.rotated(data, generator), generator))
        gap += F.cosine_similarity(own, dropped) - F.cosine_similarity(own, turned)
    return (gap / DRAWS).double().numpy()


def parameters(fitted: Contrastive) -> int:
    """Trained numbers of the encoder (and of the normalized autoencoder, where it scores)."""
    modules = [fitted.encoder, *([fitted.energy] if fitted.energy else [])]
    return sum(p.numel() for module in modules for p in module.parameters())


def save(fitted: Contrastive, path: Any) -> None:
    """Weights, background and settings as one file of tensors."""
    torch.save(
        {
            "encoder": fitted.encoder.state_dict(),
            "shape": asdict(fitted.shape),
            "scoring": asdict(fitted.scoring),
            "bank": torch.from_numpy(fitted.background.bank),
            "energy": fitted.energy.state_dict() if fitted.energy else None,
            "history": list(fitted.history),
        },
        path,
    )


def load(path: Any) -> Contrastive:
    """What `save` wrote."""
    stored = torch.load(path, weights_only=True)
    shape, background = Shape(**stored["shape"]), Background.of(stored["bank"].numpy())
    encoder = JetEncoder(**asdict(shape))
    encoder.load_state_dict(stored["encoder"])
    energy = None
    if stored["energy"] is not None:
        energy = _energy_network(background.bank.shape[1])
        energy.load_state_dict(stored["energy"])
    scoring, history = Scoring(**stored["scoring"]), tuple(stored["history"])
    return Contrastive(encoder.eval(), shape, scoring, background, energy, history)
