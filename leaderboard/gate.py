"""The score gate: has a model's score regressed? Pure functions with known error rates.

Reference: K seeds at the last release. A candidate adds seeds until the verdict is clear, three,
then five, then eight. Scores are oriented so that higher is better. The rates below are for
normally distributed seeds and K = 20: a healthy cell is red in 0.06 % of the runs, a regression of
3 standard deviations in 99.9 %.

- G0, frozen weights: saved weights give the stored predictions within a calibrated tolerance.
- G1, quality: PASS when the candidate is not worse than the margin, RED when it is worse for sure.
- G2, failures: diverged runs are counted on their own and never enter a mean.
- G3, too good: a sudden gain is a leak or a bug as often as progress.
- G5, cost: times are compared only when both were measured in turn in one job.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Verdict = Literal["PASS", "RED", "UNRESOLVED"]

SEEDS = (3, 5, 8)  # candidate seeds after which a verdict is tried
PASS_LEVEL = 0.98
RED_LEVEL = 0.9995
CELLS = 20  # for which the red level was made; more cells divide what is left of 1
MARGIN = 2.0  # standard deviations over seeds that a score may lose
DIVERGED = 3  # of eight
COST = 1.25
TOLERANCE = 5.0  # times the largest difference seen in calibration
ROUNDING = 1e-12  # of a score, which is of order one


@dataclass(frozen=True)
class Result:
    """Verdict of one gate, its reason in words, and the numbers behind it."""

    gate: str
    verdict: Verdict
    reason: str
    numbers: dict[str, float]


def oriented(values: Sequence[float], best: str) -> list[float]:
    """Scores with higher better: `max` as they are, `min` negated, `zero` minus the distance.

    >>> oriented([0.2, -0.1], "zero")
    [-0.2, -0.1]
    """
    if best == "zero":
        return [-abs(value) for value in values]
    return [value if best == "max" else -value for value in values]


def frozen(difference: float, calibrated: float) -> Result:
    """G0: a difference of stored and renewed scores against that of harmless changes.

    `calibrated` is the largest difference seen when threads, batches and order change, which must
    change nothing. Where they are exact only the rounding of another processor's sums is allowed.
    """
    limit = max(TOLERANCE * calibrated, ROUNDING)
    numbers = {"difference": difference, "limit": limit}
    if difference <= limit:
        return Result("G0", "PASS", "saved weights give the stored score", numbers)
    return Result(
        "G0",
        "RED",
        f"saved weights give a score {difference:.3g} away, at most {limit:.3g}",
        numbers,
    )


def quality(
    candidate: Sequence[float],
    reference: Sequence[float],
    *,
    margin: float = 0.0,
    cells: int = CELLS,
) -> Result | None:
    """G1: one step of the sequential non-inferiority test; None asks for more seeds.

    d = mean(c) - mean(b), s pooled with nu = K + n - 2, se = s sqrt(1/n + 1/K),
    delta = max(margin, 2 s). PASS if d - t(0.98, nu) se > -delta. RED if n >= 5 and
    d + t(0.9995, nu) se < 0 and d < -delta/2. At n = 8 UNRESOLVED.

    Parameters
    ----------
    candidate, reference:
        Oriented scores of n and K seeds; at least 2 and 3.
    margin:
        Loss that does not matter physically.
    cells:
        Number of cells tested together; more than 20 make RED rarer for each.

    Raises ValueError for too few seeds.
    """
    n, k = len(candidate), len(reference)
    if n < 2 or k < 3:
        raise ValueError(f"G1 needs 2 candidate and 3 reference seeds; got {n} and {k}")
    d, se, s, nu = _compared(candidate, reference)
    delta = max(margin, MARGIN * s)
    red = 1 - (1 - RED_LEVEL) / max(cells / CELLS, 1.0)
    numbers = {"difference": d, "error": se, "margin": delta, "seeds": float(n)}
    if s == 0 and d == 0:
        return Result("G1", "PASS", "the scores are the reference's own", numbers)
    if d - _t(PASS_LEVEL, nu) * se > -delta:
        return Result("G1", "PASS", f"not worse than the margin of {delta:.3g}", numbers)
    if n >= SEEDS[1] and d + _t(red, nu) * se < 0 and d < -delta / 2:
        return Result("G1", "RED", f"worse by {-d:.3g} +- {se:.2g}", numbers)
    if n >= SEEDS[-1]:
        return Result("G1", "UNRESOLVED", f"{d:+.3g} +- {se:.2g} after {n} seeds", numbers)
    return None


def _compared(
    candidate: Sequence[float], reference: Sequence[float]
) -> tuple[float, float, float, int]:
    """d, se, s and nu of `quality`."""
    n, k = len(candidate), len(reference)
    c, b = np.asarray(candidate, float), np.asarray(reference, float)
    nu = n + k - 2
    s = math.sqrt((((c - c.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / nu)
    return float(c.mean() - b.mean()), s * math.sqrt(1 / n + 1 / k), s, nu


def _t(level: float, nu: int) -> float:
    from scipy.stats import t

    return float(t.ppf(level, nu))


def failures(diverged: int, crashed: int, runs: int) -> Result:
    """G2: RED for a crash, or when 3 of 8 diverge (0.6 % by chance if 5 % do)."""
    numbers = {"diverged": float(diverged), "crashed": float(crashed), "runs": float(runs)}
    if crashed:
        return Result("G2", "RED", f"{crashed} of {runs} runs crashed", numbers)
    if diverged >= DIVERGED:
        return Result("G2", "RED", f"{diverged} of {runs} runs diverged", numbers)
    return Result("G2", "PASS", f"{diverged} of {runs} runs diverged", numbers)


def too_good(
    candidate: Sequence[float], reference: Sequence[float], *, margin: float = 0.0
) -> Result:
    """G3: UNRESOLVED when the candidate is better than the margin for sure."""
    d, se, s, nu = _compared(candidate, reference)
    delta = max(margin, MARGIN * s)
    numbers = {"difference": d, "error": se, "margin": delta}
    if d - _t(PASS_LEVEL, nu) * se > delta:
        reason = f"better by {d:.3g} +- {se:.2g}: a leak, a bug, or progress to be claimed"
        return Result("G3", "UNRESOLVED", reason, numbers)
    return Result("G3", "PASS", "no sudden gain", numbers)


def exact(candidate: float, reference: float, tolerance: float) -> Result:
    """G1 of a model without randomness: the same score, within the rounding of predictions."""
    numbers = {"difference": candidate - reference, "limit": tolerance}
    if abs(candidate - reference) <= tolerance:
        return Result("G1", "PASS", "the reference's own score", numbers)
    if candidate < reference:
        return Result("G1", "RED", f"worse by {reference - candidate:.3g}, no seeds vary", numbers)
    return Result(
        "G3",
        "UNRESOLVED",
        f"better by {candidate - reference:.3g}: claim it or explain it",
        numbers,
    )


def cost(new: Sequence[float], old: Sequence[float]) -> Result:
    """G5: RED when the fastest new run takes 25 % more than the slowest old one.

    Both lists are CPU seconds measured in turn (new, old, new, old, ...) in one job; nothing else
    may be compared. Raises ValueError for fewer than 3 of each or unequal numbers.
    """
    if len(new) != len(old) or len(new) < 3:
        raise ValueError(f"G5 needs 3 interleaved runs of each; got {len(new)} and {len(old)}")
    ratio = min(new) / max(old)
    numbers = {"fastest_new": min(new), "slowest_old": max(old), "ratio": ratio}
    if ratio > COST:
        return Result("G5", "RED", f"{ratio:.2f} times the slowest old run", numbers)
    return Result("G5", "PASS", f"{ratio:.2f} times the slowest old run", numbers)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """RED before UNRESOLVED before PASS.

    >>> worst(["PASS", "UNRESOLVED"]), worst([])
    ('UNRESOLVED', 'PASS')
    """
    order: tuple[Verdict, ...] = ("PASS", "UNRESOLVED", "RED")
    return order[max((order.index(verdict) for verdict in verdicts), default=0)]
