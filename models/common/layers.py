"""The transformer block of every network here: TrackFormer, the jet encoders, ParT.

Three orders of normalisation, LN being a LayerNorm, A the attention and M the two-layer network:

- `post` (arXiv:1706.03762): x <- LN(x + A(x)), then x <- LN(x + M(x));
- `pre` (arXiv:2002.04745): x <- x + A(LN(x)), then x <- x + M(LN(x));
- `normformer` (arXiv:2110.09456, as in arXiv:2202.03772): x <- x + LN(h A(LN(x))), then
  x <- w x + M(LN(x)) with a LayerNorm also inside M; h is one learned factor a head on the
  projected output, w one a channel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "gelu": nn.GELU}
ORDERS = ("post", "pre", "normformer")


class Attention(nn.Module):
    """Multi-head attention with one projection for queries, keys and values."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(
                f"width must be a multiple of heads; got width {width}, heads {heads}"
            )
        self.heads, self.dropout = heads, dropout
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        for layer in (self.qkv, self.out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, allowed: Tensor | None, keys: Tensor | None = None) -> Tensor:
        """Queries x (n, slots, width) mix themselves, or `keys` (n, others, width).

        `allowed` broadcasts to (n, heads, slots, others): boolean (attend where True) or a number
        that is added to the logits.
        """
        q, k, v = self._projected(x, keys)
        rate = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, dropout_p=rate)
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return result

    def weights(self, x: Tensor, allowed: Tensor | None, keys: Tensor | None = None) -> Tensor:
        """(n, heads, slots, others): the softmax that `forward` mixes the values with."""
        q, k, _ = self._projected(x, keys)
        logits = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        if allowed is not None and allowed.dtype == torch.bool:
            logits = logits.masked_fill(~allowed, float("-inf"))
        elif allowed is not None:
            logits = logits + allowed
        result: Tensor = logits.softmax(-1)
        return result

    def _projected(self, x: Tensor, keys: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (n, heads, slots, width / heads)."""
        if keys is None:
            q, k, v = self._split(self.qkv(x))
            return q, k, v
        width = x.shape[2]
        weight, bias = self.qkv.weight, self.qkv.bias
        (q,) = self._split(F.linear(x, weight[:width], bias[:width]))
        k, v = self._split(F.linear(keys, weight[width:], bias[width:]))
        return q, k, v

    def _split(self, joined: Tensor) -> tuple[Tensor, ...]:
        n, slots, size = joined.shape
        parts = size // self.out.in_features
        return joined.view(n, slots, parts, self.heads, -1).permute(2, 0, 3, 1, 4).unbind()


class Block(nn.Module):
    """Attention and a two-layer network, each with a residual.

    Parameters
    ----------
    width, heads, feed_forward:
        Channels, attention heads, and width of the hidden layer of the two-layer network.
    dropout, attention_dropout:
        Of what is added to the residuals and of the hidden layer; of the attention weights.
    order:
        `post`, `pre` or `normformer`, see above.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        feed_forward: int,
        *,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        activation: str = "gelu",
        order: str = "post",
    ) -> None:
        super().__init__()
        if order not in ORDERS:
            raise ValueError(f"order must be one of {', '.join(ORDERS)}; got '{order}'")
        if activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"activation must be one of {known}; got '{activation}'")
        self.order = order
        self.attention = Attention(width, heads, attention_dropout)
        hidden: list[nn.Module] = [ACTIVATIONS[activation](), nn.Dropout(dropout)]
        if order == "normformer":
            hidden.append(nn.LayerNorm(feed_forward))
            self.head_factor = nn.Parameter(torch.ones(heads))
            self.residual_factor = nn.Parameter(torch.ones(width))
        self.mixer = nn.Sequential(
            nn.Linear(width, feed_forward), *hidden, nn.Linear(feed_forward, width)
        )
        norms = 3 if order == "normformer" else 2
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(norms)])
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, allowed: Tensor | None, others: Tensor | None = None) -> Tensor:
        """x (n, slots, width) after the block.

        `allowed` as in `Attention.forward`. With `others` (n, m, width) the slots query the
        concatenation [x, others] (arXiv:2103.17239, class attention) and x alone is changed.
        """
        if self.order == "post":
            x = self.norms[0](x + self.dropout(self._mixed(x, allowed, others)))
            changed: Tensor = self.norms[1](x + self.dropout(self.mixer(x)))
            return changed
        if self.order == "pre":
            x = x + self.dropout(self._mixed(x, allowed, others))
            changed = x + self.dropout(self.mixer(self.norms[1](x)))
            return changed
        x = x + self.dropout(self.norms[1](self._scaled(self._mixed(x, allowed, others))))
        changed = self.residual_factor * x + self.dropout(self.mixer(self.norms[2](x)))
        return changed

    def attended(self, x: Tensor, allowed: Tensor | None, others: Tensor | None = None) -> Tensor:
        """(n, heads, slots, slots): the attention weights of this block for its input x."""
        return self.attention.weights(*self._ordered(x, allowed, others))

    def _mixed(self, x: Tensor, allowed: Tensor | None, others: Tensor | None) -> Tensor:
        mixed: Tensor = self.attention(*self._ordered(x, allowed, others))
        return mixed

    def _ordered(
        self, x: Tensor, allowed: Tensor | None, others: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """What the attention receives: normalised first, except in the order `post`.

        A querying token itself is not normalised, as in the released code of ParT.
        """
        if others is None:
            return (x if self.order == "post" else self.norms[0](x)), allowed, None
        keys = torch.cat([x, others], dim=1)
        return x, allowed, keys if self.order == "post" else self.norms[0](keys)

    def _scaled(self, x: Tensor) -> Tensor:
        """Each head's share of the channels times its factor."""
        n, slots, width = x.shape
        split = x.view(n, slots, len(self.head_factor), -1) * self.head_factor[:, None]
        return split.reshape(n, slots, width)


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """(n, features): mean of x (n, slots, features) over the slots of the mask."""
    weight = mask.to(x.dtype)
    return torch.einsum("nsf,ns->nf", x, weight) / weight.sum(1, keepdim=True)
