"""A helper loss on the image tokens, used while training and then thrown away.

Through the decoder alone the vision tower hears about a picture late: at first the decoder learns
what answers look like on average, and pictures are noise to it. So each cell of the image tokens
is also asked directly whether an object has its centre there, which one, and where its edges are,
and which word has its centre there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from florence_annotate.shapes import COLOURS, SHAPES
from florence_annotate.shapes.scenes import PRINTED_WORDS
from florence_annotate.tasks import LOCATION_BINS
from training.truth import Bins, Truth

_BOX_WEIGHT = 4.0
_NO_WORD = 6.0
"""Where the reading of words begins: there is one in a cell of a hundred."""


class CellHead(nn.Module):
    """A linear reading of each image token: presence, shape, colour, box; word."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.read = nn.Linear(width, 1 + len(SHAPES) + len(COLOURS) + 4)
        self.spell = nn.Linear(width, 1 + len(PRINTED_WORDS))
        for layer in (self.read, self.spell):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.spell.bias[0] = _NO_WORD

    def loss(self, tokens: Tensor, truths: Sequence[Truth], is_legible: Sequence[bool]) -> Tensor:
        """The helper loss of a batch.

        Args:
            tokens: Image tokens, ``(N, 1 + side², D)``; the first, pooled one is left out.
            truths: What is true about each picture.
            is_legible: Whether the words of each picture can be read.
        """
        return self._objects(tokens[:, 1:], truths) + self._words(tokens[:, 1:], truths, is_legible)

    def _objects(self, tokens: Tensor, truths: Sequence[Truth]) -> Tensor:
        said = self.read(tokens)
        rows, cells, shapes, colours, boxes = [], [], [], [], []
        for row, truth in enumerate(truths):
            for item in truth.objects:
                rows.append(row)
                cells.append(self._cell(item.bins))
                shapes.append(SHAPES.index(item.shape))
                colours.append(COLOURS.index(item.colour))
                boxes.append([4 * (b + 0.5) / LOCATION_BINS for b in item.bins])
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

    def _words(self, tokens: Tensor, truths: Sequence[Truth], is_legible: Sequence[bool]) -> Tensor:
        legible = [row for row, can_be_read in enumerate(is_legible) if can_be_read]
        if not legible:
            return tokens.new_zeros(())
        wanted = torch.zeros(len(truths), tokens.shape[1], dtype=torch.long)  # 0: no word
        for row in legible:
            for word in truths[row].words:
                wanted[row, self._cell(word.bins)] = 1 + PRINTED_WORDS.index(word.text)
        said = self.spell(tokens[legible])
        count = max(1, int((wanted > 0).sum()))
        loss = functional.cross_entropy(
            said.flatten(0, 1), wanted[legible].flatten(), reduction="sum"
        )
        return loss / count

    def _cell(self, box: Bins) -> int:
        """Number of the cell that holds the centre of a box."""
        x1, y1, x2, y2 = ((b + 0.5) / LOCATION_BINS for b in box)
        return int((y1 + y2) / 2 * self.side) * self.side + int((x1 + x2) / 2 * self.side)
