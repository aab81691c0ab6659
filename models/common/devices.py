"""Where a training runs: bare torch on one device, or Lightning Fabric on several.

Both offer the same few functions to the training loop, under Fabric's names. Fabric's import costs
three times torch's, so it is imported only where several devices or a precision are asked for.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from physbench.models import Context

Found = TypeVar("Found")


class Bare:
    """One device, single precision, nothing but torch."""

    global_rank, world_size = 0, 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def setup(self, module: nn.Module, optimiser: Any) -> tuple[nn.Module, Any]:
        """Module and optimiser, on the device."""
        return module, optimiser

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss."""
        torch.autograd.backward(loss)

    def clip_gradients(self, module: nn.Module, optimiser: Any, *, max_norm: float) -> None:
        """Scale all gradients down to a norm of at most `max_norm`."""
        nn.utils.clip_grad_norm_(module.parameters(), max_norm)

    def to_device(self, batch: Any) -> Any:
        """The batch on the device; on a CPU, itself."""
        return batch if self.device.type == "cpu" else moved(batch, self.device)

    def all_reduce(self, value: Tensor) -> Tensor:
        """The mean over all devices."""
        return value


def engine(context: Context) -> Any:
    """`Bare`, or a Fabric. Raises ImportError naming the extra where Fabric is not installed."""
    if context.devices <= 1 and context.precision == "32":
        return Bare(device(context.device))
    try:
        from lightning.fabric import Fabric
    except ImportError as error:
        raise ImportError(
            f"devices={context.devices}, precision={context.precision} need Lightning Fabric; "
            "install it with: pip install 'physbench[devices]'"
        ) from error
    return Fabric(
        accelerator={"gpu": "cuda", "auto": "auto"}.get(context.device, context.device),
        devices=context.devices,
        precision=context.precision,
        strategy="ddp_fork" if context.devices > 1 else "auto",
    )


def launch(engine: Any, function: Callable[[Any], Found]) -> Found:
    """`function(engine)`, on all devices of the engine; the answer is the first one's."""
    if isinstance(engine, Bare):
        return function(engine)

    def packed(engine: Any) -> bytes:
        torch.save(function(engine), file := io.BytesIO())
        return file.getvalue()

    # As bytes, because tensors of a process that has ended are gone with its shared memory.
    found: Found = torch.load(io.BytesIO(engine.launch(packed)), weights_only=True)
    return found


def device(name: str) -> torch.device:
    """`auto` (a GPU where there is one), `cpu`, `gpu`, or a name of torch's such as `cuda:1`.

    Raises ValueError for a GPU that is not there and for an unknown name.
    """
    gpu = next((n for n in ("cuda", "mps") if getattr(torch, n).is_available()), "")
    if name == "gpu" and not gpu:
        raise ValueError("device must be one that this machine has; got 'gpu': use --device cpu")
    try:
        return torch.device({"auto": gpu or "cpu", "gpu": gpu}.get(name, name))
    except RuntimeError as error:
        raise ValueError(f"device must be auto, cpu, gpu or torch's name; got '{name}'") from error


def moved(batch: Any, where: torch.device) -> Any:
    """Every tensor of a batch on a device: tuples, lists, mappings, and what has `to`."""
    if hasattr(batch, "to"):
        return batch.to(where)
    if isinstance(batch, Mapping):
        return {key: moved(value, where) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(moved(value, where) for value in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(moved(value, where) for value in batch)
    return batch
