"""Dark jets: train on QCD jets alone, score jets so that those from a dark sector come out on top.

Protocol. Splits go by generator event. Train and validation hold background only; test holds
background and signals. Scores are compared on pT-matched test sets, because a harder pT spectrum
alone separates the signals; larger scores are more anomalous. What a model may choose it chooses
on background. A contaminated training set (`contamination`) takes its signal jets from outside
the test split, and its targets do not tell which they are.

The task follows Favaro, Kraemer, Modak, Plehn, Rueschkamp (DarkCLR); the published tables were not
available when this was written, so no number of theirs is quoted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, Split, Splits
from physbench.datasets.common.arrays import plain
from physbench.datasets.jets import (
    HELD,
    TEST,
    TRAIN,
    VALIDATION,
    Jets,
    Sample,
    dark_showers,
    darkclr_zenodo,
    qg_jets,
    top_tagging,
)
from physbench.tasks import Field, Metric, Task
from physbench.tasks.metrics import anomaly, anomaly_figures

LARGEST_PT_LEAK = 0.02


def load(
    dataset: Dataset,
    *,
    contamination: float = 0.0,
    contaminant: str = "",
    inverse: bool = False,
    folder: str = "",
) -> Splits:
    """Splits of a dataset.

    Parameters
    ----------
    contamination:
        Fraction of the training jets that are signal, in [0, 0.5].
    contaminant:
        Which signal; default the first one of the dataset.
    inverse:
        Swap background and signal: train on tops, find QCD. For datasets with one signal.
    folder:
        A sample that was generated or placed there, instead of the dataset's own files.
    """
    if not 0 <= contamination <= 0.5:
        raise ValueError(f"contamination must be a fraction in [0, 0.5]; got {contamination}")
    sample = _sample(dataset, inverse, folder)
    train = np.flatnonzero((sample.split == TRAIN) & (sample.truth.signal == 0))
    if contamination:
        train = np.sort(
            np.r_[train, _contaminants(sample, len(train), contamination, contaminant)]
        )
    validation = np.flatnonzero((sample.split == VALIDATION) & (sample.truth.signal == 0))
    test = np.flatnonzero(sample.split == TEST)
    _check_signals(sample, test)
    return Splits(
        _unlabelled(_split(sample, train)),
        _split(sample, validation),
        _split(sample, test),
        sample.files,
    )


def _check_signals(sample: Sample, test: NDArray[np.int64]) -> None:
    """Raise ValueError where a declared signal has no matched test jet: means are over all."""
    present = set(sample.truth.signal[test][sample.truth.matched[test]].tolist())
    names = ("background", *sample.truth.signals)
    absent = [name for code, name in enumerate(names) if code not in present]
    if absent:
        raise ValueError(
            f"the pT-matched test set has no jet of {', '.join(absent)}; every score is a mean "
            f"over {', '.join(sample.truth.signals)} against the background. Are files missing?"
        )


def _sample(dataset: Dataset, inverse: bool, folder: str) -> Sample:
    """The data of a dataset's module."""
    options: dict[str, Any] = {"folder": folder} if folder else {}
    if inverse:
        options["inverse"] = True
    try:
        found: Sample = dataset.load(**options)
    except TypeError as error:
        if "inverse" not in str(error):
            raise
        raise ValueError(
            "this dataset has several signals and cannot be inverted; use top_tagging or qg_jets"
        ) from None
    return found


def _contaminants(sample: Sample, clean: int, fraction: float, name: str) -> NDArray[np.int64]:
    """The signal jets that make up `fraction` of the training set."""
    names = sample.truth.signals
    if name and name not in names:
        raise ValueError(f"contaminant must be one of {', '.join(names)}; got '{name}'")
    code = names.index(name) + 1 if name else 1
    held = np.flatnonzero(np.isin(sample.split, (HELD, TRAIN)) & (sample.truth.signal == code))
    wanted = round(clean * fraction / (1 - fraction))
    if wanted > len(held):
        most = len(held) / (len(held) + clean)
        raise ValueError(
            f"contamination {fraction} needs {wanted} signal jets outside the test split, the "
            f"dataset holds {len(held)}: at most {most:.3f} is possible"
        )
    return held[:wanted]


def _split(sample: Sample, index: NDArray[np.int64]) -> Split:
    ids = [sample.ids[i] for i in index]
    return Split(sample.jets.take(index), sample.truth.take(index), ids)


def _unlabelled(split: Split) -> Split:
    """Nothing in the training targets tells a contaminating jet from the rest."""
    hidden = replace(split.targets, signal=np.zeros_like(split.targets.signal))
    return replace(split, targets=hidden)


def prepare(inputs: Jets, predictions: Any) -> NDArray[np.unsignedinteger[Any]]:
    """Scores as dense ranks, ties kept: all that the metrics use, in two bytes a jet.

    Raises ValueError unless there is one real number a jet, FloatingPointError for NaN or inf.
    """
    scores = plain(predictions, "dark_jets scores", "fiub")
    if scores.shape != (len(inputs),):
        raise ValueError(
            f"dark_jets expects one real score a jet, shape ({len(inputs)},); got shape "
            f"{scores.shape} of {scores.dtype}"
        )
    if not np.isfinite(scores).all():
        raise FloatingPointError(
            f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are NaN or inf"
        )
    distinct, ranks = np.unique(scores, return_inverse=True)
    return ranks.astype(np.uint16 if len(distinct) <= 1 << 16 else np.uint32)


def admit(metrics: Mapping[str, float]) -> str | None:
    """A row ranks only where pT alone does not: AUC 0.50 +- 0.02 on the matched sets."""
    leak = metrics.get("pt_leak", 0.0)
    if leak > LARGEST_PT_LEAK:
        return f"jet pT alone has an AUC {leak:.3f} away from 0.5 on the matched sets"
    return None


TASK = Task(
    summary="find dark-shower jets after training on QCD jets alone",
    reference="""@article{Favaro:2023xdl,
  author = {Favaro, Luigi and Kr{\\"a}mer, Michael and Modak, Tanmoy and Plehn, Tilman
    and R{\\"u}schkamp, Jan},
  title = {Semi-visible jets, energy-based models, and self-supervision},
  journal = {SciPost Phys.},
  volume = {18},
  pages = {042},
  year = {2025},
  eprint = {2312.03067},
  archiveprefix = {arXiv}
}""",
    inputs=Jets,
    predicts=(Field("score", "(n,)", "float", "1", "anomaly score; larger is more anomalous"),),
    unit="jet",
    datasets=(dark_showers, darkclr_zenodo, top_tagging, qg_jets),
    load=load,
    metrics=(
        Metric(anomaly.log_rejection, "nats", "max", slices=anomaly.log_rejection_slices),
        Metric(anomaly.worst_log_rejection, "nats", "max"),
        Metric(anomaly.semivisible_log_rejection, "nats", "max"),
        Metric(anomaly.auc, "1", "max", slices=anomaly.auc_slices),
        Metric(anomaly.rejection_20, "1", "max"),
        Metric(anomaly.rejection_30, "1", "max"),
        Metric(anomaly.rejection_50, "1", "max"),
        Metric(anomaly.max_sic, "1", "max"),
        Metric(anomaly.efficiency_1e_2, "1", "max"),
        Metric(anomaly.efficiency_1e_3, "1", "max"),
        Metric(anomaly.efficiency_1e_4, "1", "max"),
        Metric(anomaly.unmatched_auc, "1", "max", slices=anomaly.unmatched_auc_slices),
        Metric(anomaly.spearman_pt, "1", "zero"),
        Metric(anomaly.spearman_mass, "1", "zero"),
        Metric(anomaly.spearman_multiplicity, "1", "zero"),
        Metric(anomaly.bounded_points, "signals", "min", interval=False),
        Metric(anomaly.pt_leak, "1", "zero", interval=False),
    ),
    prepare=prepare,
    admit=admit,
    study={
        "no contamination": ({}, {}),
        "1 % contamination": ({"contamination": 0.01}, {}),
        "5 % contamination": ({"contamination": 0.05}, {}),
    },
    figures={
        "ROC curves": anomaly_figures.roc_figure,
        "SIC curves": anomaly_figures.sic_figure,
    },
)
