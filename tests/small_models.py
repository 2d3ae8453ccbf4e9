"""Checkpoints for tests, and questions to a model without the rooms around it."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.model.florence import Florence
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.types import Answer, Generation, Picture, Question

ORIGINAL = Path(__file__).parent / "data" / "original-layout"
"""A small random-weight model in the layout of the original repositories, and in `expected.npz`
what their code makes of it."""


def original_layout(folder: Path) -> checkpoints.Checkpoint:
    """ORIGINAL with settings for its images, which it lacks, in a new folder."""
    shutil.copytree(ORIGINAL, folder, dirs_exist_ok=True)
    shutil.copy(CHECKPOINT / "preprocessor_config.json", folder)
    return checkpoints.find(str(folder))


def copy_of_shapes(folder: Path) -> Path:
    """The embedded checkpoint, to be changed."""
    return Path(shutil.copytree(CHECKPOINT, folder / "copy"))


def views(pictures: Sequence[Picture]) -> list[Any]:
    """The pixels of whole images, as the model encodes them."""
    return [picture.pixels[0] for picture in pictures]


def ask(
    model: Florence,
    features: torch.Tensor,
    asked: Sequence[tuple[int, Question]],
    generation: Generation,
    rows: int = 8,
) -> list[Answer]:
    """Answers to (index into features, question) pairs, in their order."""
    answering = model.answering(generation, rows)
    for ticket, (index, question) in enumerate(asked):
        answering.ask(ticket, features[index], question)
    answers: dict[int, Answer] = {}
    while found := answering.answers():
        answers |= dict(found)
    return [answers[ticket] for ticket in range(len(asked))]


_TO_ORIGINAL = (
    (r"^model\.language_model\.", "language_model.model."),
    (r"^model\.multi_modal_projector\.image_projection\.weight$", "image_projection"),
    (r"^model\.multi_modal_projector\.image_position_embed\.", "image_pos_embed."),
    (r"^model\.multi_modal_projector\.", ""),
    (r"^model\.vision_tower\.", "vision_tower."),
    (r"(\.convs\.\d+)\.conv\.", r"\1.proj."),
    (r"\.(conv[12])\.", r".\1.fn.dw."),
    (r"\.(spatial|channel)_block\.norm1\.", r".\1_block.NORM."),
    (r"\.(window_attn|channel_attn)\.(qkv|proj)\.", r".\1.fn.\2."),
    (r"\.norm2\.", ".ffn.norm."),
    (r"\.ffn\.(fc[12])\.", r".ffn.fn.net.\1."),
    (r"\.spatial_block\.NORM\.", ".spatial_block.window_attn.norm."),
    (r"\.channel_block\.NORM\.", ".channel_block.channel_attn.norm."),
)


def original_name(name: str) -> str:
    for pattern, replacement in _TO_ORIGINAL:
        name = re.sub(pattern, replacement, name)
    return name


def write_original(folder: Path) -> Path:
    """The embedded checkpoint in the original layout, with a tokenizer that lacks the tasks'."""
    folder.mkdir()
    tensors = load_file(CHECKPOINT / "model.safetensors")
    renamed = {
        original_name(name): tensor.T.contiguous() if "image_projection" in name else tensor
        for name, tensor in tensors.items()
    }
    shared = renamed["language_model.model.shared.weight"]
    for tied in ("lm_head", "model.encoder.embed_tokens", "model.decoder.embed_tokens"):
        renamed[f"language_model.{tied}.weight"] = shared.clone()
    renamed["language_model.final_logits_bias"] = torch.zeros(1, len(shared))
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((CHECKPOINT / "config.json").read_text())
    generation = json.loads((CHECKPOINT / "generation_config.json").read_text())
    vision = config["vision_config"]
    vision |= {
        "model_type": "davit",
        "dim_embed": vision.pop("embed_dim"),
        "visual_temporal_embedding": {
            "type": "COSINE",
            "max_temporal_embeddings": vision.pop("max_temporal_embeddings"),
        },
        "image_pos_embed": {
            "type": "learned_abs_2d",
            "max_pos_embeddings": vision.pop("max_position_embeddings"),
        },
    }
    config["text_config"] |= {"model_type": "florence2_language", **generation}
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(CHECKPOINT / "preprocessor_config.json", folder)
    shutil.copy(CHECKPOINT / "labels.txt", folder)
    words = json.loads((CHECKPOINT / "tokenizer.json").read_text())
    added = {*tasks.SPECIAL_TOKENS, "<image>"}
    words["added_tokens"] = [t for t in words["added_tokens"] if t["content"] not in added]
    (folder / "tokenizer.json").write_text(json.dumps(words))
    return folder
