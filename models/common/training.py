"""The training loop of every network: Lightning, deterministic, stopped on validation only."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler

Step = Callable[[Any, Any], Tensor]

OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
SCHEDULES = ("constant", "cosine", "warmup_cosine", "step", "onecycle")


def train(
    module: nn.Module,
    step: Step,
    train_batches: Sequence[Any],
    validation_batches: Sequence[Any],
    *,
    seed: int,
    epochs: int,
    lr: float,
    optimiser: str = "adam",
    weight_decay: float = 0.0,
    schedule: str = "constant",
    step_size: int = 5,
    gamma: float = 0.9,
    warmup: int = 100,
    patience: int | None = None,
    clip: float | None = None,
    validation_step: Step | None = None,
    checkpoints: Path | None = None,
) -> nn.Module:
    """Train `module` in place and return it in evaluation mode, with its best weights.

    Parameters
    ----------
    step:
        `step(module, batch) -> loss`, a scalar tensor.
    train_batches, validation_batches:
        Batches with `len` and indexing (a list, or any map-style dataset of whole batches). The
        training order of epoch k is a function of `seed` and k.
    schedule:
        `constant`, `cosine` (to 0 at the last step), `warmup_cosine` (the same times a linear
        rise over `warmup` steps), `step` (times `gamma` each `step_size` epochs) or `onecycle`.
    patience:
        Epochs without a better validation loss after which training stops; None: never.
    clip:
        Largest norm of the gradient.
    validation_step:
        Like `step`, where the loss to stop on differs from the loss to train.
    checkpoints:
        Folder of the state after each epoch, from which an interrupted training goes on and
        ends with the same weights; default `$PHYSBENCH_CHECKPOINTS`, or none.

    Raises
    ------
    FloatingPointError
        The loss is NaN or infinite.

    The environment chooses the device (`PHYSBENCH_DEVICE`: auto, cpu, gpu) and the experiment
    tracker (`PHYSBENCH_TRACK`: wandb).
    """
    if optimiser not in OPTIMISERS:
        raise ValueError(f"optimiser must be one of {', '.join(OPTIMISERS)}; got '{optimiser}'")
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}; got '{schedule}'")
    steps = epochs * len(train_batches)
    loop = Loop(
        module, step, validation_step or step, seed,
        optimiser=lambda p: OPTIMISERS[optimiser](p, lr=lr, weight_decay=weight_decay),
        schedule=lambda o: _schedule(o, schedule, steps, step_size, gamma, lr, warmup),
        per_step=schedule in ("cosine", "warmup_cosine", "onecycle"),
    )  # fmt: skip
    with _quiet(), tempfile.TemporaryDirectory() as scratch:
        kept = checkpoints or _from_environment("PHYSBENCH_CHECKPOINTS") or Path(scratch)
        trainer = _trainer(kept, epochs, patience, clip)
        last = kept / "last.ckpt"
        order = Order(train_batches, seed, lambda: loop.current_epoch)
        loaders = (
            DataLoader(_Batches(train_batches), batch_size=None, sampler=order),
            DataLoader(_Batches(validation_batches), batch_size=None),
        )
        trainer.fit(
            loop, *loaders, ckpt_path=str(last) if last.exists() else None, weights_only=False
        )
        best = trainer.checkpoint_callbacks[0].best_model_path
        state = torch.load(best, map_location="cpu", weights_only=False)["state_dict"]
        for path in (last, Path(best)):
            path.unlink(missing_ok=True)
    module.cpu().load_state_dict({k.removeprefix("module."): v for k, v in state.items()})
    return module.eval()


class Loop(lightning.LightningModule):
    """One module and its loss as Lightning wants them."""

    def __init__(
        self,
        module: nn.Module,
        step: Step,
        validation_step: Step,
        seed: int,
        *,
        optimiser: Callable[[Any], torch.optim.Optimizer],
        schedule: Callable[[torch.optim.Optimizer], Any],
        per_step: bool,
    ) -> None:
        super().__init__()
        self.module = module
        self._step, self._validation_step, self._seed = step, validation_step, seed
        self._optimiser, self._schedule, self._per_step = optimiser, schedule, per_step

    def training_step(self, batch: Any, index: int) -> Tensor:
        # Draws of a step (dropout, noise) depend on seed and step alone: resuming is exact.
        torch.manual_seed(self._seed * 100_003 + self.global_step)
        loss = self._step(self.module, batch)
        if not math.isfinite(float(loss.detach())):
            raise FloatingPointError(
                f"loss is {float(loss.detach())} in epoch {self.current_epoch}, batch {index}"
            )
        self.log("train_loss", loss.detach(), on_epoch=True, on_step=False, batch_size=1)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        loss = self._validation_step(self.module, batch)
        self.log("validation_loss", loss, on_epoch=True, batch_size=1)

    def configure_optimizers(self) -> Any:
        optimiser = self._optimiser(self.module.parameters())
        scheduler = self._schedule(optimiser)
        if scheduler is None:
            return optimiser
        interval = "step" if self._per_step else "epoch"
        return [optimiser], [{"scheduler": scheduler, "interval": interval}]


def warmup_cosine(step: int, warmup: int, steps: int) -> float:
    """Factor of the learning rate: (1 + cos(pi step/steps)) / 2 * min(1, step/warmup).

    >>> [round(warmup_cosine(t, 100, 1000), 6) for t in (0, 50, 100, 500, 1000)]
    [0.0, 0.496922, 0.975528, 0.5, 0.0]
    """
    rise = min(1.0, step / warmup) if warmup else 1.0
    return 0.5 * (1 + math.cos(math.pi * step / steps)) * rise


def _schedule(
    optimiser: torch.optim.Optimizer,
    name: str,
    steps: int,
    size: int,
    gamma: float,
    lr: float,
    warmup: int,
) -> Any:
    if name == "warmup_cosine":
        return torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: warmup_cosine(step, warmup, max(steps, 1))
        )
    if name == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
    if name == "step":
        return torch.optim.lr_scheduler.StepLR(optimiser, size, gamma)
    if name == "onecycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=max(steps, 2))
    return None


class _Batches(torch.utils.data.Dataset[Any]):
    """Any indexable collection as a map-style dataset."""

    def __init__(self, batches: Sequence[Any]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        return self.batches[index]


class Order(Sampler[int]):
    """A permutation that depends on seed and epoch.

    Lightning's own `set_epoch` starts again from 0 when a training is resumed, so the epoch is
    asked for when the first batch is drawn.
    """

    def __init__(self, batches: Sequence[Any], seed: int, epoch: Callable[[], int]) -> None:
        self.size, self.seed, self.epoch = len(batches), seed, epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch())
        yield from torch.randperm(self.size, generator=generator).tolist()


class Lines(Callback):
    """Plain progress, one line an epoch, where there is no terminal."""

    def on_validation_epoch_end(self, trainer: Any, loop: Any) -> None:
        if trainer.sanity_checking:
            return
        values = {k: float(v) for k, v in trainer.callback_metrics.items() if k.endswith("loss")}
        text = "  ".join(f"{name} {value:.5g}" for name, value in sorted(values.items()))
        print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {text}", file=sys.stderr)


def _trainer(
    folder: Path, epochs: int, patience: int | None, clip: float | None
) -> lightning.Trainer:
    terminal = sys.stderr.isatty()
    callbacks: list[Callback] = [
        ModelCheckpoint(
            folder, monitor="validation_loss", filename="best", enable_version_counter=False
        ),
        ModelCheckpoint(
            folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True
        ),
    ]
    if patience is not None:
        callbacks.append(EarlyStopping("validation_loss", patience=patience))
    if not terminal:
        callbacks.append(Lines())
    return lightning.Trainer(
        max_epochs=epochs,
        accelerator={"gpu": "gpu", "cpu": "cpu"}.get(
            os.environ.get("PHYSBENCH_DEVICE", ""), "auto"
        ),
        devices=1,
        callbacks=callbacks,
        logger=_tracker(folder),
        gradient_clip_val=clip,
        default_root_dir=folder,
        enable_progress_bar=terminal,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        deterministic=True,
    )


def _tracker(folder: Path) -> Any:
    """The W&B logger when the run asks for it; its files lie where `WANDB_DIR` says."""
    if os.environ.get("PHYSBENCH_TRACK") != "wandb":
        return False
    from pytorch_lightning.loggers import WandbLogger

    return WandbLogger(project="physbench", save_dir=os.environ.get("WANDB_DIR", str(folder)))


def _from_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No chatter, and the process as it was before: Lightning changes global state."""
    loggers = [logging.getLogger(n) for n in ("pytorch_lightning", "lightning.pytorch")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    main = threading.current_thread() is threading.main_thread()
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", message=".*treespec.*")
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if main:
            for number, handler in handlers.items():
                signal.signal(number, handler)


def parameters(module: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def save(module: nn.Module, path: Path, extra: Mapping[str, Any]) -> None:
    """Weights and what is needed to build the module again (plain values)."""
    torch.save({"state": module.state_dict(), "extra": dict(extra)}, path)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State dictionary and extra of `save`; nothing in the file is executed."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    return content["state"], content["extra"]
