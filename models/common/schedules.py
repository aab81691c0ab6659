"""Learning rates as functions of the step: a resumed training needs no scheduler's state."""

from __future__ import annotations

import math
from dataclasses import dataclass

NAMES = ("constant", "cosine", "warmup_cosine", "step", "onecycle")
MOMENTUM = (0.85, 0.95)  # of `onecycle`: lowest at the peak of the rate


@dataclass(frozen=True)
class Schedule:
    """A factor of the learning rate for each step t of `steps`.

    Parameters
    ----------
    name:
        `constant`; `cosine`: (1 + cos(pi t/steps))/2; `warmup_cosine`: the same times
        min(1, t/warmup); `step`: `gamma` to the number of whole `step_size` epochs; `onecycle`:
        up from 1/25 to 1 during 30 % of the steps, then down to 4e-6, both on half a cosine, while
        Adam's first momentum goes down and up (Smith & Topin, arXiv:1708.07120).
    epoch_steps:
        Steps of one epoch.
    """

    name: str
    steps: int
    epoch_steps: int
    warmup: int = 100
    step_size: int = 5
    gamma: float = 0.9

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"schedule must be one of {', '.join(NAMES)}; got '{self.name}'")

    def factor(self, step: int) -> float:
        """What the learning rate is multiplied with at `step` = 0, 1, ..., steps - 1."""
        if self.name == "constant":
            return 1.0
        if self.name == "step":
            return self.gamma ** (step // max(self.epoch_steps, 1) // self.step_size)
        if self.name == "onecycle":
            return self._cycle(step, (1 / 25, 1.0, 4e-6))
        warmup = self.warmup if self.name == "warmup_cosine" else 0
        return warmup_cosine(step, warmup, max(self.steps, 1))

    def momentum(self, step: int) -> float | None:
        """Adam's first momentum at `step`, where the schedule changes it."""
        low, high = MOMENTUM
        return self._cycle(step, (high, low, high)) if self.name == "onecycle" else None

    def _cycle(self, step: int, values: tuple[float, float, float]) -> float:
        """Half a cosine from the first value to the second, and one from there to the third."""
        steps = max(self.steps, 2)
        peak = 0.3 * steps - 1
        start, middle, end = values
        if step <= peak:
            return _between(start, middle, step / peak if peak > 0 else 1.0)
        return _between(middle, end, (step - peak) / (steps - 1 - peak))


def warmup_cosine(step: int, warmup: int, steps: int) -> float:
    """Factor of the learning rate: (1 + cos(pi step/steps)) / 2 * min(1, step/warmup).

    >>> [round(warmup_cosine(t, 100, 1000), 6) for t in (0, 50, 100, 500, 1000)]
    [0.0, 0.496922, 0.975528, 0.5, 0.0]
    """
    rise = min(1.0, step / warmup) if warmup else 1.0
    return 0.5 * (1 + math.cos(math.pi * step / steps)) * rise


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
