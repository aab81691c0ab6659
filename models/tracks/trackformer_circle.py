"""TrackFormer that starts from the physics: residuals to a fitted circle in, a correction out.

The network sees, hit by hit, how far Taubin's circle misses it: times pT, so that soft and stiff
tracks look alike, and times waves along the radius, so that sums over hits are moments. It returns
corrections of log pT and of pz/pT. Before training the correction is zero, so it begins at the
circle fit and can only learn the weights that scattering asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.tracks import Tracks
from physbench.models import Context, Model, renamed
from physbench.models.common import training, variants
from physbench.models.common.training import HERE
from physbench.models.tracks import _circle_frame as circle_frame
from physbench.models.tracks import _track_regression as track_regression
from physbench.models.tracks._track_transformer import Encoder

FEATURES = 14


@dataclass(frozen=True)
class Fitted:
    """The network, the unit of its two corrections, and what builds it again."""

    network: nn.Module
    unit: tuple[float, ...]
    configuration: Mapping[str, Any]


def _fit(
    train: Split, validation: Split, *, seed: int, context: Context = HERE, **settings: Any
) -> Fitted:
    """Train with AdamW under a warm-up cosine schedule; the best validation loss is kept.

    The default loss is the quantile loss: bremsstrahlung and large-angle scatters would decide a
    squared one. Tracks on a straight line, which have no circle, are not trained on.
    """
    sizes = variants.part_of(settings, Encoder)
    recipe = track_regression.Recipe(**variants.part_of(settings, track_regression.Recipe))
    torch.manual_seed(seed)
    network = build(**sizes)
    start = circle_frame.frame(train.inputs)
    unit = np.maximum(
        np.quantile(np.abs(circle_frame.corrections(train.targets, start)), 0.683, axis=0), 1e-9
    )
    parts = _arrays(train, unit), _arrays(validation, unit)
    trained = track_regression.train_network(network, *parts, recipe, seed, context)
    return Fitted(trained, tuple(unit.tolist()), sizes)


fit = variants.declared(
    _fit,
    Encoder,
    track_regression.Recipe,
    hidden=("features", "input_dropout", "clip", "standardise"),
    width=32,
    dropout=0.0,
    loss="quantile",
    learning_rate=3e-3,
    batch=128,
    epochs=16,
    weight_decay=0.01,
)


def build(**sizes: Any) -> Encoder:
    """An encoder whose untrained answer is zero."""
    sizes = renamed(sizes, variants.options(Encoder))
    network = Encoder(FEATURES, input_dropout=0.0, **sizes)
    last = network.head[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return network


def _arrays(split: Split, unit: circle_frame.Array) -> tuple[Tensor, Tensor, Tensor]:
    start = circle_frame.frame(split.inputs)
    found = ~start.straight
    hits = circle_frame.hit_features(split.inputs, start)[found]
    target = (circle_frame.corrections(split.targets, start) / unit)[found].astype(np.float32)
    mask = torch.from_numpy(split.inputs.mask[found])
    return torch.from_numpy(hits), mask, torch.from_numpy(target)


def predict(fitted: Fitted, inputs: Tracks) -> dict[str, circle_frame.Array]:
    """q/pT, pz, d0, z0; q/pT = 0 (no answer) for hits on a straight line."""
    start = circle_frame.frame(inputs)
    hits = torch.from_numpy(circle_frame.hit_features(inputs, start))
    values = track_regression.outputs(fitted.network, hits, torch.tensor(inputs.mask))
    log_pt, slope = (values * np.array(fitted.unit)).T
    return circle_frame.corrected(start, log_pt, slope)


def save(fitted: Fitted, path: Path) -> None:
    """Weights and everything that `load` needs."""
    extra = {"configuration": dict(fitted.configuration), "unit": list(fitted.unit)}
    training.save(fitted.network, path, extra)


def load(path: Path) -> Fitted:
    """The inverse of `save`."""
    state, extra = training.load(path)
    network = build(**extra["configuration"])
    network.load_state_dict(state)
    return Fitted(network.eval(), tuple(extra["unit"]), extra["configuration"])


def parameters(fitted: Fitted) -> int:
    """Number of trained parameters."""
    return training.parameters(fitted.network)


MODEL = Model(
    tasks=("track_parameters",),
    reference="TrackFormer's encoder on residuals to a circle fit: an entry of this suite.",
    fit=fit,
    predict=predict,
    quick={"epochs": 2, "width": 8, "warmup": 5},
    save=save,
    load=load,
    parameters=parameters,
)
