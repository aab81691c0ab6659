"""Version 1 of the generic detector's sample, 20 pile-up: kept so that old records can be read.

Its fault: FATRAS was left at its default lowest momentum, so that every particle with |p| below
0.5 GeV is missing, though the card promised pT > 0.1 GeV. Particles end nowhere in the material,
nothing is displaced by it, and noise lies where hits of other events lie. A helix scan finds
almost all of it. Use `generic_detector`.

15 % noise hits, each a hit of a further event, none used twice. Resolutions: pixels 14 um, short
strips 23 um x 0.35 mm, long strips 35 um x 3.1 mm. Positions in steps of 1/1024 mm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, File
from physbench.datasets.common import acts_chain, reading, store
from physbench.datasets.hits import Event, EventTruth, module_key
from physbench.datasets.hits._trackml_format import scoring_weights

SPLITS = ("train", "validation", "test")

STORED = (
    *("x", "y", "z", "path", "depth", "pt", "eta", "particle", "particle_id"),
    *("modules", "module", "hits", "particles", "split"),
)

Events = dict[str, list[tuple[Event, EventTruth]]]


def load(*, file: Path | None = None) -> tuple[Events, dict[str, str]]:
    """Events by split, and digests; `file` is another file of that format."""
    path = file or store.checked("generic_detector_v1", DATASET)[DATASET.files[0].name]
    arrays = reading.arrays(path, *STORED)
    events: Events = {name: [] for name in SPLITS}
    with reading.reading(path, "a sample of the first format"):
        if arrays["hits"].sum() != len(arrays["x"]):
            raise ValueError(f"{arrays['hits'].sum()} hits announced, {len(arrays['x'])} there")
        hit_ends, particle_ends = np.cumsum(arrays["hits"]), np.cumsum(arrays["particles"])
        for number, split in enumerate(arrays["split"]):
            hits = slice(hit_ends[number] - arrays["hits"][number], hit_ends[number])
            particles = slice(
                particle_ends[number] - arrays["particles"][number], particle_ends[number]
            )
            events[SPLITS[split]].append(_event(number, arrays, hits, particles))
    return events, {path.name: store.digest(path)}


def _event(
    number: int, arrays: dict[str, NDArray[Any]], hits: slice, particles: slice
) -> tuple[Event, EventTruth]:
    ids = arrays["particle_id"][particles].astype(np.int64)
    pt = arrays["pt"][particles].astype(np.float64)
    eta = arrays["eta"][particles].astype(np.float64)
    index = arrays["particle"][hits].astype(np.int64)  # 0 is noise, k is ids[k - 1]
    particle_id = np.concatenate([[0], ids])[index]
    x, y, z = (arrays[name][hits].astype(np.float64) for name in "xyz")
    path = arrays["path"][hits].astype(np.float64)
    depth = arrays["depth"][hits].astype(np.float64)
    geometry = arrays["modules"][arrays["module"][hits]].astype(np.int64)
    event = Event(
        f"event{number:09d}",
        np.arange(1, len(x) + 1),
        x,
        y,
        z,
        *(geometry[:, column] for column in range(3)),
    )
    weight = scoring_weights(particle_id, depth, dict(zip(ids.tolist(), pt.tolist(), strict=True)))
    layer = event.volume_id * 100 + event.layer_id
    module = module_key(event.volume_id, event.layer_id, event.module_id)
    order = np.argsort(ids)
    truth = EventTruth(particle_id, weight, path, ids[order], pt[order], eta[order], layer, module)
    return event, truth


DATASET = Dataset(
    summary="superseded: ttbar with 20 pile-up collisions, particles below 0.5 GeV missing",
    version="1",
    licence="CC0-1.0",
    citation=acts_chain.CITATION,
    source="made by this project: Pythia 8.317 and ACTS 48.1 (FATRAS), seed 20261126",
    load=load,
    files=(
        File(
            "generic_detector_v1.npz",
            "e861418e8aa377762d9426bf736fa2a6d4bcf05fec8f3e0bcaf11c2002691533",
            8640136,
        ),
    ),
    embedded=True,
)
