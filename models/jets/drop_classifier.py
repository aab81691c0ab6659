"""Classifier of QCD jets against copies that lost constituents; its inner layer is the anomaly.

The simplest self-supervised method here, and no contrastive one: a small network on 39 features
(`_features`) learns which jets lost constituents, each on its own or neighbours together. How far
a jet lies from QCD in the layer before its classifier scores it. As signal-motivated as DarkCLR.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.jets import _features, _flow
from physbench.models.jets import _jet_augmentations as views
from physbench.models.jets._batches import Batches
from physbench.models.jets._representation_scores import Background

FARTHEST = 8.0  # standard deviations of a feature
KINDS: dict[
    str, tuple[str, views.Probability]
] = {  # how a copy loses constituents, and with which probability
    "sampled": ("constituents", (0.1, 0.6)),
    "half": ("constituents", 0.5),
    "subjets": ("subjets", 0.5),
    "few": ("constituents", 0.2),
    "some": ("constituents", 0.35),
}
SCORES = ("maha", "logit", "flow")


class Network(nn.Module):
    """Standardised features (n, 39) to h (n, inner), and h to a logit (n,)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(_features.SIZE, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, inner),
        )
        self.head = nn.Sequential(nn.Linear(inner, 64), nn.ReLU(), nn.Linear(64, 1))
        self.register_buffer("mean", torch.zeros(_features.SIZE))
        self.register_buffer("scale", torch.ones(_features.SIZE))

    def standardised(self, features: Tensor) -> Tensor:
        """Features as the network sees them."""
        mean, scale = self.get_buffer("mean"), self.get_buffer("scale")
        return ((features - mean) / scale).clamp(-FARTHEST, FARTHEST)

    def inside(self, features: Tensor) -> Tensor:
        """h of raw features."""
        h: Tensor = self.body(self.standardised(features))
        return h

    def forward(self, features: Tensor) -> Tensor:
        """Logit of having lost constituents, of raw features."""
        logits: Tensor = self.head(self.inside(features)).squeeze(1)
        return logits


@dataclass(frozen=True)
class Member:
    """One network, where QCD lies in its inner layer, and the density there if it scores."""

    network: Network
    background: Background
    flow: _flow.Flow | None


@dataclass(frozen=True)
class Fitted:
    """The members of the ensemble and what they are asked."""

    members: tuple[Member, ...]
    width: int
    inner: int
    score: str


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    kinds: tuple[str, ...] = ("sampled", "half", "subjets"),
    members: int = 1,
    separate: bool = False,
    copies: int = 2,
    width: int = 96,
    inner: int = 24,
    score: str = "maha",
    learning_rate: float = 1e-3,
    batch: int = 256,
    epochs: int = 12,
    context: Context = Context(),
) -> Fitted:
    """Binary cross-entropy between QCD jets and their copies.

    Parameters
    ----------
    kinds:
        How copies lose constituents: `sampled` (probability uniform in [0.1, 0.6] a jet), `half`
        (0.5), `some` (0.35), `few` (0.2), `subjets` (neighbours together, 0.5).
    members, separate:
        Networks whose scores are averaged; with `separate` each one is trained on the next of
        `kinds`, else on all.
    copies:
        Of every jet and kind; each step draws one of them.
    inner:
        Width of the layer that scores.
    score:
        `maha` (Mahalanobis distance to QCD in the inner layer), `flow` (a density there) or
        `logit` (how much a jet looks like a copy).
    """
    _check(kinds, score, members)
    generator = torch.Generator().manual_seed(seed)
    rows, held = (
        {name: _table(part.inputs, name, copies, generator) for name in ("", *kinds)}
        for part in (train, validation)
    )
    found = []
    for k in range(members):
        mine = (kinds[k % len(kinds)],) if separate else tuple(kinds)
        found.append(_member(rows, held, mine, seed + 1000 * k, width, inner, score,
                             learning_rate, batch, epochs, context))  # fmt: skip
    return Fitted(tuple(found), width, inner, score)


def _check(kinds: tuple[str, ...], score: str, members: int) -> None:
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise ValueError(f"kinds must be among {', '.join(KINDS)}; got {list(kinds)}")
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}; got '{score}'")
    if members < 1:
        raise ValueError(f"members must be at least 1; got {members}")


def _table(jets: Jets, kind: str, copies: int, generator: torch.Generator) -> Tensor:
    """Features (n, copies, 39) of copies of jets of a kind; `""` is the jets themselves, once."""
    data = torch.from_numpy(np.array(jets.constituents))
    if not kind:
        return torch.from_numpy(_features.table(data))[:, None]
    drop, probability = KINDS[kind]
    tables = [
        _features.table(views.DROPS[drop](data, generator, probability)) for _ in range(copies)
    ]
    return torch.from_numpy(np.stack(tables, axis=1))


def _member(
    rows: dict[str, Tensor],
    held: dict[str, Tensor],
    kinds: tuple[str, ...],
    seed: int,
    width: int,
    inner: int,
    score: str,
    learning_rate: float,
    batch: int,
    epochs: int,
    context: Context,
) -> Member:
    torch.manual_seed(seed)
    network = Network(width, inner)
    own = rows[""][:, 0]
    network.get_buffer("mean").copy_(own.mean(0))
    network.get_buffer("scale").copy_(own.std(0) + 1e-6)
    batches, held_batches = (
        Batches(batch, seed, part[""][:, 0], torch.cat([part[kind] for kind in kinds], dim=1))
        for part in (rows, held)
    )
    training.train(
        network,
        _step,
        batches,
        held_batches,
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        context=context,
        name=f"member {seed}",
    )
    h = _inside(network, own)
    background = Background.of(h)
    flow = _flow.trained(background.whitened(h), seed) if score == "flow" else None
    return Member(network, background, flow)


def _step(module: Any, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy of jets against one random copy of each."""
    jets, copies = batch
    chosen = torch.randint(copies.shape[1], (len(jets),), device=jets.device)
    copy = copies[torch.arange(len(jets), device=jets.device), chosen]
    label = torch.arange(2, device=jets.device).repeat_interleave(len(jets)).float()
    return F.binary_cross_entropy_with_logits(module(torch.cat([jets, copy])), label)


@torch.no_grad()
def _inside(network: Network, features: Tensor) -> NDArray[np.float64]:
    return np.asarray(network.inside(features).double().numpy())


def predict(fitted: Fitted, inputs: Jets) -> NDArray[np.float64]:
    """Mean of the members' scores."""
    features = torch.from_numpy(_features.table(inputs))
    scores = [_score(member, features, fitted.score) for member in fitted.members]
    return np.asarray(np.mean(scores, axis=0))


@torch.no_grad()
def _score(member: Member, features: Tensor, score: str) -> NDArray[np.float64]:
    if score == "logit":
        return np.asarray(member.network(features).double().numpy())
    h = _inside(member.network, features)
    if member.flow is not None:
        return member.flow.energies(member.background.whitened(h))
    return member.background.maha(h)


def parameters(fitted: Fitted) -> int:
    """Weights of all networks."""
    modules = [part for m in fitted.members for part in (m.network, m.flow) if part is not None]
    return sum(training.parameters(module) for module in modules)


def save(fitted: Fitted, path: Path) -> None:
    """Weights and background of every member."""
    stored = nn.ModuleList([member.network for member in fitted.members])
    extra = {
        "width": fitted.width,
        "inner": fitted.inner,
        "score": fitted.score,
        "backgrounds": [member.background.tensors() for member in fitted.members],
        "flows": [m.flow.state_dict() if m.flow else None for m in fitted.members],
    }
    training.save(stored, path, extra)


def load(path: Path) -> Fitted:
    """What `save` wrote."""
    state, extra = training.load(path)
    width, inner = extra["width"], extra["inner"]
    networks = [Network(width, inner).eval() for _ in extra["backgrounds"]]
    nn.ModuleList(networks).load_state_dict(state)
    flows = [_loaded_flow(inner, weights) for weights in extra["flows"]]
    backgrounds = [Background.from_tensors(stored) for stored in extra["backgrounds"]]
    members = zip(networks, backgrounds, flows, strict=True)
    return Fitted(tuple(Member(*parts) for parts in members), width, inner, extra["score"])


def _loaded_flow(size: int, weights: Any) -> _flow.Flow | None:
    if weights is None:
        return None
    flow = _flow.Flow(size)
    flow.load_state_dict(weights)
    return flow.eval()


MODEL = Model(
    tasks=("dark_jets",),
    reference="Introduced here: self-supervised classification of jets against copies of "
    "themselves that lost constituents, scored in the inner layer.",
    fit=fit,
    predict=predict,
    quick={"epochs": 1, "copies": 1, "width": 8, "inner": 4},
    save=save,
    load=load,
    parameters=parameters,
)
