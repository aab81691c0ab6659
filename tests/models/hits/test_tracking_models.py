"""Tracking models beside each other on small events, on an empty one, and on real graphs."""

from __future__ import annotations

import functools
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmarks
from benchmarks import registry
from benchmarks.running import scoring
from physbench.datasets import Splits
from physbench.datasets.hits import Event, EventTruth, restrict
from physbench.models.common import batches
from physbench.models.hits import _window_filter as window_filter
from physbench.models.hits import truth_edges, truth_pairs
from physbench.tasks.metrics import tracking as metrics

TRACKING = registry.models_of("tracking")


def wedge(event: Event, truth: EventTruth) -> tuple[Event, EventTruth]:
    """A tenth of the azimuth: small, and dense as the whole."""
    return restrict(event, truth, np.abs(event.phi) < np.pi / 10)


@functools.cache
def small() -> Splits:
    """Wedges of a few embedded events."""
    task = benchmarks.task("tracking")
    full = task.load("generic_detector")

    def cut(split: Any, count: int) -> Any:
        pairs = [wedge(e, t) for e, t in zip(split.inputs, split.targets, strict=True)][:count]
        return replace(
            split,
            inputs=[e for e, _ in pairs],
            targets=[t for _, t in pairs],
            ids=split.ids[:count],
        )

    splits = Splits(cut(full.train, 4), cut(full.validation, 2), cut(full.test, 2), full.files)
    validation = replace(splits.validation, metrics=scoring.bind(task, splits.validation))
    return replace(splits, validation=validation)


def predictions(name: str, seed: int) -> Any:
    from benchmarks.running.environment import seeded

    model, splits = benchmarks.model(name), small()
    with seeded(seed):
        fitted = model.fit(splits.train, splits.validation, seed=seed, **model.quick)
        extra = [splits.test.targets] if model.oracle else []
        answer = model.predict(fitted, splits.test.inputs, *extra)
    return benchmarks.task("tracking").prepare(splits.test.inputs, answer)


@pytest.mark.parametrize("name", TRACKING)
def test_event_without_hits_gives_no_labels(name: str) -> None:
    model, splits = benchmarks.model(name), small()
    fitted = model.fit(splits.train, splits.validation, seed=0, **model.quick)
    none, whole = np.zeros(0), np.zeros(0, dtype=np.int64)
    empty = Event("empty", whole, none, none, none, whole, whole, whole)
    truth = EventTruth(whole, none, none, whole, none, none, whole, whole)
    extra = [[truth]] if model.oracle else []
    (answer,) = benchmarks.task("tracking").prepare(
        [empty], model.predict(fitted, [empty], *extra)
    )
    assert answer["labels"].shape == (0,)


def test_interaction_network_has_the_published_number_of_parameters() -> None:
    from physbench.models.common.training import parameters
    from physbench.models.hits.interaction_network import InteractionNetwork

    assert parameters(InteractionNetwork()) == 6448


def test_oracle_of_the_graph_bounds_the_classifiers_and_truth_is_one() -> None:
    targets = small().test.targets
    values = {n: metrics.efficiency_dm(targets, predictions(n, 0)) for n in TRACKING}
    assert values["truth"] == 1.0
    assert values["one_track_per_hit"] == 0.0
    assert values["truth_pairs"] > 0.93
    for name in ("logistic_edges", "boosted_edges", "interaction_network", "gated_network"):
        assert values[name] <= values["truth_pairs"]


def test_without_rejection_every_track_of_three_hits_stays() -> None:
    model, splits = benchmarks.model("gated_network"), small()
    few = splits.train.take([0, 1])
    fitted = model.fit(few, splits.validation, seed=0, **{**model.quick, "reject": False})
    choice = fitted.pipeline.choice
    assert (choice.hits, choice.short, choice.soft) == (3, 0, 0.0)


def test_an_open_filter_lets_all_candidates_pass() -> None:
    model, splits = benchmarks.model("gated_network"), small()
    few = splits.train.take([0, 1])
    fitted = model.fit(few, splits.validation, seed=0, **{**model.quick, "cut": -99.0})
    builder, (event, *_) = fitted.pipeline.graph, splits.test.inputs
    edges, logit = builder(event)
    np.testing.assert_array_equal(edges, builder.candidates(event))
    assert (fitted.pipeline.score(event, edges, logit) > 0).all()


def test_a_training_beyond_memory_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches, and what the builder is chosen by on validation, wait on disk: same digits."""
    held = predictions("gated_network", 0)
    monkeypatch.setattr(batches, "LARGEST", 0)
    for ours, theirs in zip(held, predictions("gated_network", 0), strict=True):
        for name in ("labels", "scores"):
            np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.slow
def test_graph_keeps_the_pairs_of_selected_particles() -> None:
    """The shared graph on unseen events: 97.5 % of the links, 99 % of the particles."""
    splits = benchmarks.task("tracking").splits("generic_detector", events=12)
    builder = window_filter.builder_for(splits.train, seed=0)
    answers = [truth_edges, truth_pairs]
    test = splits.validation.take([0, 1])
    found = [
        metrics.derive(test.targets, one.predict(builder, test.inputs, test.targets))
        for one in answers
    ]
    assert metrics.graph_construction_efficiency(test.targets, found[0]) > 0.97
    links, pairs = (metrics.efficiency_dm(test.targets, one) for one in found)
    assert pairs > 0.985
    assert links <= pairs


@pytest.mark.parametrize("name", ["logistic_edges", "boosted_edges", "gated_network"])
def test_real_graphs_run_end_to_end(name: str, tmp_path: Path) -> None:
    base = Path(os.environ.get("PHYSBENCH_DATA", "nowhere"))
    if not list(base.rglob("real_hitgraphs_barrel_pt1")):
        pytest.skip("the real graphs are not below $PHYSBENCH_DATA")
    settings = dict(benchmarks.model(name).quick)
    settings |= {"width": 24, "builder": "best_in_out"} if "width" in settings else {}
    (record,) = benchmarks.run("tracking", name, dataset="trackml_graphs", settings=settings)
    assert record.status == "ok", record.failure
    auc = record.metric("edge_auc")
    assert auc is not None
    assert auc.value is not None
    assert auc.value > 0.9
    assert list(record.dataset.files) == ["100 files"]
