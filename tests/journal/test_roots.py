from pathlib import Path

from florence_annotate.journal import Journal
from florence_annotate.types import Root


def test_roots_come_back_in_their_order_and_nothing_is_written_twice(tmp_path: Path) -> None:
    roots = [Root(b"/in\xff", True, ""), Root(b"/b", True, "b/"), Root(b"/b", False, "b/")]
    with Journal.create(tmp_path) as journal:
        journal.roots.replace(roots)
        written = journal.connection.total_changes
        journal.roots.replace(roots)
        assert journal.connection.total_changes == written
    with Journal.open_existing(tmp_path) as reader:
        assert reader.roots.known() == roots
