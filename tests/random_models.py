"""A network and encoder states at random: where only shapes count, or how long answers are."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import BartConfig, Florence2Config, Florence2ForConditionalGeneration
from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig

from florence_annotate.model.florence import Florence
from florence_annotate.model.generation.logit_filters import Rules
from florence_annotate.model.generation.loop import Decoding, Encoded
from florence_annotate.model.generation.stepping import Stepping
from florence_annotate.types import Generation

ROWS, TOKENS = 4, 150


def network_of_windows_of_one() -> Any:
    """Narrow; an image of 64 pixels has 256 windows in the first stage, as one of 768 in base."""
    vision = Florence2VisionConfig(
        depths=(1, 1, 1, 1), patch_stride=(4, 2, 2, 2), embed_dim=(8, 8, 8, 8),
        num_heads=(1, 1, 1, 1), num_groups=(1, 1, 1, 1), window_size=1, projection_dim=8,
    )  # fmt: skip
    text = BartConfig(
        vocab_size=8, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=1,
        decoder_attention_heads=1,
    )  # fmt: skip
    config = Florence2Config(text_config=text, vision_config=vision, image_token_id=7)
    return Florence2ForConditionalGeneration(config).eval()


def network_of_width(width: int) -> Any:
    """A tower as wide as a public one's, of one block a stage, and hardly any language model."""
    torch.manual_seed(0)
    widths = tuple(width * k for k in (1, 2, 4, 8))
    heads = tuple(each // 32 for each in widths)
    vision = Florence2VisionConfig(
        depths=(1, 1, 1, 1), patch_stride=(4, 2, 2, 2), embed_dim=widths, num_heads=heads,
        num_groups=heads, window_size=12, projection_dim=8,
    )  # fmt: skip
    text = BartConfig(
        vocab_size=8, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=1,
        decoder_attention_heads=1,
    )  # fmt: skip
    config = Florence2Config(text_config=text, vision_config=vision, image_token_id=7)
    return Florence2ForConditionalGeneration(config).eval()


def random_states(model: Florence) -> torch.Tensor:
    """Encoder states so far from any image's that some answers end soon and some never."""
    torch.manual_seed(0)
    states = 3 * torch.randn(8, 20, model.network.config.text_config.d_model)
    return states.to(model.device)


def answers_to(
    model: Florence, states: torch.Tensor, beams: int, stepping: Stepping
) -> list[list[int]]:
    """The tokens of the answer to each of the states (N, S, d_model)."""
    rules = Rules(2, 2, 0, 2, Generation(TOKENS, beams, 3, retry_truncated=False))

    def encode(tickets: Sequence[int]) -> Encoded:
        chosen = states[list(tickets)]
        return Encoded(chosen, chosen.new_ones(chosen.shape[:2]), [0] * len(chosen))

    decoding = Decoding[int](model.decoder, rules, ROWS, TOKENS, encode, stepping)
    for ticket in range(len(states)):
        decoding.ask(ticket)
    answers: dict[int, list[int]] = {}
    while found := decoding.answers():
        answers |= {ticket: list(decoded.tokens) for ticket, decoded in found}
    return [answers[ticket] for ticket in range(len(states))]
