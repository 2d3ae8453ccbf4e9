"""The checkpoints that are known by name."""

import json
from pathlib import Path

from conftest import command
from small_models import copy_of_shapes

from florence_annotate.checkpoints.known import KNOWN, ORIGINALS, SHAPES, hub_id


def test_names_of_checkpoints_are_understood() -> None:
    for name in ("base-ft", "florence-2-base-ft", "Florence-2-Base-FT"):
        assert hub_id(name) == "florence-community/Florence-2-base-ft"
    assert hub_id("somebody/florence") == "somebody/florence"


def test_models_lists_what_is_known() -> None:
    rows = command("models", "--json").json
    assert [row["name"] for row in rows] == ["base", "large", "base-ft", "large-ft", "shapes"]
    assert "found in" in rows[-1]["where"] and "fetched when first used" in rows[0]["where"]
    said = command("models").out
    assert "231.0 M" in said and "MIT" in said


def test_models_tells_what_the_files_of_one_come_to_and_which_says_what(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    file = folder / "generation_config.json"
    file.write_text(json.dumps({"eos_token_id": 1, "num_beams": 2}))
    told = command("models", folder, "--json").json
    assert told["layout"] == "native" and told["image_size"] == 96
    assert told["generation"]["num_beams"] == {"value": 2, "from": "generation_config.json"}
    assert told["generation"]["end"] == {"value": 2, "from": "text_config"}
    assert told["generation"]["no_repeat_ngram"] == {"value": 3, "from": "as published"}
    (contradiction,) = told["contradictions"]
    assert contradiction == "eos_token_id is 2 (text_config); generation_config.json says 1"
    assert contradiction in command("models", folder).out


def test_models_fetches_nothing() -> None:
    result = command("models", "large")
    assert (result.code, result.out) == (1, "")
    assert "'run' fetches a hub id when it is first used" in result.err


def test_weights_take_their_numbers_in_the_format_that_is_chosen() -> None:
    assert KNOWN["base"].memory(2) * 2 == KNOWN["base"].memory(4) == 924_000_000


def test_every_public_checkpoint_has_an_original() -> None:
    assert len(ORIGINALS) == len(KNOWN) - 1
    assert hub_id(SHAPES) == SHAPES
