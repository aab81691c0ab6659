"""True jets of four flavours from Pythia 8: who they are, and their charged particles.

One process a flavour, with initial-state radiation and multi-parton interactions. The generator's
bias (`bias2Selection`) flattens the spectrum; its event weights are dropped, because the spectra
of the flavours are matched afterwards. No detector here: that is `_flavour_tracker`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLAVOURS = ("b", "c", "uds", "g")
PROCESSES = {"b": "hardbbbar", "c": "hardccbar", "uds": "qq2qq", "g": "gg2gg"}
COMMON = (
    "Beams:eCM = 13600.",
    "PhaseSpace:pTHatMin = 25.",
    "PhaseSpace:pTHatMax = 300.",
    "PhaseSpace:bias2Selection = on",
    "PhaseSpace:bias2SelectionPow = 4.5",
    "PhaseSpace:bias2SelectionRef = 50.",
    "PartonLevel:ISR = on",
    "PartonLevel:FSR = on",
    "PartonLevel:MPI = on",
    # K_S, Lambda and hyperons decay inside the tracker; charged pions and kaons do not.
    "ParticleDecays:limitCylinder = on",
    "ParticleDecays:xyMax = 300.",
    "ParticleDecays:zMax = 1000.",
    "Print:quiet = on",
    "Random:setSeed = on",
)

BOTTOM = frozenset({511, 521, 531, 541, 5122, 5132, 5232, 5332})
CHARM = frozenset({411, 421, 431, 4122, 4132, 4232, 4332})
STRANGE = frozenset({310, 3122, 3112, 3222, 3312, 3322, 3334})
DECAYED = BOTTOM | CHARM | STRANGE
PILE_UP, PRIMARY, FROM_B, FROM_BC, FROM_C, FROM_STRANGE = range(6)

RADIUS, LEADING_PT, PARTICLE_ETA = 0.4, 15.0, 4.0  # anti-kT; GeV; of the visible particles
WINDOW, JET_ETA = (20.0, 260.0), 2.3  # true jet pT in GeV; wider than the reconstructed window
TRACK_PT = 0.45  # GeV, kept before smearing
PARTON_CONE, HADRON_CONE, HADRON_PT = 0.4, 0.3, 5.0
LONGEST = 60  # steps of an ancestry


@dataclass(frozen=True)
class Chunk:
    """A reproducible piece of the sample: `jets` jets of one flavour from one Pythia seed."""

    flavour: str
    number: int
    jets: int
    seed: int


def card(flavour: str) -> list[str]:
    """Pythia settings of a flavour, one a line."""
    return [*COMMON, f"HardQCD:{PROCESSES[flavour]} = on"]


def generate(chunk: Chunk) -> dict[str, Any]:
    """The labelled jets of a chunk and their charged particles.

    Keys: `jets` (n, 3) pT in GeV, eta, phi; `event`, `rank`, `charged` (n,), the last one the
    number of rows of each jet in `particles` (m, 7): momentum in GeV, charge, production vertex in
    mm; `origin`, `hadron` (m,); `events` tried; `matched` and `dropped` jets of the label rule;
    `cpu` in s.
    """
    started = time.process_time()
    pythia, finder = _engine(chunk)
    jets: list[tuple[float, ...]] = []
    particles: list[tuple[float, ...]] = []
    counts = {"events": 0, "matched": 0, "dropped": 0}
    while len(jets) < chunk.jets:
        counts["events"] += 1
        if not pythia.next():
            continue
        finder.analyze(pythia.event)
        heavy = None
        for rank in _matched(pythia.event, finder, chunk.flavour):
            heavy = _heavy(pythia.event) if heavy is None else heavy
            axis = finder.p(rank)
            rows = list(_charged(pythia.event, finder.constituents(rank)))
            counts["matched"] += 1
            if not _agrees(chunk.flavour, _content(axis, heavy), {int(row[7]) for row in rows}):
                counts["dropped"] += 1
            elif len(jets) < chunk.jets:
                kinematics = (axis.pT(), axis.eta(), axis.phi())
                jets.append((*kinematics, counts["events"], rank, len(rows)))
                particles += rows
    found = {"cpu": time.process_time() - started, **counts}
    return found | _packed(chunk, np.array(jets), np.array(particles))


def _packed(
    chunk: Chunk, jets: NDArray[np.float64], particles: NDArray[np.float64]
) -> dict[str, Any]:
    return {
        "jets": jets[:, :3],
        "event": chunk.number * 10_000_000 + jets[:, 3].astype(np.int64),
        "rank": jets[:, 4].astype(np.int8),
        "charged": jets[:, 5].astype(np.int64),
        "particles": particles[:, :7],
        "origin": particles[:, 7].astype(np.int8),
        "hadron": particles[:, 8].astype(np.int64),
    }


def _engine(chunk: Chunk) -> tuple[Any, Any]:
    """Pythia and the jet finder."""
    try:
        import pythia8mc
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "generating flavour jets needs Pythia: pip install 'physbench[pythia]'"
        ) from None
    pythia = pythia8mc.Pythia("", False)
    for line in [*card(chunk.flavour), f"Random:seed = {chunk.seed}"]:
        if not pythia.readString(line):
            raise ValueError(f"this version of Pythia refuses the setting '{line}'")
    if not pythia.init():
        raise RuntimeError(f"Pythia cannot start flavour '{chunk.flavour}'")
    return pythia, pythia8mc.SlowJet(-1, RADIUS, LEADING_PT, PARTICLE_ETA, 2, 1)


def _matched(event: Any, finder: Any, flavour: str) -> Iterator[int]:
    """Ranks of the two leading jets in the window that have a parton of the flavour as nearest."""
    for rank in range(min(2, finder.sizeJet())):
        axis = finder.p(rank)
        if not WINDOW[0] < axis.pT() < WINDOW[1] or abs(axis.eta()) > JET_ETA:
            continue
        distance, parton = min((_distance(axis, event[k]), event[k].idAbs()) for k in (5, 6))
        if distance < PARTON_CONE and (flavour != "uds" or parton <= 3):
            yield rank


def _distance(first: Any, second: Any) -> float:
    """Delta R of two objects with `eta()` and `phi()`."""
    turn = (first.phi() - second.phi() + math.pi) % (2 * math.pi) - math.pi
    return math.hypot(first.eta() - second.eta(), turn)


def _heavy(event: Any) -> list[tuple[Any, str]]:
    """Weakly decaying b and c hadrons above 5 GeV with their flavour."""
    found = []
    for particle in event:
        kind = particle.idAbs()
        if kind > 400 and kind in DECAYED and particle.pT() > HADRON_PT:
            if kind in BOTTOM:
                found.append((particle, "b"))
            elif kind in CHARM:
                found.append((particle, "c"))
    return found


def _content(axis: Any, heavy: list[tuple[Any, str]]) -> set[str]:
    """Flavours of the heavy hadrons within dR 0.3 of the axis."""
    return {flavour for hadron, flavour in heavy if _distance(axis, hadron) < HADRON_CONE}


def _agrees(flavour: str, content: set[str], origins: set[int]) -> bool:
    """Whether hadron content and label agree.

    A jet also disagrees when one of its particles comes from a heavier hadron that is too soft or
    too far from the axis to count as content.
    """
    if flavour == "b":
        return "b" in content
    bottom = "b" in content or FROM_B in origins or FROM_BC in origins
    if flavour == "c":
        return "c" in content and not bottom
    return not (bottom or "c" in content or FROM_C in origins)


def _charged(event: Any, members: Any) -> Iterator[tuple[float, ...]]:
    """Momentum, charge, vertex, origin and decayed hadron of the charged members."""
    for index in members:
        particle = event[index]
        if particle.isCharged() and particle.pT() > TRACK_PT:
            momentum = (particle.px(), particle.py(), particle.pz(), particle.charge())
            vertex = (particle.xProd(), particle.yProd(), particle.zProd())
            yield (*momentum, *vertex, *_ancestry(event, index))


def _ancestry(event: Any, index: int) -> tuple[int, int]:
    """Origin code, and the index of the nearest decayed hadron above (0 for none).

    The walk over `mother1` ends at a parton: what it meets then is the hard process, not a decay.
    """
    kinds: set[int] = set()
    nearest = 0
    for _ in range(LONGEST):
        index = event[index].mother1()
        if index <= 0:
            break
        kind = event[index].idAbs()
        if kind in DECAYED:
            nearest = nearest or index
            kinds.add(kind)
        if event[index].statusAbs() < 80 and kind < 30:
            break
    return origin(kinds), nearest


def origin(kinds: set[int]) -> int:
    """Origin code of a particle from the kinds (absolute PDG ids) of its decayed ancestors.

    >>> origin({511, 411}), origin({411, 310}), origin({310}), origin(set())
    (3, 4, 5, 1)
    """
    if kinds & BOTTOM:
        return FROM_BC if kinds & CHARM else FROM_B
    if kinds & CHARM:
        return FROM_C
    return FROM_STRANGE if kinds & STRANGE else PRIMARY
