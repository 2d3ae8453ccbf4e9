"""A second loss, on the image features alone; what it trains is thrown away afterwards.

By the answers alone, the vision tower learns late: at first the decoder only learns what answers
look like on average, and the images are noise to it. So each cell of the image features is also
asked directly whether the centre of an object is in it, of which one, and where its edges are, and
whether the centre of a word is in it, and of which one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from florence_annotate.geometry.locations import to_pixels
from florence_annotate.shapes import COLOURS, SHAPES
from florence_annotate.shapes.scenes import PRINTED_WORDS
from training.truth import Bins, Truth

CELLS_IN_A_ROW = 8
"""The image features are one pooled vector, and then as many rows of as many cells."""

_BOX_WEIGHT = 4.0
_IMAGE_SIDE = 4
"""Side of the image in the units in which edges are read from a cell."""

_NO_WORD = 6.0
"""What speaks for "no word" before anything is learnt: of a hundred cells, one has a word."""


class CellHead(nn.Module):
    """Linear layers that read each cell: presence, shape, colour and box of an object; a word."""

    def __init__(self, width: int) -> None:
        """`width` is the number of channels of the image features."""
        super().__init__()
        self.read = nn.Linear(width, 1 + len(SHAPES) + len(COLOURS) + 4)
        self.spell = nn.Linear(width, 1 + len(PRINTED_WORDS))
        for layer in (self.read, self.spell):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.spell.bias[0] = _NO_WORD

    def loss(self, features: Tensor, truths: Sequence[Truth], is_legible: Sequence[bool]) -> Tensor:
        """The loss of a batch of image features, shape (images, 1 + cells, width).

        `is_legible` says whether the words of each image can be read.
        """
        objects = self._objects(features[:, 1:], truths)
        return objects + self._words(features[:, 1:], truths, is_legible)

    def _objects(self, cells: Tensor, truths: Sequence[Truth]) -> Tensor:
        said = self.read(cells)
        rows, places, shapes, colours, boxes = [], [], [], [], []
        for row, truth in enumerate(truths):
            for item in truth.objects:
                rows.append(row)
                places.append(_cell_of(item.bins))
                shapes.append(SHAPES.index(item.shape))
                colours.append(COLOURS.index(item.colour))
                boxes.append([to_pixels(b, _IMAGE_SIDE) for b in item.bins])
        present = torch.zeros(said.shape[:2])
        present[rows, places] = 1.0
        total = functional.binary_cross_entropy_with_logits(
            said[..., 0], present, reduction="sum"
        ) / max(1, len(rows))
        if rows:
            here = said[rows, places, 1:]
            by_shape, by_colour, by_box = here.split([len(SHAPES), len(COLOURS), 4], dim=1)
            total = total + functional.cross_entropy(by_shape, torch.tensor(shapes))
            total = total + functional.cross_entropy(by_colour, torch.tensor(colours))
            total = total + _BOX_WEIGHT * functional.l1_loss(by_box, torch.tensor(boxes))
        return total

    def _words(self, cells: Tensor, truths: Sequence[Truth], is_legible: Sequence[bool]) -> Tensor:
        legible = [row for row, can_be_read in enumerate(is_legible) if can_be_read]
        if not legible:
            return cells.new_zeros(())
        wanted = torch.zeros(len(truths), cells.shape[1], dtype=torch.long)  # 0: no word
        for row in legible:
            for word in truths[row].words:
                wanted[row, _cell_of(word.bins)] = 1 + PRINTED_WORDS.index(word.text)
        said = self.spell(cells[legible])
        count = max(1, int((wanted > 0).sum()))
        loss = functional.cross_entropy(
            said.flatten(0, 1), wanted[legible].flatten(), reduction="sum"
        )
        return loss / count


def _cell_of(box: Bins) -> int:
    """Number of the cell that holds the centre of a box; they are counted row by row."""
    x1, y1, x2, y2 = (to_pixels(edge, CELLS_IN_A_ROW) for edge in box)
    return int((y1 + y2) / 2) * CELLS_IN_A_ROW + int((x1 + x2) / 2)
