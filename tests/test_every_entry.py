"""Every file in the folders is an entry with a complete card, and every model keeps the contract.

No list is kept: a file is tested from the moment it exists. `contract` trains a model at its
`quick` settings on a small part of one of its task's datasets and raises AssertionError, or what
the model raised, for a promise that it breaks.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import registry
from benchmarks.running import scoring, stages
from benchmarks.running.environment import seeded
from physbench.datasets import Dataset, Split, Splits, take
from physbench.datasets.common import store
from physbench.datasets.hits import Event, restrict
from physbench.datasets.showers import Conditions
from physbench.leaderboard import predictions as stored
from physbench.leaderboard.board import badness
from physbench.models import Model
from physbench.tasks import Task

ROOT = Path(__file__).resolve().parents[1]
SEED = 3
# Units of train, validation and test: of those that hold many particles each, and of small ones.
LARGE, SMALL = (3, 2, 2), (600, 300, 120)
# Not the task's default dataset but one whose units are smaller: the contract is the same.
OF_FEWER = {"glass_mobility": "kob_andersen"}
FIELDS = {"lr": "learning_rate", "model_dim": "width", "n_epochs": "epochs", "batch_size": "batch"}


@pytest.mark.parametrize("kind", ["task", "model", "dataset"])
def test_every_folder_has_entries_with_a_one_line_summary(kind: str) -> None:
    assert registry.names(kind)
    for name in registry.names(kind):
        first = registry.docstring(kind, name).partition("\n")[0]
        assert 10 < len(first) < 110, (kind, name, first)


@pytest.mark.parametrize("name", registry.names("task"))
def test_task_is_complete(name: str) -> None:
    task: Task = registry.load("task", name).object
    assert set(task.named) <= set(registry.names("dataset"))
    assert len({metric.name for metric in task.metrics}) == len(task.metrics)
    assert all(inspect.getdoc(metric.function) for metric in task.metrics)
    assert task.metrics[0].bounds != (-np.inf, np.inf), "the ranking metric needs its range"
    roles = {registry.role(model) for model in registry.models_of(name)}
    assert {"learned", "classical", "oracle"} <= roles
    stages.resolve(task.load, {}, "protocol")
    assert "@" in task.reference


@pytest.mark.parametrize("name", registry.names("model"))
def test_model_is_complete(name: str) -> None:
    model: Model = registry.load("model", name).object
    assert set(model.tasks) <= set(registry.names("task"))
    parameters = inspect.signature(model.fit).parameters
    assert list(parameters)[:2] == ["train", "validation"]
    assert parameters["seed"].kind is inspect.Parameter.KEYWORD_ONLY
    assert not FIELDS.keys() & parameters.keys(), "the field's spelling is another"
    assert len(inspect.signature(model.predict).parameters) == (3 if model.oracle else 2)
    for dataset, preset in model.presets.items():
        assert dataset in registry.names("dataset")
        stages.resolve(model.fit, preset, "preset", skip=stages.NO_SETTINGS)
    stages.resolve(model.fit, model.quick, "quick", skip=stages.NO_SETTINGS)


@pytest.mark.parametrize("name", registry.names("dataset"))
def test_dataset_is_complete_and_embedded_files_are_intact(name: str) -> None:
    dataset: Dataset = registry.load("dataset", name).object
    assert dataset.licence
    assert dataset.source
    if dataset.embedded:
        assert dataset.files
        store.checked(name, dataset)


def test_embedded_data_stay_small() -> None:
    sizes = {p: p.stat().st_size for p in (ROOT / "datasets" / "frozen").rglob("*") if p.is_file()}
    assert max(sizes.values()) < 25e6


PAIRS = [(task, model) for task in registry.names("task") for model in registry.models_of(task)]


OF_FILES = {"published_predictions": "answers from the official files of GlassBench alone"}


@pytest.mark.parametrize(("task", "model"), PAIRS, ids=[f"{t}-{m}" for t, m in PAIRS])
def test_model_keeps_the_contract(task: str, model: str, tmp_path: Path) -> None:
    if model in OF_FILES:
        pytest.skip(f"{OF_FILES[model]}; its own test makes some")
    try:
        contract(task, registry.load("model", model).object, tmp_path)
    except ImportError as error:
        if "physbench[" not in str(error):
            raise
        pytest.skip(str(error))


def contract(task_name: str, model: Model, folder: Path) -> None:
    """Train, predict, store, score, save, load and predict again; compare each with the other."""
    task: Task = registry.load("task", task_name).object
    splits = small(task_name)
    before = [array.copy() for array in arrays(splits.test.inputs)]
    fitted = trained(model, splits)
    found = answered(task, model, fitted, splits.test)
    for array, was in zip(arrays(splits.test.inputs), before, strict=True):
        np.testing.assert_array_equal(array, was, err_msg="predict changed its inputs")
    for name, array in found.items():
        assert array.dtype.kind != "f" or not np.isinf(array).any(), f"{name} is infinite"
    equal(answered(task, model, fitted, splits.test), found, "predict twice")
    equal(answered(task, model, trained(model, splits), splits.test), found, "the same seed")
    if not (model.oracle or generative(splits)):  # an oracle may learn from what it is asked
        in_parts(model, fitted, splits.test)
    if model.save is not None:
        assert model.load is not None
        model.save(fitted, folder / "weights")
        again = model.load(folder / "weights")
        equal(answered(task, model, again, splits.test), found, "saved and loaded")
    if model.parameters is not None:
        assert model.parameters(fitted) > 0
    for one in (model.ablations(fitted) if model.ablations else {}).values():
        answered(task, model, one, splits.test)
    scored(task, splits.test, found)


def generative(splits: Splits) -> bool:
    """Whether samples are asked for: a draw has its place in the sequence of all draws."""
    return isinstance(splits.test.inputs, Conditions)


def trained(model: Model, splits: Splits) -> Any:
    """What `fit` returns with the quick settings, seeded as a run is."""
    with seeded(SEED):
        given = {"seed": SEED, **stages.context(model), **model.quick}
        return model.fit(splits.train, splits.validation, **given)


def answered(task: Task, model: Model, fitted: Any, split: Split) -> stored.Arrays:
    """Predictions, checked by the task and as they are stored."""
    return stored.pack(task.prepare(split.inputs, raw(model, fitted, split)))


def equal(found: stored.Arrays, expected: stored.Arrays, what: str) -> None:
    """The same arrays, to the bit."""
    assert found.keys() == expected.keys(), what
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=f"{what}: {name}")


def in_parts(model: Model, fitted: Any, test: Split) -> None:
    """A unit's answer does not depend on what else is asked: the rest, then the first ones."""
    whole = raw(model, fitted, test)
    cut = len(test) // 3 or 1
    for units in (np.arange(cut, len(test)), np.arange(cut)):
        found = raw(model, fitted, test.take(units.tolist()))
        for number, (one, other) in enumerate(
            zip(arrays(found), arrays(scoring.take_units(whole, units)), strict=True)
        ):
            close(one, other, f"array {number} of the predictions depends on the batch")


def raw(model: Model, fitted: Any, split: Split) -> Any:
    """What `predict` returns."""
    return model.predict(fitted, split.inputs, *([split.targets] if model.oracle else []))


def arrays(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    """Every array in an object of dataclasses, mappings and sequences."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from arrays(value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from arrays(item)
    elif is_dataclass(value):
        for one in fields(value):
            yield from arrays(getattr(value, one.name))


def close(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], what: str) -> None:
    """Equal but for the rounding of single precision."""
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected, err_msg=what)
        return
    scale = np.nanmax(np.abs(expected), initial=1e-6)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * scale, err_msg=what)


def scored(task: Task, test: Split, found: stored.Arrays) -> None:
    """What was stored is scored, twice alike, whatever the order of the units."""
    predictions = task.prepare(test.inputs, stored.unpack(found))
    first = scoring.evaluate(task, test, predictions, "0" * 64, intervals=False)
    again = scoring.evaluate(
        task,
        test,
        task.prepare(test.inputs, stored.unpack(stored.pack(predictions))),
        "0" * 64,
        intervals=False,
    )
    assert [m.value for m in first] == [m.value for m in again]


@functools.cache
def small(task_name: str) -> Splits:
    """A few units of the task's default dataset, read-only, with the validation's metrics."""
    task: Task = registry.load("task", task_name).object
    splits = task.splits(OF_FEWER.get(task_name, ""))
    sizes = LARGE if isinstance(splits.train.inputs, list) else SMALL
    cut = replace(
        splits,
        **{
            name: frozen(smaller(getattr(splits, name), size))
            for name, size in zip(("train", "validation", "test"), sizes, strict=True)
        },
    )
    metrics = scoring.bind(task, cut.validation)
    return replace(cut, validation=replace(cut.validation, metrics=metrics))


def smaller(split: Split, size: int) -> Split:
    """Units far apart; of events, a tenth of the azimuth, which is as dense as the whole."""
    few = split.take(np.linspace(0, len(split) - 1, min(size, len(split))).astype(int).tolist())
    if not isinstance(few.inputs, list) or not isinstance(few.inputs[0], Event):
        return few
    pairs = [
        restrict(event, truth, np.abs(event.phi) < np.pi / 10)
        for event, truth in zip(few.inputs, few.targets, strict=True)
    ]
    return replace(few, inputs=[e for e, _ in pairs], targets=[t for _, t in pairs])


def frozen(value: Any) -> Any:
    """The same object with all of its arrays read-only, as a run hands it to a model."""
    for array in arrays(value):
        array.setflags(write=False)
    return value


def raises(fitted: Any, inputs: Any, *targets: Any) -> Any:
    raise RuntimeError("planted")


def of_the_batch(predict: Callable[..., Any]) -> Callable[..., Any]:
    """Answers shifted by the mean over what is asked at once."""
    return lambda fitted, inputs: (p := predict(fitted, inputs)) + np.mean(p)


def random(predict: Callable[..., Any]) -> Callable[..., Any]:
    """Answers that no seed repeats."""
    return lambda fitted, inputs: predict(fitted, inputs) + np.random.default_rng().random()


def not_a_number(predict: Callable[..., Any]) -> Callable[..., Any]:
    return lambda fitted, inputs: predict(fitted, inputs) * np.nan


def too_few(predict: Callable[..., Any]) -> Callable[..., Any]:
    return lambda fitted, inputs: predict(fitted, inputs)[:-1]


def writes(predict: Callable[..., Any]) -> Callable[..., Any]:
    def changed(fitted: Any, inputs: Any) -> Any:
        inputs.constituents[0] = 0.0
        return predict(fitted, inputs)

    return changed


@pytest.mark.parametrize("task", registry.names("task"))
def test_a_model_that_raises_is_seen_in_every_task(task: str, tmp_path: Path) -> None:
    cheap = [m for m in registry.models_of(task) if registry.role(m) in ("floor", "classical")]
    planted = replace(registry.load("model", cheap[-1]).object, predict=raises)
    with pytest.raises(RuntimeError, match="planted"):
        contract(task, planted, tmp_path)


@pytest.mark.parametrize("defect", [of_the_batch, random, not_a_number, too_few, writes])
def test_a_broken_promise_is_seen(defect: Callable[..., Any], tmp_path: Path) -> None:
    model: Model = registry.load("model", "multiplicity").object
    contract("dark_jets", model, tmp_path)
    with pytest.raises((AssertionError, ValueError, FloatingPointError)):
        contract("dark_jets", replace(model, predict=defect(model.predict)), tmp_path)


# A judge grown on pairs at odd places judges those at even places; pseudo-experiments draw places.
BY_PLACE = ("judge_jsd", "judge_auc", "judge_jsd_high", "judge_jsd_low") + (
    "coverage_excess",
    "interval_width",
)


def cheapest(task_name: str, role: str) -> Model:
    """The first floor or oracle; the first classical model where no floor is needed."""
    roles = ("floor", "classical") if role == "floor" else (role,)
    names = [m for r in roles for m in registry.models_of(task_name) if registry.role(m) == r]
    model: Model = registry.load("model", names[0]).object
    return model


def derived(task: Task, model: Model, splits: Splits) -> Any:
    """Targets and what the metrics are computed from, of the test units."""
    test = splits.test
    found = task.prepare(test.inputs, raw(model, trained(model, splits), test))
    return task.derive(test.targets, found)


@pytest.mark.parametrize("name", registry.names("task"))
def test_metrics_do_not_know_the_order_of_units_and_keep_their_bounds(name: str) -> None:
    task: Task = registry.load("task", name).object
    splits = small(name)
    test = splits.test
    model = cheapest(name, "floor")
    found = task.prepare(test.inputs, raw(model, trained(model, splits), test))
    order = np.random.default_rng(1).permutation(len(test))
    turned = test.take(order.tolist())
    first = task.derive(test.targets, found)
    second = task.derive(turned.targets, scoring.take_units(found, order))
    for metric in task.metrics:
        value = scoring.value(metric, test.targets, first)
        other = scoring.value(metric, turned.targets, second)
        least, most = metric.bounds
        assert np.isnan(value) or least <= value <= most, metric.name
        if metric.name not in BY_PLACE:
            np.testing.assert_allclose(other, value, rtol=1e-6, atol=1e-9, err_msg=metric.name)


@pytest.mark.parametrize("name", registry.names("task"))
def test_fast_bootstraps_give_what_resampled_units_give(name: str) -> None:
    """The slow twin of every `replicates`: the metric itself on the drawn units."""
    task: Task = registry.load("task", name).object
    splits = small(name)
    targets, found = splits.test.targets, derived(task, cheapest(name, "floor"), splits)
    units = len(splits.test)
    draws = np.random.default_rng(2).integers(units, size=(4, units))
    counts = np.array([np.bincount(drawn, minlength=units) for drawn in draws])
    for metric in (m for m in task.metrics if m.replicates is not None):
        if np.isnan(scoring.value(metric, targets, found)):
            continue  # a run draws no resample of what is undefined
        fast = np.asarray(metric.replicates(targets, found, counts))
        slow = [
            scoring.value(metric, take(targets, drawn), scoring.take_units(found, drawn))
            for drawn in draws
        ]
        np.testing.assert_allclose(fast, slow, rtol=1e-5, atol=1e-9, err_msg=metric.name)


def with_floor() -> list[str]:
    """Tasks with a floor: track parameters have none that means anything."""
    return [
        task
        for task in registry.names("task")
        if any(registry.role(model) == "floor" for model in registry.models_of(task))
    ]


@pytest.mark.parametrize("name", with_floor())
def test_an_oracle_is_not_below_the_floor(name: str) -> None:
    task: Task = registry.load("task", name).object
    splits = small(name)
    metric = task.metrics[0]
    floor, oracle = (
        scoring.value(metric, splits.test.targets, derived(task, cheapest(name, role), splits))
        for role in ("floor", "oracle")
    )
    assert badness(oracle, metric.best) < badness(floor, metric.best)
