"""A parametrised tracker: from true particles of a jet to tracks with impact parameters.

Resolution tails, inefficiency, material and pile-up are part of the definition: with a clean
Gaussian tracker b tagging runs into the statistics of the test set. It is no detector that exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import helix
from physbench.datasets.jets import wrap
from physbench.datasets.jets._flavour_generator import PILE_UP, RADIUS
from physbench.datasets.jets._resolution import sigma_d0, sigma_z0

Array = NDArray[np.float64]
Table = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Tracker:
    """Constants of the frozen version; lengths in mm, momenta in GeV.

    `efficiency` holds below production radii of `radii` (the last one beyond). `tail` of the
    tracks are smeared `tail_scale` times as much as they report; `material` of them get another
    +-Exp(`scatter`) in d0. `pile_up` is the mean number of tracks a jet from other collisions.
    """

    field: float = 3.8
    radii: tuple[float, float] = (30.0, 100.0)
    efficiency: tuple[float, float, float] = (0.88, 0.53, 0.22)
    soft: float = 1.0
    soft_efficiency: float = 0.93
    tail: float = 0.10
    tail_scale: float = 4.0
    material: float = 0.01
    scatter: float = 1.0
    pile_up: float = 2.0
    pile_up_d0: float = 0.010
    pile_up_z0: float = 1.5
    momentum: tuple[float, float] = (0.01, 2e-4)
    jet_energy: tuple[float, float] = (0.8, 0.04)
    pt: float = 0.5
    eta: float = 2.5
    d0: float = 5.0
    z0_sin_theta: float = 5.0


def jet_pt(pt: Array, tracker: Tracker, random: np.random.Generator) -> Array:
    """Reconstructed jet pT (n,) in GeV: sigma/pT = 0.8/sqrt(pT) (+) 0.04."""
    stochastic, constant = tracker.jet_energy
    sigma = np.hypot(stochastic / np.sqrt(pt), constant)
    measured: Array = pt * (1 + sigma * random.standard_normal(len(pt)))
    return measured


def tracks(true: Mapping[str, Any], tracker: Tracker, random: np.random.Generator) -> Table:
    """Reconstructed tracks of jets as `_flavour_generator.generate` gives them, falling in pT.

    Columns of equal length: `jet` (index, rising), `pt` in GeV, `deta`, `dphi` to the jet axis,
    `charge`, `d0` (with lifetime sign) and `z0` in mm, `origin`, `hadron`.
    """
    seen = _seen(true, tracker, random)
    extra = _pile_up(true["jets"], tracker, random)
    found = {name: np.concatenate([seen[name], extra[name]]) for name in seen}
    return _measured(found, true["jets"], tracker, random)


def _seen(true: Mapping[str, Any], tracker: Tracker, random: np.random.Generator) -> Table:
    """True tracks of the particles that the tracker does not miss."""
    particles = true["particles"]
    momentum, charge, vertex = particles[:, :3], particles[:, 3], particles[:, 4:]
    d0, z0, phi = helix.perigee(vertex, momentum, charge, field=tracker.field)
    pt = np.hypot(momentum[:, 0], momentum[:, 1])
    chance = efficiency(np.hypot(vertex[:, 0], vertex[:, 1]), pt, tracker)
    kept = random.random(len(pt)) < chance
    table = {
        "jet": np.repeat(np.arange(len(true["jets"])), true["charged"]),
        "pt": pt,
        "eta": np.arcsinh(momentum[:, 2] / pt),
        "phi": phi,
        "charge": charge,
        "d0": d0,
        "z0": z0,
        "origin": true["origin"],
        "hadron": true["hadron"],
    }
    return {name: column[kept] for name, column in table.items()}


def efficiency(radius: Array, pt: Array, tracker: Tracker) -> Array:
    """Chance (n,) to find a particle born at `radius` (mm) with `pt` (GeV)."""
    steps = np.array(tracker.efficiency)[np.digitize(radius, tracker.radii)]
    chance: Array = steps * np.where(pt < tracker.soft, tracker.soft_efficiency, 1.0)
    return chance


def _pile_up(jets: Array, tracker: Tracker, random: np.random.Generator) -> Table:
    """True tracks of other collisions: uniform in the cone, pT = 0.5 (1 - U)^(-1/3) GeV."""
    jet = np.repeat(np.arange(len(jets)), random.poisson(tracker.pile_up, len(jets)))
    count = len(jet)
    away = RADIUS * np.sqrt(random.random(count))
    turn = random.uniform(0, 2 * np.pi, count)
    return {
        "jet": jet,
        "pt": tracker.pt * (1 - random.random(count)) ** (-1 / 3),
        "eta": jets[jet, 1] + away * np.cos(turn),
        "phi": jets[jet, 2] + away * np.sin(turn),
        "charge": random.choice([-1.0, 1.0], count),
        "d0": random.normal(0, tracker.pile_up_d0, count),
        "z0": random.uniform(-tracker.pile_up_z0, tracker.pile_up_z0, count),
        "origin": np.full(count, PILE_UP, dtype=np.int8),
        "hadron": np.zeros(count, dtype=np.int64),
    }


def _measured(true: Table, jets: Array, tracker: Tracker, random: np.random.Generator) -> Table:
    """Smeared and selected tracks, those of a jet falling in pT."""
    jet, eta = true["jet"], true["eta"]
    spread = np.hypot(tracker.momentum[0], tracker.momentum[1] * true["pt"])
    pt = true["pt"] * (1 + spread * random.standard_normal(len(jet)))
    inside = (pt > tracker.pt) & (np.abs(eta) < tracker.eta)
    # The reported resolution is that at the measured pT; below the cut it is not needed.
    d0, z0 = smeared(true, np.maximum(pt, tracker.pt), tracker, random)
    inside &= (np.abs(d0) < tracker.d0) & (np.abs(z0 / np.cosh(eta)) < tracker.z0_sin_theta)
    dphi: Array = np.asarray(wrap(true["phi"] - jets[jet, 2]), dtype=np.float64)
    table = {
        "jet": jet,
        "pt": pt,
        "deta": eta - jets[jet, 1],
        "dphi": dphi,
        "charge": true["charge"],
        "d0": lifetime_signed(d0, dphi),
        "z0": z0,
        "origin": true["origin"],
        "hadron": true["hadron"],
    }
    order = np.lexsort((-pt, jet))
    order = order[inside[order]]
    return {name: column[order] for name, column in table.items()}


def smeared(
    true: Mapping[str, Any], pt: Array, tracker: Tracker, random: np.random.Generator
) -> tuple[Array, Array]:
    """Measured d0 and z0 (n,) in mm of tracks with true `d0`, `z0`, `eta` and measured `pt`."""
    count = len(pt)
    wide = np.where(random.random(count) < tracker.tail, tracker.tail_scale, 1.0)
    d0 = true["d0"] + sigma_d0(pt, true["eta"]) * wide * random.standard_normal(count)
    z0 = true["z0"] + sigma_z0(pt, true["eta"]) * wide * random.standard_normal(count)
    scattered = random.random(count) < tracker.material
    kick = random.exponential(tracker.scatter, count) * random.choice([-1.0, 1.0], count)
    return d0 + scattered * kick, z0


def lifetime_signed(d0: Array, dphi: Array) -> Array:
    """d0 with its lifetime sign: positive where the closest point lies on the jet's side.

    `d0` has the sign of (P x p)_z, so P = d0 (sin phi, -cos phi) and P . jet has the sign of
    d0 sin(phi - phi_jet).
    """
    signed: Array = np.abs(d0) * np.sign(d0 * np.sin(dphi))
    return signed
