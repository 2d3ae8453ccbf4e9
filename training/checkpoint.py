"""What the checkpoint is made of, and its folder, in the layout of transformers."""

from pathlib import Path

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
from training.asking import MAX_ANSWER_TOKENS, MEAN, STD
from training.cells import CELLS_IN_A_ROW


def new_model(words: Tokenizer) -> Florence2ForConditionalGeneration:
    """A model whose weights are not yet set, for a tokenizer."""
    image_token_id = tokenizer.token_id(words, tokenizer.IMAGE_TOKEN)
    return Florence2ForConditionalGeneration(_config(words.get_vocab_size(), image_token_id))


def _config(vocabulary: int, image_token_id: int) -> Florence2Config:
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


def save(folder: Path, model: Florence2ForConditionalGeneration, words: Tokenizer) -> None:
    """Write the model in float16, with its processor and its labels."""
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
        max_new_tokens=MAX_ANSWER_TOKENS,
    )
    half.save_pretrained(folder)
    processor = _processor(words)
    processor.save_pretrained(folder)
    # also in the file of its own that older readers of this layout look for
    processor.image_processor.save_pretrained(folder)
    (folder / "labels.txt").write_text("".join(f"{s}\n" for s in SHAPES), encoding="utf-8")


def _processor(words: Tokenizer) -> Florence2Processor:
    """How transformers prepares images and prompts for the model."""
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
    images.image_seq_length = 1 + CELLS_IN_A_ROW**2
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
