"""Where a dataset may go."""

import os
from pathlib import Path

import pytest

from florence_annotate.errors import SourceError, UsageError
from florence_annotate.images.codec import SUFFIXES
from florence_annotate.images.sources import Sources
from florence_annotate.jobs.output import default_output, refuse_unusable
from florence_annotate.journal import exists


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "1.jpg").touch()
    return folder


def check(out: Path, *sources: Path) -> None:
    refuse_unusable(out, Sources(tuple(map(str, sources)), SUFFIXES, (), (), out))


def test_a_single_folder_has_its_dataset_beside_it(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_output((str(source),)) == source.with_name("in-dataset")
    monkeypatch.chdir(source)
    for named in ((str(source),), (str(source), "elsewhere")):
        with pytest.raises(UsageError, match="-o"):
            default_output(named)
    with pytest.raises(SourceError, match="spelling"):
        default_output(("in-typo",))


def test_a_new_an_empty_and_a_used_output_will_do(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    check(out, source)
    out.mkdir()
    check(out, source)
    (out / "job.db").write_bytes(b"something")
    (out / "data.yaml").touch()
    check(out, source)


def test_an_output_that_overlaps_with_a_source_is_refused(source: Path, tmp_path: Path) -> None:
    for out in (source, source / "below"):
        with pytest.raises(UsageError, match="annotated again"):
            check(out, source)
    with pytest.raises(UsageError, match="lies in the output"):
        check(tmp_path, source)
    with pytest.raises(UsageError, match="source image"):
        check(source, source / "1.jpg")


def test_an_output_that_holds_something_else_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.touch()
    with pytest.raises(UsageError, match="is a file"):
        check(out, source)
    os.remove(out)
    out.mkdir()
    (out / "thesis.tex").touch()
    with pytest.raises(UsageError, match="no job"):
        check(out, source)


def test_a_journal_that_was_killed_before_its_first_commit_holds_no_job(tmp_path: Path) -> None:
    assert not exists(tmp_path)
    (tmp_path / "job.db").touch()
    assert not exists(tmp_path)
    (tmp_path / "job.db").write_bytes(b"something")
    assert exists(tmp_path)


def test_an_output_that_leads_nowhere_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"out is a link to .*gone, which is not there: make that"):
        check(out, source)
    (tmp_path / "gone").mkdir()
    check(out, source)
