"""A transformer whose attention asks only what lies near, instead of messages along edges.

Azimuth and pseudorapidity are turned by a random angle, cut into stripes along one axis and into
blocks of as many hits each along the other: a hash that keeps near what is near. Attention stays
inside a block. Each layer has several such hashes, and the hits average what they hear. The angles
are drawn once and are part of the network. Edges are scored from their two hits and their own
inputs, in the same chain as `gated_network`: what the row shows is attention against messages.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from physbench.models import Model
from physbench.models.hits import _edge_networks as networks
from physbench.models.hits import _gated_inputs as inputs
from physbench.models.hits._gated import Answer, GatedNetwork, perceptron

HASHES = 3
SIZES = (0.1, 0.05)  # rad and units of pseudorapidity that count alike: tracks bend in azimuth


class BlockAttention(nn.Module):
    """Attention within blocks of `block` hits, in the order of each of the hashes."""

    def __init__(self, width: int, heads: int, block: int) -> None:
        super().__init__()
        self.heads, self.block = heads, block
        self.norm = nn.LayerNorm(width)
        self.take = nn.Linear(width + 4, 3 * width)
        self.give = nn.Linear(width, width)
        self.update = nn.Sequential(nn.LayerNorm(width), perceptron(width, 2 * width, width))

    def forward(self, x: Tensor, place: Tensor, orders: list[Tensor]) -> Tensor:
        """(n, w) from (n, w), places (n, 4) and hits in the order of each hash."""
        taken = self.take(torch.cat([self.norm(x), place], dim=1))
        heard = sum(self._within(taken, order) for order in orders)
        x = x + self.give(heard / len(orders))
        found: Tensor = x + self.update(x)
        return found

    def _within(self, taken: Tensor, order: Tensor) -> Tensor:
        """(n, w): what each hit hears in its block; the last block is filled with empty hits."""
        count, block = len(order), min(self.block, len(order))
        missing = -count % block
        rows = nn.functional.pad(taken[order], (0, 0, 0, missing))
        full = torch.arange(len(rows)) < count
        q, k, v = rows.view(-1, block, 3, self.heads, rows.shape[1] // (3 * self.heads)).permute(
            2, 0, 3, 1, 4
        )
        seen = full.view(-1, 1, 1, block)
        out = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        flat = out.transpose(1, 2).reshape(len(rows), -1)[:count]
        return torch.zeros_like(flat).index_copy(0, order, flat)


class HashedTransformer(GatedNetwork):
    """Layers of block attention, and the head of the gated network."""

    def __init__(
        self, *, edge: int, width: int = 36, layers: int = 4, heads: int = 2, block: int = 32
    ) -> None:
        super().__init__(edge=edge, width=width, layers=0)
        self.block = block
        self.angles: Tensor
        self.register_buffer("angles", 2 * torch.pi * torch.rand(layers, HASHES))
        self.attention = nn.ModuleList(BlockAttention(width, heads, block) for _ in range(layers))

    def forward(self, graph: inputs.Graph) -> Answer:
        """Logits (m, 2) of each edge; there are no gates."""
        x, e = self.encoded(graph)
        phi, eta = graph.place.T
        place = torch.stack([torch.cos(phi), torch.sin(phi), eta / 2, phi / 3], dim=1)
        scaled = graph.place / graph.place.new_tensor(SIZES)
        pairs = zip(self.attention, self.angles, strict=True) if len(x) else ()
        for layer, angles in pairs:
            x = layer(x, place, [hashed(scaled, angle, self.block) for angle in angles])
        return self.answer(x, e, graph), []


def hashed(points: Tensor, angle: Tensor, block: int) -> Tensor:
    """Order (n,) of points (n, 2): stripes across the turned first axis, in each by the second."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    along, across = points @ torch.stack([cos, sin]), points @ torch.stack([-sin, cos])
    stripes = max(round((len(points) / block) ** 0.5), 1)
    stripe = torch.empty_like(along, dtype=torch.long)
    stripe[torch.argsort(along, stable=True)] = torch.arange(len(points)) * stripes // len(points)
    order = torch.argsort(across, stable=True)
    return order[torch.argsort(stripe[order], stable=True)]


MODEL = Model(
    tasks=("tracking",),
    reference="""@inproceedings{HEPT:2024,
  title = {Locality-sensitive hashing-based efficient point transformer with applications in
    high-energy physics},
  author = {Miao, Siqi and Lu, Zhiyuan and Liu, Mia and Duarte, Javier and Li, Pan},
  booktitle = {Proceedings of the 41st International Conference on Machine Learning},
  year = {2024},
  eprint = {2402.12535},
  archivePrefix = {arXiv}
}""",
    fit=networks.fits(HashedTransformer),
    predict=networks.predict,
    presets=networks.PRESETS,
    quick=networks.QUICK | {"layers": 1, "heads": 2},
    save=networks.save,
    load=partial(networks.load, HashedTransformer),
    parameters=networks.parameters,
    ablations=networks.ablations,
)
