"""Dark jets: train on QCD jets alone, score jets so that those from a dark sector come out on top.

Protocol. Splits go by generator event. Train and validation hold background only; test holds
background and signals. A harder pT spectrum alone separates the signals, so each signal's jets
weigh what gives them the background's spectrum; larger scores are more anomalous. The mean over
the signals with invisible dark mesons ranks; `r_inv_0`, whose jets lose nothing, is a control.
What a model may choose it chooses on background. A contaminated training set (`contamination`)
takes its signal jets from outside the test split; its targets do not tell which they are.

The task follows Favaro, Kraemer, Modak, Plehn, Rueschkamp (DarkCLR); the published tables were not
available when this was written, so no number of theirs is quoted here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import signature
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
    JetTruth,
    Sample,
    dark_showers,
    darkclr_zenodo,
    qg_jets,
    top_tagging,
)
from physbench.tasks import FRACTION, POSITIVE, Field, Metric, Task
from physbench.tasks.metrics import anomaly, anomaly_figures, ranking

LARGEST_PT_LEAK = 0.02


def load(
    dataset: Dataset,
    *,
    contamination: float = 0.0,
    contaminant: str = "",
    inverse: bool = False,
    folder: str = "",
    variant: str = "",
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
    variant:
        Of the sample in `folder`: `lambda_off` for dark showers with the coupling flag off.
    """
    if not 0 <= contamination <= 0.5:
        raise ValueError(f"contamination must be a fraction in [0, 0.5]; got {contamination}")
    given = {"folder": folder, "variant": variant, "inverse": inverse}
    sample = _sample(dataset, {name: value for name, value in given.items() if value})
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
    """Raise ValueError where a declared signal has no test jet: means are over all."""
    present = set(sample.truth.signal[test].tolist())
    names = ("background", *sample.truth.signals)
    absent = [name for code, name in enumerate(names) if code not in present]
    if absent:
        raise ValueError(
            f"the test split has no jet of {', '.join(absent)}; every score is a mean "
            f"over {', '.join(sample.truth.signals)} against the background. Are files missing?"
        )


def _sample(dataset: Dataset, options: Mapping[str, Any]) -> Sample:
    """The data of a dataset's module; ValueError for an option that it does not have."""
    known = signature(dataset.load).parameters
    for name in options:
        if name not in known:
            has = ", ".join(known)
            raise ValueError(
                f"this dataset ({dataset.summary}) has no option '{name}' (it has: {has}). "
                "`inverse` is for the datasets with one signal, top_tagging and qg_jets; "
                "`variant` is for dark_showers"
            )
    found: Sample = dataset.load(**options)
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

    An oracle may give a column for each signal. Raises ValueError unless there is one real number
    a jet (and signal), FloatingPointError for NaN or inf.
    """
    scores = plain(predictions, "dark_jets scores", "fiub")
    if scores.ndim not in (1, 2) or len(scores) != len(inputs):
        raise ValueError(
            f"dark_jets expects one real score a jet, shape ({len(inputs)},); got shape "
            f"{scores.shape} of {scores.dtype}"
        )
    if not np.isfinite(scores).all():
        raise FloatingPointError(
            f"{int((~np.isfinite(scores)).sum())} of {scores.size} scores are NaN or inf"
        )
    ranked = [_ranks(column) for column in np.atleast_2d(scores.T)]
    kind: Any = np.uint16 if max(r.max(initial=0) for r in ranked) < 1 << 16 else np.uint32
    return np.asarray(np.stack(ranked, axis=-1), dtype=kind).reshape(scores.shape)


def _ranks(scores: NDArray[Any]) -> NDArray[np.int64]:
    return np.unique(scores, return_inverse=True)[1].ravel()


def admit(metrics: Mapping[str, float]) -> str | None:
    """A row ranks only where pT alone separates nothing, with one score for all signals."""
    leak = metrics.get("pt_leak", 0.0)
    if leak > LARGEST_PT_LEAK:
        return f"jet pT alone has an AUC {leak:.3f} away from 0.5 with the weights"
    if metrics.get("columns", 1.0) > 1:
        return "a score for each signal: only an oracle knows which signal it is compared with"
    return None


def _metric(
    function: Callable[[JetTruth, Any], float],
    unit: str,
    measure: anomaly.Measure,
    combine: anomaly.Combine = anomaly.mean,
    *,
    label: str = "",
    slices: Callable[[JetTruth, Any], Mapping[str, float]] | None = None,
    matched: bool = True,
    bounds: tuple[float, float] = POSITIVE,
) -> Metric:
    """A metric of the signals' ROCs with its fast bootstrap: larger is better."""
    fast = anomaly.resampled(measure, combine, matched=matched)
    return Metric(
        function,
        unit,
        "max",
        version=2,
        slices=slices,
        replicates=fast,
        label=label,
        bounds=bounds,
    )


def _correlation(function: Callable[[JetTruth, Any], float]) -> Metric:
    return Metric(function, "1", "zero", interval=anomaly.correlation_interval(function))


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
    version=2,
    datasets=(dark_showers, darkclr_zenodo, top_tagging, qg_jets),
    load=load,
    metrics=(
        _metric(
            anomaly.log_rejection,
            "nats",
            anomaly.log_rejection_of,
            slices=anomaly.log_rejection_slices,
        ),
        _metric(
            anomaly.main_log_rejection,
            "nats",
            anomaly.log_rejection_of,
            anomaly.first,
        ),
        _metric(anomaly.worst_log_rejection, "nats", anomaly.log_rejection_of, anomaly.worst),
        _metric(anomaly.control_log_rejection, "nats", anomaly.log_rejection_of, anomaly.control),
        _metric(anomaly.auc, "1", ranking.area, slices=anomaly.auc_slices, bounds=FRACTION),
        _metric(anomaly.rejection_20, "1", anomaly.Rejection(0.2)),
        _metric(anomaly.rejection_30, "1", anomaly.Rejection(0.3)),
        _metric(anomaly.rejection_50, "1", anomaly.Rejection(0.5)),
        _metric(anomaly.max_sic, "1", anomaly.sic_of),
        _metric(anomaly.efficiency_1e_2, "1", anomaly.Efficiency(1e-2), bounds=FRACTION),
        _metric(anomaly.efficiency_1e_3, "1", anomaly.Efficiency(1e-3), bounds=FRACTION),
        _metric(
            anomaly.unmatched_auc,
            "1",
            ranking.area,
            slices=anomaly.unmatched_auc_slices,
            matched=False,
            bounds=FRACTION,
        ),
        _correlation(anomaly.spearman_pt),
        _correlation(anomaly.spearman_mass),
        _correlation(anomaly.spearman_multiplicity),
        Metric(anomaly.bounded_points, "signals", "min", interval=False),
        Metric(anomaly.pt_leak, "1", "zero", interval=False),
        Metric(anomaly.columns, "1", "min", interval=False),
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
        "Distributions of the score": anomaly_figures.score_figure,
    },
)
