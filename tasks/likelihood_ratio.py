"""Likelihood ratio: an event, a theta -> ln p(x|theta)/p(x|0), from simulated events alone.

The simulator draws events and knows of each the ratio and score of its latent variables, which
the detector hides; the ratio of what the detector saw is an integral that no simulator can do. On
these datasets it is closed, so estimators are judged by the exact answer.

Predictions are ln r-hat (n, 21), natural logarithm, at the 21 theta of `datasets.events.GRID`, the
reference 0 included; or a mapping `{"log_ratio": (n, 21), "spread": (n, 21)}` with one standard
deviation of the estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, Split, Splits
from physbench.datasets.events import GRID, Gold, Simulated, eft_toy, interference_toy
from physbench.tasks import FRACTION, POSITIVE, Field, Metric, Task
from physbench.tasks.metrics import likelihood, likelihood_figures

COLUMNS = ("log_ratio", "spread")
LARGEST = 20.0  # |ln r-hat|: e^20 is still finite in every sum
BUDGETS = (10_000, 30_000, 100_000)
STEPS = (1_000, 9_000)


def load(
    dataset: Dataset, *, events: int = 100_000, gold: bool = True, folder: str = ""
) -> Splits:
    """Splits of a dataset.

    Parameters
    ----------
    events:
        The first so many training events, and a fifth as many for validation.
    gold:
        Whether models see the morphing coefficients of the simulator, and with them the joint
        ratio and score. Without, only labels remain: what a black-box simulator gives.
    folder:
        A sample that `make` wrote there.
    """
    splits: Splits = dataset.load(**({"folder": folder} if folder else {}))
    if not 2 <= events <= len(splits.train):
        raise ValueError(
            f"events must lie between 2 and the {len(splits.train)} of the sample; got {events}"
        )
    held_out = max(2, min(events // 5, len(splits.validation)))
    return replace(
        splits,
        train=_first(splits.train, events, gold),
        validation=_first(splits.validation, held_out, gold),
    )


def _first(split: Split, events: int, gold: bool) -> Split:
    chosen = split if events == len(split) else split.take(range(events))
    if gold:
        return chosen
    truth: Gold = chosen.targets
    withheld = np.full_like(truth.coefficients, np.nan)
    return replace(chosen, targets=replace(truth, coefficients=withheld))


def prepare(inputs: Simulated, predictions: Any) -> Mapping[str, NDArray[np.float16]]:
    """ln r-hat cut at +-20, in half precision (adds 5e-9 to the mean squared error).

    Raises ValueError for other shapes, complex numbers, unknown columns and a negative spread,
    FloatingPointError for NaN and infinities.
    """
    columns = predictions if isinstance(predictions, Mapping) else {"log_ratio": predictions}
    if "log_ratio" not in columns or not set(columns) <= set(COLUMNS):
        raise ValueError(
            "predictions need 'log_ratio' and may have 'spread'; got "
            f"{', '.join(map(str, columns)) or 'nothing'}"
        )
    arrays = {name: _checked(name, values, len(inputs)) for name, values in columns.items()}
    stored = {"log_ratio": np.clip(arrays["log_ratio"], -LARGEST, LARGEST).astype(np.float16)}
    if "spread" in arrays:
        stored["spread"] = _spread(arrays["spread"])
    return stored


def _checked(name: str, values: Any, events: int) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != (events, len(GRID)) or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{name} must hold real numbers, one for each event and each of the {len(GRID)} theta "
            f"-1.0, -0.9, ..., 1.0 (0 included), shape ({events}, {len(GRID)}); got shape "
            f"{array.shape} of {array.dtype}"
        )
    bad = ~np.isfinite(array)
    if bad.any():
        event, column = np.argwhere(bad)[0]
        raise FloatingPointError(
            f"{name} holds {int(bad.sum())} values that are NaN or infinite, the first for event "
            f"{event} at theta = {GRID[column]:.1f}; a ratio of 0 or infinity has no logarithm: "
            f"cut ln r-hat at +-{LARGEST:g}"
        )
    return array


def _spread(values: NDArray[Any]) -> NDArray[np.float16]:
    """Three bits of mantissa (error below 13 %): more would not fit into a record's file."""
    if (values < 0).any():
        raise ValueError(
            f"spread is a standard deviation and must not be negative; its smallest value is "
            f"{values.min():g}"
        )
    mantissa, exponent = np.frexp(np.minimum(values, LARGEST).astype(np.float64))
    return np.asarray(np.ldexp(np.rint(mantissa * 8) / 8, exponent), dtype=np.float16)


def _study() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Numbers of training events at equal steps, then steps of a network on all events."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    found |= {f"{events:,} events": ({"events": events}, {}) for events in BUDGETS}
    return found | {f"{steps:,} steps": ({}, {"steps": steps}) for steps in STEPS}


TASK = Task(
    summary="ln p(x|theta)/p(x|0) of an event from simulations, judged by the exact ratio",
    reference="""@article{Brehmer:2018eca,
  author = {Brehmer, Johann and Cranmer, Kyle and Louppe, Gilles and Pavez, Juan},
  title = {A Guide to Constraining Effective Field Theories with Machine Learning},
  journal = {Phys. Rev. D},
  volume = {98},
  pages = {052004},
  year = {2018},
  eprint = {1805.00020},
  archiveprefix = {arXiv}
}""",
    inputs=Simulated,
    predicts=(
        Field('log_ratio', '(n, 21)', 'float', '1', 'ln p(x|theta)/p(x|0) at the 21 theta'),
        Field('spread', '(n, 21)', 'float', '1', "optional: the model's own error"),
    ),
    unit="event",
    datasets=(eft_toy, interference_toy),
    load=load,
    prepare=prepare,
    derive=likelihood.derive,
    metrics=(
        Metric(
            likelihood.mse_log_ratio, "1", "min", slices=likelihood.mse_slices,
            replicates=likelihood.mse_replicates, bounds=POSITIVE, label="MSE of ln r",
        ),
        Metric(
            likelihood.trimmed_mse, "1", "min", replicates=likelihood.trimmed_replicates,
            bounds=POSITIVE,
            label="trimmed MSE",
        ),
        Metric(
            likelihood.information_kept, "1", "max",
            replicates=likelihood.information_replicates, bounds=FRACTION,
            label="Fisher information kept",
        ),
        Metric(
            likelihood.normalisation, "1", "zero", interval=likelihood.normalisation_interval,
            label="max |E[r] - 1|",
        ),
        Metric(
            likelihood.coverage_excess, "1", "zero", interval=likelihood.coverage_interval,
            label="coverage - 0.683",
        ),
        Metric(
            likelihood.interval_width, "1", "min", interval=likelihood.width_interval,
            label="width of intervals",
        ),
        Metric(
            likelihood.spread_excess, "1", "zero", replicates=likelihood.spread_replicates,
            label="coverage of the spread - 0.683",
        ),
    ),
    figures={
        "Error by theta": likelihood_figures.error_figure,
        "Likelihood of 100 events": likelihood_figures.scan_figure,
        "Intervals from 100 events": likelihood_figures.coverage_figure,
    },
    curves={"Intervals from 100 events": 24},
    study=_study(),
)  # fmt: skip
