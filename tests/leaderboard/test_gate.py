"""Error rates of the score gate, by simulation, and its arithmetic by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from physbench.leaderboard import gate

K = 20


def sequential(generator: np.random.Generator, shift: float, draw: str = "normal") -> str:
    """A reference and a candidate that takes more seeds until the gate decides."""

    def scores(count: int) -> list[float]:
        if draw == "normal":
            return list(generator.normal(0, 1, count))
        return list(generator.standard_t(3, count) / math.sqrt(3))

    reference, candidate = scores(K), [value + shift for value in scores(8)]
    for count in gate.SEEDS:
        result = gate.quality(candidate[:count], reference)
        if result is not None:
            return result.verdict
    raise AssertionError("eight seeds always give a verdict")


def rates(shift: float, trials: int, draw: str = "normal") -> dict[str, float]:
    generator = np.random.default_rng(11)
    found = [sequential(generator, shift, draw) for _ in range(trials)]
    return {v: found.count(v) / trials for v in ("PASS", "RED", "UNRESOLVED")}


def test_healthy_candidates_pass() -> None:
    found = rates(0.0, 5000)
    # 20 cells together: at most 2 % red by chance, so 0.1 % each.
    assert 1 - (1 - found["RED"]) ** 20 <= 0.02
    assert found["PASS"] >= 0.985


def test_healthy_candidates_with_heavy_tails_are_not_red() -> None:
    assert rates(0.0, 1000, "t3")["RED"] <= 0.002


def test_regressions_are_found() -> None:
    three = rates(-3.0, 1000)
    assert three["RED"] > 0.99
    assert three["PASS"] <= 0.002
    two = rates(-2.0, 1000)
    assert two["PASS"] < 0.07
    assert two["RED"] > 0.75


def test_one_step_by_hand() -> None:
    """b = -1, 0, 0, 0, 1 and c = 0, 0, 0: s^2 = 2/6, nu = 6, t(0.98, 6) = 2.612."""
    result = gate.quality([0.0] * 3, [-1.0, 0.0, 0.0, 0.0, 1.0])
    assert result is not None
    assert result.verdict == "PASS"  # 2.612 x 0.4216 = 1.101 < 1.155
    assert result.numbers["error"] == pytest.approx(math.sqrt(2 / 6 * (1 / 3 + 1 / 5)))
    assert result.numbers["margin"] == pytest.approx(2 * math.sqrt(2 / 6))
    # 0.06 worse is too much for three seeds: 1.101 + 0.06 > 1.155.
    assert gate.quality([-0.06] * 3, [-1.0, 0.0, 0.0, 0.0, 1.0]) is None
    with pytest.raises(ValueError, match="2 candidate and 3 reference"):
        gate.quality([0.0, 0.0], [0.0, 0.0])


def test_physical_margin_excuses_small_losses() -> None:
    reference = list(np.random.default_rng(0).normal(0, 0.001, K))
    worse = [value - 0.01 for value in reference[:8]]
    found = gate.quality(worse, reference)
    assert found is not None
    assert found.verdict == "RED"
    excused = gate.quality(worse, reference, margin=0.05)
    assert excused is not None
    assert excused.verdict == "PASS"


def test_many_cells_make_red_rarer() -> None:
    generator = np.random.default_rng(1)
    reference = list(generator.normal(0, 1, K))
    worse = [float(np.mean(reference)) - 1.9 + 0.5 * (-1) ** k for k in range(5)]
    one = gate.quality(worse, reference)
    assert one is not None
    assert one.verdict == "RED"
    assert gate.quality(worse, reference, cells=20_000) is None


def test_failures_and_sudden_gains() -> None:
    assert gate.failures(2, 0, 8).verdict == "PASS"
    assert gate.failures(3, 0, 8).verdict == "RED"
    assert gate.failures(0, 1, 3).verdict == "RED"
    reference = list(np.random.default_rng(0).normal(0, 1, K))
    assert gate.too_good([3.5, 3.4, 3.6], reference).verdict == "UNRESOLVED"
    assert gate.too_good([0.1, 0.0, 0.2], reference).verdict == "PASS"


def test_frozen_weights_and_models_without_seeds() -> None:
    assert gate.frozen(0.0, 0.0).verdict == "PASS"
    assert gate.frozen(2e-16, 0.0).verdict == "PASS"  # another processor
    assert gate.frozen(1e-9, 0.0).verdict == "RED"
    assert gate.frozen(4e-6, 1e-6).verdict == "PASS"
    assert gate.exact(0.5, 0.5, 0.0).verdict == "PASS"
    assert gate.exact(0.49, 0.5, 1e-4).verdict == "RED"
    better = gate.exact(0.51, 0.5, 1e-4)
    assert (better.gate, better.verdict) == ("G3", "UNRESOLVED")


def test_cost_is_compared_in_turn_only() -> None:
    assert gate.cost([1.2, 1.3, 1.4], [1.0, 1.1, 1.0]).verdict == "PASS"
    assert gate.cost([1.5, 1.6, 1.5], [1.0, 1.1, 1.0]).verdict == "RED"
    with pytest.raises(ValueError, match="3 interleaved runs"):
        gate.cost([1.0], [1.0])


def test_orientation_and_the_worst_of_many() -> None:
    assert gate.oriented([0.1, 0.2], "min") == [-0.1, -0.2]
    assert gate.oriented([0.1, 0.2], "max") == [0.1, 0.2]
    assert gate.worst(["PASS", "UNRESOLVED", "RED"]) == "RED"
