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
from physbench.models.hits import interaction_network
from physbench.tasks.metrics import resolution

ROOT = boards.committed_root()


def verdict(task: str, model: str) -> Verdict:
    """What `check --fast` says of one cell."""
    report = checking.check([task], [model], fast=True)
    return report.verdict


def weights(model: str = "interaction_network") -> list[Verdict]:
    """What G0 says of the saved weights of the tracking network."""
    ((key, group),) = checking._references(ROOT, ["tracking"], [model])[0].items()
    cell = stages.prepare(key[0], key[2], dataset=key[1], runs=checking._scratch())
    found = checking._frozen(cell, group, ROOT)
    assert all("score" in result.reason for result in found), found  # no crash
    return [result.verdict for result in found]


def test_healthy_weights_pass() -> None:
    assert weights() == ["PASS"]


def _swapped(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values[:, [1, 0, *range(2, values.shape[1])]]


@pytest.mark.parametrize("change", [_swapped], ids=["two input features swapped"])
def test_changed_features_are_found(
    change: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = interaction_network.Scaling.__call__
    monkeypatch.setattr(
        interaction_network.Scaling, "__call__", lambda self, *a: change(plain(self, *a))
    )
    assert weights() == ["RED"]


def test_dropped_layer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the nodes hear from their edges is computed and thrown away."""

    class Dropped(torch.nn.Module):
        def __init__(self, layer: torch.nn.Module) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(self.layer(x))

    plain = registry.load("model", "interaction_network").object.load

    def load(path: Any) -> Any:
        fitted = plain(path)
        fitted.network.relation = Dropped(fitted.network.relation)
        return fitted

    planted(monkeypatch, "model", "interaction_network", load=load)
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


def test_flipped_sign_of_eta_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The features of the network are computed with z, and so eta, of the other sign."""
    plain = interaction_network.Scaling.__call__

    def flipped(self: Any, event: Any, edges: Any) -> Any:
        return plain(self, replace(event, z=-event.z), edges)

    monkeypatch.setattr(interaction_network.Scaling, "__call__", flipped)
    assert weights() == ["RED"]


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
