"""TrackFormer: a small transformer over the hits of a track, without positional encoding.

Defaults are the talk's settings (width 128, 2 layers, 290,370 parameters, inputs and targets in
mm and GeV as they are, mean squared error). The two later ones have no dropout; one of them is
`--set width=32 --set layers=16` (140,130 parameters). `padding="faithful"` lets empty slots
take part as the first published version did; the default masks them.

The presets read and answer in units of each track's chord: the same encoder then reaches the
classical fits. `--set features=raw` takes the protocol's coordinates again. The talk to the letter
is `features=raw loss=mse width=128 dropout=0.1 input_dropout=0.1 standardise=false
learning_rate=5e-4 batch=1024 epochs=100`: some 96 CPU-minutes a seed.
"""

from __future__ import annotations

from functools import partial

from physbench.models import Model
from physbench.models.tracks import _track_regression as track_regression
from physbench.models.tracks._track_transformer import Encoder

fit = track_regression.fits(
    Encoder,
    learning_rate=5e-4,
    batch=1024,
    epochs=100,
    weight_decay=0.01,
    warmup=100,
    standardise=False,
    emphasis=1.0,
)

MODEL = Model(
    tasks=("track_parameters",),
    reference="""@misc{trackformer2025,
  title = {TrackFormer: track-parameter regression with transformers},
  howpublished = {thesis talk, 26 March 2025},
  year = {2025},
  url = {https://github.com/CouthuresJeremy/TrackFormer}
}""",
    fit=fit,
    predict=track_regression.predict,
    presets={
        "generic_tracks": {
            "features": "chord",
            "loss": "quantile",
            "width": 32,
            "dropout": 0.0,
            "input_dropout": 0.0,
            "standardise": True,
            "learning_rate": 3e-3,
            "batch": 128,
            "epochs": 24,
        },
        "displaced_tracks": {
            "features": "offset_chord",
            "loss": "quantile",
            "width": 32,
            "dropout": 0.0,
            "input_dropout": 0.0,
            "standardise": True,
            "learning_rate": 3e-3,
            "batch": 128,
            "epochs": 16,
        },
    },
    space={
        "width": [16, 32, 64],
        "layers": [1, 2, 4],
        "learning_rate": (3e-4, 1e-2, "log"),
        "batch": [64, 128, 256],
        "epochs": [2],
    },
    quick={"epochs": 2, "width": 8, "standardise": True},
    save=track_regression.save,
    load=partial(track_regression.load, Encoder),
    parameters=track_regression.parameters,
)
