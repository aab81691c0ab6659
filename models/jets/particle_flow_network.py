"""Particle flow network that learns to tell QCD jets from copies that lost constituents.

The Deep Sets classifier of Komiske, Metodiev, Thaler, trained without signal: its second class are
dark-drop copies of the background, so it is the direct, non-contrastive use of DarkCLR's anomalous
view. As signal-motivated as that one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.jets import Flavours
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.jets import _jet_augmentations as views
from physbench.models.jets import _tagging
from physbench.models.jets._batches import Batches
from physbench.models.jets._contrastive import PT_SCALE
from physbench.models.jets._contrastive_training import tensor
from physbench.models.jets._tagging import Batch, Classifier, Recipe, Tagger, owners

TYPICAL = 5.0  # what the sum over tracks is divided by, so that it is of order one


class Network(nn.Module):
    """Per-constituent network Phi, sum over constituents, network F of the sum: one logit."""

    def __init__(self, inner: tuple[int, ...], outer: tuple[int, ...]) -> None:
        super().__init__()
        self.phi = _dense((3, *inner))
        self.f = nn.Sequential(_dense((inner[-1], *outer)), nn.Linear(outer[-1], 1))

    def forward(self, jets: Tensor) -> Tensor:
        """Logits (n,) of jets (n, slots, 3) with pT in GeV."""
        filled = jets[..., 0] > 0
        constituents = jets[filled] / jets.new_tensor([PT_SCALE, 1.0, 1.0])
        owner = torch.arange(len(jets)).repeat_interleave(filled.sum(1))
        mapped = self.phi(constituents)
        summed = jets.new_zeros(len(jets), mapped.shape[1]).index_add(0, owner, mapped)
        logits: Tensor = self.f(summed).squeeze(1)
        return logits


class TrackNetwork(nn.Module):
    """The same for tracks and classes: the two numbers of the jet join the sum."""

    def __init__(
        self, features: int, classes: int, *, inner: Sequence[int], outer: Sequence[int]
    ) -> None:
        super().__init__()
        self.phi = _dense((features, *inner))
        self.f = Classifier(inner[-1], classes, tuple(outer))

    def forward(self, batch: Batch) -> Tensor:
        """Logits (n, classes)."""
        mapped = self.phi(batch.tracks[batch.mask])
        summed = mapped.new_zeros(len(batch.mask), mapped.shape[1])
        summed = summed.index_add(0, owners(batch.mask), mapped)
        logits: Tensor = self.f(summed / TYPICAL, batch.jet)
        return logits


def _dense(sizes: tuple[int, ...]) -> nn.Sequential:
    steps: list[nn.Module] = []
    for first, second in itertools.pairwise(sizes):
        steps += [nn.Linear(first, second), nn.ReLU()]
    return nn.Sequential(*steps)


@dataclass(frozen=True)
class Fitted:
    """The network and the constituents it reads."""

    network: Network
    inner: tuple[int, ...]
    outer: tuple[int, ...]
    slots: int


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    inner: tuple[int, ...] = (100, 100, 128),
    outer: tuple[int, ...] = (100, 100, 100),
    slots: int = 50,
    drop_probability: float = 0.5,
    learning_rate: float = 1e-3,
    batch: int = 256,
    epochs: int = 20,
    weight_decay: float = 0.01,
    warmup: int = 50,
    context: Context = Context(),
) -> Fitted | Tagger:
    """Cross-entropy of the classes, or of turned QCD jets and their turned dark-drop copies.

    Parameters
    ----------
    inner, outer:
        Widths of Phi and of F.
    slots, drop_probability:
        Without classes: constituents that are read, and the chance of each to miss in a copy.
    weight_decay, warmup:
        With classes: of AdamW, and steps until the learning rate is reached.
    """
    if isinstance(train.targets, Flavours):
        settings = {"inner": tuple(inner), "outer": tuple(outer)}
        recipe = Recipe(epochs, learning_rate, batch, weight_decay, warmup)
        return _tagging.fit(
            TrackNetwork, settings, train, validation, recipe, seed=seed, context=context
        )
    torch.manual_seed(seed)
    network = Network(tuple(inner), tuple(outer))
    data, held = (tensor(part.inputs, slots) for part in (train, validation))

    def step(module: Any, jets: Tensor) -> Tensor:
        turned = views.rotated(jets)
        dropped = views.recentred(views.dark_dropped(turned, None, drop_probability))
        label = torch.arange(2, device=jets.device).repeat_interleave(len(jets)).float()
        logits = module(torch.cat([turned, dropped]))
        return F.binary_cross_entropy_with_logits(logits, label)

    training.train(
        network,
        step,
        Batches(batch, seed, data),
        Batches(batch, seed, held),
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        context=context,
    )
    return Fitted(network.eval(), tuple(inner), tuple(outer), slots)


@torch.no_grad()
def predict(fitted: Fitted | Tagger, inputs: Any) -> NDArray[np.float64]:
    """ln p of every class, or the logit of having lost constituents."""
    if isinstance(fitted, Tagger):
        return _tagging.predict(fitted, inputs)
    parts = torch.split(tensor(inputs, fitted.slots), 4096)
    return torch.cat([fitted.network(part) for part in parts]).double().numpy()


def parameters(fitted: Fitted | Tagger) -> int:
    """Weights of Phi and F."""
    return training.parameters(fitted.network)


def save(fitted: Fitted | Tagger, path: Path) -> None:
    """Weights and widths."""
    if isinstance(fitted, Tagger):
        return _tagging.save(fitted, path)
    extra = {"inner": fitted.inner, "outer": fitted.outer, "slots": fitted.slots}
    training.save(fitted.network, path, extra)


def load(path: Path) -> Fitted | Tagger:
    """What `save` wrote."""
    state, extra = training.load(path)
    if "classes" in extra:
        return _tagging.load(TrackNetwork, path)
    network = Network(tuple(extra["inner"]), tuple(extra["outer"]))
    network.load_state_dict(state)
    return Fitted(network.eval(), tuple(extra["inner"]), tuple(extra["outer"]), extra["slots"])


MODEL = Model(
    tasks=("dark_jets", "jet_flavour"),
    reference="""@article{Komiske:2018cqr,
  author = {Komiske, Patrick T. and Metodiev, Eric M. and Thaler, Jesse},
  title = {Energy flow networks: deep sets for particle jets},
  journal = {JHEP},
  volume = {01},
  pages = {121},
  year = {2019},
  eprint = {1810.05165},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={
        "dark_showers": {"epochs": 8},
        "flavour_jets": {"outer": (100, 100), "learning_rate": 2e-3, "epochs": 40},
    },
    quick={"epochs": 1, "inner": (8, 8), "outer": (8,)},
    save=save,
    load=load,
    parameters=parameters,
)
