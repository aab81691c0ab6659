"""TrackFormer: a small transformer over the hits of a track, without positional encoding.

Defaults are the talk's settings (width 128, 2 layers, 290,370 parameters, inputs and targets in
mm and GeV as they are, mean squared error). The two later ones have no dropout; one of them is
`--set model_dim=32 --set layers=16` (140,130 parameters). `padding="faithful"` lets empty slots
take part as the first published version did; the default masks them.
"""

from __future__ import annotations

from pathlib import Path

import torch

from physbench.datasets import Split
from physbench.models import Model
from physbench.models.tracks import _track_regression as track_regression
from physbench.models.tracks._track_regression import Regressor
from physbench.models.tracks._track_transformer import Encoder


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    model_dim: int = 128,
    layers: int = 2,
    heads: int = 4,
    dropout: float = 0.1,
    input_dropout: float = 0.1,
    padding: str = "mask",
    loss: str = "mse",
    quantile: float = 0.5,
    standardise: bool = False,
    lr: float = 5e-4,
    warmup: int = 100,
    batch: int = 1024,
    epochs: int = 100,
    weight_decay: float = 0.01,
) -> Regressor:
    """Train with AdamW under a warm-up cosine schedule; the best validation loss is kept.

    Parameters
    ----------
    padding:
        `mask`, or `faithful`: empty slots take part in attention and mean.
    loss:
        `mse`, or `quantile` at `quantile`.
    standardise:
        Scale inputs to order one and targets to deviation one.
    """
    torch.manual_seed(seed)
    configuration = {
        "model_dim": model_dim,
        "layers": layers,
        "heads": heads,
        "dropout": dropout,
        "input_dropout": input_dropout,
        "padding": padding,
    }
    return track_regression.fit(
        Encoder(**configuration),  # type: ignore[arg-type]
        train,
        validation,
        configuration=configuration,
        standardise=standardise,
        trim=padding == "mask",
        seed=seed,
        batch=batch,
        loss=loss,
        quantile=quantile,
        epochs=epochs,
        lr=lr,
        optimiser="adamw",
        weight_decay=weight_decay,
        schedule="warmup_cosine",
        warmup=warmup,
    )


def load(path: Path) -> Regressor:
    """The saved network."""
    return track_regression.load(path, Encoder)


MODEL = Model(
    tasks=("track_parameters",),
    reference="""@misc{trackformer2025,
  title = {TrackFormer: track-parameter regression with transformers},
  howpublished = {thesis talk, 26 March 2025; github.com/CouthuresJeremy/TrackFormer}
}""",
    fit=fit,
    predict=track_regression.predict,
    presets={
        "generic_tracks": {
            "model_dim": 32,
            "dropout": 0.0,
            "input_dropout": 0.0,
            "standardise": True,
            "lr": 3e-3,
            "batch": 128,
            "epochs": 24,
        }
    },
    save=track_regression.save,
    load=load,
    parameters=track_regression.parameters,
)
