"""What the networks that tag jets share: batches, training, prediction, storing.

A network is a module from `Batch` to logits (n, classes); an entry is its architecture, its
presets and its reference.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.jets import FlavourJets, Flavours
from physbench.models import Context
from physbench.models.common import training
from physbench.models.common.batches import Batches
from physbench.models.jets._flavour_features import JET_INPUTS, jet_inputs, network_inputs

Loss = Callable[[Any, "Batch"], Tensor]

PREDICTED = 1024  # jets of a batch of prediction


class Batch(NamedTuple):
    """Jets for a network.

    `tracks` (n, slots, features); `mask` (n, slots); `jet` (n, 2); `kinematics` (n, slots, 3) pT
    in GeV, eta and phi relative to the axis; `label` (n,), `origin`, `hadron` (n, slots), zeros
    where nothing is known.
    """

    tracks: Tensor
    mask: Tensor
    jet: Tensor
    kinematics: Tensor
    label: Tensor
    origin: Tensor
    hadron: Tensor


def collated(jets: FlavourJets, truth: Flavours | None = None) -> Batch:
    """Jets as one batch, cut to the slots that the longest of them fills."""
    slots = max(int(jets.mask.sum(axis=1).max(initial=0)), 1)
    shape = jets.mask[:, :slots].shape
    nothing = np.zeros(shape, dtype=np.int64)
    columns = (
        network_inputs(jets)[:, :slots],
        jets.mask[:, :slots],
        jet_inputs(jets),
        jets.tracks[:, :slots, :3],
        nothing[:, 0] if truth is None else truth.label.astype(np.int64),
        nothing if truth is None else truth.origin[:, :slots].astype(np.int64),
        nothing if truth is None else truth.hadron[:, :slots].astype(np.int64),
    )
    return Batch(*(torch.from_numpy(np.ascontiguousarray(column)) for column in columns))


def batches(
    jets: FlavourJets,
    truth: Flavours | None,
    size: int,
    generator: torch.Generator | None = None,
) -> Iterator[Batch]:
    """Batches of about `size` jets, of equal length, in random or in the given order."""
    count = len(jets)
    order = torch.arange(count)
    if generator is not None:
        order = torch.randperm(count, generator=generator)
    # Equal lengths: a last batch of one track would have no variance to normalise with.
    for index in torch.tensor_split(order, max(-(-count // size), 1)):
        rows = index.numpy()
        yield collated(jets.take(rows), None if truth is None else truth.take(rows))


@dataclass(frozen=True)
class Recipe:
    """Settings of a training; AdamW with a linear rise and a cosine to zero."""

    epochs: int
    learning_rate: float
    batch: int
    weight_decay: float
    warmup: int
    clip: float = 1.0


@dataclass(frozen=True, eq=False)
class Tagger:
    """A trained network and the arguments that build it again."""

    network: nn.Module
    settings: Mapping[str, Any]

    def attention(self, jets: FlavourJets) -> NDArray[np.float64] | None:
        """(n, slots): weight of each track in what the network sums up; None where it has none."""
        return self._of_tracks("track_weights", jets)

    def origins(self, jets: FlavourJets) -> NDArray[np.float64] | None:
        """(n, slots, 6): probabilities of the origins of the tracks; None where it has none."""
        return self._of_tracks("track_origins", jets)

    @torch.no_grad()
    def _of_tracks(self, method: str, jets: FlavourJets) -> NDArray[np.float64] | None:
        """What a method of the network gives for the tracks, with the slots of the jets."""
        found = getattr(self.network, method, None)
        if found is None:
            return None
        values = found(collated(jets)).double().numpy()
        full = np.zeros((*jets.mask.shape, *values.shape[2:]))
        full[:, : values.shape[1]] = values
        return full


def cross_entropy(network: Any, batch: Batch) -> Tensor:
    """Mean -ln p of the true class."""
    return F.cross_entropy(network(batch), batch.label)


def fit(
    build: Callable[..., nn.Module],
    settings: Mapping[str, Any],
    train: Split,
    validation: Split,
    recipe: Recipe,
    *,
    seed: int,
    context: Context = training.HERE,
    loss: Loss = cross_entropy,
) -> Tagger:
    """Build a network for the data and train it; the cross-entropy of validation decides."""
    sizes = sizes_of(train)
    torch.manual_seed(seed)
    network = build(**sizes, **settings)
    generator = torch.Generator().manual_seed(seed)
    trained = training.train(
        network,
        loss,
        Batches(batches(train.inputs, train.targets, recipe.batch, generator)),
        Batches(batches(validation.inputs, validation.targets, PREDICTED)),
        seed=seed,
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        optimiser="adamw",
        weight_decay=recipe.weight_decay,
        schedule="warmup_cosine",
        warmup=recipe.warmup,
        clip=recipe.clip,
        validation_step=cross_entropy,
        context=context,
    )
    return Tagger(trained, sizes | dict(settings))


def sizes_of(split: Split) -> dict[str, int]:
    """Numbers of inputs of a track and of classes."""
    return {
        "features": network_inputs(split.inputs.take(slice(0, 1))).shape[2],
        "classes": len(split.targets.classes),
    }


@torch.no_grad()
def predict(fitted: Tagger, inputs: FlavourJets) -> NDArray[np.float64]:
    """ln p (n, classes)."""
    parts = batches(inputs, None, PREDICTED)
    logits = torch.cat([fitted.network(batch) for batch in parts])
    result: NDArray[np.float64] = torch.log_softmax(logits.double(), dim=1).numpy()
    return result


def parameters(fitted: Tagger) -> int:
    """Trained numbers of the network."""
    return training.parameters(fitted.network)


def save(fitted: Tagger, path: Path) -> None:
    """Weights and what builds the network."""
    training.save(fitted.network, path, fitted.settings)


def load(build: Callable[..., nn.Module], path: Path) -> Tagger:
    """What `save` wrote, for the network of `build`."""
    state, settings = training.load(path)
    network = build(**settings)
    network.load_state_dict(state)
    return Tagger(network.eval(), settings)


class Classifier(nn.Module):
    """Dense layers from a representation of a jet to logits.

    With `joined` the two numbers of the jet are joined to the representation.
    """

    def __init__(
        self, width: int, classes: int, hidden: tuple[int, ...] = (), joined: bool = True
    ) -> None:
        super().__init__()
        self.joined = joined
        sizes = (width + JET_INPUTS * joined, *hidden)
        layers: list[nn.Module] = []
        for first, second in itertools.pairwise(sizes):
            layers += [nn.Linear(first, second), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], classes))

    def forward(self, pooled: Tensor, jet: Tensor) -> Tensor:
        """Logits (n, classes) of representations (n, width)."""
        joined = torch.cat([pooled, jet], dim=1) if self.joined else pooled
        logits: Tensor = self.layers(joined)
        return logits


def owners(mask: Tensor) -> Tensor:
    """Jet (tracks,) of each filled slot, in the order of `tensor[mask]`."""
    return torch.arange(len(mask), device=mask.device).repeat_interleave(mask.sum(1))


def padded(flat: Tensor, mask: Tensor) -> Tensor:
    """Values (tracks, features) of filled slots as (n, slots, features), zero elsewhere."""
    full = flat.new_zeros(*mask.shape, flat.shape[1])
    full[mask] = flat
    return full
