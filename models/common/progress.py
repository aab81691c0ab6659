"""What a training says while it runs: a line with an estimate, and curves for a tracker."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from physbench.models import Context

PAUSE_S = {True: 0.2, False: 10.0}  # between two lines on a terminal, and elsewhere


class Progress:
    """Called after each epoch with its losses; nothing of a result depends on it.

    On a terminal one line is written over and over; elsewhere a line appears every ten seconds
    and at the end. The curves go to the W&B run that is open, or to one of their own.
    """

    def __init__(self, epochs: int, context: Context) -> None:
        self.epochs, self.shown = epochs, context.progress
        self.start = time.monotonic()
        self.said, self.done = -PAUSE_S[False], 0
        self.terminal = sys.stderr.isatty()
        self.tracked = context.tracker == "wandb"

    def __call__(self, epoch: int, row: Mapping[str, float]) -> None:
        """Say how far the training is (epoch counts from 0) and log the losses of this epoch."""
        self.done += 1
        gone = time.monotonic() - self.start
        pause = PAUSE_S[self.terminal]
        if self.shown and (epoch + 1 == self.epochs or gone - self.said >= pause):
            left = gone / self.done * (self.epochs - epoch - 1)
            text = line(epoch + 1, self.epochs, row, gone, left)
            print(
                f"\r{text}\x1b[K" if self.terminal else text,
                file=sys.stderr,
                end="" if self.terminal else "\n",
                flush=True,
            )
            self.said = gone
        if self.tracked:
            self.tracked = _log({"epoch": epoch, **row})

    def close(self) -> None:
        """End the line."""
        if self.shown and self.terminal and self.done:
            print(file=sys.stderr)


def line(epoch: int, epochs: int, row: Mapping[str, float], gone: float, left: float) -> str:
    """One line of progress.

    >>> line(3, 40, {"train_loss": 0.25, "validation_loss": 0.3}, 6.2, 76.5)
    'epoch 3/40  train_loss 0.25  validation_loss 0.3  0:06 gone, about 1:16 left'
    """
    losses = "".join(f"  {k} {v:.5g}" for k, v in row.items() if k.endswith("loss"))
    return f"epoch {epoch}/{epochs}{losses}  {clock(gone)} gone, about {clock(left)} left"


def clock(seconds: float) -> str:
    """Hours, minutes, seconds.

    >>> clock(61), clock(3661)
    ('1:01', '1:01:01')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _log(row: Mapping[str, Any]) -> bool:
    """Whether the tracker took a row. A broken one costs its curves and nothing else."""
    try:
        import wandb

        run = wandb.run or wandb.init(project="physbench", settings=wandb.Settings(silent=True))
        run.log(row)
    except Exception as error:  # noqa: BLE001 - no tracker stops a run
        print(f"wandb: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    return True
