"""One step of BART's decoder: the next token of every sequence, over caches that are never moved.

transformers' modules hold the weights; the step is written out here. A row answers one question and
has B sequences, its beams. They attend to the row's encoder states as so many queries, so that
these are kept once. When beam search lets a beam go on from another beam's past, only a small
table changes (`ancestry`) and not the cache: it holds what all beams of the row ever wrote, and a
mask shows each sequence its own part.

Shapes: R rows, B beams, H heads, D d_model, P positions in the cache, S source positions.
"""

from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from florence_annotate.model.attention import Attend, FewQueries, Memory
from florence_annotate.model.linear import (
    Affine,
    Norm,
    affine,
    feed_forward,
    join,
    linear,
    norm,
    normalise,
    pack,
    pad,
)


@dataclass(slots=True)
class Caches:
    """Keys and values of every row; a list holds a tensor for each decoder layer."""

    past: list[Tensor]
    """Keys and values (2, R, H, P · B, D / H); index p · B + b is what beam b wrote at p."""
    source: list[Tensor]
    """Keys and values (2, R, H, S, D / H)."""
    source_mask: Tensor
    """(R, 1, 1, S): 0 for a source position, -inf for padding."""

    @property
    def slots(self) -> int:
        """P · B, how many keys there is room for in each row."""
        return self.past[0].shape[3]

    def enlarge(self, slots: int, source: int) -> None:
        """Move to tensors with room for at least so many slots (P · B) and source positions (S).

        One is moved after the other, so that memory for a single one more is enough. Views of the
        old tensors keep them alive.
        """
        for held, length in ((self.past, slots), (self.source, source)):
            for layer, tensor in enumerate(held):
                held[layer] = _lengthened(tensor, length, 0.0)
        self.source_mask = _lengthened(self.source_mask, source, -torch.inf)


def _lengthened(tensor: Tensor, length: int, filling: float) -> Tensor:
    """The tensor, or a longer copy where it is shorter than `length` in its fourth dimension."""
    if tensor.shape[3] >= length:
        return tensor
    longer = tensor.new_full((*tensor.shape[:3], length, *tensor.shape[4:]), filling)
    longer[:, :, :, : tensor.shape[3]] = tensor
    return longer


@dataclass(frozen=True, slots=True)
class _Layer:
    """The weights of a decoder layer, since to look them up in the modules at each step is slow."""

    own: Affine
    """Queries, keys and values of the self-attention."""
    own_out: Affine
    own_norm: Norm
    source_query: Affine
    source_key_value: Affine
    source_out: Affine
    source_norm: Norm
    inner: Affine
    outer: Affine
    activation: nn.Module
    norm: Norm


class Decoder:
    """The decoder and the output layer of a `Florence2ForConditionalGeneration`."""

    def __init__(self, network: Any, attend: Attend) -> None:
        decoder = network.model.language_model.decoder
        config = network.config.text_config
        self._heads = config.decoder_attention_heads
        self._head_size = config.d_model // self._heads
        self._output = _output_layer(network.lm_head)
        embed = decoder.embed_tokens
        self._embeddings: Tensor = embed.weight
        self._embedding_scale: float = embed.embed_scale
        self._positions: Tensor = decoder.embed_positions.weight[decoder.embed_positions.offset :]
        self._norm = norm(decoder.layernorm_embedding)
        self._layers = [_layer_weights(layer) for layer in decoder.layers]
        weight = network.lm_head.weight
        self.vocabulary_size: int = weight.shape[0]
        self.device: torch.device = weight.device
        self._mix = FewQueries(attend, weight)
        self._dtype: torch.dtype = weight.dtype

    def allocate(self, rows: int, beams: int, positions: int, source: int) -> Caches:
        """Empty caches for `positions` tokens a sequence and `source` encoder states a row."""

        def each(length: int) -> list[Tensor]:
            shape = (2, rows, self._heads, length, self._head_size)
            return [torch.zeros(shape, dtype=self._dtype, device=self.device) for _ in self._layers]

        mask = torch.zeros((rows, 1, 1, source), dtype=self._dtype, device=self.device)
        return Caches(each(positions * beams), each(source), mask)

    def row_bytes(self, beams: int, positions: int, source: int) -> int:
        """Bytes of one row in caches of this size, and while they are enlarged to it.

        Then a layer's keys and values are there twice.
        """
        past, layers = positions * beams, len(self._layers)
        width: int = self._heads * self._head_size
        values = 2 * width * (layers * (past + source) + past)
        return (values + source) * self._dtype.itemsize

    def place_source(self, caches: Caches, rows: Tensor, encoded: Tensor, mask: Tensor) -> None:
        """Write encoder states (N, s, D), s ≤ S, with their mask (N, s), to the rows (N,)."""
        length = encoded.shape[1]
        for layer, source in zip(self._layers, caches.source, strict=True):
            both = linear(encoded, layer.source_key_value)
            source[:, rows, :, :length] = rearrange(
                both, "n s (two h d) -> two n h s d", two=2, h=self._heads
            )
        padding = torch.full_like(caches.source_mask[rows], -torch.inf)
        padding[:, 0, 0, :length].masked_fill_(mask.bool(), 0)
        caches.source_mask[rows] = padding

    def view(self, caches: Caches, rows: int, beams: int, width: int) -> "View":
        """What steps read and write of the first rows and the first `width` positions."""
        memories = [
            (
                self._mix.memory(*past[:, :rows, :, : width * beams]),
                self._mix.memory(*source[:, :rows]),
            )
            for past, source in zip(caches.past, caches.source, strict=True)
        ]
        return View(
            list(caches.past),
            memories,
            caches.source_mask[:rows].expand(-1, -1, beams, -1),
            torch.arange(rows, device=self.device)[:, None],
            torch.arange(beams, device=self.device),
            torch.arange(width, device=self.device)[:, None],
        )

    def step(self, tokens: Tensor, positions: Tensor, view: "View", ancestry: Tensor) -> Tensor:
        """The logits (R, B, V) of the next token, after tokens (R, B) at positions (R,).

        `view` is of these rows, and of the first `width` positions of their sequences; `ancestry`
        (R, B, width or more) names the beam that wrote each position.
        """
        rows, beams = tokens.shape
        slots = positions[:, None]
        if beams > 1:
            slots = slots * beams + view.beams
        own_mask = self._own_past(view, positions, ancestry[:, :, : len(view.positions)])
        own_mask = self._mix.mask(own_mask, self._heads)
        source_mask = self._mix.mask(view.source_mask, self._heads)
        states = self._embeddings[tokens] * self._embedding_scale
        states = (states + self._positions[positions][:, None]).flatten(0, 1)
        states = normalise(states, self._norm)
        for layer, past, (own_past, source) in zip(
            self._layers, view.past, view.memories, strict=True
        ):
            own = linear(states, layer.own).view(rows, beams, 3, self._heads, -1)
            _write(past, view.rows, slots, own[:, :, 1:])
            mixed = self._mix(own[:, :, 0], own_past, own_mask)
            states = normalise(states, layer.own_norm, linear(mixed, layer.own_out))
            query = linear(states, layer.source_query).view(rows, beams, self._heads, -1)
            mixed = self._mix(query, source, source_mask)
            states = normalise(states, layer.source_norm, linear(mixed, layer.source_out))
            fed = feed_forward(states, layer.inner, layer.outer, layer.activation)
            states = normalise(states, layer.norm, fed)
        logits = linear(states, self._output)[:, : self.vocabulary_size]
        return logits.view(rows, beams, -1)

    def _own_past(self, view: "View", positions: Tensor, ancestry: Tensor) -> Tensor:
        """The mask (R, 1, B, width · B) that shows each beam what it has written itself."""
        is_seen = view.positions <= positions[:, None, None, None]  # (R, 1, width, 1)
        if ancestry.shape[1] > 1:
            is_seen = is_seen & (ancestry[..., None] == view.beams)
        return torch.where(is_seen, 0.0, -torch.inf).to(self._dtype).flatten(2)[:, None]


def _write(past: Tensor, rows: Tensor, slots: Tensor, own: Tensor) -> None:
    """Write keys and values (R, B, 2, H, d) to the slots (R, B) of the first rows of a cache.

    `rows` (R, 1) are the rows' indices.
    """
    if not past.is_cuda:
        past[:, rows, :, slots] = own
        return
    # there this takes a third of the time; on CPUs more
    heads, width = own.shape[3:]
    places = slots[None, :, None, :, None].expand(2, -1, heads, -1, width)
    past[:, : len(rows)].scatter_(3, places, own.permute(2, 0, 3, 1, 4))


@dataclass(frozen=True, slots=True)
class View:
    """The parts of the caches that steps look at, and index tensors: the same for many steps.

    A list holds an entry for each layer.
    """

    past: list[Tensor]
    """The caches' own tensors, to which steps write."""
    memories: list[tuple[Memory, Memory]]
    """What was written so far, and the encoder states."""
    source_mask: Tensor
    """(R, 1, B, S)"""
    rows: Tensor
    """(R, 1): the indices of the rows."""
    beams: Tensor
    """(B,): the indices of the beams."""
    positions: Tensor
    """(width, 1): the indices of the positions."""


def _output_layer(layer: nn.Linear) -> Affine:
    """The layer that gives the logits; on CUDA with rows of zeros behind those of the vocabulary.

    Products whose rows do not begin at multiples of 16 bytes take another kernel, twice as slow.
    """
    return pad(layer, 8) if layer.weight.is_cuda else pack(affine(layer))


def _layer_weights(layer: Any) -> _Layer:
    own, source = layer.self_attn, layer.encoder_attn
    return _Layer(
        own=pack(join(own.q_proj, own.k_proj, own.v_proj)),
        own_out=pack(affine(own.out_proj)),
        own_norm=norm(layer.self_attn_layer_norm),
        source_query=pack(affine(source.q_proj)),
        source_key_value=join(source.k_proj, source.v_proj),
        source_out=pack(affine(source.out_proj)),
        source_norm=norm(layer.encoder_attn_layer_norm),
        inner=pack(affine(layer.fc1)),
        outer=pack(affine(layer.fc2)),
        activation=layer.activation_fn,
        norm=norm(layer.final_layer_norm),
    )
