"""Image features and prompts → encoder states: BART's encoder, with transformers' weights.

Shapes: N examples, S source positions.
"""

from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from florence_annotate.model.attention import Attend
from florence_annotate.model.linear import affine, feed_forward, join, linear, norm, normalise


class Encoder:
    """The text encoder of a `Florence2ForConditionalGeneration`."""

    def __init__(self, network: Any, attend: Attend) -> None:
        self._encoder = network.model.language_model.encoder
        self._attend = attend
        self._heads = network.config.text_config.encoder_attention_heads
        self._layers = [
            (layer, join(layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj))
            for layer in self._encoder.layers
        ]

    def __call__(self, embeddings: Tensor, mask: Tensor | None) -> Tensor:
        """Encoder states (N, S, d_model) for embeddings (N, S, d_model).

        `mask` (N, S), bool, is false for padding; None where there is none, which is faster.
        """
        positions = self._encoder.embed_positions
        states = embeddings + positions.weight[positions.offset :][: embeddings.shape[1]]
        states = normalise(states, norm(self._encoder.layernorm_embedding))
        hidden = None
        if mask is not None:
            hidden = torch.zeros_like(mask, dtype=states.dtype).masked_fill(~mask, -torch.inf)
            hidden = hidden[:, None, None]
        for layer, joined in self._layers:
            query, key, value = rearrange(
                linear(states, joined), "n s (three h d) -> three n h s d", three=3, h=self._heads
            ).unbind(0)
            mixed = rearrange(self._attend(query, key, value, hidden), "n h s d -> n s (h d)")
            mixed = linear(mixed, affine(layer.self_attn.out_proj))
            states = normalise(states, norm(layer.self_attn_layer_norm), mixed)
            fed = feed_forward(states, affine(layer.fc1), affine(layer.fc2), layer.activation_fn)
            states = normalise(states, norm(layer.final_layer_norm), fed)
        return states
