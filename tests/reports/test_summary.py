"""`summary.json`."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import command
from written_answers import answer, select, written_job

from florence_annotate.dataset.opening import last_spec
from florence_annotate.errors import OutputError
from florence_annotate.formats.export import export
from florence_annotate.journal import Journal
from florence_annotate.reports.summary import (
    SUMMARY_NAME,
    summarise,
    text_of,
    versions,
    write_summary,
)
from florence_annotate.types import Failure, ImageRef

SAID = {
    "a.png": [answer("car", 1, 2, 300, 400, "boat", 1, 2, 300, 400, "torn", 1, 2)],
    "b.png": [],
    "c.png": [answer("car", 1, 2, 300, 400)],
}


def summary_of(out: Path, *, is_exported: bool = True) -> dict[str, Any]:
    with Journal.open_to_write(out) as journal:
        spec = last_spec(journal)
        exported = None
        if is_exported:
            exported = export(
                *(journal, out, spec),
                overwrite=False,
                judge_lost=lambda count, lost: None,
                settle=lambda names: None,
            )
        summarise(journal, out, spec, {"model": "shapes"}, exported, journal.counts())
    written: dict[str, Any] = json.loads((out / SUMMARY_NAME).read_text())
    return written


def test_a_summary_counts_what_was_exported(tmp_path: Path) -> None:
    out = written_job(tmp_path, SAID, classes="car,tree", formats="yolo")
    with Journal.open_to_write(out) as journal:
        ref = ImageRef("broken.png", b"/broken.png", 1, 1)
        select(journal, [ref, *(record.ref for record in list(journal.records()))])
        journal.append(1, [Failure(ref, "decode", "corrupt", "no header")])
    summary = summary_of(out)
    assert summary["images"] == {
        "images": 4,
        "annotated": 3,
        "failed": 1,
        "beyond_limit": 0,
        "pending": 0,
    }
    assert summary["finished"] is True
    assert summary["classes"] == {"car": 2, "tree": 0}
    assert (summary["instances"], summary["images_not_asked"]) == (2, 1)
    assert summary["dropped"] == {"no-class": 1, "torn-box": 1}
    assert summary["unmapped_labels"] == {"boat": 1}
    (failure,) = summary["failures"]
    assert failure["key"] == "broken.png" and failure["message"] == "no header"
    assert "labels/train/a.txt" in summary["files"]
    assert "labels/train/b.txt" not in summary["files"]


def test_what_stricter_filters_would_find_is_told(tmp_path: Path) -> None:
    whole = (0, 0, 999, 999)
    said = {"a.png": [answer("car", *whole, "boat", *whole)], "b.png": [answer("car", *whole)]}
    out = written_job(tmp_path, said, formats="yolo")
    summary = summary_of(out)
    assert summary["boxes_over_0.9_of_the_image"] == 3
    assert summary["pairs_of_classes_over_0.9_iou"] == 1
    shown = command("export", out).out
    assert "3 boxes cover over 0.9 of the image: --max-area 0.9 leaves such out" in shown
    assert "1 pair of boxes of different classes in one place" in shown
    filters = ("--max-area", 0.9)
    filtered = command("export", out, *filters, "--json").json
    assert (filtered["instances"], filtered["dropped"]) == (0, {"max-area": 3})
    assert filtered["boxes_over_0.9_of_the_image"] == 0
    assert "over 0.9 of the image" not in command("export", out, *filters).out
    filtered = command(
        "export", out, "--nms-across-classes", 0.9, "--max-area", "none", "--json"
    ).json
    assert filtered["dropped"] == {"nms-across-classes": 1}


def test_a_run_that_was_interrupted_has_no_dataset(tmp_path: Path) -> None:
    summary = summary_of(written_job(tmp_path, SAID), is_exported=False)
    assert summary["files"] == {}
    assert "classes" not in summary and "formats" not in summary


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_file_is_json_as_the_library_writes_it(tmp_path: Path, count: int) -> None:
    files = {f'labels/é "{number}".txt': f"link:../{number}" for number in range(count)}
    refs = [ImageRef(f"ü\n{number}.png", b"/1.png", 1, 1) for number in range(count)]
    failures = [Failure(ref, "decode", "corrupt", "no header") for ref in refs]
    summary = {"version": "1", "classes": {"自動車": 3}, "list": [1, 2.5], "none": {}}
    write_summary(tmp_path, summary, iter(failures), iter(files.items()))
    told = [
        {"key": ref.key, "stage": "decode", "kind": "corrupt", "message": "no header"}
        for ref in refs
    ]
    whole = summary | {"failures": told, "files": files}
    text = (tmp_path / SUMMARY_NAME).read_text(encoding="utf-8")
    lines = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    for told_one in told:  # a line each
        of_it = json.dumps(told_one, indent=2, ensure_ascii=False).replace("\n", "\n    ")
        lines = lines.replace(of_it, json.dumps(told_one, ensure_ascii=False))
    assert text == lines
    assert [path.name for path in tmp_path.iterdir()] == [SUMMARY_NAME]
    printed = "".join(text_of(tmp_path))
    assert printed.isascii() and json.loads(printed) == whole


def test_a_path_that_is_no_utf8_is_written_as_an_escape(tmp_path: Path) -> None:
    write_summary(tmp_path, {"output": "a\udcff"}, iter(()), iter(()))
    assert json.loads((tmp_path / SUMMARY_NAME).read_text())["output"] == "a\udcff"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="gone"):
        write_summary(tmp_path / "gone", {}, iter(()), iter(()))


def test_versions_name_what_shapes_answers_and_files() -> None:
    assert {"python", "platform", "torch", "transformers", "pillow"} <= versions().keys()


def test_a_link_in_the_place_of_the_part_file_is_not_followed(tmp_path: Path) -> None:
    out = written_job(tmp_path, SAID)
    victim = tmp_path / "victim"
    victim.write_text("of somebody")
    (out / "summary.json.part").symlink_to(victim)
    assert command("export", out).code == 0
    assert victim.read_text() == "of somebody"
    assert json.loads((out / SUMMARY_NAME).read_text())["finished"] is True
    assert not (out / "summary.json.part").is_symlink()


def test_a_folder_in_the_place_of_the_summary_is_named_in_one_line(tmp_path: Path) -> None:
    out = written_job(tmp_path, SAID)
    (out / SUMMARY_NAME).mkdir()
    result = command("export", out, "--quiet")
    assert (result.code, len(result.err.splitlines())) == (1, 1)
    assert f"can't write {out / SUMMARY_NAME}: Is a directory" in result.err
    assert not (out / "summary.json.part").exists()
