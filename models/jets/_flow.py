"""Density of whitened representations by a neural spline flow (package zuko).

log p(x) = log N(f(x); 0, 1) + log |det df/dx| with autoregressive rational-quadratic splines f
(Durkan et al., arXiv:1906.04032). Trained by maximum likelihood on background alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.models.common import training

CLIP = 8.0  # standard deviations; the splines are the identity beyond 5
HELD = 10  # one representation in so many stops the training


class Flow(nn.Module):
    """A flow of `size` dimensions; `energies` is minus its log density."""

    def __init__(self, size: int) -> None:
        super().__init__()
        try:
            import zuko
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "the score 'flow' needs zuko: pip install 'physbench[flows]'"
            ) from None
        self.flow: Any = zuko.flows.NSF(size, transforms=2, hidden_features=(64, 64))

    def forward(self, x: Tensor) -> Tensor:
        """Minus the log density (n,) of x (n, size)."""
        return -self.flow().log_prob(x.clamp(-CLIP, CLIP))  # type: ignore[no-any-return]

    @torch.no_grad()
    def energies(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Minus the log density (n,) of arrays (n, size)."""
        parts = torch.split(torch.from_numpy(np.asarray(x, dtype=np.float32)), 4096)
        return torch.cat([self(part) for part in parts]).double().numpy()


def trained(data: NDArray[np.float64], seed: int, *, epochs: int = 20, batch: int = 512) -> Flow:
    """A flow fitted to `data` (n, size)."""
    torch.manual_seed(seed)
    values = torch.from_numpy(data.astype(np.float32))
    held = torch.arange(len(values)) % HELD == 0
    model = Flow(data.shape[1])
    training.train(
        model,
        lambda module, x: module(x).mean(),
        torch.split(values[~held], batch),
        torch.split(values[held], batch),
        seed=seed,
        epochs=epochs,
        learning_rate=1e-3,
        patience=3,
    )
    return model.eval()
