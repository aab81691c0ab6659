"""The training loop of every network: deterministic, stopped on validation only, resumable.

`train` is the loop. A training with several networks (an adversary, a sampler) keeps a loop of its
own and uses the parts: `order`, `reseed`, `set_rate`, `finite`, `deterministic`, `Checkpoint` and
`Progress`.
"""

from __future__ import annotations

import inspect
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from physbench.models import Context
from physbench.models.common import devices
from physbench.models.common.progress import Progress
from physbench.models.common.schedules import NAMES as SCHEDULES
from physbench.models.common.schedules import Schedule

__all__ = ["OPTIMISERS", "SCHEDULES", "load", "parameters", "save", "train"]

Step = Callable[[Any, Any], Tensor]
Weights = dict[str, Tensor]
Row = dict[str, float]

HERE = Context()


def uncompiled(optimiser: type[torch.optim.Optimizer]) -> Any:
    """The optimiser without its decorators, which import a compiler that takes longer than torch.

    They keep a compiled step away from its bookkeeping; nothing here is compiled.
    """
    names = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    bare = {name: inspect.unwrap(getattr(optimiser, name)) for name in names}
    step = torch.no_grad()(inspect.unwrap(optimiser.step))
    return type(optimiser.__name__, (optimiser,), bare | {"step": step})


Adam = uncompiled(torch.optim.Adam)
OPTIMISERS = {
    "adam": Adam,
    "adamw": uncompiled(torch.optim.AdamW),
    "sgd": uncompiled(torch.optim.SGD),
}


def train(
    module: nn.Module,
    step: Step,
    train_batches: Sequence[Any],
    validation_batches: Sequence[Any],
    *,
    seed: int,
    epochs: int,
    learning_rate: float,
    optimiser: str | Callable[[Any], torch.optim.Optimizer] = "adam",
    weight_decay: float = 0.0,
    schedule: str = "constant",
    step_size: int = 5,
    gamma: float = 0.9,
    warmup: int = 100,
    patience: int | None = None,
    clip: float | None = None,
    average: int = 0,
    validation_step: Step | None = None,
    context: Context = HERE,
    name: str = "network",
) -> nn.Module:
    """Train `module` in place and return it in evaluation mode, with its best weights.

    Its `history` holds `{"train_loss", "validation_loss", "learning_rate"}` of each epoch.

    Parameters
    ----------
    step:
        `step(module, batch) -> loss`, a scalar tensor.
    train_batches, validation_batches:
        Batches with `len` and indexing (a list, or any map-style dataset of whole batches). The
        training order of epoch k is a function of `seed` and k. Without validation batches the
        last weights are kept.
    optimiser:
        `adam`, `adamw`, `sgd`, or a function of the parameters that returns one of torch's.
    schedule, step_size, gamma, warmup:
        The course of the learning rate: see `schedules.Schedule`.
    patience:
        Epochs without a better validation loss after which training stops; None: never.
    clip:
        Largest norm of the gradient.
    average:
        Return the mean of the weights after each of the last so many epochs, not the best ones.
    validation_step:
        Like `step`, where the loss to stop on differs from the loss to train.
    context:
        Device, precision, checkpoints, tracker and progress, as the run was asked for. Each of
        several devices takes its share of an epoch's batches, so that a step sees several.
    name:
        Of this training among those of one `fit`: the file of its checkpoint.

    Raises
    ------
    FloatingPointError
        A loss is NaN or infinite.
    """
    if not len(train_batches):
        raise ValueError("train_batches must hold at least one batch; got none")
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1; got {epochs}")
    make = _optimiser(optimiser, learning_rate, weight_decay)
    engine = devices.engine(context)
    share = -(-len(train_batches) // engine.world_size)
    rate = Schedule(schedule, epochs * share, share, warmup, step_size, gamma)
    kept = Checkpoint(context.checkpoints, f"{name} {seed} {epochs} {len(train_batches)}")
    progress = Progress(epochs, context)

    def one_epoch(net: nn.Module, moving: torch.optim.Optimizer, epoch: int) -> float:
        net.train()
        total = 0.0
        for k, index in enumerate(_share(order(len(train_batches), seed, epoch), engine)):
            number = epoch * share + k
            reseed(seed * 100_003 + number)
            set_rate(moving, learning_rate * rate.factor(number), rate.momentum(number))
            moving.zero_grad()
            loss = step(net, engine.to_device(train_batches[index]))
            total += finite(loss, "epoch", epoch, "batch", k)
            engine.backward(loss)
            if clip is not None:
                engine.clip_gradients(net, moving, max_norm=clip)
            moving.step()
        return _mean(total / share, engine)

    @torch.no_grad()
    def validate(net: nn.Module, epoch: int) -> float:
        net.eval()
        reseed(seed)  # a loss with random draws meets the same ones in each epoch
        values = []
        for index in _share(range(len(validation_batches)), engine):
            batch = engine.to_device(validation_batches[index])
            loss = (validation_step or step)(net, batch)
            values.append(finite(loss, "epoch", epoch, "validation"))
        return _mean(sum(values) / len(values), engine)

    def loop(engine: Any) -> tuple[Weights, list[Row]]:
        own = module.to(engine.device)
        net, moving = engine.setup(own, make(own.parameters(), engine))
        state = kept.restore(own, moving)
        for epoch in range(state.epoch, epochs):
            row = {"train_loss": one_epoch(net, moving, epoch)}
            if len(validation_batches):
                row["validation_loss"] = validate(net, epoch)
            row["learning_rate"] = learning_rate * rate.factor(epoch * share)
            state.add(row, own, average)
            if engine.global_rank == 0:
                progress(epoch, row)
                kept.write(state, own, moving)
            if patience is not None and state.waited >= patience:
                break
        return state.weights(average), state.history

    precision = next(module.parameters()).dtype
    with deterministic(engine.device):
        weights, history = devices.launch(engine, loop)
    kept.remove()
    progress.close()
    module.to("cpu", precision).load_state_dict(weights)
    module.history = history  # type: ignore[assignment]
    return module.eval()


def order(count: int, seed: int, epoch: int) -> list[int]:
    """The permutation of `count` batches in an epoch: a function of seed and epoch alone."""
    generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
    found: list[int] = torch.randperm(count, generator=generator).tolist()
    return found


def reseed(seed: int) -> None:
    """Seed what dropout and noise draw from: a step's draws then depend on its number alone.

    The generators are seeded one by one, since `torch.manual_seed` costs more than a small step.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed(seed)


def set_rate(
    optimiser: torch.optim.Optimizer, learning_rate: float, momentum: float | None = None
) -> None:
    """Set the learning rate of all parameters, and Adam's first momentum where one is given."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, group["betas"][1])


def finite(loss: Tensor, *where: object) -> float:
    """The loss as a number. Raises FloatingPointError, naming the place, for NaN and infinity."""
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(f"loss is {value} in {' '.join(map(str, where))}")
    return value


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Algorithms that give the same digits each time, and the process as it was afterwards."""
    before = torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic
    filling = memory.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    # Not `use_deterministic_algorithms`, which imports a compiler for four seconds.
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "warn")
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)
        memory.fill_uninitialized_memory = filling


@dataclass
class State:
    """How far a training has come; all of it is in its checkpoint.

    `best` are the weights of the least validation loss `least`, `last` those after each of the
    epochs that are averaged, `waited` the epochs since the best one.
    """

    history: list[Row] = field(default_factory=list)
    least: float = math.inf
    best: Weights = field(default_factory=dict)
    last: list[Weights] = field(default_factory=list)
    waited: int = 0

    @property
    def epoch(self) -> int:
        """The next epoch."""
        return len(self.history)

    def add(self, row: Row, module: nn.Module, average: int) -> None:
        """Take account of an epoch that has ended with these losses."""
        self.history.append(row)
        loss = row.get("validation_loss", -math.inf)
        self.waited += 1
        if loss < self.least or loss == -math.inf:
            self.least, self.best, self.waited = loss, _copied(module), 0
        if average:
            self.last = [*self.last, _copied(module)][-average:]

    def weights(self, average: int) -> Weights:
        """The best weights, or the mean of the last."""
        if not average:
            return self.best
        return {key: _mean_of([w[key] for w in self.last]) for key in self.best}


@dataclass(frozen=True)
class Checkpoint:
    """State, weights and optimiser after each epoch, in a file that is replaced as a whole.

    A file of another training (`of` differs) is passed over. Without a folder nothing is kept.
    """

    folder: Path | None
    of: str

    @property
    def path(self) -> Path:
        """The file of this training."""
        return (self.folder or Path()) / f"{self.of.partition(' ')[0]}.checkpoint"

    def write(self, state: State, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Keep what `restore` needs."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_suffix(".part")
        whole = {"of": self.of, "state": vars(state), "module": module.state_dict()}
        torch.save(whole | {"optimiser": optimiser.state_dict()}, scratch)
        os.replace(scratch, self.path)

    def restore(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> State:
        """The state of an interrupted training, its weights put back; else a fresh state."""
        if self.folder is None or not self.path.exists():
            return State()
        found = torch.load(self.path, map_location="cpu", weights_only=True)
        if found["of"] != self.of:
            return State()
        module.load_state_dict(found["module"])
        optimiser.load_state_dict(found["optimiser"])
        return State(**found["state"])

    def remove(self) -> None:
        """Forget the training: it has ended."""
        if self.folder is not None:
            self.path.unlink(missing_ok=True)


def _optimiser(kind: Any, learning_rate: float, weight_decay: float) -> Callable[..., Any]:
    if callable(kind):
        return lambda parameters, engine: kind(parameters)
    if kind not in OPTIMISERS:
        raise ValueError(f"optimiser must be one of {', '.join(OPTIMISERS)}; got '{kind}'")
    return lambda parameters, engine: OPTIMISERS[kind](
        parameters,
        lr=learning_rate,
        weight_decay=weight_decay,
        fused=isinstance(engine, devices.Bare),  # one call for all parameters
    )


def _share(indices: Sequence[int], engine: Any) -> Sequence[int]:
    """This device's part of the batches, as many as every other's: the first ones come twice."""
    whole = [*indices, *indices[: -len(indices) % engine.world_size]]
    return whole[engine.global_rank :: engine.world_size]


def _mean(value: float, engine: Any) -> float:
    if engine.world_size == 1:
        return value
    return float(engine.all_reduce(torch.tensor(value, device=engine.device)))


def _mean_of(tensors: list[Tensor]) -> Tensor:
    """The mean of real numbers; of counters the last."""
    return torch.stack(tensors).mean(0) if tensors[0].is_floating_point() else tensors[-1]


def _copied(module: nn.Module) -> Weights:
    return {key: value.detach().cpu().clone() for key, value in module.state_dict().items()}


def parameters(module: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def save(module: nn.Module, path: Path, extra: Mapping[str, Any]) -> None:
    """Weights, history and what is needed to build the module again (plain values)."""
    content = {"state": module.state_dict(), "extra": dict(extra)}
    torch.save(content | {"history": getattr(module, "history", [])}, path)


def history(path: Path) -> list[Row]:
    """Losses and learning rate of each epoch, where `save` kept them."""
    with zipfile.ZipFile(path) as archive:
        if not any(name.endswith("/data.pkl") for name in archive.namelist()):
            return []
    content = torch.load(path, map_location="cpu", weights_only=True)
    return list(content.get("history", []))  # weights of before it was kept


def load(path: Path) -> tuple[Weights, dict[str, Any]]:
    """State dictionary and extra of `save`; nothing in the file is executed."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    return content["state"], content["extra"]
