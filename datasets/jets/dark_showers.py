"""Pythia 8 QCD dijets and five Hidden-Valley signals with parametric smearing, embedded.

Jets: anti-kT R = 0.8 of visible particles with |eta| < 4.5, the two leading ones of an event above
100 GeV, then smeared (tracks, photon cells, hadron cells; not Delphes) and kept when 150 < pT <
300 GeV and |eta| < 2 after smearing. sqrt(s) = 14 TeV, MPI, ISR and FSR on, no pile-up.

An event gives one jet, so jets are independent. Frozen: Pythia 8.317, seed 2, 40,000 QCD jets
(24,000 train, 4,000 validation, 12,000 test) and of the signals, 15 % of them held for
contamination runs, the rest test:

- `r_inv_0.75` (Aachen-like), `r_inv_0.5`, `r_inv_0.9`: dark mesons of 5 GeV, Lambda 5 GeV,
  Z' of 2 TeV, 10,000 jets each;
- `mass_20`: r_inv 0.75 with dark mesons and Lambda of 20 GeV, 10,000 jets;
- `r_inv_0` (Heidelberg-like stand-in, a control): all dark mesons decay visibly, Z' of 500 GeV,
  6,000 jets.

`HiddenValley:setLambda` is on. Off, the silent behaviour of old cards, is the variant
`lambda_off` (not frozen, see `make`): there counting constituents is nearly optimal. Every Pythia
setting, the mean number of dark mesons an event and the event counts stand in the file itself
(`facts`). What changed since version 1: one jet an event, twice the background, 2.5 times the
signals, and weights instead of thinning to match the pT spectra.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, File
from physbench.datasets.common import reading, store
from physbench.datasets.common.streaming import later
from physbench.datasets.jets import (
    CONSTITUENTS,
    HELD,
    TEST,
    TRAIN,
    VALIDATION,
    Jets,
    JetTruth,
    Sample,
    _packed,
    matching_weights,
)
from physbench.datasets.jets._dark_shower_generator import (
    SIGNALS,
    Chunk,
    card,
    generate,
)
from physbench.datasets.jets._smearing import Detector

FILE = "dark_showers.npz"
SHA256 = "4888993366e23a3f3880df8c953e2c2de016a647f8720e9ffb47bd687c8e7c1c"
QCD_PARTS = (0.6, 0.1, 0.3)  # train, validation, test, by generator event
HELD_PART = 0.15  # of the signal events: for contamination runs, never in the test split
SHARES = {"qcd": 1.0, "r_inv_0": 0.15}  # of `jets`; the other signals: SHARE
SHARE = 0.25
STORED = (
    *("constituents", "stored", "pt", "eta", "mass", "multiplicity"),
    *("signal", "event", "rank", "split"),
)
CHUNK = 1000  # jets from one Pythia seed
VARIANTS = {"": FILE, "lambda_off": "dark_showers_lambda_off.npz"}


def load(*, folder: str = "", variant: str = "") -> Sample:
    """The frozen sample, or the one that `data make dark_showers` wrote into `folder`.

    `variant="lambda_off"` is found in a folder alone. Raises DataError when the frozen file was
    altered, FileNotFoundError when `folder` has no sample.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {list(VARIANTS)}; got '{variant}'")
    if folder or variant:
        path = Path(folder).expanduser() / VARIANTS[variant]
        if not path.exists():
            off = " --set set_lambda=false" if variant else ""
            raise FileNotFoundError(
                f"{path} is missing; make it with: python -m benchmarks data make dark_showers"
                f"{off}, and name its folder"
            )
        return read(path)
    (path,) = store.checked("dark_showers", DATASET).values()
    return read(path)


def read(path: Path) -> Sample:
    """A sample from its file."""
    columns = reading.arrays(path, *STORED)
    with reading.reading(path, "a sample that `data make dark_showers` wrote"):
        return _sample(path, columns)


def _sample(path: Path, columns: dict[str, NDArray[Any]]) -> Sample:
    names = tuple(json.loads(str(columns["facts"]))["signals"])
    reading.check_range(columns["signal"], 0, len(names), "signal", "background or a signal")
    reading.check_range(columns["split"], TRAIN, HELD, "split", "train to held")
    reading.check_range(columns["stored"], 1, CONSTITUENTS, "stored", "slots of a jet")
    if int(columns["stored"].sum()) != columns["constituents"].shape[-1]:
        raise ValueError("'stored' announces another number of constituents than are there")
    multiplicity = columns["multiplicity"].astype(np.int64)
    packed = columns["stored"], columns["constituents"], CONSTITUENTS
    constituents = later(functools.partial(_packed.unpack, *packed))
    jets = Jets(constituents, columns["pt"], columns["eta"], columns["mass"], multiplicity)
    signal, split, event = columns["signal"], columns["split"], columns["event"].astype(np.int64)
    weight = matching_weights(signal, split == TEST, jets.pt)
    truth = JetTruth(signal, weight, event, jets.pt, jets.mass, multiplicity, names)
    labels = ("qcd", *names)
    numbers = (column.tolist() for column in (signal, event, columns["rank"]))
    ids = tuple(f"{labels[s]}-{e}-{r}" for s, e, r in zip(*numbers, strict=True))
    return Sample(jets, truth, split, ids, {path.name: store.digest(path)})


def make(
    folder: Path,
    *,
    seed: int = 2,
    jets: int = 40_000,
    processes: int = 1,
    set_lambda: bool = True,
) -> None:
    """Generate a sample with Pythia and write it into `folder`.

    Parameters
    ----------
    seed:
        Decides everything; the frozen sample has seed 2.
    jets:
        Number of QCD jets; a quarter of it for each signal, 15 % for the control.
    processes:
        Worker processes; the result does not depend on their number.
    set_lambda:
        `HiddenValley:setLambda`; off makes the variant `lambda_off`.
    """
    if jets < 100:
        raise ValueError(f"jets must be at least 100 to fill all splits; got {jets}")
    started = time.perf_counter()
    chunks = list(_chunks(jets, seed, set_lambda))
    parts = []
    for done, part in enumerate(_generated(chunks, processes), start=1):
        parts.append(part)
        made = sum(len(p["jets"]) for p in parts)
        rate = made / (time.perf_counter() - started)
        print(f"{done}/{len(chunks)} {chunks[done - 1].sample}: {made} jets, {rate:.0f} jets/s")
    name = VARIANTS["" if set_lambda else "lambda_off"]
    np.savez_compressed(Path(folder) / name, **columns(chunks, parts, seed))


def _chunks(jets: int, seed: int, set_lambda: bool) -> Iterator[Chunk]:
    """The pieces of all samples; Pythia takes seeds from 1 to 900,000,000."""
    for position, name in enumerate(("qcd", *SIGNALS)):
        wanted = round(jets * SHARES.get(name, SHARE))
        for number, start in enumerate(range(0, wanted, CHUNK)):
            spawned = np.random.SeedSequence([seed, position, number]).generate_state(1)[0]
            size = min(CHUNK, wanted - start)
            yield Chunk(name, number, size, int(spawned) % 899_999_999 + 1, set_lambda)


def _generated(chunks: list[Chunk], processes: int) -> Iterator[dict[str, Any]]:
    if processes == 1:
        yield from map(_generate, chunks)
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(_generate, chunks)


def _generate(chunk: Chunk) -> dict[str, Any]:
    return generate(chunk, Detector())


def columns(chunks: list[Chunk], parts: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """The arrays of the file: packed constituents, and one row a jet for the rest."""
    names = ("qcd", *SIGNALS)
    order = [names.index(chunk.sample) for chunk in chunks]
    signal = np.repeat(np.array(order, dtype=np.int8), [len(p["jets"]) for p in parts])
    jets = [part["jets"] for part in parts]
    joined = {
        name: np.concatenate([getattr(j, name) for j in jets])
        for name in ("constituents", "pt", "eta", "mass", "multiplicity")
    }
    event = np.concatenate([p["event"] for p in parts])
    return {
        **_packed.pack(joined.pop("constituents")),
        **joined | {"multiplicity": joined["multiplicity"].astype(np.uint16)},
        "signal": signal,
        "event": event.astype(np.uint32),
        "rank": np.concatenate([p["rank"] for p in parts]).astype(np.uint8),
        "split": _splits(signal, event, np.random.default_rng([seed, 2])),
        "facts": np.array(json.dumps(_facts(chunks, parts, seed), sort_keys=True)),
    }


def _splits(
    signal: NDArray[np.int8], event: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int8]:
    """A split for each generator event, in fixed shares."""
    split = np.zeros(len(signal), dtype=np.int8)
    for kind in np.unique(signal):
        chosen = signal == kind
        numbers, inverse = np.unique(event[chosen], return_inverse=True)
        share = generator.permutation(len(numbers)) / len(numbers)
        if kind == 0:
            codes = np.digitize(share, np.cumsum(QCD_PARTS)[:2]).astype(np.int8)
            split[chosen] = np.array([TRAIN, VALIDATION, TEST], dtype=np.int8)[codes][inverse]
        else:
            split[chosen] = np.where(share < HELD_PART, HELD, TEST)[inverse]
    return split


def _facts(chunks: list[Chunk], parts: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """Where the file comes from: version, seed, settings, counts."""
    samples = {}
    for name in ("qcd", *SIGNALS):
        mine = [p for c, p in zip(chunks, parts, strict=True) if c.sample == name]
        samples[name] = {
            "settings": card(name, set_lambda=chunks[0].set_lambda),
            "seeds": [c.seed for c in chunks if c.sample == name],
            "events": sum(p["events"] for p in mine),
            "jets": sum(len(p["jets"]) for p in mine),
            "dark_mesons_an_event": round(float(np.mean([p["mesons"] for p in mine])), 2),
        }
    return {
        "pythia8mc": version("pythia8mc"),
        "seed": seed,
        "signals": list(SIGNALS),
        "detector": asdict(Detector()),
        "samples": samples,
    }


def facts(path: Path) -> dict[str, Any]:
    """Generator version, seed, settings and counts of a sample's file."""
    with reading.reading(path, "a sample that `data make dark_showers` wrote"):
        found: dict[str, Any] = json.loads(str(reading.arrays(path)["facts"]))
    return found


DATASET = Dataset(
    summary="QCD and dark-shower jets from Pythia 8.317 with parametric smearing",
    version="2",
    licence="MIT (generated for this suite with Pythia 8, GPL-2.0-or-later)",
    citation="""@article{Bierlich:2022pfr,
  author = {Bierlich, Christian and Chakraborty, Smita and Desai, Nishita and Gellersen, Leif and
    Helenius, Ilkka and Ilten, Philip and L{\\"o}nnblad, Leif and Mrenna, Stephen and Prestel,
    Stefan and Preuss, Christian T. and Sj{\\"o}strand, Torbj{\\"o}rn and Skands, Peter and Utheim,
    Marius and Verheyen, Rob},
  title = {A comprehensive guide to the physics and usage of {PYTHIA} 8.3},
  journal = {SciPost Phys. Codebases},
  pages = {8},
  year = {2022},
  doi = {10.21468/SciPostPhysCodeb.8}
}""",
    source="generated by `python -m benchmarks data make dark_showers --seed 2`",
    load=load,
    files=(File(FILE, SHA256, 12110324),),
    embedded=True,
    make=make,
)
