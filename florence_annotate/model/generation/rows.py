"""The sequences that are being written, as tensors that are never reallocated.

Shapes: R rows, one for each question; B beams, the sequences of a row; L positions of a sequence.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from florence_annotate.types import SPREAD_RANGES


@dataclass(slots=True)
class Rows:
    """All rows, or views of the first of them; see `first`."""

    tokens: Tensor
    """(R, B, L), the start token first; nothing that counts is written to the last position."""
    logprobs: Tensor
    """(R, B, L), float32: the model's own log-probability of each token, before any rule."""
    ancestry: Tensor
    """(R, B, L): the beam that wrote each position of a sequence."""
    spreads: Tensor
    """(R, B, L, 13), uint8: how sure the location is that each beam wrote at each position; what a
    sequence wrote is found by its ancestry. See `generation.spreads`."""
    lengths: Tensor
    """(R,): how many tokens each sequence of a row has; they are equally long."""
    limits: Tensor
    """(R,): how many tokens a sequence of a row may have."""
    done: Tensor
    """(R,), bool: whether a row's answer is final."""
    states: Tensor
    """(R, B): the state of each sequence in the constraint."""

    @classmethod
    def allocate(cls, rows: int, beams: int, positions: int, device: torch.device) -> "Rows":
        """Rows without a question: all of them are done."""

        def filled(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        shape = (rows, beams, positions)
        return cls(
            filled(*shape),
            filled(*shape, dtype=torch.float32),
            filled(*shape),
            filled(*shape, len(SPREAD_RANGES), dtype=torch.uint8),
            filled(rows) + 1,
            filled(rows) + 1,
            ~filled(rows, dtype=torch.bool),
            filled(rows, beams),
        )

    def first(self, count: int, width: int) -> "Rows":
        """Views of the first `count` rows and `width` positions."""
        return Rows(
            self.tokens[:count, :, :width],
            self.logprobs[:count, :, :width],
            self.ancestry[:count, :, :width],
            self.spreads[:count, :, :width],
            self.lengths[:count],
            self.limits[:count],
            self.done[:count],
            self.states[:count],
        )

    def state(self) -> list[Tensor]:
        """The tensors that a step changes: all but the limits, and but for the spreads, to which a
        step that is repeated writes the same."""
        return [
            self.tokens, self.logprobs, self.ancestry, self.lengths, self.done, self.states,
        ]  # fmt: skip

    def start(self, rows: Tensor, limits: Tensor, states: Tensor, token: int) -> None:
        """Begin new sequences with the start token `token`; see `Search.start`."""
        self.tokens[rows, :, 0] = token
        self.lengths[rows] = 1
        self.limits[rows] = limits
        self.done[rows] = False
        self.states[rows] = states[:, None]
        self.ancestry[rows, :, 0] = torch.arange(self.tokens.shape[1], device=rows.device)

    def last_tokens(self) -> Tensor:
        """The last token of each sequence, (R, B)."""
        positions = (self.lengths - 1)[:, None, None].expand(-1, self.tokens.shape[1], 1)
        return self.tokens.gather(2, positions)[..., 0]

    def next_position(self) -> Tensor:
        """The position behind the last token, (R, 1, 1); rows that are done have one to spare."""
        return self.lengths[:, None, None]

    def append(self, tokens: Tensor, logprobs: Tensor) -> None:
        """Write a token (R, B) behind each sequence; the caller then adds 1 to `lengths`."""
        position = self.next_position().expand(-1, tokens.shape[1], -1)
        self.tokens.scatter_(2, position, tokens[..., None])
        self.logprobs.scatter_(2, position, logprobs[..., None])

    def write_spreads(self, spreads: Tensor) -> None:
        """Write the spreads (R, B, 13) of the tokens that come behind each sequence."""
        beams, count = spreads.shape[1:]
        position = self.next_position()[..., None].expand(-1, beams, 1, count)
        self.spreads.scatter_(2, position, spreads[:, :, None])

    def replace(self, tokens: Tensor, logprobs: Tensor) -> None:
        """Replace the sequences, by tensors (R, B, L), in all rows that are not done."""
        is_done = self.done[:, None, None]
        self.tokens.copy_(torch.where(is_done, self.tokens, tokens))
        self.logprobs.copy_(torch.where(is_done, self.logprobs, logprobs))
