"""Calorimeter showers: incident energy -> the energy in every voxel, drawn from p(voxels | E).

A generative task. The conditions (incident energies) are the inputs, showers of the simulation at
the same energies the targets. `predict` returns one shower a condition, in order, in MeV, shape
(n, voxels): layer, then angle, then ring. Every row is then a pair of equal energy, and the
bootstrap resamples pairs.

Randomness of sampling lives in what `fit` returned: two calls of `predict` agree bit by bit. What
is stored are logarithmic codes of one byte a voxel; targets went through the same codes.

Ranked by `judge_jsd`, bits that fixed boosted trees find out of fold when they tell generated from
simulated showers. A row that copies its training showers is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, Split, Splits
from physbench.datasets.showers import (
    Conditions,
    Sample,
    Showers,
    calochallenge_electrons,
    calochallenge_photons,
    calogan,
    code_type,
    encode,
    parametrised_showers,
)
from physbench.tasks import FRACTION, Field, Metric, Task
from physbench.tasks.metrics import challenge, shower_figures, shower_table, showers
from physbench.tasks.metrics.showers import recentred, resampled

LARGEST_COPIED = 0.05  # a fresh draw has 0.01, a copier 1
GEV = (3e-4, 3e-3)  # median of E_tot/E that says that voxels are in GeV


def load(
    dataset: Dataset,
    *,
    variant: str = "",
    folder: str = "",
    showers: int = 0,
    classifier: bool = False,
) -> Splits:
    """Splits of a dataset.

    Parameters
    ----------
    variant:
        Of the parametrised showers: `photon`, or `electron`, the same detector without conversion
        depth, drawn anew. Of CaloGAN: `photon`, `electron` or `pion`. Of the CaloChallenge's
        electrons: set `2` or `3`. Empty: the first of them.
    folder:
        Where the files are, for a sample that `data make` wrote or files of your own.
    showers:
        Of the user's files: take so many of each; 0 takes all.
    classifier:
        On sets of the CaloChallenge: run its classifier test too (hours without a GPU).
    """
    known = inspect.signature(dataset.load).parameters
    name = "part" if "part" in known else "particle"
    given = {name: variant, "folder": folder, "showers": showers}
    options = {key: value for key, value in given.items() if value}
    unknown = set(options) - set(known)
    if unknown:
        raise ValueError(
            f"{', '.join(sorted(unknown))} has no meaning for this dataset; its options: "
            f"{', '.join(known)}"
        )
    sample: Sample = dataset.load(**options)
    test = replace(sample.test, training=sample.train, classifier=classifier)
    return Splits(
        _split("train", sample.train),
        _split("validation", replace(sample.validation, training=sample.train)),
        _split("test", test),
        sample.files,
        sample.counts,
    )


def _split(name: str, found: Showers) -> Split:
    ids = [f"{name}{number:06d}" for number in range(len(found))]
    return Split(found.conditions(), found, ids)


def prepare(inputs: Conditions, predictions: Any) -> NDArray[Any]:
    """Logarithmic codes of showers, (n, voxels): one byte each, steps of 4.6 %.

    Energies below threshold become 0, those above the largest code get the largest. Codes (of the
    integer type that is stored) pass as they are. Raises ValueError for another shape, complex or
    negative energies and for showers in GeV, FloatingPointError for NaN and infinities.
    """
    array, grid = np.asarray(predictions), inputs.grid
    if array.shape != (len(inputs), grid.voxels) or array.dtype.kind not in "fiu":
        raise ValueError(
            f"predictions must be real energies in MeV, one shower a condition in order, shape "
            f"({len(inputs)}, {grid.voxels}); got shape {array.shape} of {array.dtype}"
        )
    if array.dtype == code_type(grid):
        return array
    _check(array, inputs)
    return encode(array, grid)


def _check(voxels: NDArray[Any], inputs: Conditions) -> None:
    finite = np.isfinite(voxels)
    if not finite.all():
        shower, voxel = np.argwhere(~finite)[0].tolist()
        raise FloatingPointError(
            f"{int((~finite).sum())} of {voxels.size} voxels are NaN or infinite; the first is "
            f"voxel {voxel} of shower {shower}"
        )
    if voxels.size and voxels.min() < 0:
        shower, voxel = np.unravel_index(int(np.argmin(voxels)), voxels.shape)
        raise ValueError(
            f"voxels must be >= 0 MeV; got {voxels.min():g} in voxel {voxel} of shower {shower}. "
            "Cut at zero in the model"
        )
    response = float(np.median(voxels.sum(1) / inputs.energy)) if len(voxels) else 1.0
    if GEV[0] < response < GEV[1]:
        raise ValueError(
            f"showers must be in MeV; their energy is {response:.2g} of the incident one, which "
            "looks like GeV. Multiply by 1,000"
        )


def admit(metrics: Mapping[str, float]) -> str | None:
    """A row ranks only where no more than 5 % of its showers are copies of training showers."""
    copied = metrics.get("copied_fraction", 0.0)
    if copied > LARGEST_COPIED:
        return f"{copied:.0%} of the showers are copies of training showers"
    return None


TASK = Task(
    summary="incident energy -> showers that a judge cannot tell from the simulation",
    reference="""@article{CaloChallenge:2024,
  author = {Krause, Claudius and {Faucci Giannelli}, Michele and Kasieczka, Gregor and
            Nachman, Benjamin and Salamani, Dalila and Shih, David and Zaborowska, Anna and
            Amram, Oz and Borras, Kerstin and Buckley, Matthew R. and Buhmann, Erik and Buss,
            Thorsten and {Da Costa Cardoso}, Renato Paulo and Caterini, Anthony L. and
            Chernyavskaya, Nadezda and Corchia, Federico A. G. and Cresswell, Jesse C. and
            Diefenbacher, Sascha and Dreyer, Etienne and Ekambaram, Vijay and Eren, Engin and
            Ernst, Florian and Favaro, Luigi and Franchini, Matteo and Gaede, Frank and Gross,
            Eilam and Hsu, Shih-Chieh and Jaruskova, Kristina and K{\\"a}ch, Benno and
            Kalagnanam, Jayant and Kansal, Raghav and Kim, Taewoo and Kobylianskii, Dmitrii
            and Korol, Anatolii and Korcari, William and Kr{\\"u}cker, Dirk and Kr{\\"u}ger,
            Katja and Letizia, Marco and Li, Shu and Liu, Qibin and Liu, Xiulong and
            Loaiza-Ganem, Gabriel and Madula, Thandikire and McKeown, Peter and
            Melzer-Pellmann, Isabell-A. and Mikuni, Vinicius and Nguyen, Nam and Ore, Ayodele
            and {Palacios Schweitzer}, Sofia and Pang, Ian and Pedro, Kevin and Plehn, Tilman
            and Pokorski, Witold and Qu, Huilin and Raikwar, Piyush and Raine, John A. and
            Reyes-Gonzalez, Humberto and Rinaldi, Lorenzo and Ross, Brendan Leigh and Scham,
            Moritz A. W. and Schnake, Simon and Shimmin, Chase and Shlizerman, Eli and
            Soybelman, Nathalie and Srivatsa, Mudhakar and Tsolaki, Kalliopi and Vallecorsa,
            Sofia and Yeo, Kyongmin and Zhang, Rui},
  title = {{CaloChallenge} 2022: A Community Challenge for Fast Calorimeter Simulation},
  journal = {Rept. Prog. Phys.},
  volume = {88},
  pages = {116201},
  year = {2025},
  eprint = {2410.21611},
  archiveprefix = {arXiv},
  url = {https://arxiv.org/abs/2410.21611}
}""",
    inputs=Conditions,
    predicts=(
        Field("showers", "(n, voxels)", "float", "MeV", "energies of one shower a condition"),
    ),
    unit="shower",
    datasets=(
        parametrised_showers,
        calochallenge_photons,
        calochallenge_electrons,
        calogan,
    ),
    load=load,
    metrics=(
        Metric(
            showers.judge_jsd,
            "bit",
            "min",
            replicates=resampled(showers.judge_jsd),
            bounds=(-np.inf, 1.0),
        ),
        Metric(
            showers.judge_auc, "1", "min", replicates=showers.judge_auc_replicates, bounds=FRACTION
        ),
        Metric(
            showers.judge_jsd_high,
            "bit",
            "min",
            replicates=resampled(showers.judge_jsd_high),
            bounds=(-np.inf, 1.0),
        ),
        Metric(
            showers.judge_jsd_low,
            "bit",
            "min",
            replicates=resampled(showers.judge_jsd_low),
            bounds=(-np.inf, 1.0),
        ),
        Metric(showers.fpd, "1", "min", interval=recentred(showers.fpd)),
        Metric(showers.kpd, "1", "zero", interval=showers.kpd_interval),
        Metric(showers.separation_total, "1", "min", interval=recentred(showers.separation_total)),
        Metric(
            showers.separation_layers, "1", "min", interval=recentred(showers.separation_layers)
        ),
        Metric(
            showers.separation_radial, "1", "min", interval=recentred(showers.separation_radial)
        ),
        Metric(
            showers.separation_occupancy,
            "1",
            "min",
            interval=recentred(showers.separation_occupancy),
        ),
        Metric(
            showers.response_bias,
            "1",
            "zero",
            slices=showers.response_bias_slices,
            replicates=resampled(showers.response_bias),
        ),
        Metric(
            showers.resolution_bias,
            "1",
            "zero",
            slices=showers.resolution_bias_slices,
            replicates=resampled(showers.resolution_bias),
        ),
        Metric(
            showers.copied_fraction,
            "1",
            "min",
            replicates=resampled(showers.copied_fraction),
            bounds=FRACTION,
        ),
        Metric(challenge.cc_separation, "1", "min", interval=False),
        Metric(challenge.cc_fpd, "1", "min", interval=False),
        Metric(challenge.cc_kpd, "1", "zero", interval=False),
        Metric(challenge.cc_auc_low, "1", "min", interval=False),
        Metric(challenge.cc_auc_high, "1", "min", interval=False),
    ),
    prepare=prepare,
    derive=shower_table.judged,
    admit=admit,
    study={"photons": ({}, {}), "electrons": ({"variant": "electron"}, {})},
    figures={
        "Energy of the layers": shower_figures.layer_figure,
        "Energy of the rings": shower_figures.ring_figure,
        "Total energy": shower_figures.response_figure,
        "Occupancy": shower_figures.occupancy_figure,
        "Mean shower": shower_figures.mean_figure,
        "Single showers": shower_figures.single_figure,
        "Correlations of layers": shower_figures.correlation_figure,
        "Verdict of the judge": shower_figures.judge_figure,
    },
    curves={"Mean shower": 6, "Single showers": 6, "Correlations of layers": 6},
)
