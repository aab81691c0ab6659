"""What the contrastive jet models share: pre-training on views, scoring, storing."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Context
from physbench.models.common import training
from physbench.models.jets import _jet_augmentations as views
from physbench.models.jets._batches import Batches
from physbench.models.jets._contrastive import JetEncoder, spread
from physbench.models.jets._normalized_autoencoder import (
    Chain,
    Normalization,
    NormalizedAutoencoder,
)
from physbench.models.jets._representation_scores import Background, normalised

SCORES = ("maha", "cos_mean", "view_gap", "knn", "nae", "flow")
REPRESENTATIONS = {"encoder": 0, "head": 1}
DRAWS = 8  # random views a jet of the score `view_gap`
NEAR_BOUND = 0.95  # a loss beyond this share of its bound says that the views are trivially told

# The embedded board: 45 k parameters and 4 epochs instead of 1.12 M and 150, logarithmic inputs.
PRESET = {
    "width": 48,
    "layers": 2,
    "feed_forward": 96,
    "head": 64,
    "dropout": 0.0,
    "features": "log",
    "learning_rate": 1e-3,
    "epochs": 4,
    "moved": False,
}
QUICK = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "head": 8, "epochs": 1}

Views = Callable[[Tensor, torch.Generator | None], tuple[Tensor, ...]]
Loss = Callable[..., Tensor]


@dataclass(frozen=True)
class Training:
    """Settings of the pre-training.

    loss(*z) + norm_weight mean |z(x)| + spread_weight (`spread` of the first two z); `bound` is
    the lowest value that loss(*z) can have, where it has one.
    """

    learning_rate: float
    adam_epsilon: float
    batch: int
    epochs: int
    norm_weight: float = 0.0
    spread_weight: float = 0.0
    bound: float | None = None


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
    continuous: bool = False


@dataclass(frozen=True)
class Scoring:
    """How a jet's score is made from its representation; `drop_probability` is for `view_gap`."""

    score: str
    representation: str
    slots: int
    drop_probability: views.Probability
    seed: int


@dataclass(frozen=True)
class Contrastive:
    """A trained encoder with what its score needs."""

    encoder: JetEncoder
    shape: Shape
    scoring: Scoring
    background: Background
    density: torch.nn.Module | None


def fitted(
    train: Split,
    validation: Split,
    shape: Shape,
    make_views: Views,
    loss: Loss,
    how: Training,
    scoring: Scoring,
    context: Context,
) -> Contrastive:
    """Pre-train an encoder on background jets and learn where their representations lie.

    The weights of the epoch with the lowest loss on the background of `validation` are kept.
    """
    torch.manual_seed(scoring.seed)
    encoder = JetEncoder(**asdict(shape))
    data, held = (tensor(part.inputs, scoring.slots) for part in (train, validation))
    pretrain(encoder, data, held, make_views, loss, scoring.seed, how, context)
    known = represented(encoder, data, scoring.representation)
    background = Background.of(known)
    density = _density(scoring, background, known)
    return Contrastive(encoder, shape, scoring, background, density)


def tensor(jets: Jets, slots: int) -> Tensor:
    """Recentred constituents (n, slots, 3): the hardest `slots` of each jet."""
    return views.recentred(torch.from_numpy(np.array(jets.constituents[:, :slots])))


def pretrain(
    encoder: JetEncoder,
    data: Tensor,
    held: Tensor,
    make_views: Views,
    loss: Loss,
    seed: int,
    how: Training,
    context: Context,
) -> None:
    """Train the encoder in place on the views of background jets.

    Warns where the loss on `held` comes within 5 % of its bound: either the views differ by more
    than physics, or the representation has collapsed.
    """

    def step(module: Any, batch: Tensor) -> Tensor:
        z = [module(view)[1] for view in make_views(batch, None)]
        value = loss(*z)
        if how.norm_weight:
            value = value + how.norm_weight * z[0].norm(dim=1).mean()
        if how.spread_weight:
            value = value + how.spread_weight * (spread(z[0]) + spread(z[1])) / 2
        return value

    held_batches = Batches(how.batch, seed, held)
    training.train(
        encoder,
        step,
        Batches(how.batch, seed, data),
        held_batches,
        seed=seed,
        epochs=how.epochs,
        learning_rate=how.learning_rate,
        context=context,
        optimiser=lambda p: training.Adam(p, how.learning_rate, eps=how.adam_epsilon),
    )
    _check_bound(encoder, held_batches, make_views, loss, seed, how.bound)


@torch.no_grad()
def _check_bound(
    encoder: JetEncoder,
    batches: Batches,
    make_views: Views,
    loss: Loss,
    seed: int,
    bound: float | None,
) -> None:
    if bound is None or not len(batches):
        return
    found = make_views(batches[0], torch.Generator().manual_seed(seed))
    value = float(loss(*(encoder(view)[1] for view in found)))
    if value < NEAR_BOUND * bound:
        warnings.warn(
            f"the contrastive loss on held-out background is {value:.2f}, within 5 % of its bound "
            f"{bound:.2f}: the views are told apart almost perfectly. Look for a leak in them "
            "(position, pT sum)",
            stacklevel=2,
        )


@torch.no_grad()
def represented(encoder: JetEncoder, data: Tensor, representation: str) -> NDArray[np.float64]:
    """z on the unit sphere (`head`), or h (`encoder`), of jets, (n, k)."""
    encoder.eval()
    parts = [encoder(part)[REPRESENTATIONS[representation]] for part in torch.split(data, 1000)]
    found = torch.cat(parts).double().numpy()
    return normalised(found) if representation == "head" else found


def _energy_network(size: int) -> NormalizedAutoencoder:
    return NormalizedAutoencoder(size, hidden=(128, 64), latent=8)


def _density(
    scoring: Scoring, background: Background, known: NDArray[np.float64]
) -> torch.nn.Module | None:
    """The density model of the scores `nae` and `flow`, on whitened representations."""
    if scoring.score == "nae":
        return _energy(background.whitened(known), scoring.seed)
    if scoring.score == "flow":
        from physbench.models.jets._flow import trained

        return trained(background.whitened(known), scoring.seed)
    return None


def _energy(data: NDArray[np.float64], seed: int) -> NormalizedAutoencoder:
    """Normalized autoencoder on whitened representations.

    The settings published for images are kept where they carry over; those that DarkCLR uses on
    representations are not public.
    """
    model = _energy_network(data.shape[1]).standardise(data)
    values = model.standardised(data)
    rest = torch.arange(len(values)) % 10 > 0
    model.reconstruct(
        values[rest], values[~rest], epochs=30, learning_rate=1e-3, batch=256, clip=0.1, seed=seed
    )
    how = Normalization(
        epochs=5,
        latent_chain=Chain(steps=10, step=1.0, noise=0.02),
        chain=Chain(steps=10, step=10.0, noise=1e-2, annealed=True),
        learning_rate=1e-4,
    )
    model.normalize(values, how, seed)
    return model.eval()


def check_choice(score: str, representation: str) -> None:
    """Raise ValueError for an unknown score or representation, before any training."""
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}; got '{score}'")
    if representation not in REPRESENTATIONS:
        raise ValueError(f"representation must be 'head' or 'encoder'; got '{representation}'")


def anomaly_score(fitted: Contrastive, inputs: Jets) -> NDArray[np.float64]:
    """The chosen score of jets (n,), larger for more anomalous ones."""
    how = fitted.scoring
    data = tensor(inputs, how.slots)
    if how.score == "view_gap":
        return view_gap(fitted, data)
    z = represented(fitted.encoder, data, how.representation)
    if fitted.density is not None:
        energies: Any = fitted.density.energies
        return np.asarray(energies(fitted.background.whitened(z)))
    scores: NDArray[np.float64] = getattr(fitted.background, how.score)(z)
    return scores


@torch.no_grad()
def view_gap(fitted: Contrastive, data: Tensor) -> NDArray[np.float64]:
    """mean_k [s(z(x), z(drop_k x)) - s(z(x), z(turn_k x))] of jets (n,); needs no background."""
    generator = torch.Generator().manual_seed(fitted.scoring.seed)

    def z(jets: Tensor) -> Tensor:
        return torch.from_numpy(represented(fitted.encoder, jets, fitted.scoring.representation))

    own = z(data)
    gap = torch.zeros(len(data), dtype=torch.float64)
    for _ in range(DRAWS):
        dropped = views.dark_dropped(data, generator, fitted.scoring.drop_probability)
        turned = views.rotated(data, generator)
        far, near = (z(view) for view in views.placed((dropped, turned), moved=False))
        gap += F.cosine_similarity(own, far) - F.cosine_similarity(own, near)
    return (gap / DRAWS).numpy()


def parameters(fitted: Contrastive) -> int:
    """Trained numbers of the encoder, and of the density on its output where it scores."""
    modules = [fitted.encoder, *([fitted.density] if fitted.density else [])]
    return sum(training.parameters(module) for module in modules)


def save(fitted: Contrastive, path: Path) -> None:
    """Weights, background and settings as one file of tensors."""
    extra = {
        "shape": asdict(fitted.shape),
        "scoring": asdict(fitted.scoring),
        "background": fitted.background.tensors(),
        "density": fitted.density.state_dict() if fitted.density else None,
    }
    training.save(fitted.encoder, path, extra)


def load(path: Path) -> Contrastive:
    """What `save` wrote."""
    state, extra = training.load(path)
    shape, scoring = Shape(**extra["shape"]), Scoring(**extra["scoring"])
    encoder = JetEncoder(**asdict(shape))
    encoder.load_state_dict(state)
    background = Background.from_tensors(extra["background"])
    density = None
    if extra["density"] is not None:
        density = _empty_density(scoring.score, len(background.mean))
        density.load_state_dict(extra["density"])
        density.eval()
    return Contrastive(encoder.eval(), shape, scoring, background, density)


def _empty_density(score: str, size: int) -> torch.nn.Module:
    if score == "nae":
        return _energy_network(size)
    from physbench.models.jets._flow import Flow

    return Flow(size)
