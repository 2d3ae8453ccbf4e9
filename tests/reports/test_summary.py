"""`summary.json`."""

import json
from pathlib import Path
from typing import Any

import pytest
from written_answers import answer, written_job

from florence_annotate.dataset.opening import last_spec
from florence_annotate.errors import OutputError
from florence_annotate.formats.export import export
from florence_annotate.journal import Journal
from florence_annotate.reports.summary import SUMMARY_NAME, summarise, versions, write_summary
from florence_annotate.types import Failure, ImageRef

SAID = {
    "a.png": [answer("car", 1, 2, 300, 400, "boat", 1, 2, 300, 400, "torn", 1, 2)],
    "b.png": [],
    "c.png": [answer("car", 1, 2, 300, 400)],
}


def summary_of(out: Path, *, is_exported: bool = True) -> dict[str, Any]:
    with Journal.open_existing(out) as journal:
        spec = last_spec(journal)
        exported = export(journal, out, spec, overwrite=False) if is_exported else None
        return summarise(journal, out, spec, {"model": "shapes"}, exported)


def test_a_summary_counts_what_was_exported(tmp_path: Path) -> None:
    out = written_job(tmp_path, SAID, classes="car,tree", formats="yolo")
    with Journal.open_existing(out) as journal:
        ref = ImageRef("broken.png", b"/broken.png", 1, 1)
        journal.select([ref, *(record.ref for record in list(journal.records()))])
        journal.append(1, [Failure(ref, "decode", "corrupt", "no header")])
    summary = summary_of(out)
    assert summary["images"] == {"images": 4, "annotated": 3, "failed": 1, "pending": 0}
    assert summary["finished"] is True
    assert summary["classes"] == {"car": 2, "tree": 0}
    assert (summary["instances"], summary["images_not_asked"]) == (2, 1)
    assert summary["dropped"] == {"no-class": 1, "torn-box": 1}
    assert summary["unmapped_labels"] == {"boat": 1}
    (failure,) = summary["failures"]
    assert failure["key"] == "broken.png" and failure["message"] == "no header"
    assert "labels/train/a.txt" in summary["files"]
    assert "labels/train/b.txt" not in summary["files"]


def test_a_run_that_was_interrupted_has_no_dataset(tmp_path: Path) -> None:
    summary = summary_of(written_job(tmp_path, SAID), is_exported=False)
    assert summary["files"] == {}
    assert "classes" not in summary and "formats" not in summary


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_file_is_json_as_the_library_writes_it(tmp_path: Path, count: int) -> None:
    files = {f'labels/é "{number}".txt': f"link:../{number}" for number in range(count)}
    summary = {"version": "1", "classes": {"自動車": 3}, "list": [1, 2.5], "files": files}
    write_summary(tmp_path, summary)
    text = (tmp_path / SUMMARY_NAME).read_text(encoding="utf-8")
    assert text == json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    assert [path.name for path in tmp_path.iterdir()] == [SUMMARY_NAME]


def test_a_path_that_is_no_utf8_is_written_as_an_escape(tmp_path: Path) -> None:
    write_summary(tmp_path, {"output": "a\udcff", "files": {}})
    assert json.loads((tmp_path / SUMMARY_NAME).read_text())["output"] == "a\udcff"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="gone"):
        write_summary(tmp_path / "gone", {"files": {}})


def test_versions_name_what_shapes_answers_and_files() -> None:
    assert {"python", "platform", "torch", "transformers", "pillow"} <= versions().keys()
