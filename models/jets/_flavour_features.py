"""What flavour taggers compute of jets: ordered significances, observables, network inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.arrays import spans
from physbench.datasets.jets import FlavourJets

Array = NDArray[np.float64]

MISSING = -99.0  # a significance that the jet has no track for; 0 is a legal one
CUTS = (2.0, 3.5, 6.0)  # significances above which tracks count as displaced
FARTHEST = 20.0  # |z0|/sigma(z0) above which a track is another collision's
PION = 0.13957  # GeV
TOGETHER = 5_000  # jets
TRACK_INPUTS, JET_INPUTS = 12, 2


def largest_significance(jets: FlavourJets, rank: int) -> Array:
    """The rank-th largest signed d0/sigma(d0) of each jet (n,); -99 where it has fewer tracks."""
    falling = -np.sort(-jets.significance(MISSING), axis=1)
    result: Array = falling[:, rank - 1]
    return result


def compressed(x: Array) -> Array:
    """sign(x) ln(1 + |x|): significances of 1,000 then no longer dominate.

    >>> np.round(compressed(np.array([-1.0, 0.0, 1000.0])), 3).tolist()
    [-0.693, 0.0, 6.909]
    """
    result: Array = np.sign(x) * np.log1p(np.abs(x))
    return result


def mass(jets: FlavourJets, chosen: NDArray[np.bool_]) -> Array:
    """Invariant mass (n,) in GeV of the chosen tracks as pions; 0 for one track or none."""
    momentum = four_momenta(jets) * chosen[..., None]
    energy = np.sqrt(momentum[..., 3] ** 2 + PION**2) * chosen
    total = momentum[..., :3].sum(axis=1)
    square = energy.sum(axis=1) ** 2 - (total**2).sum(axis=1)
    # The difference of large squares: below this one track would seem to have another mass.
    return np.where(chosen.sum(axis=1) > 1, np.sqrt(np.maximum(square, 0.0)), 0.0)


def four_momenta(jets: FlavourJets) -> Array:
    """(n, slots, 4) massless px, py, pz, E in GeV, phi counted from the jet axis."""
    pt, deta, dphi = np.moveaxis(jets.tracks[..., :3].astype(np.float64), 2, 0)
    eta = jets.eta[:, None].astype(np.float64) + deta
    columns = (pt * np.cos(dphi), pt * np.sin(dphi), pt * np.sinh(eta), pt * np.cosh(eta))
    return np.stack(columns, axis=2)


def in_parts(function: Callable[[FlavourJets], NDArray[Any]], jets: FlavourJets) -> NDArray[Any]:
    """`function(jets)`, an array with a row a jet, found of some thousand jets at a time.

    What it needs on the way is as many times as large as the jets as it has columns.
    """
    return np.concatenate([function(jets.take(rows)) for rows in spans(len(jets), TOGETHER)])


def observables(jets: FlavourJets) -> Array:
    """(n, 34) numbers of the boosted trees, in the order of `observable_names`."""
    pt, deta, dphi = np.moveaxis(jets.tracks[..., :3].astype(np.float64), 2, 0)
    share = pt / jets.pt[:, None].astype(np.float64)
    significance = jets.significance(MISSING)
    order = np.argsort(-significance, axis=1)
    longitudinal = np.where(jets.mask, np.abs(jets.tracks[..., 5]) / jets.errors()[1], 0.0)
    near = -np.sort(-longitudinal * (longitudinal < FARTHEST), axis=1)[:, :3]
    away = np.hypot(deta, dphi)
    total = np.maximum(share.sum(axis=1), 1e-9)
    negative = np.where(jets.mask, significance, 0.0).min(axis=1).clip(max=0.0)

    def ranked(values: Array, number: int) -> Array:
        return np.take_along_axis(values, order[:, :number], axis=1)

    return np.column_stack(
        [
            jets.pt,
            jets.eta,
            jets.mask.sum(axis=1),
            ranked(significance, 5),
            ranked(share, 4),
            ranked(np.abs(jets.tracks[..., 4].astype(np.float64)), 3),
            near,
            *(displaced(jets, significance > cut, share, away) for cut in CUTS),
            (share * away).sum(axis=1) / total,
            share.max(axis=1),
            share.sum(axis=1),
            negative,
        ]
    )


def displaced(jets: FlavourJets, chosen: NDArray[np.bool_], share: Array, away: Array) -> Array:
    """(n, 4) of the chosen tracks: number, mass in GeV, share of the jet's pT, mean dR^2."""
    count = chosen.sum(axis=1)
    spread = (away**2 * chosen).sum(axis=1) / np.maximum(count, 1)
    return np.column_stack([count, mass(jets, chosen), (share * chosen).sum(axis=1), spread])


def observable_names() -> list[str]:
    """Names of the columns of `observables`."""
    each = ("tracks", "mass", "pT share", "mean dR^2")
    return [
        "jet pT",
        "jet eta",
        "tracks",
        *(f"S {k}" for k in range(1, 6)),
        *(f"pT share of S {k}" for k in range(1, 5)),
        *(f"|d0| of S {k}" for k in range(1, 4)),
        *(f"|z0|/sigma {k}" for k in range(1, 4)),
        *(f"{name}, S > {cut:g}" for cut in CUTS for name in each),
        "width",
        "largest pT share",
        "sum of pT shares",
        "smallest S",
    ]


def input_names() -> list[str]:
    """Names of the columns of `network_inputs`."""
    return [
        "ln pT", "ln pT share", "dR", "deta", "dphi", "charge", "S(d0)", "S(z0)", "tanh d0",
        "tanh z0", "ln sigma(d0)", "ln sigma(z0)",
    ]  # fmt: skip


def network_inputs(jets: FlavourJets) -> NDArray[np.float32]:
    """(n, slots, 12 + extra) inputs of a track, each of order one; empty slots are zero.

    0.7 (ln pT - 0.7), 0.7 (ln(pT/pT_jet) + 3), 4 (dR - 0.15), 5 deta sign(eta_jet), 5 dphi,
    charge, 0.7 sl(S_d0), 0.7 sl(S_z0), tanh d0, tanh z0, ln(sigma_d0/0.05), ln(sigma_z0/0.1) with
    sl(x) = sign(x) ln(1 + |x|), pT in GeV and lengths in mm.
    """
    raw = np.moveaxis(jets.tracks.astype(np.float64), 2, 0)
    pt, (deta, dphi, charge, d0, z0) = np.where(jets.mask, raw[0], 1.0), raw[1:]
    sigma_d0, sigma_z0 = jets.errors()
    columns = [
        0.7 * (np.log(pt) - 0.7),
        0.7 * (np.log(pt / jets.pt[:, None]) + 3),
        4 * (np.hypot(deta, dphi) - 0.15),
        5 * deta * np.sign(jets.eta)[:, None],
        5 * dphi,
        charge,
        0.7 * compressed(d0 / sigma_d0),
        0.7 * compressed(z0 / sigma_z0),
        np.tanh(d0),
        np.tanh(z0),
        np.log(sigma_d0 / 0.05),
        np.log(sigma_z0 / 0.1),
    ]
    inputs = np.stack(columns, axis=2) * jets.mask[..., None]
    if jets.extra is not None:
        inputs = np.concatenate([inputs, jets.extra], axis=2)
    return inputs.astype(np.float32)


def jet_inputs(jets: FlavourJets) -> NDArray[np.float32]:
    """(n, 2): ln pT - 4 and eta / 1.2 of the jet."""
    return np.stack([np.log(jets.pt) - 4, jets.eta / 1.2], axis=1).astype(np.float32)


def log_of(probabilities: NDArray[Any]) -> Array:
    """Logarithm of probabilities, none below 1e-12: what a task of log-probabilities expects."""
    return np.asarray(np.log(np.clip(probabilities, 1e-12, None)))
