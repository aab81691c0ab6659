"""b, c, light and gluon jets from Pythia 8.317 with a parametrised tracker, embedded.

This tracker is no detector that exists: never compare a number of this sample with those of ATLAS
or CMS. pp at 13.6 TeV, one hard process a flavour, initial- and final-state radiation and
multi-parton interactions on; anti-kT R = 0.4 jets of visible particles, the two leading ones of an
event, matched to an outgoing parton *and* with the hadrons that their label promises (jets that
disagree are dropped; `facts` has the fractions). Reconstructed 25 < pT < 200 GeV, |eta| < 2.1, at
least one track. Event weights of the biased generation are dropped on purpose: in each split the
spectra in 12 bins of ln pT times 4 of |eta| are made equal by drawing as many jets of each
flavour, so that kinematics alone is worthless.

Frozen: 100,000 jets, 25,000 a flavour (version 1 had 36,000 of the same kind); 60 %
train, 10 % validation, 30 % test by generator event, in the latter two one jet an event. Tracks:
the 24 of highest pT, with the true origin and the decayed hadron they come from. z0 is relative to
the true primary vertex.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
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
    TEST,
    TRACK,
    TRAIN,
    VALIDATION,
    FlavourJets,
    Flavours,
    FlavourSample,
)
from physbench.datasets.jets._flavour_generator import FLAVOURS, Chunk, card, generate
from physbench.datasets.jets._flavour_tracker import Tracker, jet_pt, tracks

FILE = "flavour_jets.npz"
SHA256 = "1cb2a4eba25e72c1d84a8d5c26993f7132199228aab8817a8d4353d9439e7a10"
SLOTS = 24
WINDOW, JET_ETA = (25.0, 200.0), 2.1  # reconstructed pT in GeV
PT_BINS, ETA_BINS = 12, 4
SHARES = {TRAIN: 0.6, VALIDATION: 0.1, TEST: 0.3}  # of the jets
EVENTS = (0.52, 0.125)  # of the generator events: where one jet is kept, more are needed
CHUNK = 2000  # true jets from one Pythia seed
CANDIDATES = 1.75  # true jets a jet of the sample, and more where bins are sparse
SPARSE = 10.0
TRACKS = ("pt", "deta", "dphi", "d0", "z0")
JETS = ("origin", "hadron", "jet_pt", "jet_eta", "event", "rank", "count", "label", "split")
REMEDY = "python -m benchmarks data make flavour_jets"

Columns = dict[str, NDArray[Any]]


class Short(ValueError):
    """Matched spectra leave fewer jets than a split shall have."""


def load(*, folder: str = "") -> FlavourSample:
    """The frozen sample, or the one that `data make flavour_jets` wrote into `folder`.

    Raises DataError when the frozen file was altered, FileNotFoundError when `folder` has no
    sample.
    """
    if folder:
        path = Path(folder).expanduser() / FILE
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is missing; make it with: python -m benchmarks data make flavour_jets"
            )
        return read(path)
    (path,) = store.checked("flavour_jets", DATASET).values()
    return read(path)


def read(path: Path) -> FlavourSample:
    """A sample from its file; what the inputs need of it is unpacked when they are asked for."""
    columns = reading.arrays(path, *JETS, alone=True, remedy=REMEDY)
    slots = np.arange(SLOTS) < columns["count"][:, None]

    def padded_tracks() -> NDArray[Any]:
        stored = reading.arrays(path, *TRACK, alone=True, remedy=REMEDY)
        flat = np.stack([stored[k] for k in TRACK], axis=1)
        return _padded(flat.astype(np.float32), slots, 0)

    inputs = FlavourJets(later(padded_tracks), columns["jet_pt"], columns["jet_eta"])
    event = columns["event"].astype(np.int64)
    unique = event + 10**9 * columns["label"].astype(np.int64)
    origin, hadron = (_padded(columns[k], slots, -1) for k in ("origin", "hadron"))
    label = columns["label"]
    truth = Flavours(label, origin, hadron, unique, inputs.pt, inputs.eta, FLAVOURS)
    numbers = (column.tolist() for column in (label, event, columns["rank"]))
    ids = tuple(f"{FLAVOURS[k]}-{e}-{r}" for k, e, r in zip(*numbers, strict=True))
    return FlavourSample(inputs, truth, columns["split"], ids, {path.name: store.digest(path)})


def _padded(flat: NDArray[Any], slots: NDArray[np.bool_], empty: int) -> NDArray[Any]:
    """Values of tracks in the slots of their jets; `empty` elsewhere."""
    full = np.full((*slots.shape, *flat.shape[1:]), empty, dtype=flat.dtype)
    full[slots] = flat
    return full


def make(folder: Path, *, seed: int = 1, jets: int = 100_000, processes: int = 1) -> None:
    """Generate a sample with Pythia and write it into `folder`.

    Parameters
    ----------
    seed:
        Decides everything; the frozen sample has seed 1.
    jets:
        Jets of the sample, a quarter of each flavour.
    processes:
        Worker processes; the result does not depend on their number.
    """
    if jets < 400 or jets % 40:
        raise ValueError(
            f"jets must be a multiple of 40 from 400 on, to fill all splits; got {jets}"
        )
    chunks: list[Chunk] = []
    parts: list[dict[str, Any]] = []
    numbers = range(-(-candidates(jets // len(FLAVOURS)) // CHUNK))
    sample: Columns | None = None
    while sample is None:
        more = list(_chunks(numbers, seed))
        chunks += more
        parts += _told(more, processes)
        numbers = range(numbers.stop, numbers.stop + 1)
        try:
            sample = assembled(chunks, parts, seed, jets)
        except Short as error:
            print(f"{error}: a chunk more of each flavour")
    store.save_arrays(Path(folder) / FILE, sample)


def _told(chunks: list[Chunk], processes: int) -> Iterator[dict[str, Any]]:
    """The chunks' jets, with a line about each."""
    started, made = time.perf_counter(), 0
    for done, part in enumerate(_reconstructed(chunks, processes), start=1):
        made += len(part["jet_pt"])
        rate = made / (time.perf_counter() - started)
        print(f"{done}/{len(chunks)} {chunks[done - 1].flavour}: {made} jets, {rate:.0f} jets/s")
        yield part


def _chunks(numbers: Iterable[int], seed: int) -> Iterator[Chunk]:
    """These pieces of all flavours; Pythia takes seeds from 1 to 900,000,000."""
    for position, flavour in enumerate(FLAVOURS):
        for number in numbers:
            spawned = np.random.SeedSequence([seed, position, number]).generate_state(1)[0]
            yield Chunk(flavour, number, CHUNK, int(spawned) % 899_999_999 + 1)


def candidates(kept: int) -> int:
    """True jets of a flavour that `kept` matched ones need: matching takes the rarest flavour.

    >>> candidates(9_000)
    17410
    """
    return round(CANDIDATES * kept * (1 + SPARSE / math.sqrt(kept)))


def _reconstructed(chunks: list[Chunk], processes: int) -> Iterator[dict[str, Any]]:
    if processes == 1:
        yield from map(_made, chunks)
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(_made, chunks)


def _made(chunk: Chunk) -> dict[str, Any]:
    return reconstruct(generate(chunk), chunk)


def reconstruct(
    true: Mapping[str, Any], chunk: Chunk, tracker: Tracker | None = None
) -> dict[str, Any]:
    """A chunk's jets in the reconstructed window that have a track, and its counts.

    A second step on purpose: a study of the detector needs no new events.
    """
    detector = tracker or Tracker()
    random = np.random.default_rng([chunk.seed, 1])
    measured = jet_pt(true["jets"][:, 0], detector, random)
    found = tracks(true, detector, random)
    count = np.bincount(found["jet"], minlength=len(measured))
    kept = (measured > WINDOW[0]) & (measured < WINDOW[1]) & (count > 0)
    kept &= np.abs(true["jets"][:, 1]) < JET_ETA
    leading = _rank(count) < SLOTS
    return {
        "jet_pt": measured[kept],
        "jet_eta": true["jets"][kept, 1],
        "event": true["event"][kept],
        "rank": true["rank"][kept],
        "count": np.minimum(count, SLOTS)[kept],
        "tracks": {k: v[leading & kept[found["jet"]]] for k, v in found.items() if k != "jet"},
        **{name: int(true[name]) for name in ("events", "matched", "dropped")},
    }


def _rank(count: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... within each jet, for jets with `count` consecutive rows."""
    place: NDArray[np.int64] = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return place


def assembled(chunks: list[Chunk], parts: list[dict[str, Any]], seed: int, jets: int) -> Columns:
    """The arrays of the file: one row a jet, and flat tracks."""
    label = np.repeat(
        [FLAVOURS.index(chunk.flavour) for chunk in chunks], [len(p["jet_pt"]) for p in parts]
    )
    joined = {k: np.concatenate([p[k] for p in parts]) for k in _JET}
    random = np.random.default_rng([seed, 2])
    split = _splits(label, joined["event"], random)
    chosen = _matched(label, split, joined, random, jets)
    rows = np.repeat(np.isin(np.arange(len(label)), chosen), joined["count"])
    flat = {k: np.concatenate([p["tracks"][k] for p in parts])[rows] for k in parts[0]["tracks"]}
    table = {name: column[chosen].astype(_JET[name]) for name, column in joined.items()}
    return {
        **table,
        "label": label[chosen].astype(np.int8),
        "split": split[chosen],
        **{name: flat[name].astype(np.float16) for name in TRACKS},
        **{name: flat[name].astype(np.int8) for name in ("charge", "origin")},
        "hadron": _numbered(flat["hadron"], joined["count"][chosen]),
        "facts": np.array(json.dumps(_facts(chunks, parts, seed, jets), sort_keys=True)),
    }


_JET = {
    "jet_pt": np.float32,
    "jet_eta": np.float32,
    "event": np.uint32,
    "rank": np.uint8,
    "count": np.uint8,
}


def _splits(
    label: NDArray[np.int64],
    event: NDArray[np.int64],
    random: np.random.Generator,
) -> NDArray[np.int8]:
    """A split for each generator event; -1 for the second jet of one outside train."""
    split = np.full(len(label), -1, dtype=np.int8)
    for kind in np.unique(label):
        chosen = np.flatnonzero(label == kind)
        numbers, first, inverse = np.unique(event[chosen], return_index=True, return_inverse=True)
        share = random.permutation(len(numbers)) / len(numbers)
        codes = np.array([TRAIN, VALIDATION, TEST], dtype=np.int8)
        split[chosen] = codes[np.digitize(share, np.cumsum(EVENTS))][inverse]
        second = np.setdiff1d(np.arange(len(chosen)), first)
        split[chosen[second[split[chosen[second]] != TRAIN]]] = -1
    return split


def _matched(
    label: NDArray[np.int64],
    split: NDArray[np.int8],
    columns: Columns,
    random: np.random.Generator,
    jets: int,
) -> NDArray[np.int64]:
    """Jets with equal spectra in every split, as many as it shall have, rising."""
    cell = _cells(columns["jet_pt"], columns["jet_eta"])
    chosen = []
    for code, share in SHARES.items():
        inside = split == code
        count = np.zeros((len(FLAVOURS), PT_BINS * ETA_BINS), dtype=np.int64)
        np.add.at(count, (label[inside], cell[inside]), 1)
        quota = quotas(count.min(axis=0), round(share * jets / len(FLAVOURS)))
        for kind in range(len(FLAVOURS)):
            for place in np.flatnonzero(quota):
                pool = np.flatnonzero(inside & (label == kind) & (cell == place))
                chosen.append(random.choice(pool, quota[place], replace=False))
    return np.sort(np.concatenate(chosen))


def _cells(pt: NDArray[Any], eta: NDArray[Any]) -> NDArray[np.int64]:
    """Bin of each jet in ln pT and |eta|."""
    low, high = (float(np.log(pt)) for pt in WINDOW)
    pt_edges = np.linspace(low, high, PT_BINS + 1)[1:-1]
    eta_edges = np.linspace(0, JET_ETA, ETA_BINS + 1)[1:-1]
    row, column = np.digitize(np.log(pt), pt_edges), np.digitize(np.abs(eta), eta_edges)
    return np.asarray(row * ETA_BINS + column)


def quotas(available: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """`wanted` jets shared over bins in proportion to what is available, by largest remainder.

    >>> quotas(np.array([10, 20, 3]), 11).tolist()
    [3, 7, 1]
    """
    total = int(available.sum())
    if total < wanted:
        raise Short(f"matching leaves {total} jets a flavour in a split of {wanted}")
    exact = available * (wanted / total)
    share = np.floor(exact).astype(np.int64)
    rest = np.argsort(share - exact, kind="stable")[: wanted - int(share.sum())]
    share[rest] += 1
    return np.asarray(share)


def _numbered(hadron: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int8]:
    """Decayed hadrons of each jet as 1, 2, ... in the order of their hardest tracks; 0 is none."""
    numbers = np.zeros(len(hadron), dtype=np.int8)
    for start, stop in zip(np.cumsum(count) - count, np.cumsum(count), strict=True):
        seen: dict[int, int] = {0: 0}
        numbers[start:stop] = [seen.setdefault(h, len(seen)) for h in hadron[start:stop].tolist()]
    return numbers


def _facts(
    chunks: list[Chunk], parts: list[dict[str, Any]], seed: int, jets: int
) -> dict[str, Any]:
    """Where the file comes from: version, seed, settings, counts."""
    samples = {}
    for flavour in FLAVOURS:
        mine = [p for c, p in zip(chunks, parts, strict=True) if c.flavour == flavour]
        counts = {k: sum(p[k] for p in mine) for k in ("events", "matched", "dropped")}
        samples[flavour] = {
            "settings": card(flavour),
            "seeds": [c.seed for c in chunks if c.flavour == flavour],
            **counts,
            "dropped_fraction": round(counts["dropped"] / counts["matched"], 4),
            "reconstructed": sum(len(p["jet_pt"]) for p in mine),
            "kept": jets // len(FLAVOURS),
        }
    return {
        "pythia8mc": version("pythia8mc"),
        "seed": seed,
        "tracker": asdict(Tracker()),
        "samples": samples,
    }


def facts(path: Path) -> dict[str, Any]:
    """Generator version, seed, settings and counts of a sample's file."""
    with np.load(path, allow_pickle=False) as archive:
        found: dict[str, Any] = json.loads(str(archive["facts"].item()))
    return found


DATASET = Dataset(
    summary="b, c, light and gluon jets of Pythia 8.317 with a parametrised tracker (no detector "
    "that exists: not comparable with ATLAS or CMS)",
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
    source="generated by `python -m benchmarks data make flavour_jets --seed 1`",
    load=load,
    files=(File(FILE, SHA256, 10607638),),
    embedded=True,
    make=make,
)
