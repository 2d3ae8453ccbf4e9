"""Whole checkpoints as fine-tuning leaves them, from the command line to the dataset."""

import json
from pathlib import Path

from conftest import annotate, rows, tree
from small_models import copy_of_shapes, write_original


def change(file: Path, **values: object) -> None:
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(content | values))


def test_wrong_ids_in_files_that_are_not_trusted_change_nothing_and_are_told(
    dataset: Path, scenes: Path, tmp_path: Path
) -> None:
    """As 8 of 14 fine-tunes have them; taken as they are, no answer ends."""
    model = copy_of_shapes(tmp_path)
    for name in ("config.json", "generation_config.json"):
        change(model / name, bos_token_id=2, eos_token_id=1, pad_token_id=0)
    result = annotate(scenes, tmp_path / "out", "--model", model, "--dtype", "float32", "--visuals")
    assert result.code == 0, result.err
    assert tree(tmp_path / "out") == tree(dataset)
    (line,) = (each for each in result.err.splitlines() if "contradict" in each)
    assert "eos_token_id is 2 (text_config); config.json says 1" in line


def test_a_short_file_of_settings_leaves_the_others_to_the_configuration(
    scenes: Path, tmp_path: Path
) -> None:
    """As the original repositories have it; without the forced `<s>` captions degenerate."""
    model = write_original(tmp_path / "original")
    (model / "generation_config.json").write_text('{"num_beams": 1, "early_stopping": false}')
    options = ("--task", "caption", "--limit", 4, "--format", "jsonl", "--dtype", "float32")
    for name, given in (("plain", "shapes"), ("short", str(model))):
        result = annotate(scenes, tmp_path / name, *options, "--model", given)
        assert result.code == 0, result.err
    assert "forced_first 0, forced_last 2, no_repeat_ngram 0 (text_config)" in result.err
    assert rows(tmp_path / "short") == rows(tmp_path / "plain")
