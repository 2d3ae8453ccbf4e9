"""One token further: BART's decoder over caches that stay where they are.

The library's modules hold the weights; the step is written out here. A row is a question, and has
`beams` sequences. They attend to the row's encoder states as so many queries, so that those are
kept once; and a beam that changes its past changes a small table instead of its cache: every
sequence may look at all that the row's beams ever wrote, and a mask says which of it is its own.

Shapes: R rows, B beams, H heads, D d_model, P positions in the cache, S source positions.
"""

from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from florence_annotate.model.attention import Attend, attend_few
from florence_annotate.model.products import affine, feed_forward, join, linear


@dataclass(slots=True)
class Caches:
    """Keys and values of every row, a tensor a decoder layer."""

    past: list[Tensor]
    """Keys and values (2, R, H, P · B, D / H); place p · B + b is what beam b wrote at p."""
    source: list[Tensor]
    """Keys and values (2, R, H, S, D / H)."""
    source_mask: Tensor
    """(R, 1, 1, S): 0 for a source position, -inf for padding."""

    def take_over(self, smaller: "Caches") -> None:
        """Copy what smaller caches of as many rows hold."""
        pairs = [(self.source_mask, smaller.source_mask)]
        pairs += zip(self.past, smaller.past, strict=True)
        pairs += zip(self.source, smaller.source, strict=True)
        self.source_mask.fill_(-torch.inf)
        for to, held in pairs:
            to[tuple(slice(size) for size in held.shape)] = held


class Decoder:
    """The decoder and the output layer of a `Florence2ForConditionalGeneration`."""

    def __init__(self, network: Any, attend: Attend) -> None:
        self._attend = attend_few(attend)
        self._decoder = network.model.language_model.decoder
        self._output = network.lm_head
        config = network.config.text_config
        self._heads = config.decoder_attention_heads
        self._head_size = config.d_model // self._heads
        self.vocabulary_size: int = self._output.weight.shape[0]
        self.positions: int = config.max_position_embeddings
        self.device: torch.device = self._output.weight.device
        self._dtype = self._output.weight.dtype
        self._layers = [
            (
                layer,
                join(layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj),
                join(layer.encoder_attn.k_proj, layer.encoder_attn.v_proj),
            )
            for layer in self._decoder.layers
        ]

    def allocate(self, rows: int, beams: int, positions: int, source: int) -> Caches:
        """Empty caches."""

        def each(length: int) -> list[Tensor]:
            shape = (2, rows, self._heads, length, self._head_size)
            return [torch.zeros(shape, dtype=self._dtype, device=self.device) for _ in self._layers]

        mask = torch.zeros((rows, 1, 1, source), dtype=self._dtype, device=self.device)
        return Caches(each(positions * beams), each(source), mask)

    def place_source(self, caches: Caches, rows: Tensor, encoded: Tensor, mask: Tensor) -> None:
        """Write encoder states (N, s ≤ S, D) with their mask (N, s) into N rows."""
        length = encoded.shape[1]
        for index, (_, _, joined) in enumerate(self._layers):
            both = linear(encoded, joined)
            caches.source[index][:, rows, :, :length] = rearrange(
                both, "n s (two h d) -> two n h s d", two=2, h=self._heads
            )
        padding = torch.full_like(caches.source_mask[rows], -torch.inf)
        padding[:, 0, 0, :length].masked_fill_(mask.bool(), 0)
        caches.source_mask[rows] = padding

    def step(
        self, tokens: Tensor, positions: Tensor, caches: Caches, ancestry: Tensor, width: int
    ) -> Tensor:
        """Logits (R, B, V) that follow the tokens (R, B), which stand at the positions (R,).

        `ancestry` (R, B, P) names the beam that wrote each position of a sequence; only the first
        `width` positions of the caches are looked at. Rows are the first R of the caches'.
        """
        rows, beams = tokens.shape
        lines = torch.arange(rows, device=tokens.device)[:, None]
        own = torch.arange(beams, device=tokens.device)
        places = positions[:, None] * beams + own
        mask = self._own_past(positions, ancestry[:, :, :width])
        states = self._decoder.embed_tokens(tokens)
        states = (
            states
            + self._decoder.embed_positions.weight[
                positions[:, None] + self._decoder.embed_positions.offset
            ]
        )
        states = self._decoder.layernorm_embedding(states)
        for index, (layer, joined, _) in enumerate(self._layers):
            query_key_value = linear(states, joined).view(rows, beams, 3, self._heads, -1)
            past, source = caches.past[index], caches.source[index]
            past[:, lines, :, places] = query_key_value[:, :, 1:]
            mixed = self._mix(query_key_value[:, :, 0], past[:, :rows, :, : width * beams], mask)
            states = states + linear(mixed, affine(layer.self_attn.out_proj))
            states = layer.self_attn_layer_norm(states)
            query = linear(states, affine(layer.encoder_attn.q_proj))
            query = query.view(rows, beams, self._heads, -1)
            mixed = self._mix(query, source[:, :rows], caches.source_mask[:rows])
            states = states + linear(mixed, affine(layer.encoder_attn.out_proj))
            states = layer.encoder_attn_layer_norm(states)
            states = states + feed_forward(states, layer.fc1, layer.fc2, layer.activation_fn)
            states = layer.final_layer_norm(states)
        return linear(states, affine(self._output))

    def _own_past(self, positions: Tensor, ancestry: Tensor) -> Tensor:
        """The mask (R, 1, B, width · B) that shows each beam its own past."""
        beams, width = ancestry.shape[1:]
        is_past = torch.arange(width, device=ancestry.device) <= positions[:, None]
        is_seen = is_past[:, None, :, None]
        if beams > 1:
            is_seen = is_seen & (ancestry[..., None] == torch.arange(beams, device=ancestry.device))
        hidden = torch.zeros((), dtype=self._dtype, device=ancestry.device)
        return torch.where(is_seen, hidden, -torch.inf).flatten(2)[:, None]

    def _mix(self, query: Tensor, cache: Tensor, mask: Tensor) -> Tensor:
        """Queries (R, B, H, d) over keys and values (2, R, H, places, d) → (R, B, H · d)."""
        mixed = self._attend(query.transpose(1, 2), cache[0], cache[1], mask)
        return mixed.transpose(1, 2).flatten(2)
