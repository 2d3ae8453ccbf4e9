"""Florence-2 of the public sizes with random weights from a fixed seed, in either layout.

The public weights are not needed to measure speed: every product has the same shape. The
vocabulary has the public layout too, but only the words of the embedded checkpoint; the other
text tokens are fillers that no prompt uses.

`python -m benchmarks.random_models base --layout original` makes one and prints its folder.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BartConfig,
    Florence2Config,
    Florence2ForConditionalGeneration,
    GenerationConfig,
)
from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig

from benchmarks.measuring import add_cache, parser
from benchmarks.original_layout import original_config, original_tensors
from florence_annotate.shapes import CHECKPOINT

TEXT_TOKENS = 50_265
VOCABULARY = 51_290  # with the placeholder of the processor, the last one
SIDE = 768


@dataclass(frozen=True)
class Size:
    """What distinguishes the public sizes."""

    vision_width: int
    width: int
    layers: int
    heads: int


SIZES = {"base": Size(128, 768, 6, 12), "large": Size(256, 1024, 12, 16)}


def checkpoint_folder(size: str, cache: Path, side: int = SIDE, layout: str = "native") -> Path:
    """A checkpoint of this size, made where it is not there yet."""
    folder = cache / f"florence-2-{size}-random-{side}{'' if layout == 'native' else f'-{layout}'}"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write_weights(folder, SIZES[size])
        _write_processor(folder, side)
        if layout == "original":
            _rewrite(folder)
        (folder / "complete").touch()
    return folder


def _rewrite(folder: Path) -> None:
    """Turn a native checkpoint into one as Microsoft's repositories hold it."""
    tensors = original_tensors(load_file(folder / "model.safetensors"))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config, generation = (
        json.loads((folder / f"{name}.json").read_text())
        for name in ("config", "generation_config")
    )
    (folder / "config.json").write_text(json.dumps(original_config(config, generation), indent=2))
    (folder / "generation_config.json").unlink()
    (folder / "processor_config.json").unlink()


def _write_weights(folder: Path, size: Size) -> None:
    torch.manual_seed(0)
    vision = Florence2VisionConfig(
        depths=(1, 1, 9, 1),
        patch_stride=(4, 2, 2, 2),
        embed_dim=tuple(size.vision_width * k for k in (1, 2, 4, 8)),
        num_heads=tuple(size.vision_width // 32 * k for k in (1, 2, 4, 8)),
        num_groups=tuple(size.vision_width // 32 * k for k in (1, 2, 4, 8)),
        window_size=12,
        projection_dim=size.width,
    )
    text = BartConfig(
        vocab_size=VOCABULARY,
        d_model=size.width,
        encoder_layers=size.layers,
        decoder_layers=size.layers,
        encoder_attention_heads=size.heads,
        decoder_attention_heads=size.heads,
        encoder_ffn_dim=4 * size.width,
        decoder_ffn_dim=4 * size.width,
        # wide enough that the most probable tokens are no near ties
        init_std=0.05,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        decoder_start_token_id=2,
    )
    model = Florence2ForConditionalGeneration(
        Florence2Config(text_config=text, vision_config=vision, image_token_id=VOCABULARY - 1)
    )
    model.generation_config = GenerationConfig(
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_bos_token_id=0,
        forced_eos_token_id=2,
        num_beams=3,
        no_repeat_ngram_size=3,
    )
    model.save_pretrained(folder)


def _write_processor(folder: Path, side: int) -> None:
    tokenizer = json.loads((CHECKPOINT / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    shift = TEXT_TOKENS - len(words)
    for token in tokenizer["added_tokens"]:
        if token["id"] >= len(words):
            token["id"] += shift
    words |= {f"filler{i}": i for i in range(len(words), TEXT_TOKENS)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_bytes(
        (CHECKPOINT / "tokenizer_config.json").read_bytes()
    )
    for name in ("preprocessor_config.json", "processor_config.json"):
        settings = json.loads((CHECKPOINT / name).read_text())
        images: dict[str, Any] = settings.get("image_processor", settings)
        images["size"] = {"height": side, "width": side}
        images["image_seq_length"] = 1 + (side // 32) ** 2
        (folder / name).write_text(json.dumps(settings, indent=2))


if __name__ == "__main__":
    options = parser("random_models", __doc__)
    options.add_argument("size", choices=SIZES)
    options.add_argument("--layout", choices=("native", "original"), default="native")
    add_cache(options)
    chosen = options.parse_args()
    print(checkpoint_folder(chosen.size, chosen.cache, layout=chosen.layout))
