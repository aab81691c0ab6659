"""Our special functions beside SciPy's."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import special

from physbench.leaderboard import quantiles


def test_student_is_scipys() -> None:
    """The series to rounding; between the places of the table to 1e-6."""
    places, values = quantiles._table()
    exact = special.stdtrit(1 / places[1:], 0.975)
    assert np.abs(values[1:] / exact - 1).max() < 1e-13
    assert values[0] == pytest.approx(quantiles.NORMAL, rel=1e-14)
    freedom = np.exp(np.random.default_rng(0).uniform(0, 15, 2000))
    assert quantiles.student(freedom) == pytest.approx(special.stdtrit(freedom, 0.975), rel=1e-6)


def test_tails_are_scipys() -> None:
    z = np.linspace(-30, 30, 1001)
    assert quantiles.tails(z) == pytest.approx(2 * special.ndtr(-np.abs(z)), rel=1e-12)
    assert math.isnan(float(quantiles.tails(math.nan)))


@pytest.mark.parametrize("trials", [0.01, 0.5, 1, 3, 10, 1e2, 1e3, 1e4, 1e6, 1e9])
def test_beta_is_scipys(trials: float) -> None:
    """Also at no success and no failure; what lgamma loses grows with the root of the trials."""
    lost = 1e-12 + 1e-15 * math.sqrt(trials)
    rates = [0.0, 1e-9, 1e-4, 0.5, 0.999, 1.0, *np.random.default_rng(0).random(20)]
    for p in rates:
        a, b = p * trials + 0.5, (1 - p) * trials + 0.5
        for tail in (0.025, 0.975):
            expected = special.betaincinv(a, b, tail)
            assert quantiles.beta(tail, a, b) == pytest.approx(expected, abs=lost, rel=1e-12)


@pytest.mark.parametrize("a", [2e2, 2e3, 2e4, 1e7, 9e7, 2e9, 1e13, 1e21])
@pytest.mark.parametrize("b", [1e6, 9e7, 1.1e8, 1e12, 1e15, 1e30])
def test_any_number_of_trials_ends_at_once(a: float, b: float) -> None:
    """Near the normal quantiles, where SciPy's are no longer right or NaN."""
    a, b = sorted((a, b))
    mean, deviation = a / (a + b), math.sqrt(a) * math.sqrt(b) / (a + b) / math.sqrt(a + b)
    for tail in (0.025, 0.975):
        away = (quantiles.beta(tail, a, b) - mean) / deviation
        assert abs(away) == pytest.approx(quantiles.NORMAL, abs=0.4)
        assert (away > 0) == (tail > 0.5)


@pytest.mark.parametrize("a", [-1.0, 0.0, math.inf, math.nan])
def test_no_distribution_no_quantile(a: float) -> None:
    assert math.isnan(quantiles.beta(0.025, a, 1.0))
    assert math.isnan(quantiles.beta(0.025, 1.0, a))


def test_boards_do_without_scipy() -> None:
    """Its import would cost more than the rest of a board."""
    program = (
        "import sys; from benchmarks.reports import boards; boards.board('tracking'); "
        "sys.exit('scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
