"""Rows of tensors in batches whose composition depends on the seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Batches(Sequence[Any]):
    """Batches of `size` rows of one tensor, or of several with a row each in common.

    Every epoch sees the same batches, in an order that the training loop draws. A last batch of
    fewer than two rows is left out: a contrastive loss needs two.
    """

    def __init__(self, size: int, seed: int, *columns: Tensor) -> None:
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(columns[0]), generator=generator)
        self.columns = columns
        self.places = [place for place in torch.split(order, size) if len(place) > 1]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        rows = tuple(column[self.places[index]] for column in self.columns)
        return rows if len(rows) > 1 else rows[0]
