"""Networks that read the hits of a track: inputs, targets, losses, training, prediction.

A network is built as `Network(features, outputs, **sizes)` and called as `network(hits, mask)`
with hits (n, slots, features) float32 and mask (n, slots) boolean; it returns (n, outputs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.tracks import Tracks
from physbench.models import Context, renamed
from physbench.models.common import training, variants
from physbench.models.common.training import HERE
from physbench.models.tracks import _track_views as track_views
from physbench.models.tracks._track_views import View

Array = NDArray[np.float64]

LOSSES = ("mse", "quantile")
CHUNK = 4096  # tracks a forward pass


def quantile_loss(prediction: Tensor, target: Tensor, q: float = 0.5) -> Tensor:
    """Mean of max(q e, (q - 1) e) with e = target - prediction; q = 0.5 is half the mean |e|.

    >>> error = torch.tensor([1.0, -2.0, 0.5])
    >>> [round(float(quantile_loss(torch.zeros(3), error, q)), 6) for q in (0.5, 0.2)]
    [0.583333, 0.633333]
    """
    error = target - prediction
    return torch.maximum(q * error, (q - 1) * error).mean()


def loss_function(name: str, quantile: float) -> Callable[[Tensor, Tensor], Tensor]:
    """`mse` or `quantile`; raises ValueError for another name or a quantile outside (0, 1)."""
    if name not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}; got '{name}'")
    if not 0 < quantile < 1:
        raise ValueError(f"quantile must lie between 0 and 1; got {quantile}")
    if name == "mse":
        return nn.functional.mse_loss
    return lambda prediction, target: quantile_loss(prediction, target, quantile)


@dataclass(frozen=True)
class Regressor:
    """A trained network and what turns its output into predictions.

    `features` names what it reads (`track_views`), `target` is the protocol's, `scaled` says that
    raw inputs are of order one; `centre` and `spread` (outputs,) undo the standardisation of the
    targets; `configuration` builds the network again.
    """

    network: nn.Module
    target: str
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    scaled: bool
    configuration: Mapping[str, Any]
    features: str = "raw"

    @property
    def view(self) -> View:
        """What the network reads and answers."""
        return track_views.view(self.features, self.target, self.scaled)


class Batches:
    """Batches (hits, mask, target) of fixed composition, drawn once from `seed`."""

    def __init__(self, arrays: tuple[Tensor, Tensor, Tensor], size: int, seed: int, trim: bool):
        generator = torch.Generator().manual_seed(seed)
        self.arrays, self.trim = arrays, trim
        self.parts = torch.split(torch.randperm(len(arrays[0]), generator=generator), size)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        hits, mask, target = (array[self.parts[index]] for array in self.arrays)
        # Slots that no track of the batch fills cost time and change nothing behind a mask.
        slots = int(mask.sum(1).max()) if self.trim else mask.shape[1]
        return hits[:, :slots], mask[:, :slots], target


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained: AdamW under a warm-up cosine schedule, best validation loss.

    `features` are `raw` (the protocol's coordinates and targets), `chord` (everything relative to
    the chord of the track's first and last hit; q/pT, pz, d0 and z0 come out) or `offset_chord`
    (to three hits, for tracks that miss the beam line). `loss` is `mse`, or `quantile` at
    `quantile`. With `standardise` raw inputs are of order one and each target has mean 0 and
    deviation 1; without it millimetres and GeV go in as they are. `emphasis` multiplies the errors
    of the first target, pT: one network of few steps cannot do equally well at all of them.
    """

    features: str = "raw"
    loss: str = "mse"
    quantile: float = 0.5
    learning_rate: float = 1e-3
    batch: int = 256
    epochs: int = 30
    weight_decay: float = 0.0
    warmup: int = 100
    clip: float | None = None
    standardise: bool = True
    emphasis: float = 1.0


def train_network(
    network: nn.Module,
    train: tuple[Tensor, Tensor, Tensor],
    validation: tuple[Tensor, Tensor, Tensor],
    recipe: Recipe,
    seed: int,
    context: Context,
) -> nn.Module:
    """Train on (hits, mask, target); a network with `masked = False` sees the empty slots too."""
    criterion = loss_function(recipe.loss, recipe.quantile)
    trim = getattr(network, "masked", True)

    def step(module: Any, part: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        hits, mask, target = part
        return criterion(module(hits, mask), target)

    return training.train(
        network,
        step,
        Batches(train, recipe.batch, seed, trim),  # type: ignore[arg-type]
        Batches(validation, 2048, 0, trim),  # type: ignore[arg-type]
        seed=seed,
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        optimiser="adamw",
        weight_decay=recipe.weight_decay,
        schedule="warmup_cosine",
        warmup=recipe.warmup,
        clip=recipe.clip,
        context=context,
    )


def fits(network: type[nn.Module], **defaults: Any) -> Callable[..., Regressor]:
    """The `fit` of a network: its sizes and the recipe, with these defaults.

    `warmup`, `clip`, `standardise` and `emphasis` are settings of the entries that name them.
    """

    def fit(
        train: Split, validation: Split, *, seed: int, context: Context = HERE, **settings: Any
    ) -> Regressor:
        """Train with AdamW under a warm-up cosine schedule on the protocol's targets."""
        sizes = variants.part_of(settings, network)
        recipe = Recipe(**variants.part_of(settings, Recipe))
        return regressor(network, train, validation, recipe, sizes, seed, context)

    hidden = tuple({"warmup", "clip", "standardise", "emphasis"} - set(defaults))
    return variants.declared(fit, network, Recipe, hidden=hidden, **defaults)


def regressor(
    build: type[nn.Module],
    train: Split,
    validation: Split,
    recipe: Recipe,
    sizes: Mapping[str, Any],
    seed: int,
    context: Context,
) -> Regressor:
    """Train a network on the targets of its view."""
    target = train.targets.target
    view = track_views.view(recipe.features, target, recipe.standardise)
    centre, spread = view.scale(view.targets(train.inputs, train.targets))
    if recipe.emphasis <= 0:
        raise ValueError(f"emphasis must be above 0; got {recipe.emphasis}")
    spread = np.concatenate([spread[:1] / recipe.emphasis, spread[1:]])

    def arrays(split: Split) -> tuple[Tensor, Tensor, Tensor]:
        values = (view.targets(split.inputs, split.targets) - centre) / spread
        wild = track_views.LARGEST if recipe.features != "raw" else np.inf
        aim = torch.from_numpy(np.clip(values, -wild, wild).astype(np.float32))
        return view.inputs(split.inputs), torch.tensor(split.inputs.mask), aim

    torch.manual_seed(seed)
    network = build(view.features, view.outputs, **sizes)
    trained = train_network(network, arrays(train), arrays(validation), recipe, seed, context)
    return Regressor(
        trained,
        target,
        tuple(centre.tolist()),
        tuple(spread.tolist()),
        recipe.standardise,
        dict(sizes),
        recipe.features,
    )


def outputs(network: nn.Module, hits: Tensor, mask: Tensor) -> Array:
    """The network's answers, in float64."""
    with torch.no_grad():
        parts = [
            network(hits[i : i + CHUNK], mask[i : i + CHUNK]) for i in range(0, len(hits), CHUNK)
        ]
    return np.asarray(torch.cat(parts).double().numpy()) if parts else np.zeros((0, 2))


def predict(fitted: Regressor, inputs: Tracks) -> Mapping[str, Array]:
    """q/pT and pz, and d0 and z0 of a chord's view.

    Raises ValueError for tracks that have no answer (`Tracks.check`).
    """
    hits = fitted.view.inputs(inputs)
    values = outputs(fitted.network, hits, torch.tensor(inputs.mask))
    values = values.reshape(len(inputs), -1) if len(inputs) else np.zeros((0, len(fitted.centre)))
    values = values * np.array(fitted.spread) + np.array(fitted.centre)
    return fitted.view.predictions(inputs, values)


def save(fitted: Regressor, path: Path) -> None:
    """Weights and everything that `load` needs."""
    extra = {
        "configuration": dict(fitted.configuration),
        "target": fitted.target,
        "centre": list(fitted.centre),
        "spread": list(fitted.spread),
        "scaled": fitted.scaled,
        "features": fitted.features,
    }
    training.save(fitted.network, path, extra)


def load(build: type[nn.Module], path: Path) -> Regressor:
    """The inverse of `save`; `build(features, outputs, **configuration)` makes the network."""
    state, extra = training.load(path)
    features = extra.get("features", "raw")  # weights of before there was a choice
    view = track_views.view(features, extra["target"], extra["scaled"])
    sizes = renamed(extra["configuration"], variants.options(build))
    network = build(view.features, view.outputs, **sizes)
    network.load_state_dict(state)
    centre, spread = tuple(extra["centre"]), tuple(extra["spread"])
    return Regressor(
        network.eval(),
        extra["target"],
        centre,
        spread,
        extra["scaled"],
        extra["configuration"],
        features,
    )


def parameters(fitted: Regressor) -> int:
    """Number of trained parameters."""
    return training.parameters(fitted.network)
