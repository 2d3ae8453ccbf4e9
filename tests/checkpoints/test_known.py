"""The checkpoints that are known by name."""

from conftest import command

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


def test_weights_take_their_numbers_in_the_format_that_is_chosen() -> None:
    assert KNOWN["base"].memory(2) * 2 == KNOWN["base"].memory(4) == 924_000_000


def test_every_public_checkpoint_has_an_original() -> None:
    assert len(ORIGINALS) == len(KNOWN) - 1
    assert hub_id(SHAPES) == SHAPES
