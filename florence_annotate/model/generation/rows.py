"""The sequences in flight, as tensors that stay where they are.

Shapes: R rows, one a question; B beams, the sequences of a row; L places of a sequence.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(slots=True)
class Rows:
    tokens: Tensor
    """(R, B, L), the start token first; the last place is to spare."""
    logprobs: Tensor
    """(R, B, L), float32: of each token under the model, whatever the rules then did."""
    ancestry: Tensor
    """(R, B, L): the beam that wrote each position of a sequence."""
    lengths: Tensor
    """(R,): tokens of each sequence."""
    limits: Tensor
    """(R,): the most tokens of a sequence."""
    done: Tensor
    """(R,): nothing more can change the row's answer."""
    states: Tensor
    """(R, B): where each sequence stands in the constraint."""

    @classmethod
    def allocate(cls, rows: int, beams: int, places: int, device: torch.device) -> "Rows":
        def filled(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        shape = (rows, beams, places)
        return cls(
            filled(*shape),
            filled(*shape, dtype=torch.float32),
            filled(*shape),
            filled(rows) + 1,
            filled(rows) + 1,
            ~filled(rows, dtype=torch.bool),
            filled(rows, beams),
        )

    def first(self, count: int, width: int) -> "Rows":
        """Views of the first `count` rows and `width` places."""
        return Rows(
            self.tokens[:count, :, :width],
            self.logprobs[:count, :, :width],
            self.ancestry[:count, :, :width],
            self.lengths[:count],
            self.limits[:count],
            self.done[:count],
            self.states[:count],
        )

    def state(self) -> list[Tensor]:
        """All that a step changes; not the limits."""
        return [
            self.tokens, self.logprobs, self.ancestry, self.lengths, self.done, self.states,
        ]  # fmt: skip

    def start(self, places: Tensor, limits: Tensor, states: Tensor, token: int) -> None:
        """Begin new sequences; see `Search.start`."""
        self.tokens[places, :, 0] = token
        self.lengths[places] = 1
        self.limits[places] = limits
        self.done[places] = False
        self.states[places] = states[:, None]
        self.ancestry[places, :, 0] = torch.arange(self.tokens.shape[1], device=places.device)

    def last_tokens(self) -> Tensor:
        """(R, B)"""
        places = (self.lengths - 1)[:, None, None].expand(-1, self.tokens.shape[1], 1)
        return self.tokens.gather(2, places)[..., 0]

    def next_position(self) -> Tensor:
        """(R, 1, 1): behind the last token, where also a row that is done has a place to spare."""
        return self.lengths[:, None, None]

    def append(self, tokens: Tensor, logprobs: Tensor) -> None:
        """Put a token (R, B) behind each sequence; it counts once `lengths` says so."""
        position = self.next_position().expand(-1, tokens.shape[1], -1)
        self.tokens.scatter_(2, position, tokens[..., None])
        self.logprobs.scatter_(2, position, logprobs[..., None])

    def replace(self, tokens: Tensor, logprobs: Tensor) -> None:
        """Take new sequences in all rows that are not done."""
        is_done = self.done[:, None, None]
        self.tokens.copy_(torch.where(is_done, self.tokens, tokens))
        self.logprobs.copy_(torch.where(is_done, self.logprobs, logprobs))
