"""Kolmogorov-Arnold network on the hits of a track: learned one-dimensional functions, summed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from physbench.models import Model
from physbench.models.tracks import _track_regression as track_regression

RANGE = 1.5  # inputs are of order one; splines end here and the smooth part goes on


class Layer(nn.Module):
    """y_j = sum_i (a_ij silu(x_i) + sum_k c_ijk B_k(x_i)), cubic B-splines on an even grid."""

    knots: Tensor

    def __init__(self, inputs: int, outputs: int, grid: int, order: int = 3) -> None:
        super().__init__()
        self.order = order
        step = 2 * RANGE / grid
        knots = torch.arange(-order, grid + order + 1) * step - RANGE
        self.register_buffer("knots", knots, persistent=False)
        self.smooth = nn.Linear(inputs, outputs)
        self.splines = nn.Linear(inputs * (grid + order), outputs, bias=False)
        nn.init.normal_(self.splines.weight, std=0.1 / inputs**0.5)

    def forward(self, x: Tensor) -> Tensor:
        basis = splines(x, self.knots, self.order)
        result: Tensor = self.smooth(nn.functional.silu(x)) + self.splines(basis.flatten(1))
        return result

    def functions(self, x: Tensor) -> Tensor:
        """(outputs, inputs, points): what each output adds of each input at x (points,)."""
        outputs, inputs = self.smooth.weight.shape
        basis = splines(x, self.knots, self.order)
        weight = self.splines.weight.detach().view(outputs, inputs, -1)
        smooth = self.smooth.weight.detach()[..., None] * nn.functional.silu(x)
        return smooth + weight @ basis.T


def splines(x: Tensor, knots: Tensor, order: int) -> Tensor:
    """(n, features, len(knots) - order - 1): B-splines by the recursion of Cox and de Boor.

    They sum to 1 between the inner knots and vanish outside all knots.
    """
    x = x[..., None]
    basis = ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype)
    for k in range(1, order + 1):
        left = (x - knots[: -k - 1]) / (knots[k:-1] - knots[: -k - 1])
        right = (knots[k + 1 :] - x) / (knots[k + 1 :] - knots[1:-k])
        basis = left * basis[..., :-1] + right * basis[..., 1:]
    return basis


class Network(nn.Module):
    """Layers on the first `slots` hits, written one behind the other, and their mask.

    `grid` is the number of intervals of each spline.
    """

    def __init__(
        self,
        features: int = 3,
        outputs: int = 2,
        *,
        widths: Sequence[int] = (32, 32),
        slots: int = 14,
        grid: int = 5,
    ) -> None:
        super().__init__()
        self.slots = slots
        sizes = ((features + 1) * slots, *widths)
        self.body = nn.Sequential(
            *(
                nn.Sequential(Layer(first, second, grid), nn.LayerNorm(second))
                for first, second in itertools.pairwise(sizes)
            )
        )
        self.head = Layer(sizes[-1], outputs, grid)

    def pooled(self, hits: Tensor, mask: Tensor) -> Tensor:
        """(n, widths[-1]): the representation of a track."""
        rows = torch.cat([hits, mask[..., None].to(hits.dtype)], 2)[:, : self.slots]
        missing = self.slots - rows.shape[1]
        result: Tensor = self.body(nn.functional.pad(rows, (0, 0, 0, missing)).flatten(1))
        return result

    def curves(self, most: int = 12) -> dict[str, tuple[Tensor, Tensor]]:
        """The functions of the first layer that vary most, over the range of their splines."""
        first = next(module for module in self.modules() if isinstance(module, Layer))
        x = torch.linspace(-RANGE, RANGE, 101)
        y = first.functions(x)
        order = y.std(2).flatten().argsort(descending=True)[:most]
        inputs = y.shape[1]
        per_hit = inputs // self.slots
        found = {}
        for place in order.tolist():
            neuron, number = divmod(place, inputs)
            hit, feature = divmod(number, per_hit)
            found[f"hit {hit}, input {feature} -> {neuron}"] = x, y[neuron, number]
        return found

    def forward(self, hits: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = self.head(self.pooled(hits, mask))
        return result


fit = track_regression.fits(Network, learning_rate=3e-3, epochs=15)

MODEL = Model(
    tasks=("track_parameters",),
    reference="""@misc{Liu:2024kan,
  author = {Liu, Ziming and Wang, Yixuan and Vaidya, Sachin and Ruehle, Fabian and
    Halverson, James and Solja{\\v{c}}i{\\'c}, Marin and Hou, Thomas Y. and Tegmark, Max},
  title = {{KAN}: Kolmogorov-Arnold networks},
  year = {2024},
  eprint = {2404.19756},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=track_regression.predict,
    presets={"generic_tracks": {"epochs": 40}},
    quick={"epochs": 2, "widths": (8,)},
    save=track_regression.save,
    load=partial(track_regression.load, Network),
    parameters=track_regression.parameters,
)
