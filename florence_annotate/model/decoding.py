"""Encoder states → answers: token ids, the probability of each, and whether the limit cut them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutput

from florence_annotate.types import Generation

_PASS_TOKENS = 64
"""Decoder positions whose logits are held at once; 64 · 51,289 floats are 13 MB a row."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One answer, without the start token and the `<s>` that the decoder is forced to write."""

    tokens: Sequence[int]
    logprobs: Sequence[float]
    truncated: bool


def decode(
    network: Any, hidden: torch.Tensor, mask: torch.Tensor, generation: Generation
) -> list[Decoded]:
    """Answers for encoder states (rows, positions, d_model) under a mask (rows, positions).

    Searches with `generate`, then runs the decoder once more over what was found: that gives the
    log-probability of every token under the model itself, for beams as for greedy search, without
    keeping the vocabulary's scores of every step.
    """
    eos = network.generation_config.eos_token_id
    sequences = network.generate(
        encoder_outputs=BaseModelOutput(last_hidden_state=hidden),
        attention_mask=mask,
        max_new_tokens=generation.max_new_tokens,
        max_length=None,
        num_beams=generation.num_beams,
        no_repeat_ngram_size=generation.no_repeat_ngram,
        do_sample=False,
        early_stopping=False,
    )
    logprobs = _logprobs(network, sequences, hidden, mask)
    decoded = []
    for ids, row in zip(sequences.tolist(), logprobs.tolist(), strict=True):
        tokens = ids[1:]  # the decoder's start token
        end = tokens.index(eos) + 1 if eos in tokens else len(tokens)
        # `</s>` at the limit was forced, so that the answer may have been going on
        truncated = end >= generation.max_new_tokens
        tokens, row = tokens[:end], row[:end]
        if truncated and tokens[-1] == eos:
            tokens, row = tokens[:-1], row[: end - 1]
        decoded.append(Decoded(tokens[1:], row[1:], truncated))
    return decoded


def _logprobs(
    network: Any, sequences: torch.Tensor, hidden: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Log-probability of each token after the first, shape (rows, length - 1), float32."""
    states = network.model.language_model.decoder(
        input_ids=sequences[:, :-1],
        encoder_hidden_states=hidden,
        encoder_attention_mask=mask,
        use_cache=False,
    ).last_hidden_state
    parts = []
    for start in range(0, states.shape[1], _PASS_TOKENS):
        logits = network.lm_head(states[:, start : start + _PASS_TOKENS]).float()
        chosen = sequences[:, 1:][:, start : start + _PASS_TOKENS, None]
        parts.append((logits.gather(2, chosen) - logits.logsumexp(2, keepdim=True)).squeeze(2))
    return torch.cat(parts, dim=1)
