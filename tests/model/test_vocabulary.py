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
from florence_annotate.tasks import FORMS, OPEN_VOCABULARY
from florence_annotate.types import Question, TokenKind

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


def test_every_token_stands_for_its_bytes(model: Florence) -> None:
    vocabulary = model.vocabulary
    for text in ("a red star", "naïve café 日本 \t\n", "<loc_5>"):
        ids = vocabulary.text_ids(text)
        assert b"".join(map(vocabulary.token_bytes, ids)).decode() == text


def test_kinds_tell_locations_and_control_tokens_from_text(model: Florence) -> None:
    vocabulary = model.vocabulary
    (location,) = vocabulary.text_ids("<loc_999>")
    assert vocabulary.kind(location) is TokenKind.LOCATION
    assert vocabulary.kind(location + 1) is TokenKind.CONTROL
    assert vocabulary.kind(vocabulary.eos_id) is TokenKind.CONTROL
    assert {vocabulary.kind(token) for token in vocabulary.text_ids("star")} == {TokenKind.TEXT}


def test_letters_are_those_of_the_forms_of_answers(model: Florence) -> None:
    vocabulary = model.vocabulary
    tokens = ("star", "<loc_0>", "<sep>", "<poly>", "</poly>")
    letters = [vocabulary.form_letter(vocabulary.text_ids(text)[0]) for text in tokens]
    assert letters == ["t", "l", "s", "p", "q"]
    assert set(letters) == {
        letter for form in FORMS.values() for letter in form if letter.isalpha()
    }
    assert vocabulary.form_letter(vocabulary.eos_id) is None


def test_a_mark_before_the_text_of_a_tokenizer_is_no_part_of_it(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    file = folder / "tokenizer.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    found, own = (load_tokenizer(checkpoints.find(name)) for name in (str(folder), "shapes"))
    assert found.get_vocab() == own.get_vocab()
