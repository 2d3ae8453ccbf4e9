"""A helper loss on the image tokens, used while training and then thrown away.

Through the decoder alone the vision tower hears about a picture late: at first the decoder learns
what answers look like on average, and pictures are noise to it. So each cell of the image tokens
is also asked directly whether an object has its centre there, which one, and where its edges are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import COLOURS, SHAPES
from .targets import LOCATION_BINS, Target

_BOX_WEIGHT = 4.0


class CellHead(nn.Module):
    """A linear reading of each image token: presence, shape, colour, box."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.read = nn.Linear(width, 1 + len(SHAPES) + len(COLOURS) + 4)
        nn.init.zeros_(self.read.weight)
        nn.init.zeros_(self.read.bias)

    def loss(self, tokens: Tensor, targets: Sequence[Sequence[Target]]) -> Tensor:
        """The helper loss of a batch.

        Args:
            tokens: Image tokens, ``(N, 1 + side², D)``; the first, pooled one is left out.
            targets: The objects of each picture.
        """
        said = self.read(tokens[:, 1:])
        rows, cells, shapes, colours, boxes = [], [], [], [], []
        for row, objects in enumerate(targets):
            for item in objects:
                x1, y1, x2, y2 = ((b + 0.5) / LOCATION_BINS for b in item.bins)
                x, y = (x1 + x2) / 2 * self.side, (y1 + y2) / 2 * self.side
                column, line = int(x), int(y)
                rows.append(row)
                cells.append(line * self.side + column)
                shapes.append(SHAPES.index(item.shape))
                colours.append(COLOURS.index(item.colour))
                boxes.append([4 * edge for edge in (x1, y1, x2, y2)])
        present = torch.zeros(said.shape[:2])
        present[rows, cells] = 1.0
        total = functional.binary_cross_entropy_with_logits(
            said[..., 0], present, reduction="sum"
        ) / max(1, len(rows))
        if rows:
            here = said[rows, cells, 1:]
            by_shape, by_colour, by_box = here.split([len(SHAPES), len(COLOURS), 4], dim=1)
            total = total + functional.cross_entropy(by_shape, torch.tensor(shapes))
            total = total + functional.cross_entropy(by_colour, torch.tensor(colours))
            total = total + _BOX_WEIGHT * functional.l1_loss(by_box, torch.tensor(boxes))
        return total
