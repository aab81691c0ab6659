"""Jet flavour: tell b, c, light and gluon jets from the tracks of a jet and how far they miss.

Protocol. Splits go by generator event, with one jet an event in validation and test, so that jets
are independent. The spectra of the classes are matched in every split: jet pT and eta alone are
worthless, and a row counts only where that holds (`pt_leak`). Predictions are log-probabilities
up to a constant of each jet; two classes are compared by the difference of theirs. What ranks is
the mean log rejection of b jets against each other class at 70 and 77 % efficiency.

The tracker of `flavour_jets` is parametrised: no number here compares with ATLAS or CMS.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, Split, Splits
from physbench.datasets.jets import (
    TEST,
    TRAIN,
    VALIDATION,
    FlavourJets,
    Flavours,
    FlavourSample,
    flavour_jets,
    flavour_zenodo,
    jetclass,
    qg_jets,
    top_tagging,
    with_classes,
)
from physbench.tasks import FRACTION, POSITIVE, Field, Metric, Task
from physbench.tasks.metrics import flavour, flavour_figures, flavour_insight

LARGEST_PT_LEAK = 0.02
SMALLEST = 1e-9  # nats; below, differences are rounding


def load(
    dataset: Dataset,
    *,
    train_jets: int = 0,
    jets: int = 0,
    folder: str = "",
    codes: str = "",
    scale: float = 1.0,
) -> Splits:
    """Splits of a dataset.

    Parameters
    ----------
    train_jets:
        Train on this many jets, equally many of each class; 0 for all.
    jets:
        Of the user's files: take the first so many of each; 0 takes as many as the dataset says.
    folder:
        A sample that was generated or placed there, instead of the dataset's own files.
    codes, scale:
        What `flavour_zenodo` asks for: the values of its labels, and GeV in a unit of momentum.
    """
    if jets < 0:
        raise ValueError(f"jets must be 0 (as the dataset says) or a number of jets; got {jets}")
    unit = scale if scale != 1.0 else None
    given = {"folder": folder, "jets": jets, "codes": codes, "scale": unit}
    sample = _sample(dataset, {name: value for name, value in given.items() if value})
    train = np.flatnonzero(sample.split == TRAIN)
    if train_jets:
        train = _few(sample.truth, train, train_jets)
    return Splits(
        _split(sample, train),
        _split(sample, np.flatnonzero(sample.split == VALIDATION)),
        _split(sample, np.flatnonzero(sample.split == TEST)),
        sample.files,
    )


def _sample(dataset: Dataset, options: dict[str, Any]) -> FlavourSample:
    """What the dataset loads; those of background and signal become jets of two classes."""
    known = inspect.signature(dataset.load).parameters
    unknown = set(options) - set(known)
    if unknown:
        raise ValueError(f"this dataset does not take {', '.join(sorted(unknown))}")
    if "supervised" in known:
        return with_classes(dataset.load(supervised=True, **options))
    found: FlavourSample = dataset.load(**options)
    return found


def _few(truth: Flavours, train: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """The first jets of each class, `wanted` in all."""
    each, rest = divmod(wanted, len(truth.classes))
    rows = [train[truth.label[train] == k] for k in range(len(truth.classes))]
    if rest or not 0 < each <= min(map(len, rows)):
        raise ValueError(
            f"train_jets must be a multiple of {len(rows)} of at most "
            f"{len(rows) * min(map(len, rows))}; got {wanted}"
        )
    return np.sort(np.concatenate([row[:each] for row in rows]))


def _split(sample: FlavourSample, index: NDArray[np.int64]) -> Split:
    ids = [sample.ids[i] for i in index]
    return Split(sample.jets.take(index), sample.truth.take(index), ids)


def prepare(inputs: FlavourJets, predictions: Any) -> NDArray[np.int16]:
    """Log-probabilities relative to the reference class, in steps of 1/256 nat within +-30.

    Accepts (n, k) real log-probabilities up to a constant of each jet, or what it stored before:
    (n, k - 1) int16. Raises ValueError for other shapes and for probabilities, FloatingPointError
    for NaN or infinity.
    """
    values, classes = np.asarray(predictions), inputs.classes
    if values.dtype == np.int16 and values.shape == (len(inputs), len(classes) - 1):
        return values
    if values.shape != (len(inputs), len(classes)) or values.dtype.kind not in "fiu":
        raise ValueError(
            f"jet_flavour expects log-probabilities of {', '.join(classes)}, real numbers of "
            f"shape ({len(inputs)}, {len(classes)}); got shape {values.shape} of {values.dtype}"
        )
    if not np.isfinite(values).all():
        raise FloatingPointError(
            f"{int((~np.isfinite(values)).sum())} of {values.size} log-probabilities are NaN or "
            "infinite; where a class has probability 0, clip it before taking the logarithm"
        )
    _refuse_probabilities(values)
    kept = flavour.stored(values, classes)
    spread = np.ptp(values - values[:, :1], axis=0).max(initial=0)
    if len(kept) and (kept == kept[:1]).all() and spread > SMALLEST:
        raise ValueError(
            "differences of log-probabilities are stored in steps of 1/256 nat, in which all jets "
            "are the same; these numbers are no log-probabilities, rescale them"
        )
    return kept


def _refuse_probabilities(values: NDArray[Any]) -> None:
    """Numbers in [0, 1] that differ within a jet are probabilities, normalised or not."""
    inside = values.size and values.min() >= 0 and values.max() <= 1
    if inside and (np.ptp(values, axis=1) > 0).any():
        sums = values.sum(axis=1)
        raise ValueError(
            "all predictions lie in [0, 1] and a jet's sum to "
            f"{sums.min():.3g} ... {sums.max():.3g}: these are probabilities, jet_flavour expects "
            "their logarithms (of clipped values); true logarithms become unmistakable when their "
            "largest is subtracted"
        )


def admit(metrics: Mapping[str, float]) -> str | None:
    """A row ranks only where pT alone tells no two classes apart: AUC 0.50 +- 0.02."""
    return flavour.largest_leak(metrics, LARGEST_PT_LEAK)


def _rejection(function: Callable[[Any, Any], Any], name: str, efficiency: float) -> Metric:
    """Rejection of a class at an efficiency, with its fast bootstrap."""
    fast = flavour.rejection_replicates(name, efficiency)
    return Metric(function, "1", "max", replicates=fast, bounds=(1.0, np.inf))


TASK = Task(
    summary="tell b, c, light and gluon jets from the tracks of a jet",
    reference="""@inproceedings{Qu:2022mxj,
  author = {Qu, Huilin and Li, Congqiao and Qian, Sitian},
  title = {Particle Transformer for jet tagging},
  booktitle = {Proceedings of the 39th International Conference on Machine Learning},
  pages = {18281--18292},
  year = {2022},
  eprint = {2202.03772},
  archiveprefix = {arXiv}
}""",
    inputs=FlavourJets,
    predicts=(
        Field("log_probability", "(n, classes)", "float", "nats", "up to a constant of each jet"),
    ),
    unit="jet",
    datasets=(flavour_jets, flavour_zenodo, jetclass, top_tagging, qg_jets),
    load=load,
    metrics=(
        Metric(
            flavour.log_rejection,
            "nats",
            "max",
            slices=flavour.log_rejection_slices,
            replicates=flavour.log_rejection_replicates,
            bounds=POSITIVE,
        ),
        Metric(
            flavour.cross_entropy,
            "nats",
            "min",
            replicates=flavour.cross_entropy_replicates,
            bounds=POSITIVE,
        ),
        Metric(
            flavour.accuracy, "1", "max", replicates=flavour.accuracy_replicates, bounds=FRACTION
        ),
        Metric(
            flavour.macro_auc,
            "1",
            "max",
            slices=flavour.macro_auc_slices,
            replicates=flavour.macro_auc_replicates,
            bounds=FRACTION,
        ),
        _rejection(flavour.rejection_c_70, "c", 0.70),
        _rejection(flavour.rejection_c_77, "c", 0.77),
        _rejection(flavour.rejection_uds_70, "uds", 0.70),
        _rejection(flavour.rejection_uds_77, "uds", 0.77),
        _rejection(flavour.rejection_g_70, "g", 0.70),
        _rejection(flavour.rejection_g_77, "g", 0.77),
        Metric(
            flavour.db_rejection_uds_77,
            "1",
            "max",
            replicates=flavour.db_rejection_replicates,
            bounds=(1.0, np.inf),
        ),
        Metric(flavour.ovo_sklearn, "1", "max", interval=False),
        Metric(
            flavour.calibration,
            "1",
            "zero",
            version=2,
            interval=flavour.calibration_interval,
        ),
        Metric(flavour.pt_leak, "1", "zero", interval=False),
        Metric(flavour.bounded_points, "points", "min", interval=False),
    ),
    prepare=prepare,
    derive=flavour.log_probabilities,
    admit=admit,
    study={
        "10,000 jets": ({"train_jets": 10_000}, {}),
        "30,000 jets": ({"train_jets": 30_000}, {}),
        "60,000 jets": ({}, {}),
    },
    explain=flavour_insight.explain,
    figures={
        "Rejection against efficiency": flavour_figures.rejection_figure,
        "Rejection against jet pT": flavour_figures.pt_figure,
        "Distribution of the b discriminant": flavour_figures.discriminant_figure,
        "Calibration": flavour_figures.calibration_figure,
    },
)
