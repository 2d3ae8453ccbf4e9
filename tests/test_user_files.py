"""Files that people give are regular, of a size that can be, and not nested without end."""

import os
import signal
from pathlib import Path

import pytest

from florence_annotate.user_files import (
    DEEPEST,
    SMALL,
    UnreadableFileError,
    parse_json,
    read_bytes,
    read_text,
)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    signal.alarm(20)
    for path, what in [
        (tmp_path / "fifo", "a fifo"),
        (tmp_path, "a folder"),
        (Path("/dev/zero"), "a device"),
    ]:
        with pytest.raises(UnreadableFileError, match=f"it is {what}") as caught:
            read_bytes(path, SMALL)
        assert caught.value.kind == "not-a-file"


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, SMALL + 1)
    with pytest.raises(UnreadableFileError, match="it has more than 4 MiB") as caught:
        read_bytes(path, SMALL)
    assert caught.value.kind == "too-large"
    os.truncate(path, SMALL)
    assert len(read_bytes(path, SMALL)) == SMALL


def test_a_file_that_is_not_there_or_no_text_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="it is not there") as caught:
        read_text(tmp_path / "nowhere", SMALL)
    assert caught.value.kind == "missing"
    (tmp_path / "binary").write_bytes(b"a\xff")
    with pytest.raises(UnreadableFileError, match="no text in UTF-8"):
        read_text(tmp_path / "binary", SMALL)
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbfa")
    assert read_text(tmp_path / "marked", SMALL) == "a"


def test_json_is_read_as_deep_as_a_file_has_reason_to_be() -> None:
    def nested(depth: int) -> str:
        return '{"a": [' * (depth // 2) + "0" + "]}" * (depth // 2)

    assert parse_json(nested(DEEPEST)) == parse_json(nested(DEEPEST))
    for depth in (DEEPEST + 2, 900, 200_000):
        with pytest.raises(UnreadableFileError, match=f"more than {DEEPEST} lists or mappings"):
            parse_json(nested(depth))


@pytest.mark.parametrize("text", ["", "{", "9" * 5000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(UnreadableFileError, match="it is no JSON"):
        parse_json(text)
