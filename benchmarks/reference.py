"""What transformers itself makes of an image and a question: its processor, `generate`, its parser.

Native checkpoints are loaded by transformers alone. It can't load the original layout, so there its
network gets its weights through the table of names in `florence_annotate.checkpoints.layouts`, and
the processor is put together from the checkpoint's tokenizer and settings for images.
"""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import (
    Florence2ForConditionalGeneration,
    Florence2Processor,
    PreTrainedTokenizerFast,
)
from transformers.modeling_outputs import BaseModelOutput

from florence_annotate import tasks
from florence_annotate.checkpoints.checkpoint import Checkpoint
from florence_annotate.checkpoints.layouts import NATIVE
from florence_annotate.model.vocabulary import load_tokenizer
from florence_annotate.model.weights import load_network
from florence_annotate.types import Question

_PUBLISHED = Path(__file__).parents[1] / "tests" / "data" / "zoo"
_PARSER = _PUBLISHED / "florence-community__Florence-2-base" / "processor_config.json"
"""Where a checkpoint lacks the settings of the parser."""


@dataclass(frozen=True)
class Prepared:
    """What the processor makes of an image and a question."""

    prompt: tuple[int, ...]
    """Token ids, without the placeholders of the image."""
    pixels: Tensor
    """(1, 3, S, S), normalised."""


class Reference:
    """transformers' Florence-2, under the checkpoint's settings as this package resolves them."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> None:
        ours = load_network(checkpoint, dtype)
        is_native = checkpoint.layout is NATIVE and checkpoint.adapter is None
        network: Any = ours
        if is_native:
            network = Florence2ForConditionalGeneration.from_pretrained(
                checkpoint.folder, dtype=dtype
            )
        self.network = network.to(device).eval()
        self.settings = ours.generation_config
        self.processor = _processor(checkpoint, self._image_tokens(checkpoint.image_size))

    def _image_tokens(self, side: int) -> int:
        for stride in self.network.config.vision_config.patch_stride:
            side = -(-side // stride)
        return int(1 + side**2)

    def prepare(self, image: Image.Image, question: Question) -> Prepared:
        """The processor's inputs; the task's own token stands for the task."""
        text = question.task + (question.text or "")
        inputs = self.processor(text=[text], images=[image], return_tensors="pt")
        ids = inputs["input_ids"][0].tolist()
        prompt = tuple(id_ for id_ in ids if id_ != self.processor.image_token_id)
        return Prepared(prompt, inputs["pixel_values"])

    @torch.inference_mode()
    def generate(self, prepared: Prepared, beams: int, ngram: int, tokens: int) -> list[int]:
        """The token ids of an answer, from the start token to the end token."""
        weights = next(self.network.parameters())
        pixels = prepared.pixels.to(weights.device, weights.dtype)
        features = self.network.get_image_features(pixels).pooler_output
        embed = self.network.get_input_embeddings()
        prompt = embed(torch.tensor([prepared.prompt], device=weights.device))
        # the original layout has no row for the placeholder of an image, so that the features are
        # put in their places here
        states = self.network.get_encoder()(inputs_embeds=torch.cat([features, prompt], 1))[0]
        settings = copy.deepcopy(self.settings)
        settings.update(
            num_beams=beams, no_repeat_ngram_size=ngram, max_new_tokens=tokens, do_sample=False
        )
        if beams == 1:
            settings.early_stopping = False
        (row,) = self.network.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=torch.ones(states.shape[:2], dtype=torch.long, device=weights.device),
            generation_config=settings,
        ).tolist()
        return [int(token) for token in row]

    def parse(self, ids: list[int], question: Question, size: tuple[int, int]) -> Any:
        """The post-processor's answer for an image of this width and height, in pixels."""
        (text,) = self.processor.batch_decode([ids], skip_special_tokens=False)
        return self.processor.post_process_generation(
            text=text, task=question.task, image_size=size
        )[question.task]

    def in_double_precision(self) -> "Reference":
        """The same in float64, to tell ties from mistakes."""
        other = copy.copy(self)
        other.network = copy.deepcopy(self.network).double()
        return other


def _processor(checkpoint: Checkpoint, image_tokens: int) -> Any:
    parser = json.loads(_PARSER.read_text())["post_processor_config"]
    if checkpoint.layout is NATIVE and (checkpoint.folder / "processor_config.json").exists():
        processor = Florence2Processor.from_pretrained(checkpoint.folder)
        processor.post_processor.parse_task_config = processor.post_processor_config or parser
        return processor
    from transformers import CLIPImageProcessor  # says at once where torchvision is missing

    tokenizer = load_tokenizer(checkpoint)
    special = [*tasks.SPECIAL_TOKENS, "<s>", "</s>", "<pad>", "<unk>"]
    side, images = checkpoint.image_size, checkpoint.images
    return Florence2Processor(
        CLIPImageProcessor(
            do_resize=True,
            size={"height": side, "width": side},
            resample=Image.Resampling.BICUBIC,
            do_center_crop=False,
            do_rescale=True,
            do_normalize=True,
            image_mean=list(images.mean),
            image_std=list(images.std),
            image_seq_length=image_tokens,
        ),
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            bos_token="<s>",
            eos_token="</s>",
            pad_token="<pad>",
            unk_token="<unk>",
            additional_special_tokens=special,
            extra_special_tokens={"image_token": "<image>"},
        ),
        post_processor_config=parser,
    )
