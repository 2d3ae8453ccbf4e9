"""The training command: a small Florence-2, from nothing, on painted scenes.

``python -m training.train --out DIR`` paints the scenes once into ``DIR/scenes``
and leaves the model in ``DIR/checkpoint``. Interrupted, the same command goes on from the last
saved state; with more ``--steps`` it takes a finished run further. The checkpoint's own README
says how the one in this package was made.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import (
    BartConfig,
    CLIPImageProcessorPil,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    GenerationConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig

from florence_annotate.shapes import INPUT_SIZE, SHAPES
from training import tokenizer
from training.learning import Options, Run, draw, paint_pools
from training.validation import MEAN, STD, Parts, validate

IMAGE_TOKENS = 65  # 8 x 8 cells and their mean


def build_config(vocabulary: int, image_token_id: int) -> Florence2Config:
    """The architecture: Florence-2 with every dimension small."""
    vision = Florence2VisionConfig(
        depths=(1, 1, 1, 1),
        patch_size=(7, 3, 3, 3),
        patch_stride=(3, 2, 2, 1),
        patch_padding=(3, 1, 1, 1),
        embed_dim=(32, 64, 128, 128),
        num_heads=(1, 2, 4, 4),
        num_groups=(1, 2, 4, 4),
        window_size=4,
        drop_path_rate=0.0,
        projection_dim=128,
    )
    text = BartConfig(
        vocab_size=vocabulary,
        d_model=128,
        encoder_layers=3,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=512,
        decoder_ffn_dim=512,
        max_position_embeddings=1024,
        dropout=0.0,
        decoder_start_token_id=tokenizer.EOS_ID,
    )
    return Florence2Config(text_config=text, vision_config=vision, image_token_id=image_token_id)


def build_processor(words: Tokenizer) -> Florence2Processor:
    """The processor: the squashing resize, the normalisation, and the tokenizer."""
    images = CLIPImageProcessorPil(
        do_resize=True,
        size={"height": INPUT_SIZE, "width": INPUT_SIZE},
        resample=3,
        do_center_crop=False,
        do_normalize=True,
        image_mean=list(MEAN),
        image_std=list(STD),
        do_convert_rgb=True,
    )
    images.image_seq_length = IMAGE_TOKENS
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token=tokenizer.BOS,
        pad_token=tokenizer.PAD,
        eos_token=tokenizer.EOS,
        unk_token=tokenizer.UNK,
        cls_token=tokenizer.BOS,
        sep_token=tokenizer.EOS,
        extra_special_tokens={"image_token": tokenizer.IMAGE_TOKEN},
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )
    return Florence2Processor(image_processor=images, tokenizer=wrapped)


def save_checkpoint(
    folder: Path, model: Florence2ForConditionalGeneration, words: Tokenizer
) -> None:
    """Write the model in the native layout, float16, with its processor and its labels."""
    folder.mkdir(parents=True, exist_ok=True)
    half = Florence2ForConditionalGeneration(model.config)
    half.load_state_dict(model.state_dict())
    half.half()
    half.generation_config = GenerationConfig(
        bos_token_id=tokenizer.BOS_ID,
        pad_token_id=tokenizer.PAD_ID,
        eos_token_id=tokenizer.EOS_ID,
        decoder_start_token_id=tokenizer.EOS_ID,
        forced_bos_token_id=tokenizer.BOS_ID,
        forced_eos_token_id=tokenizer.EOS_ID,
        num_beams=1,
        no_repeat_ngram_size=0,
        max_new_tokens=256,
    )
    half.save_pretrained(folder)
    processor = build_processor(words)
    processor.save_pretrained(folder)
    # Also in the file of its own that older readers of the native layout look for.
    processor.image_processor.save_pretrained(folder)
    (folder / "labels.txt").write_text("".join(f"{s}\n" for s in SHAPES), encoding="utf-8")


def new_run(options: Options) -> Run:
    """A run at its start: the tokenizer built, the model's weights drawn from the seed."""
    words = tokenizer.build()
    image_token_id = tokenizer.token_id(words, tokenizer.IMAGE_TOKEN)
    config = build_config(words.get_vocab_size(), image_token_id)
    return Run.start(options, Florence2ForConditionalGeneration(config), words)


def train(options: Options) -> dict[str, float]:
    """Run the whole training, or go on with it; returns the last validation figures."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    pools = paint_pools(options)
    run = new_run(options)
    state = options.out / "state.safetensors"
    if state.exists():
        run.load_state(state)
    parameters = sum(p.numel() for p in run.model.parameters())
    print(f"{parameters:,} parameters, from step {run.step} to {options.steps}", flush=True)
    figures: dict[str, float] = {}
    saved = time.monotonic()
    sums = [0.0, 0.0, 0.0]
    while run.step < options.steps:
        losses = run.train_step(draw(options, run.step, run.maturity(), pools))
        sums = [a + b for a, b in zip(sums, losses, strict=True)]
        if run.step % 100 == 0:
            text, location, helper = (s / 100 for s in sums)
            print(
                f"step {run.step}: text {text:.4f} location {location:.4f} helper {helper:.4f}",
                flush=True,
            )
            sums = [0.0, 0.0, 0.0]
        done = run.step == options.steps
        if done or time.monotonic() - saved > options.save_seconds:
            run.save_state(state)
            save_checkpoint(options.out / "checkpoint", run.model, run.words)
            figures = check(options.out / "checkpoint", options.validate_scenes)
            print(f"step {run.step}: {json.dumps(figures)}", flush=True)
            saved = time.monotonic()
    return figures


def load_parts(folder: Path) -> Parts:
    """A saved checkpoint, ready to be asked (in float32, from the float16 weights)."""
    model = Florence2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return Parts(model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json")))


def check(
    folder: Path, count: int, first_seed: int = 1_500_000, *, phrases: bool = False
) -> dict[str, float]:
    """Validate a saved checkpoint on held-out scenes."""
    figures = validate(load_parts(folder), first_seed, count, phrases=phrases)
    return {name: round(value, 4) for name, value in figures.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m training.train")
    parser.add_argument("--out", type=Path, help="folder of the run")
    for field in fields(Options)[1:]:
        name = "--" + field.name.replace("_", "-")
        kind = Path if field.name == "start" else type(field.default)
        parser.add_argument(name, type=kind, default=field.default)
    measure = parser.add_argument_group("measuring instead of training")
    measure.add_argument("--measure", type=Path, help="a checkpoint folder: no training is done")
    measure.add_argument("--first-seed", type=int, default=1_500_000)
    measure.add_argument("--count", type=int, default=500)
    given = vars(parser.parse_args(arguments))
    folder, first_seed, count = (given.pop(k) for k in ("measure", "first_seed", "count"))
    if folder:
        torch.set_num_threads(given["threads"])
        print(json.dumps(check(folder, count, first_seed, phrases=True)))
    elif given["out"] is None:
        parser.error("--out is needed: the folder of the run")
    else:
        train(Options(**given))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
