"""QCD dijets and Hidden-Valley showers from Pythia 8, clustered and smeared.

Cards after the dark-shower literature (Bernreuther et al., SciPost Phys. 10, 046): a Z' of 2 TeV
decays to two dark quarks of an SU(3) with two flavours; dark mesons decay invisibly with
probability r_inv, else to a pair of quarks. `HiddenValley:setLambda = on` makes the confinement
scale count: without it recent Pythia runs the dark coupling from its default at 91 GeV.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.jets import CONSTITUENTS, Jets, from_constituents
from physbench.datasets.jets._smearing import Detector, smear

COMMON = (
    "Beams:eCM = 14000.",
    "Random:setSeed = on",
    "Print:quiet = on",
    "PartonLevel:MPI = on",
    "PartonLevel:ISR = on",
    "PartonLevel:FSR = on",
)
QCD = ("HardQCD:all = on", "PhaseSpace:pTHatMin = 130.", "PhaseSpace:pTHatMax = 400.")
MESONS = (4900111, 4900211, 4900113, 4900213)

RADIUS = 0.8  # anti-kT
LEADING_PT = 100.0  # GeV, true jets
PARTICLE_ETA = 4.5
WINDOW = (150.0, 300.0)  # GeV, reconstructed jet pT
JET_ETA = 2.0
COUNTED = 300  # events whose dark mesons are counted in a chunk


@dataclass(frozen=True)
class Signal:
    """A Hidden-Valley point: invisible fraction, dark meson mass, Lambda and Z' mass in GeV."""

    r_inv: float
    meson_mass: float = 5.0
    scale: float = 5.0
    z_mass: float = 2000.0


SIGNALS = {
    "r_inv_0.75": Signal(0.75),
    "r_inv_0.5": Signal(0.5),
    "r_inv_0.9": Signal(0.9),
    "mass_20": Signal(0.75, meson_mass=20.0, scale=20.0),
    "r_inv_0": Signal(0.0, z_mass=500.0),
}


@dataclass(frozen=True)
class Chunk:
    """A reproducible piece of a sample: `jets` jets of `sample` from one Pythia seed."""

    sample: str
    number: int
    jets: int
    seed: int
    set_lambda: bool = True


def card(sample: str, *, set_lambda: bool = True) -> list[str]:
    """Pythia settings of a sample (`qcd` or a key of `SIGNALS`), one a line."""
    if sample == "qcd":
        return [*COMMON, *QCD]
    point = SIGNALS[sample]
    z, mass, scale = point.z_mass, point.meson_mass, point.scale
    lines = [
        "HiddenValley:ffbar2Zv = on",
        f"4900023:m0 = {z}",
        f"4900023:mWidth = {0.01 * z}",
        f"4900023:mMin = {0.9 * z}",
        f"4900023:mMax = {1.1 * z}",
        "4900023:onMode = off",
        "4900023:onIfAny = 4900101 4900102",
        "HiddenValley:Ngauge = 3",
        "HiddenValley:nFlav = 2",
        "HiddenValley:spinFv = 0",
        "HiddenValley:FSR = on",
        "HiddenValley:fragment = on",
        "HiddenValley:probVector = 0.75",
        "HiddenValley:alphaOrder = 1",
        f"HiddenValley:setLambda = {'on' if set_lambda else 'off'}",
        f"HiddenValley:Lambda = {scale}",
        f"HiddenValley:pTminFSR = {1.1 * scale}",
        f"4900101:m0 = {mass / 2}",
        *(f"{meson}:m0 = {mass}" for meson in MESONS),
        "51:m0 = 0.",
        "51:isResonance = false",
    ]
    return [*COMMON, *lines, *(line for meson in MESONS for line in _decays(meson, point))]


def _decays(meson: int, point: Signal) -> list[str]:
    """Decay table of a dark meson: invisible with r_inv, else quarks that are light enough.

    Pythia renormalises the table to 1, so the invisible channel must be listed.
    """
    masses = {1: 0.33, 2: 0.33, 3: 0.5, 4: 1.5, 5: 4.8}  # constituent quark masses in GeV
    quarks = [q for q, m in masses.items() if 2 * m < point.meson_mass]
    channels = [(point.r_inv, 0, 51)] if point.r_inv > 0 else []
    channels += [((1 - point.r_inv) / len(quarks), 91, q) for q in quarks if point.r_inv < 1]
    return [
        f"{meson}:{'addChannel' if k else 'oneChannel'} = 1 {fraction:.8f} {mode} {q} -{q}"
        for k, (fraction, mode, q) in enumerate(channels)
    ]


def generate(chunk: Chunk, detector: Detector) -> dict[str, Any]:
    """The jets of a chunk with their events, and counts for the dataset's card.

    An event gives one jet, drawn from its leading two where both are in the window, so that the
    jets of a sample are independent. Keys: `jets` (Jets), `event` and `rank` (n,), `events` tried,
    `mesons` a mean number of dark mesons an event, `cpu` in s.
    """
    started = time.process_time()
    pythia = _engine(chunk)
    import pythia8mc

    finder = pythia8mc.SlowJet(-1, RADIUS, LEADING_PT, PARTICLE_ETA, 2, 1)
    random = np.random.default_rng([chunk.seed, 1])
    found: list[NDArray[np.float64]] = []
    origin: list[tuple[int, int]] = []
    mesons: list[int] = []
    tried = 0
    while len(found) < chunk.jets:
        tried += 1
        if not pythia.next():
            continue
        if chunk.sample != "qcd" and len(mesons) < COUNTED:
            mesons.append(sum(abs(p.id()) in MESONS for p in pythia.event))
        if kept := list(_leading(pythia, finder, detector, random)):
            rank, jet = kept[random.integers(len(kept))]
            found.append(jet)
            origin.append((tried, rank))
    event, rank = np.array(origin).T
    return {
        "jets": pack(found),
        "event": chunk.number * 10_000_000 + event,
        "rank": rank,
        "events": tried,
        "mesons": float(np.mean(mesons)) if mesons else 0.0,
        "cpu": time.process_time() - started,
    }


def _engine(chunk: Chunk) -> Any:
    try:
        import pythia8mc
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "generating dark showers needs Pythia: pip install 'physbench[pythia]'"
        ) from None
    pythia = pythia8mc.Pythia("", False)
    for line in [*card(chunk.sample, set_lambda=chunk.set_lambda), f"Random:seed = {chunk.seed}"]:
        if not pythia.readString(line):
            raise ValueError(f"this version of Pythia refuses the setting '{line}'")
    if not pythia.init():
        raise RuntimeError(f"Pythia cannot start sample '{chunk.sample}'")
    return pythia


def _leading(
    pythia: Any, finder: Any, detector: Detector, random: np.random.Generator
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """The two leading jets, smeared, if they are in the window: rank and constituents (m, 3)."""
    event = pythia.event
    finder.analyze(event)
    for rank in range(min(2, finder.sizeJet())):
        members = [event[i] for i in finder.constituents(rank)]
        particles = np.array([(p.pT(), p.eta(), p.phi()) for p in members])
        charged = np.array([p.isCharged() for p in members])
        photon = np.array([p.id() == 22 for p in members])
        jet = smear(particles, charged, photon, detector, random)
        if _selected(jet):
            yield rank, jet


def _selected(jet: NDArray[np.float64]) -> bool:
    pt, eta, phi = jet.T
    total = np.hypot(np.sum(pt * np.cos(phi)), np.sum(pt * np.sin(phi)))
    if not WINDOW[0] < total < WINDOW[1]:
        return False
    return bool(abs(np.arcsinh(np.sum(pt * np.sinh(eta)) / total)) < JET_ETA)


def pack(found: list[NDArray[np.float64]], slots: int = CONSTITUENTS) -> Jets:
    """Jets from a list of constituents (m, 3) with absolute angles."""
    widest = max(len(jet) for jet in found)
    padded = np.zeros((len(found), widest, 3))
    for row, jet in zip(padded, found, strict=True):
        row[: len(jet)] = jet
    return from_constituents(padded[..., 0], padded[..., 1], padded[..., 2], slots)
