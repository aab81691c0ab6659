"""The TrackFormer encoder: post-norm attention over hits without positional encoding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PADDING = ("mask", "faithful")


class Attention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"model_dim must be a multiple of heads; got {dim} and {heads}")
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        for layer in (self.qkv, self.out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(n, slots, dim); keys outside `mask` (n, slots) get no weight."""
        n, slots, dim = x.shape
        q, k, v = self.qkv(x).view(n, slots, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        allowed = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        result: Tensor = self.out(mixed.transpose(1, 2).reshape(n, slots, dim))
        return result


class Block(nn.Module):
    """Attention and a two-layer network, each with a residual and a LayerNorm behind it."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(dim, heads)
        self.mixer = nn.Sequential(
            nn.Linear(dim, 2 * dim), nn.Dropout(dropout), nn.LeakyReLU(), nn.Linear(2 * dim, dim)
        )
        self.norms = nn.ModuleList([nn.LayerNorm(dim), nn.LayerNorm(dim)])
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.norms[0](x + self.dropout(self.attention(x, mask)))
        result: Tensor = self.norms[1](x + self.dropout(self.mixer(x)))
        return result


class Encoder(nn.Module):
    """Embedding, blocks, mean over hits, head.

    With `padding="mask"` empty slots neither receive attention nor enter the mean; with
    `faithful` they do both, as in the first published version, so a prediction depends on the
    length that tracks are padded to.
    """

    def __init__(
        self,
        features: int = 3,
        outputs: int = 2,
        model_dim: int = 128,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        input_dropout: float = 0.1,
        padding: str = "mask",
    ) -> None:
        super().__init__()
        if padding not in PADDING:
            raise ValueError(f"padding must be one of {', '.join(PADDING)}; got '{padding}'")
        self.masked = padding == "mask"
        self.embedding = nn.Sequential(
            nn.Dropout(input_dropout),
            nn.Linear(features, model_dim),
            nn.LeakyReLU(),
            nn.Linear(model_dim, model_dim),
        )
        self.blocks = nn.ModuleList([Block(model_dim, heads, dropout) for _ in range(layers)])
        self.head = nn.Sequential(nn.Linear(model_dim, 64), nn.LeakyReLU(), nn.Linear(64, outputs))

    def pooled(self, hits: Tensor, mask: Tensor) -> Tensor:
        """(n, model_dim): the representation of a track."""
        x: Tensor = self.embedding(hits)
        for block in self.blocks:
            x = block(x, mask if self.masked else None)
        if not self.masked:
            return x.mean(dim=1)
        return masked_mean(x, mask)

    def forward(self, hits: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = self.head(self.pooled(hits, mask))
        return result


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """(n, features): mean of x (n, slots, features) over the slots of the mask."""
    weight = mask.to(x.dtype)
    return torch.einsum("nsf,ns->nf", x, weight) / weight.sum(1, keepdim=True)
