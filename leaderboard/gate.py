"""The score gate: has a model's score regressed? Pure functions with known error rates.

Reference: K seeds at the last release. A candidate adds seeds until the verdict is clear, 4,
then 8, 16 and 24. Scores are oriented so that higher is better.

- G0, frozen weights: saved weights give the stored predictions within a calibrated tolerance.
- G1, quality: PASS when the candidate is not worse than the margin, RED when it is worse, or
  scatters more, for sure.
- G2, failures: diverged runs are counted on their own and never enter a mean; a crash, NaN and a
  missing score are RED.
- G3, too good: a sudden gain is a leak or a bug as often as progress.
- G5, cost: times are compared only when both were measured in turn in one job.

RED for a loss is a rank test, so its rate in healthy cells is bounded for every distribution of
the seeds, skewed, heavy-tailed and bimodal ones included. `rates` simulates all rates;
`gate_rates.csv` beside this file is its table, and a test repeats it.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Verdict = Literal["PASS", "RED", "UNRESOLVED"]

SEEDS = (4, 8, 16, 24)  # candidate seeds after which a verdict is tried
REFERENCES = 20  # seeds for which the promised rates hold; `gate_rates.csv` has fewer as well
CELLS = 20  # for which the red levels were made; more cells share them
MARGIN = 2.0  # standard deviations over seeds that a score may lose
PASS_LEVEL = 0.98
NEAR = 1.5  # mean square of the first candidates' deviations from the references, to PASS at once
CLIP = 4.0  # standard deviations beyond which one seed says no more
LOSS = {8: 1e-4, 16: 1.5e-4, 24: 1e-4}  # levels of the rank test of a loss
SCATTER = 3.5e-3  # the same of scatter, with the size below; fewer references: as for a loss
GROWN = {8: 8.5, 16: 6.3, 24: 5.2}  # variance over the references' from which scatter is RED
CALM = {8: 3.0, 16: 3.5, 24: 4.0}  # variance over the references' up to which a candidate may PASS
DIVERGED = 3  # of any number
COST = 1.25
TOLERANCE = 5.0  # times the largest difference seen in calibration
ROUNDING = 1e-12  # of a score, which is of order one
SINGLE = 1e-6  # of the score of a network: sums in single precision on another processor
FLOOR = 1e-9  # of the score: differences below are those of another processor's sums
TABLE = Path(__file__).with_name("gate_rates.csv")


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


def frozen(difference: float, calibrated: float, score: float) -> Result:
    """G0: a difference of stored and renewed scores against that of harmless changes.

    `calibrated` is the largest difference seen when threads, batches and order change, which must
    change nothing. Where they are exact only the rounding of another processor's sums is allowed,
    a millionth of the stored `score` (a network of three layers: a ten-millionth, measured).
    """
    limit = max(TOLERANCE * calibrated, SINGLE * abs(score), ROUNDING)
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

    With b and s the mean and deviation of the references (`spread`), z = (c - b)/s clipped at 4,
    d = s mean(z), delta = max(margin, 2 s), se = s sqrt(1/n + 1/K):

    - PASS at n = 4 if mean(z^2) < 1.5, later if d - t(0.98, nu) se > -delta and the candidates'
      variance is not far above s^2.
    - RED from n = 8 on if d < -delta/2 and the rank sum of the candidates among the references
      is lower than chance allows, or if their variance is 8.5 (later 6.3, 5.2) times the
      references' and their ranks lie further from the middle than chance allows.
    - At n = 24 UNRESOLVED.

    Parameters
    ----------
    candidate, reference:
        Oriented scores of n and K seeds; at least 4 and 3.
    margin:
        Loss that does not matter physically.
    cells:
        Number of cells tested together; more than 20 make RED rarer for each.

    Raises ValueError for too few seeds and for references that are not finite.
    """
    n, k = len(candidate), len(reference)
    if n < SEEDS[0] or k < 3:
        raise ValueError(f"G1 needs {SEEDS[0]} candidate and 3 reference seeds; got {n} and {k}")
    if not np.isfinite(reference).all():
        raise ValueError("G1: the scores of the references must be finite")
    if not np.isfinite(candidate).all():
        return Result("G1", "RED", "a score is missing or NaN", {"seeds": float(n)})
    c, b = (np.asarray(values, dtype=np.float64)[None] for values in (candidate, reference))
    step = _step(c, b, margin)
    numbers = {name: float(getattr(step, name)[0]) for name in ("difference", "error", "margin")}
    numbers |= {"seeds": float(n), "variance_ratio": float(step.variance[0])}
    passed, loss, scatter = (bool(found[0]) for found in _decided(step, n, k, cells))
    d, error = numbers["difference"], numbers["error"]
    if loss:
        return Result("G1", "RED", f"worse by {-d:.3g} +- {error:.2g}", numbers)
    if scatter:
        ratio = math.sqrt(numbers["variance_ratio"])
        return Result("G1", "RED", f"seeds scatter {ratio:.1f} times the references", numbers)
    if passed:
        reason = f"not worse than the margin of {numbers['margin']:.3g}"
        return Result("G1", "PASS", reason, numbers)
    if n >= SEEDS[-1]:
        return Result("G1", "UNRESOLVED", f"{d:+.3g} +- {error:.2g} after {n} seeds", numbers)
    return None


@dataclass(frozen=True, eq=False)
class _Step:
    """Candidates (trials, n) against references (trials, K); all fields are (trials,).

    `difference` of the means (`clipped`: of z), `error` and `margin` are in units of the score;
    `near` (mean square), `calm` and `variance` in units of the references' variance, the last one
    of all references as they are; `low` and `odd` are the chances that ranks are as low, or as
    far from the middle.
    """

    difference: Floats
    clipped: Floats
    error: Floats
    margin: Floats
    near: Floats
    calm: Floats
    variance: Floats
    low: Floats
    odd: Floats


def _step(candidate: Floats, reference: Floats, margin: float) -> _Step:
    n, k = candidate.shape[1], reference.shape[1]
    floor = FLOOR * np.maximum(np.abs(reference).max(1), FLOOR)
    centre, s = spread(reference)
    s = np.maximum(s, floor)
    own = np.maximum(reference.std(1, ddof=1), floor)
    z = np.clip((candidate - centre[:, None]) / s[:, None], -CLIP, CLIP)
    wide = np.clip((candidate - reference.mean(1)[:, None]) / own[:, None], -CLIP, CLIP)
    return _Step(
        candidate.mean(1) - centre,
        s * z.mean(1),
        s * math.sqrt(1 / n + 1 / k),
        np.maximum(margin, MARGIN * s),
        (z**2).mean(1),
        z.var(1, ddof=1),
        wide.var(1, ddof=1),
        *_chances(candidate, reference),
    )


def _decided(step: _Step, n: int, k: int, cells: int) -> tuple[NDArray[np.bool_], ...]:
    """(pass, loss, scatter) of each trial; what is RED does not pass."""
    share = max(cells / CELLS, 1.0)
    seeds = max((number for number in SEEDS if number <= n), default=SEEDS[0])
    excused = step.margin > (MARGIN + FLOOR) * step.error / math.sqrt(1 / n + 1 / k)
    sure = step.clipped - _t(PASS_LEVEL, k - 1) * step.error > -step.margin
    if seeds == SEEDS[0]:
        passed = (step.near < NEAR) | (excused & sure)
        return passed, np.zeros_like(passed), np.zeros_like(passed)
    loss = (step.low <= LOSS[seeds] / share) & (step.clipped < -step.margin / 2)
    odd = SCATTER if k >= REFERENCES else LOSS[seeds]
    scatter = (step.odd <= odd / share) & (step.variance > GROWN[seeds]) & ~excused
    passed = sure & ((step.calm <= CALM[seeds]) | excused)
    return passed & ~loss & ~scatter, loss, scatter


def spread(reference: Floats) -> tuple[Floats, Floats]:
    """Centre and standard deviation of seeds (trials, K), both (trials,).

    From ten references on the lowest and the highest are moved to their neighbours, so that one
    odd seed does not hide a regression; the deviation is brought back to that of normal seeds.
    """
    k = reference.shape[1]
    if k >= 10:
        ordered = np.sort(reference, axis=1)
        reference = np.clip(ordered, ordered[:, 1:2], ordered[:, -2:-1])
    return reference.mean(1), reference.std(1, ddof=1) / (_shrunk(k) if k >= 10 else 1.0)


@functools.cache
def _shrunk(k: int) -> float:
    """Root mean variance of k winsorised standard normal values, by simulation (error 0.2 %)."""
    ordered = np.sort(np.random.default_rng(k).normal(size=(20_000, k)), axis=1)
    return math.sqrt(np.clip(ordered, ordered[:, 1:2], ordered[:, -2:-1]).var(1, ddof=1).mean())


def _chances(candidate: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """How likely ranks as low, and as far from the middle, are if all seeds are alike.

    Exact for seeds from any continuous distribution: a sum of scores of the candidates' ranks
    among all n + K. In a tie the candidate counts as the higher one.
    """
    n, k = candidate.shape[1], reference.shape[1]
    order = np.argsort(np.concatenate([reference, candidate], axis=1), axis=1, kind="stable")
    places = np.argsort(order, axis=1)[:, k:]
    found = []
    for kind in ("low", "odd"):
        scores, chance = _rank_test(n, k, kind)
        found.append(chance[scores[places].sum(1)])
    return found[0], found[1]


@functools.cache
def _rank_test(n: int, k: int, kind: str) -> tuple[NDArray[np.int64], Floats]:
    """Score of each place, and the chance of a sum of n of them at least as large, by counting.

    `low` is Wilcoxon's test: the number of values above. `odd` is Mood's: the squared distance
    from the middle, in quarters of a place where the number is even.

    >>> float(_rank_test(1, 3, "low")[1][3])
    0.25
    """
    size = n + k
    place = np.arange(size)
    scores = place[::-1] if kind == "low" else (2 * place - size + 1) ** 2 // 4
    ways = np.zeros((n + 1, int(np.sort(scores)[-n:].sum()) + 1))
    ways[0, 0] = 1
    for score in scores.tolist():
        for chosen in range(n, 0, -1):
            ways[chosen, score:] += ways[chosen - 1, : ways.shape[1] - score]
    chance = ways[n] / ways[n].sum()
    return scores, np.cumsum(chance[::-1])[::-1]


def _t(level: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, level))


# --- error rates --------------------------------------------------------------------------------

SHAPES = ("normal", "skewed up", "skewed down", "heavy tails", "bimodal")
CHANGES = {"healthy": (0.0, 1.0), "loss": (-3.0, 1.0), "scatter": (0.0, 5.0)}


def drawn(shape: str, size: tuple[int, int], generator: np.random.Generator) -> Floats:
    """Seeds with mean 0 and deviation 1: normal, gamma of shape 2 (either sign), t3, two modes."""
    if shape == "normal":
        return generator.normal(size=size)
    if shape.startswith("skewed"):
        values = (generator.gamma(2.0, size=size) - 2) / math.sqrt(2)
        return values if shape == "skewed up" else -values
    if shape == "heavy tails":
        return generator.standard_t(3, size) / math.sqrt(3)
    if shape != "bimodal":
        raise ValueError(f"shape must be one of {', '.join(SHAPES)}; got '{shape}'")
    modes = np.where(generator.random(size) < 0.5, -1.0, 1.0)
    return (modes + 0.3 * generator.normal(size=size)) / math.sqrt(1.09)


def rates(
    references: int, shape: str, *, change: str = "healthy", trials: int = 20_000, seed: int = 0
) -> dict[str, float]:
    """Share of PASS, RED and UNRESOLVED of `quality` by simulation, and the mean seeds it takes.

    `change` of the candidates: `healthy`, a `loss` of 3 standard deviations, or `scatter` grown
    fivefold.
    """
    shift, growth = CHANGES[change]
    generator = np.random.default_rng([seed, references, SHAPES.index(shape)])
    reference = drawn(shape, (trials, references), generator)
    candidate = growth * drawn(shape, (trials, SEEDS[-1]), generator) + shift
    verdict, seeds = np.zeros(trials, dtype=int), np.full(trials, SEEDS[-1])
    for n in SEEDS:
        left = np.flatnonzero(verdict == 0)
        step = _step(candidate[left, :n], reference[left], 0.0)
        passed, loss, scatter = _decided(step, n, references, CELLS)
        verdict[left[passed]], verdict[left[loss | scatter]] = 1, 2
        seeds[left[passed | loss | scatter]] = n
    share = np.bincount(verdict, minlength=3) / trials
    found = {"PASS": share[1], "RED": share[2], "UNRESOLVED": share[0], "seeds": seeds.mean()}
    return {name: float(value) for name, value in found.items()}


def table(references: Iterable[int] = (5, 10, REFERENCES), trials: int = 20_000) -> str:
    """`rates` for numbers of references, shapes and changes, as CSV."""
    lines = ["references,seeds of,change,PASS,RED,UNRESOLVED,mean seeds"]
    for k in references:
        for shape in SHAPES:
            for change in CHANGES:
                found = rates(k, shape, change=change, trials=trials)
                numbers = [f"{found[v]:.4f}" for v in ("PASS", "RED", "UNRESOLVED")]
                lines.append(",".join([str(k), shape, change, *numbers, f"{found['seeds']:.1f}"]))
    return "\n".join(lines) + "\n"


def promised(references: int) -> str:
    """The rates of the gate in words, over all shapes, for so many references or the next fewer.

    From the table beside this file.
    """
    with TABLE.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    known = [int(row["references"]) for row in rows if int(row["references"]) <= references]
    if not known:
        return f"{references} references: no loss can be told from chance"
    own = [row for row in rows if int(row["references"]) == max(known)]

    def extreme(change: str, verdict: str, worst: bool) -> float:
        values = [float(row[verdict]) for row in own if row["change"] == change]
        return max(values) if worst else min(values)

    red = 1 - (1 - extreme("healthy", "RED", True)) ** CELLS
    return (
        f"{max(known)} references: at least one of {CELLS} healthy cells RED by chance in "
        f"{red:.1%} of the runs, a healthy cell UNRESOLVED in "
        f"{extreme('healthy', 'UNRESOLVED', True):.1%}; RED for a loss of 3 standard deviations "
        f"{extreme('loss', 'RED', False):.1%}, for scatter grown fivefold "
        f"{extreme('scatter', 'RED', False):.0%}"
    )


def failures(diverged: int, crashed: int, runs: int) -> Result:
    """G2: RED for a crash, or when 3 seeds diverge (of eight 0.6 % by chance if 5 % do)."""
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
    b, s = (float(part[0]) for part in spread(np.asarray(reference, dtype=np.float64)[None]))
    d = float(np.mean(candidate)) - b
    se = s * math.sqrt(1 / len(candidate) + 1 / len(reference))
    delta = max(margin, MARGIN * s, FLOOR * abs(b))
    numbers = {"difference": d, "error": se, "margin": delta}
    if d - _t(PASS_LEVEL, len(reference) - 1) * se > delta:
        reason = f"better by {d:.3g} +- {se:.2g}: a leak, a bug, or progress to be claimed"
        return Result("G3", "UNRESOLVED", reason, numbers)
    return Result("G3", "PASS", "no sudden gain", numbers)


def exact(candidate: float, reference: float, tolerance: float) -> Result:
    """G1 of a model without randomness: the same score, within the rounding of predictions.

    `tolerance` is never below what the sums of another processor change.
    """
    if not math.isfinite(candidate):
        return Result("G1", "RED", "the score is missing or NaN", {})
    tolerance = max(tolerance, FLOOR * abs(reference), ROUNDING)
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
