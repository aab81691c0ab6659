"""Pixel hits on the generic detector: the events of `generic_detector`, and denser ones for tests.

Train, validation and test are the pixel volumes of version 2 of `generic_detector` (60 pile-up).
`dense` are events of the same recipe with 200 pile-up, of which nothing but the pixel hits is
stored. Weights are those of the pixel hits alone.
"""

from __future__ import annotations

from pathlib import Path

from physbench.datasets import Dataset, File
from physbench.datasets.common import acts_chain, store
from physbench.datasets.hits import _generic_format as form
from physbench.datasets.hits import _generic_sample as sample
from physbench.datasets.hits import pixels_of
from physbench.datasets.hits._generic_format import Events

DENSE = "dense"


def load(*, file: Path | None = None) -> tuple[Events, dict[str, str]]:
    """Events of train, validation, test and dense, and digests.

    `file` holds the dense events, a sample of `make`; default the embedded one.
    """
    paths = store.checked("generic_pixels", DATASET)
    mild, dense = (paths[name.name] for name in DATASET.files)
    dense = file or dense
    wanted = "the sample of generic_detector"
    events = {k: pairs.each(pixels_of) for k, pairs in form.events(mild, wanted).items()}
    wanted = "a sample that `data make generic_pixels` wrote"
    events[DENSE] = form.events(dense, wanted, name=DENSE)["test"]
    return events, {path.name: store.digest(path) for path in (mild, dense)}


def make(
    folder: Path, *, seed: int, events: int = 4, pileup: float = 200.0, processes: int = 1
) -> Path:
    """Simulate dense events into `folder/generic_pixels.npz` and return its path.

    Needs the extras `[acts]` and `[pythia]`. As `generic_detector.make` but for the hits kept.
    """
    recipe = sample.Recipe(seed, pileup, 0.15, "Top:all = on", photons=False)
    path = folder / "generic_pixels.npz"
    return sample.make(path, recipe, [0, 0, events], processes, pixels=True)


DATASET = Dataset(
    summary="pixel hits of generic_detector at 60 pile-up, and of four events at 200",
    version="1",
    licence="CC0-1.0",
    citation=acts_chain.CITATION,
    source="made by this project: Pythia 8.317 and ACTS 48.1 (FATRAS), seeds 20261130, 20261201",
    load=load,
    files=(
        File(
            "generic_detector.npz",
            "4cbcf4d8076ae668423e1a99164da8a40b216c746d49d29e1d631800e47a1b67",
            11553489,
        ),
        File(
            "generic_pixels.npz",
            "f8a8c6e80f7063ee397696b2af20948cec439d6371eb94657837d09097a6be5e",
            1660461,
        ),
    ),
    embedded=True,
    make=make,
)
