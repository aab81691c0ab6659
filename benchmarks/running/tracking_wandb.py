"""Weights & Biases: configuration, curves, metrics and the record of each run, also offline.

Nothing of a result depends on it: a tracker that cannot start is reported on stderr, and the run
goes on without. The curves come from the training loop, which logs into the run opened here.
"""

from __future__ import annotations

import contextlib
import netrc
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from physbench.leaderboard.record import Record

Log = Callable[[Record, Path], None]


def check(tracker: str) -> None:
    """Raise ImportError, with the way to install it, when tracking is wanted and absent."""
    if tracker not in ("", "wandb"):
        raise ValueError(f"track must be 'wandb' or nothing; got '{tracker}'")
    if not tracker:
        return
    try:
        import wandb  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "--track wandb needs wandb; install it with: pip install 'physbench[wandb]'"
        ) from error


@contextlib.contextmanager
def tracked(name: str, config: dict[str, Any], tracker: str, identity: str) -> Iterator[Log]:
    """A W&B run around one seed; yields the function that logs the record at its end.

    It is opened twice under one `identity`: in the model's process, where the training logs its
    curves, and by the judge, who adds the record. Without an account (no key in `$WANDB_API_KEY`
    or netrc) and without `$WANDB_MODE`, the run is offline: its files lie in `$WANDB_DIR`, or in
    `wandb`, and `wandb sync` sends them later.
    """
    run = _started(name, config, identity) if tracker == "wandb" else None
    if run is None:
        yield lambda record, path: None
        return
    ends: list[int] = []

    def log(record: Record, path: Path) -> None:
        ends.append(int(record.status != "ok"))
        with _harmless():
            _log(run, record, path)

    status = 1
    try:
        yield log
        status = ends[-1] if ends else 0
    finally:
        with _harmless():
            run.finish(exit_code=status)


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - no tracker stops a run
        print(f"wandb: {type(error).__name__}: {error}", file=sys.stderr)


def _started(name: str, config: dict[str, Any], identity: str) -> Any:
    with _harmless():
        import wandb

        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", "physbench"),
            name=name,
            id=identity,
            resume="allow",
            group=name.rpartition("/")[0],
            config=config,
            dir=os.environ.get("WANDB_DIR"),  # wandb itself reads it once a process
            mode=_mode(),
            settings=wandb.Settings(silent=True, console="off"),
        )
    return None


def _mode() -> Any:
    return os.environ.get("WANDB_MODE") or (None if account() else "offline")


def account() -> bool:
    """Whether there is a key, without asking for one."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").partition("//")[2]
    try:
        return netrc.netrc().authenticators(host.strip("/")) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _log(run: Any, record: Record, path: Path) -> None:
    import wandb

    summary: dict[str, Any] = {"record": record.id, "status": record.status}
    for metric in record.metrics:
        summary[metric.name] = metric.value
        summary |= {f"{metric.name}/low": metric.low, f"{metric.name}/high": metric.high}
        summary |= {f"{metric.name}/{part.name}": part.value for part in metric.slices}
    for stage, cost in record.cost.items():
        summary |= {f"cost/{stage}/{k}": v for k, v in asdict(cost).items()}
    run.summary.update({k: v for k, v in summary.items() if v is not None})
    artifact = wandb.Artifact(f"record-{record.id[:12]}", type="record")
    artifact.add_file(str(path), policy="immutable", skip_cache=True)
    run.log_artifact(artifact)
