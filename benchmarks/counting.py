"""Multiplications and bytes of Florence-2, counted from its configuration."""

from typing import Any

from florence_annotate.model.vision import stage_sides

SIDE = 768


def image_tokens(vision: Any, side: int = SIDE) -> int:
    return 1 + stage_sides(vision, side)[-1] ** 2


def vision_macs(vision: Any, side: int = SIDE) -> int:
    """Multiply-adds of the vision tower for one image."""
    total, before = 0, vision.in_channels
    for stage, rows in enumerate(stage_sides(vision, side)):
        width, positions = vision.embed_dim[stage], rows**2
        total += vision.patch_size[stage] ** 2 * before * width * positions
        group = width // vision.num_groups[stage]
        inner = int(width * vision.mlp_ratio)
        depthwise = 4 * 9 * width
        linear = 2 * (4 * width**2 + 2 * width * inner)
        attention = 2 * vision.window_size**2 * width + 2 * width * group
        total += vision.depths[stage] * positions * (depthwise + linear + attention)
        before = width
    return int(total + image_tokens(vision, side) * before * vision.projection_dim)


def encoder_macs(text: Any, positions: int) -> int:
    """Multiply-adds of the text encoder for one question, and of its cross-attention cache."""
    width, inner = text.d_model, text.encoder_ffn_dim
    each = 4 * width**2 + 2 * width * inner + 2 * positions * width
    cache = 2 * width**2 * text.decoder_layers
    return int(positions * (each * text.encoder_layers + cache))


def decoder_macs(text: Any, positions: int) -> int:
    """Multiply-adds of the decoder for one token."""
    width, inner = text.d_model, text.decoder_ffn_dim
    layer = 6 * width**2 + 2 * width * inner + 2 * positions * width
    return int(text.decoder_layers * layer + width * text.vocab_size)


def step_bytes(text: Any, positions: int, rows: int, beams: int, length: int, size: int) -> int:
    """Bytes that a decoder step has to read: weights once, and the caches of every row."""
    width = text.d_model
    weights = text.decoder_layers * (8 * width**2 + 2 * width * text.decoder_ffn_dim)
    weights += width * text.vocab_size
    caches = rows * 2 * width * text.decoder_layers * (positions + beams * length)
    return int(size * (weights + caches))
