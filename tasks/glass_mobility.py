"""Glass mobility: particle positions of a supercooled liquid -> each particle's propensity.

The propensity is the mean length of a particle's displacement after a time t over trajectories
that leave the same configuration with different velocities. Predictions are one array for each
configuration: (n, t) with a column for each target time, or (n,) for tau_alpha alone, in
sigma_AA. A score needs only the order: Pearson's r of type A particles at tau_alpha, configuration
by configuration. The noise ceiling is what a perfect predictor would reach against a mean over
finitely many trajectories. Splits and intervals go by configuration, never by particle.

Which positions a model reads (thermal, inherent or cage) is a keyword of the model, recorded with
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, Split, Splits
from physbench.datasets.common.arrays import plain
from physbench.datasets.common.streaming import Deferred
from physbench.datasets.liquids import (
    Configuration,
    Sample,
    bapst2020,
    botan_ka3d,
    glassbench,
    kob_andersen,
)
from physbench.tasks import CORRELATION, POSITIVE, Field, Metric, Task
from physbench.tasks.metrics import propensity, propensity_figures

TRAIN, VALIDATION, TEST = 0, 1, 2


def load(
    dataset: Dataset,
    *,
    temperature: float = 0.0,
    train_temperature: float = 0.0,
    folder: str = "",
    published_split: bool = False,
    train_configurations: int = 0,
    fold: int = 0,
) -> Splits:
    """Splits of a dataset.

    Parameters
    ----------
    temperature:
        Of the configurations, where the dataset has several; 0 is the dataset's own.
    train_temperature:
        Of the train and validation configurations, when it differs: an entry of the transfer
        matrix. Nothing is trained again and no scale is adapted at the test temperature.
    folder:
        A sample that was generated or placed there.
    published_split:
        Test on configurations 401 to 405 of `botan_ka3d`, as its paper does, not on a fold.
    train_configurations:
        The first so many of the training configurations; 0 for all.
    fold:
        Which of the folds of `botan_ka3d`; the harness gives it, from the seed.
    """
    options = _options(dataset, folder, published_split, fold)
    test = _sample(dataset, temperature, options)
    other = train_temperature not in (0.0, temperature)
    train = _sample(dataset, train_temperature, options) if other else test
    files = {**train.files, **test.files}
    there = int(np.count_nonzero(np.asarray(train.split) == TRAIN))
    if not 0 <= train_configurations <= there:
        raise ValueError(
            f"train_configurations must lie between 1 and {there} (0 for all); got "
            f"{train_configurations}"
        )
    learned = _split(train, TRAIN, train_configurations or there)
    parts = learned, _split(train, VALIDATION), _split(test, TEST)
    # Bapst et al. publish one test file outside their archive: enough for published weights.
    alone = dataset is bapst2020.DATASET and set(train.split) == {TEST}
    return Splits(*parts, files, test_only=alone)


def _options(dataset: Dataset, folder: str, published_split: bool, fold: int) -> dict[str, Any]:
    """Keywords of the dataset's own load."""
    options: dict[str, Any] = {"folder": folder} if folder else {}
    if dataset is botan_ka3d.DATASET:
        return options | {"fold": fold, "published_split": published_split}
    if published_split:
        raise ValueError("published_split is a variant of botan_ka3d alone")
    return options


def _sample(dataset: Dataset, temperature: float, options: dict[str, Any]) -> Sample:
    if temperature:
        options = options | {"temperature": temperature}
    try:
        found: Sample = dataset.load(**options)
    except TypeError as error:
        if "temperature" not in str(error):
            raise
        raise ValueError(
            "the dataset has one temperature; leave temperature and train_temperature out"
        ) from None
    return found


def _split(sample: Sample, part: int, first: int | None = None) -> Split:
    index = np.flatnonzero(np.asarray(sample.split) == part).tolist()[:first]
    ids = tuple(sample.ids[i] for i in index)

    def chosen(side: Sequence[Any]) -> Deferred:
        return Deferred(ids, lambda k: side[index[k]])

    return Split(chosen(sample.configurations), chosen(sample.mobilities), ids)


def prepare(inputs: Sequence[Configuration], predictions: Any) -> list[NDArray[np.float32]]:
    """One (n, t) array a configuration, with 12 bits of mantissa (error below 1.3e-4).

    Raises ValueError for a wrong number of configurations, particles or columns, and
    FloatingPointError for NaN and infinity.
    """
    if len(predictions) != len(inputs):
        raise ValueError(
            f"glass_mobility expects one array a configuration, {len(inputs)}; got "
            f"{len(predictions)}"
        )
    prepared: list[NDArray[np.float32]] = []
    for number, (configuration, values) in enumerate(zip(inputs, predictions, strict=True)):
        array = plain(values, f"predictions of configuration {number}")
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2 or len(array) != len(configuration):
            raise ValueError(
                f"configuration {number} needs real predictions of shape ({len(configuration)},) "
                f"or ({len(configuration)}, times); got shape {np.shape(values)} of {array.dtype}"
            )
        if not np.isfinite(array).all():
            raise FloatingPointError(
                f"{int((~np.isfinite(array)).sum())} predictions of configuration {number} are "
                "NaN or infinite"
            )
        if prepared and array.shape[1] != prepared[0].shape[1]:
            raise ValueError(
                f"configuration {number} has {array.shape[1]} columns of predictions, "
                f"configuration 0 has {prepared[0].shape[1]}; give all of them the same times"
            )
        mantissa, exponent = np.frexp(array.astype(np.float64))
        prepared.append(np.ldexp(np.rint(mantissa * 4096) / 4096, exponent).astype(np.float32))
    return prepared


def admit(metrics: Mapping[str, float]) -> str | None:
    """A row ranks only if it orders the particles of every configuration."""
    constant = metrics.get("constant_predictions", 0.0)
    if constant:
        return f"constant predictions in {constant:g} configurations (scored 0)"
    return None


# Sizes of the networks as they were published, or as their authors' packages come.
PUBLISHED: dict[str, dict[str, int]] = {
    "bapst_gnn": {"width": 64, "steps": 7},
    "botan": {"width": 64, "steps": 7},
    "equivariant_gnn": {"width": 16, "layers": 8, "degree": 3},
    "painn": {"width": 64, "layers": 3},
    "schnet": {"width": 64, "layers": 3},
}


def named_by(model: str, settings: Mapping[str, Any]) -> str:
    """`small` for a network below the published sizes: a row must not pass for the publication's.

    >>> named_by("bapst_gnn", {"width": 32, "steps": 3})
    'small'
    >>> named_by("bapst_gnn", {"width": 64, "steps": 7})
    ''
    """
    sizes = PUBLISHED.get(model, {})
    smaller = any(settings.get(name, size) < size for name, size in sizes.items())
    return "small" if smaller else ""


LEARNING = (2, 4, 7, 10)  # training configurations
TEMPERATURES = (0.64, 0.56)


def _study() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Fewer training configurations, and `kob_andersen` trained and tested at two temperatures."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for count in LEARNING:
        every = count == LEARNING[-1]
        found[f"{count} configurations"] = {} if every else {"train_configurations": count}, {}
    for train in TEMPERATURES:
        for test in TEMPERATURES:
            protocol: dict[str, Any] = {"dataset": "kob_andersen"}
            if test != kob_andersen.USUAL or train != test:
                protocol["temperature"] = test
            if train != test:
                protocol["train_temperature"] = train
            found[f"kob_andersen, trained at {train}, tested at {test}"] = protocol, {}
    return found


TASK = Task(
    summary="particle positions -> propensity of each particle",
    reference="""@article{Jung:2023roadmap,
  author = {Jung, Gerhard and Alkemade, Rinske M. and Bapst, Victor and Coslovich, Daniele and
    Filion, Laura and Landes, Fran{\\c{c}}ois P. and Liu, Andrea J. and Pezzicoli, Francesco
    Saverio and Shiba, Hayato and Volpe, Giovanni and Zamponi, Francesco and Berthier, Ludovic and
    Biroli, Giulio},
  title = {Roadmap on machine learning glassy dynamics},
  journal = {Nature Reviews Physics},
  year = {2025},
  eprint = {2311.14752},
  archiveprefix = {arXiv}
}""",
    inputs=Configuration,
    predicts=(
        Field(
            "propensity",
            "(n,) or (n, times) a configuration",
            "float",
            "sigma_AA",
            "at tau_alpha, or at each target time",
        ),
    ),
    unit="configuration",
    datasets=(botan_ka3d, kob_andersen, bapst2020, glassbench),
    folds={"botan_ka3d": botan_ka3d.FOLDS},
    load=load,
    metrics=(
        Metric(
            propensity.pearson,
            "1",
            "max",
            slices=propensity.pearson_slices,
            bounds=CORRELATION,
            replicates=propensity.pearson_replicates,
        ),
        Metric(
            propensity.pearson_over_ceiling,
            "1",
            "max",
            version=2,
            replicates=propensity.over_ceiling_replicates,
        ),
        Metric(propensity.pooled_pearson, "1", "max", bounds=CORRELATION),
        Metric(
            propensity.spearman,
            "1",
            "max",
            replicates=propensity.spearman_replicates,
            bounds=CORRELATION,
        ),
        Metric(propensity.rmse, "sigma_AA", "min", bounds=POSITIVE),
        Metric(propensity.slope, "1", "max", interval=False),
        Metric(propensity.s4_ratio, "1", "max", interval=False),
        Metric(propensity.chi4_ratio, "1", "max", interval=False),
        Metric(
            propensity.noise_ceiling,
            "1",
            "max",
            version=2,
            slices=propensity.noise_ceiling_slices,
            interval=False,
        ),
        Metric(propensity.constant_predictions, "configurations", "min", interval=False),
    ),
    prepare=prepare,
    admit=admit,
    named_by=named_by,
    study=_study(),
    study_figures={
        "learning curve": propensity_figures.learning_curve,
        "transfer between temperatures": propensity_figures.transfer,
    },
    figures={
        "propensity correlation against time": propensity_figures.correlation_against_time,
        "a configuration": propensity_figures.true_and_predicted,
    },
)
