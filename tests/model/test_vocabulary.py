"""Token ids, their bytes and their kinds; tokenizers that do not fit."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from small_models import copy_of_shapes, write_original
from tokenizers import Tokenizer

from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.errors import CheckpointError
from florence_annotate.model.florence import Florence
from florence_annotate.model.vocabulary import load_tokenizer
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.tasks import OPEN_VOCABULARY
from florence_annotate.types import Question

CPU = torch.device("cpu")


def refused(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match):
        Florence(checkpoints.find(str(folder)), CPU, torch.float32, "sdpa")


def test_a_prompts_tokens_are_the_processors(model: Florence) -> None:
    from transformers import Florence2Processor

    processor = Florence2Processor.from_pretrained(CHECKPOINT)
    image = Image.new("RGB", (96, 96))
    ids = processor(text="<OPEN_VOCABULARY_DETECTION>red star", images=image)["input_ids"][0]
    prompt = tasks.prompt(Question(OPEN_VOCABULARY, "red star"))
    mine = model.vocabulary.prompt_ids(prompt)
    assert [i for i in ids if i != processor.image_token_id] == list(mine)


def test_a_tokenizer_with_more_tokens_than_the_weights_is_refused(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(["<new>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    refused(folder, "belong to different checkpoints")


def test_a_tokenizer_without_locations_is_refused(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace("<loc_7>", "<lok_7>"))
    refused(folder, "<loc_7>")


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return write_original(tmp_path / "original")


def test_the_tokenizer_is_completed_in_the_original_order(original: Path) -> None:
    kept = Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))
    completed = load_tokenizer(checkpoints.find(str(original)))
    for token in tasks.SPECIAL_TOKENS:
        assert completed.token_to_id(token) == kept.token_to_id(token)
    text = "What is the region <loc_5><loc_999>?"
    assert completed.encode(text).ids == kept.encode(text).ids
