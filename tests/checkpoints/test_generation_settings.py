"""Which file says how a checkpoint would have its answers written."""

import json
from pathlib import Path
from typing import Any

import pytest

from florence_annotate.checkpoints.generation_settings import (
    FILE,
    Decoding,
    GenerationSettings,
    read_generation_settings,
)
from florence_annotate.errors import CheckpointError

BART = {"<s>": 0, "<pad>": 1, "</s>": 2}


def read(
    folder: Path,
    text: dict[str, Any] | None = None,
    file: dict[str, Any] | None = None,
    tokenizer: dict[str, int] = BART,
    **top: Any,
) -> GenerationSettings:
    if file is not None:
        (folder / FILE).write_text(json.dumps(file))
    config = {"text_config": text or {}, **top}
    return read_generation_settings(folder, config, tokenizer, 100, "it")


def test_what_no_file_says_is_as_published(tmp_path: Path) -> None:
    found = read(tmp_path, tokenizer={})
    assert found.decoding == Decoding(2, 2, 1, 0, 2, early_stopping=False)
    assert (found.num_beams, found.no_repeat_ngram) == (3, 3)
    assert set(found.origins.values()) == {"as published"}


def test_each_setting_comes_from_the_first_file_that_names_it(tmp_path: Path) -> None:
    text = {"num_beams": 5, "no_repeat_ngram_size": 4, "early_stopping": True}
    found = read(tmp_path, text, {"num_beams": 2, "early_stopping": None})
    assert (found.num_beams, found.no_repeat_ngram) == (2, 4)
    assert found.decoding.early_stopping
    assert found.origins["num_beams"] == FILE
    assert found.origins["no_repeat_ngram"] == "text_config"
    assert str(found) == (
        "start 2, end 2, pad 1 (tokenizer.json); forced_first 0, forced_last 2 (as published); "
        "early_stopping True, no_repeat_ngram 4 (text_config); num_beams 2 (generation_config.json)"
    )


def test_generic_keys_are_no_settings(tmp_path: Path) -> None:
    left = {"max_length": 20, "min_length": 9, "top_k": 50, "length_penalty": 2.0}
    assert read(tmp_path, left, left) == read(tmp_path)


def test_token_ids_are_never_those_of_files_that_fine_tunes_leave_wrong(tmp_path: Path) -> None:
    wrong = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    found = read(tmp_path, {"eos_token_id": 2, "pad_token_id": 1}, wrong, **wrong)
    assert found.decoding == Decoding(2, 2, 1, 0, 2, early_stopping=False)
    assert found.origins["end"] == "text_config"
    assert len(found.contradictions) == 6
    assert "eos_token_id is 2 (text_config); generation_config.json says 1" in found.contradictions


def test_the_tokenizer_says_the_ids_that_the_configuration_does_not(tmp_path: Path) -> None:
    found = read(tmp_path, tokenizer={"<s>": 7, "<pad>": 8, "</s>": 9})
    assert (found.decoding.start, found.decoding.end, found.decoding.pad) == (9, 9, 8)
    assert (found.decoding.forced_first, found.decoding.forced_last) == (7, 9)
    assert not found.contradictions


def test_a_list_of_one_id_is_that_id(tmp_path: Path) -> None:
    ids = {"eos_token_id": [2], "pad_token_id": [1]}
    forced = {"forced_bos_token_id": [0], "forced_eos_token_id": [2]}
    found = read(tmp_path, ids, ids | forced, **ids)
    assert found.decoding == Decoding(2, 2, 1, 0, 2, early_stopping=False)
    assert found.before is None and not found.contradictions


@pytest.mark.parametrize(
    ("file", "match"),
    [
        ({"num_beams": "3"}, "num_beams in its generation_config.json is '3', not a number"),
        ({"num_beams": True}, "not a number"),
        ({"early_stopping": "sometimes"}, "not true or false"),
        ({"early_stopping": "never"}, "which transformers knows .* not supported.*set it to false"),
        ({"no_repeat_ngram_size": -1}, "not a number, 0 or more"),
        ({"forced_eos_token_id": [2, 3]}, r"is \[2, 3\], not a number"),
        ({"num_beams": [3]}, "not a number"),
        ({"num_beams": 0}, "num_beams in its .* is 0, not a number from 1 to 64"),
        ({"num_beams": 1_000_000}, "is 1000000, not a number from 1 to 64"),
        ({"forced_bos_token_id": 100}, "is 100, and its vocabulary has 100 tokens"),
    ],
)
def test_a_value_that_is_none_is_refused(file: dict[str, Any], match: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=match):
        read(tmp_path, None, file)


def test_what_earlier_versions_made_of_a_short_file_is_known(tmp_path: Path) -> None:
    text = {"forced_bos_token_id": 0, "forced_eos_token_id": 2, "early_stopping": True}
    found = read(tmp_path, text, {"num_beams": 3})
    assert found.before == Decoding(2, 2, 1, None, None, early_stopping=False)
    assert found.answered_otherwise_before(num_beams=1)


def test_an_early_stop_matters_to_a_search_with_beams_alone(tmp_path: Path) -> None:
    forced = {"forced_bos_token_id": 0, "forced_eos_token_id": 2, "early_stopping": True}
    found = read(tmp_path, forced)
    assert not found.answered_otherwise_before(num_beams=1)
    assert found.answered_otherwise_before(num_beams=3)


def test_ids_that_the_tokenizer_contradicts_are_doubtful(tmp_path: Path) -> None:
    assert read(tmp_path, {"eos_token_id": 1}).is_doubtful
    assert not read(tmp_path, {"eos_token_id": 2}, {"eos_token_id": 1}).is_doubtful
