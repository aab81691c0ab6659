"""The TrackFormer encoder: post-norm attention over hits without positional encoding."""

from __future__ import annotations

from torch import Tensor, nn

from physbench.models.common.layers import Block, masked_mean

PADDING = ("mask", "faithful")


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
        *,
        width: int = 128,
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
            nn.Linear(features, width),
            nn.LeakyReLU(),
            nn.Linear(width, width),
        )
        self.blocks = nn.ModuleList(
            Block(width, heads, 2 * width, dropout=dropout, activation="leaky_relu")
            for _ in range(layers)
        )
        self.head = nn.Sequential(nn.Linear(width, 64), nn.LeakyReLU(), nn.Linear(64, outputs))

    def pooled(self, hits: Tensor, mask: Tensor) -> Tensor:
        """(n, width): the representation of a track."""
        x: Tensor = self.embedding(hits)
        allowed = mask[:, None, None, :] if self.masked else None
        for block in self.blocks:
            x = block(x, allowed)
        if not self.masked:
            return x.mean(dim=1)
        return masked_mean(x, mask)

    def forward(self, hits: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = self.head(self.pooled(hits, mask))
        return result
