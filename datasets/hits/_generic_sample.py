"""Samples of the generic detector made block by block, on as many processes as asked for."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from physbench.datasets.common import store
from physbench.datasets.hits import _generic_chain as chain
from physbench.datasets.hits._generic_format import Table, packed

BLOCK = 8  # events that share one generator and one job


class Recipe(NamedTuple):
    """What the events of a sample are; see `generic_detector.make`."""

    seed: int
    pileup: float
    noise: float
    process: str
    photons: bool


def make(path: Path, recipe: Recipe, sizes: list[int], processes: int, *, pixels: bool) -> Path:
    """Simulate `sizes` events of train, validation and test into `path`.

    Event k depends on the recipe and on k alone: neither on the number of processes nor on how
    many events follow. Raises ValueError for sizes without an event.
    """
    events = sum(sizes)
    if min(sizes) < 0 or not events:
        raise ValueError(f"train, validation and test must hold an event together; got {sizes}")
    begin = time.perf_counter()
    jobs = [(recipe, k, min(BLOCK, events - k)) for k in range(0, events, BLOCK)]
    if processes > 1:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            blocks = list(pool.map(block, *zip(*jobs, strict=True)))
    else:
        blocks = [block(*job) for job in jobs]
    parts = [part for found, _ in blocks for part in found]
    split = np.repeat(np.arange(3), sizes)
    arrays = packed(parts, blocks[0][1], split, pixels=pixels)
    store.save_arrays(path, arrays, zipfile.ZIP_LZMA)
    rate = events / (time.perf_counter() - begin)
    print(f"{events} events, {sum(len(p['module']) for p in parts)} hits, {rate:.2f} events/s")
    return path


def block(recipe: Recipe, first: int, count: int) -> tuple[list[Table], Table]:
    """The digitised events `first` to `first + count - 1`, and the table of modules."""
    found = chain.detector()
    seed = [recipe.seed, first]
    tables = chain.generate(
        count, seed, process=recipe.process, pileup=recipe.pileup, photons=recipe.photons
    )
    crossed = chain.simulate(tables, found, seed, recipe.photons)
    parts = [
        chain.digitised(event, found, recipe.noise, [recipe.seed, first + k, 3])
        for k, event in enumerate(crossed)
    ]
    return parts, modules(found)


def modules(found: chain.Detector) -> Table:
    """Numbers, places and resolutions of the modules, as they are stored."""
    code: Any = found.modules.code
    fields = ((56, 0xFF), (36, 0xFFF), (8, 0xFFFFF))
    elements = [(code >> np.uint64(shift)) & np.uint64(mask) for shift, mask in fields]
    return {
        "elements": np.stack(elements, axis=1).astype("i2"),
        "centre": found.modules.centre.astype("f4"),
        "axes": found.modules.axes[:, :, :2].astype("f4"),
        "sigma": found.sigma.astype("f4"),
    }
