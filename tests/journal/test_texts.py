"""A set of texts that lies beside the journal."""

from pathlib import Path

import pytest

from florence_annotate.errors import OutputError
from florence_annotate.journal import Journal, Texts


def test_what_was_added_is_in_it_and_nothing_else(tmp_path: Path) -> None:
    with Journal.create(tmp_path) as journal:
        texts = Texts(journal)
        added = [f"é/{number}" for number in range(10_000)]  # more than wait in memory
        for text in (*added, *added[:2]):
            texts.add(text)
        assert all(text in texts for text in added)
        assert not any(f"{text}x" in texts for text in added)


def test_a_text_is_told_from_another_with_the_same_mark(tmp_path: Path) -> None:
    with Journal.create(tmp_path) as journal:
        texts = Texts(journal)
        for number in range(10_000):
            texts.add(f"a{number}")
        texts._marks = bytearray(b"\xff") * len(texts._marks)  # as if all had been added
        assert "a0" in texts and "b0" not in texts


def test_a_new_set_is_empty(tmp_path: Path) -> None:
    with Journal.create(tmp_path) as journal:
        before = Texts(journal)
        for number in range(10_000):
            before.add(str(number))
        assert "1" not in Texts(journal)


def test_a_full_disk_of_temporary_files_is_told_apart_from_that_of_the_job(tmp_path: Path) -> None:
    with Journal.create(tmp_path) as journal:
        texts = Texts(journal)
        journal.connection.execute("PRAGMA temp.max_page_count = 8")
        with pytest.raises(OutputError, match=r"temporary files of .*TMPDIR"):
            for number in range(10_000):
                texts.add(f"some/folder/of/images/{number}.jpg")
