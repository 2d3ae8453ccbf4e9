"""The tokenizer of the checkpoint."""

import pytest
from tokenizers import Tokenizer

from florence_annotate.shapes import CHECKPOINT, SHAPES
from training import tokenizer


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return tokenizer.build()


def test_ids_are_in_the_order_of_the_original(words: Tokenizer) -> None:
    assert [words.id_to_token(i) for i in range(4)] == ["<s>", "<pad>", "</s>", "<unk>"]
    first = tokenizer.token_id(words, "<od>")
    added = [words.id_to_token(i) for i in range(first, words.get_vocab_size())]
    assert added[:4] == ["<od>", "</od>", "<ocr>", "</ocr>"]
    assert added[4:1004] == [f"<loc_{i}>" for i in range(1000)]
    assert added[1004:1006] == ["<cap>", "</cap>"]
    assert added[-4:] == ["<poly>", "</poly>", "<and>", "<image>"]
    assert len(added) == 4 + 1000 + 20 + 1


def test_the_words_of_this_world_are_single_tokens(words: Tokenizer) -> None:
    for shape in SHAPES:
        assert len(words.encode(shape, add_special_tokens=False).ids) == 1
    assert len(words.encode("red star", add_special_tokens=False).ids) == 2


@pytest.mark.parametrize("text", ["a pink cross", "Übergröße 犬 🙂", " leading", "EXIT<loc_7>"])
def test_any_text_comes_back(words: Tokenizer, text: str) -> None:
    ids = words.encode(text).ids
    assert ids[0] == 0 and ids[-1] == 2
    assert words.decode(ids[1:-1], skip_special_tokens=False) == text


def test_building_gives_the_tokenizer_of_the_checkpoint(words: Tokenizer) -> None:
    kept = Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))
    assert kept.get_vocab() == words.get_vocab()
