"""How a run looks while it goes."""

import io

import pytest

from florence_annotate.cli.progress import ScreenReporter
from florence_annotate.types import Failure, ImageRef


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_note_is_a_line_of_its_own_above_the_live_one(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    reporter = ScreenReporter(quiet=False)
    with reporter.progress(2, lambda: "2 actors") as progress:
        progress.advance([Failure(ImageRef("a.jpg", b"", 0, 0), "read", "gone", "it is gone")])
        reporter.note("an actor died [and not markup]")
    assert "1/2" in screen.getvalue() and "1 failed, 2 actors" in screen.getvalue()
    assert "an actor died [and not markup]\n" in screen.getvalue().replace("\r", "")
