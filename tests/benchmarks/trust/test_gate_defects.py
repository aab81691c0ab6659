"""Planted defects on the real boards: each turns some gate from green."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import registry
from benchmarks.reports import boards
from benchmarks.running import stages
from benchmarks.trust import checking
from physbench.datasets import Split
from physbench.leaderboard.gate import Verdict
from physbench.tasks.metrics import resolution

ROOT = boards.committed_root()
NETWORK = "carl"


def verdict(task: str, model: str) -> Verdict:
    """What `check --fast` says of one cell."""
    report = checking.check([task], [model], fast=True)
    return report.verdict


def weights() -> list[Verdict]:
    """What G0 says of the saved weights of one network."""
    (key, group), *_ = checking._references(ROOT, ["likelihood_ratio"], [NETWORK])[0].items()
    cell = stages.prepare(key[0], key[2], dataset=key[1], runs=checking._scratch())
    found = checking._frozen(cell, group[:1], ROOT)
    assert all("score" in result.reason for result in found), found  # no crash
    return [result.verdict for result in found]


def test_healthy_weights_pass() -> None:
    assert weights() == ["PASS"]


def _swapped(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return x[:, [1, 0, *range(2, x.shape[1])]]


def _flipped(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.concatenate([-x[:, :1], x[:, 1:]], axis=1)


@pytest.mark.parametrize(
    "change", [_swapped, _flipped], ids=["two input features swapped", "the sign of one flipped"]
)
def test_changed_features_are_found(
    change: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = registry.load("model", NETWORK).object.predict

    def predict(fitted: Any, inputs: Any) -> Any:
        return plain(fitted, replace(inputs, x=change(inputs.x)))

    planted(monkeypatch, "model", NETWORK, predict=predict)
    assert weights() == ["RED"]


def test_dropped_layer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a layer gives is computed and thrown away."""
    plain = registry.load("model", NETWORK).object.load

    def load(path: Any) -> Any:
        fitted = plain(path)
        layers = [m for m in fitted.modules() if isinstance(m, torch.nn.Linear)]
        layers[1].register_forward_hook(lambda layer, given, out: torch.zeros_like(out))
        return fitted

    planted(monkeypatch, "model", NETWORK, load=load)
    assert weights() == ["RED"]


def planted(monkeypatch: pytest.MonkeyPatch, kind: str, name: str, **changes: Any) -> None:
    """Replace fields of a registered task or model."""
    plain = registry.load
    entry = plain(kind, name)
    changed = entry._replace(object=replace(entry.object, **changes))

    def load(asked: str, what: Any) -> Any:
        return changed if (asked, str(what)) == (kind, name) else plain(asked, what)

    monkeypatch.setattr(registry, "load", load)


def test_shifted_bin_edge_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdict("track_parameters", "circle_taubin") == "PASS"
    edges = np.array(resolution.EDGES, dtype=float)
    edges[2] += 0.5
    monkeypatch.setattr(resolution, "EDGES", edges)
    assert verdict("track_parameters", "circle_taubin") != "PASS"


def test_leaked_test_set_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five per cent of the test jets in the training set make another split."""
    plain = registry.load("task", "dark_jets").object.load

    @functools.wraps(plain)
    def leaky(dataset: str, **protocol: Any) -> Any:
        splits = plain(dataset, **protocol)
        leak = len(splits.test) // 20
        ids = [*splits.train.ids, *splits.test.ids[:leak]]
        more = np.r_[: len(splits.train), :leak]
        train = Split(splits.train.inputs.take(more), splits.train.targets.take(more), ids)
        return replace(splits, train=train)

    planted(monkeypatch, "task", "dark_jets", load=leaky)
    report = checking.check(["dark_jets"], ["pca_mahalanobis"], fast=True)
    assert report.verdict == "RED"
    assert "another split" in report.as_markdown()
