"""Asking a Florence-2 of transformers directly, with greedy decoding.

It is for training alone: the package has its own way (`florence_annotate.model`), which training
does not know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import Florence2ForConditionalGeneration

from training.tokenizer import BOS_ID, EOS_ID, PAD_ID

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""With `MEAN`: what is taken off RGB values in [0, 1], and what they are then divided by."""

MAX_ANSWER_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that can be asked."""

    model: Any
    """`Florence2ForConditionalGeneration`."""
    tokenizer: Tokenizer


def load(folder: Path) -> Checkpoint:
    """A saved checkpoint, in float32."""
    model = Florence2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return Checkpoint(model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json")))


def normalise(pixels: Tensor) -> Tensor:
    """uint8, shape (images, S, S, 3) → the model's float32, shape (images, 3, S, S)."""
    scaled = pixels.permute(0, 3, 1, 2).float() / 255
    return (scaled - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


@torch.inference_mode()
def encode_images(checkpoint: Checkpoint, pixels: Tensor) -> Tensor:
    """Pixels as `normalise` takes them → image features, shape (images, 1 + cells, width)."""
    features: Tensor = checkpoint.model.get_image_features(normalise(pixels)).pooler_output
    return features


@torch.inference_mode()
def greedy(
    checkpoint: Checkpoint, features: Tensor, prompts: Sequence[str]
) -> list[tuple[list[int], list[float]]]:
    """The answer to a prompt about each image: its token ids and their log-probabilities.

    The closing `</s>` is part of an answer, the tokens before its first one are not.
    """
    encodings = checkpoint.tokenizer.encode_batch(list(prompts))
    width = max(len(e.ids) for e in encodings)
    ids = torch.tensor([e.ids + [PAD_ID] * (width - len(e.ids)) for e in encodings])
    embeddings = torch.cat([features, checkpoint.model.get_input_embeddings()(ids)], dim=1)
    there = torch.ones(features.shape[:2], dtype=torch.long)
    mask = torch.cat([there, (ids != PAD_ID).long()], dim=1)
    language = checkpoint.model.model.language_model
    encoded = language.encoder(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
    rows = torch.arange(len(prompts))
    answers: list[tuple[list[int], list[float]]] = [([], []) for _ in prompts]
    tokens, cache = torch.tensor([[EOS_ID, BOS_ID]] * len(prompts)), None
    for _ in range(MAX_ANSWER_TOKENS):
        output = language.decoder(
            input_ids=tokens,
            encoder_hidden_states=encoded,
            encoder_attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
        )
        cache = output.past_key_values
        logits = checkpoint.model.lm_head(output.last_hidden_state[:, -1])
        logs, best = logits.log_softmax(-1).max(-1)
        for row, token, log in zip(rows.tolist(), best.tolist(), logs.tolist(), strict=True):
            answers[row][0].append(token)
            answers[row][1].append(log)
        keep = best != EOS_ID
        if not bool(keep.any()):
            break
        if int(keep.sum()) < len(keep):
            # rows that are done leave the batch: most answers are short
            cache.batch_select_indices(keep.nonzero()[:, 0])
            encoded, mask, rows, best = encoded[keep], mask[keep], rows[keep], best[keep]
        tokens = best[:, None]
    return answers
