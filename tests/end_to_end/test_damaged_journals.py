"""Journals that are damaged, edited by hand or somebody else's: one line, whoever reads them."""

import shutil
import sqlite3
import traceback
from contextlib import closing
from pathlib import Path

import pytest
from conftest import annotate, command

from florence_annotate import open_dataset
from florence_annotate.errors import JobError

WHOEVER = [
    "update policies set content = '{bad'",
    "update policies set content = '[]'",
    """update policies set content = '{"classes": 5}'""",
    """update policies set content = '{"min_score": "much"}'""",
    "update runs set settings = 'x'",
    "update runs set settings = '[]'",
    """update runs set settings = '{"batch_size": "many"}'""",
    "update answers set data = x'00'",
    "update answers set data = 'text'",
    "update answers set kinds = x'09'",
    "update answers set ends = x'00'",
    "update answers set logprobs = 'none'",
    "update answers set region = '{'",
    "update answers set view = '[1]'",
    "update answers set spreads = x'0102'",
    "update attempts set width = null",
    "update attempts set width = -5",
    "update attempts set height = 'tall'",
    "update attempts set path = 'text'",
    "update attempts set sha = '../../../home'",
    "update attempts set path = x'2fff00'",
    "update attempts set image = -5 where image = 1",
    "update attempts set run = 99",
    "update attempts set asked_with = 99",
    "update answers set task = 'nonsense'",
    "update answers set attempt = -attempt",
    "update exports set target = 9",
    "update roots set folder = x'ff00'",
    "update attempts set seq = -seq, sha = '../../../home'",
    "update images set size_bytes = 'large'",
    "update images set key = cast(x'ff' as text) where id = 1",
    "update images set selected = 9",
    "update roots set folder = 'x'",
    "update job set value = 'zz'",
    "update job set value = '5'",
    "update job set value = '{}'",
    "update job set value = 'zz' where name = 'fingerprint'",
    "update exported_classes set name = x'00'",
    "drop table exports",
    "update runs set report = 'x'",
    "update runs set report = '[]'",
    "update exports set outcome = 'zzz'",
    "update exports set outcome = '[]'",
    "drop table answers",
]
LEFT_BY_EXPORTS = [
    "update exported_images set number = 0 where image = 1",
    "update exported_images set split = 'nope' where image = 1",
    "update exported_images set target = 9 where image = 1",
    "update files set target = 9 where path like 'images/%'",
    "update files set content = '../../../home/x', source = null where path like 'images/%'",
]
WRITERS = [
    *LEFT_BY_EXPORTS,
    "update files set source = '../../home' where source is not null",
    "update exported_images set number = 1",
    "update exported_images set name = 'x.jpg'",
    "update exported_classes set id = -5 where id = 0",
    "update exported_classes set id = 999999999999 where id = 0",
]
"""What a reader of the dataset does not go by."""


@pytest.fixture(scope="module")
def job(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("few") / "few"
    source.mkdir()
    for path in sorted(scenes.glob("*.jpg"))[:3]:
        shutil.copy(path, source)
    assert annotate(source, source.with_name("job"), "--images", "symlink", "-q").code == 0
    return source.with_name("job")


def damaged(job: Path, folder: Path, statement: str) -> Path:
    shutil.copytree(job, folder, symlinks=True)
    with closing(sqlite3.connect(folder / "job.db")) as connection, connection:
        assert connection.execute(statement).rowcount
    return folder


@pytest.mark.parametrize("statement", [*WHOEVER, *WRITERS])
def test_a_damaged_journal_is_told_in_one_line(job: Path, tmp_path: Path, statement: str) -> None:
    out = damaged(job, tmp_path / "out", statement)
    policy = (out / "policy.yaml").read_bytes()
    files = sorted(out.rglob("*"))
    other = "--min-score", "0.01"
    exports = ["export", out, *other], ["export", out, "-o", tmp_path / "new"]
    for arguments in (*exports, ["resume", out]):
        ended = command(*arguments, "-q")
        assert ended.code == 1, (arguments, ended)
        assert ended.err.startswith("error: ") and len(ended.err.splitlines()) == 1
        assert "job.db is damaged (" in ended.err, ended.err
        assert "put a copy of it back, or choose another output with -o" in ended.err
    assert (out / "policy.yaml").read_bytes() == policy
    assert sorted(out.rglob("*")) == files and not (tmp_path / "new").exists()


@pytest.mark.parametrize("statement", [*WHOEVER, *WRITERS])
def test_an_export_that_goes_by_nothing_damaged_leaves_the_dataset_as_it_is(
    job: Path, tmp_path: Path, statement: str
) -> None:
    out = damaged(job, tmp_path / "out", statement)
    before = contents(out)
    ended = command("export", out, "-q")
    assert ended.code == 0 or "job.db is damaged (" in ended.err, ended
    assert contents(out) == before


def contents(out: Path) -> dict[str, bytes]:
    """What lies in a dataset, but for the journal and the summary of the last command."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in files
        if path.name not in ("job.db", "summary.json")
    }


@pytest.mark.parametrize("statement", WHOEVER)
def test_python_is_told_so_too(job: Path, tmp_path: Path, statement: str) -> None:
    out = damaged(job, tmp_path / "out", statement)
    with pytest.raises(JobError, match="is damaged"):
        for image in open_dataset(out):
            str(image)


@pytest.mark.parametrize("statement", LEFT_BY_EXPORTS)
@pytest.mark.parametrize("name", ["report", "explain"])
def test_who_goes_by_what_exports_left_is_told_so(
    job: Path, tmp_path: Path, name: str, statement: str
) -> None:
    out = damaged(job, tmp_path / "out", statement)
    page = ("-o", tmp_path / "page.html") if name == "report" else ("0001.jpg",)
    ended = command(name, out, *page)
    assert ended.code == 1 and "job.db is damaged (" in ended.err, ended


@pytest.mark.parametrize("statement", LEFT_BY_EXPORTS)
def test_what_would_build_on_it_is_refused_before_anything_is_asked_or_forgotten(
    job: Path, tmp_path: Path, statement: str
) -> None:
    out = damaged(job, tmp_path / "out", statement)
    more = tmp_path / "more"
    more.mkdir()
    shutil.copy(next(job.with_name("few").glob("*.jpg")), more / "new.jpg")
    before, told = contents(out), told_by(out)
    again = "run", job.with_name("few"), "-o", out, "--model", "shapes"
    for arguments in (
        ["run", job.with_name("few"), more, "-o", out, "--model", "shapes", "--allow-missing"],
        [*again, "--restart", "--overwrite"],
        [*again, "--min-score", "0.3"],
        ["export", out, "-o", tmp_path / "elsewhere"],
    ):
        ended = command(*arguments, "-q")
        assert ended.code == 1 and "job.db is damaged (" in ended.err, (arguments, ended)
    assert contents(out) == before and told_by(out) == told


def told_by(out: Path) -> dict[str, list[tuple[object, ...]]]:
    """What a journal holds beside the images that the sources name."""
    tables = "runs", "attempts", "targets", "exported_images", "files"
    with closing(sqlite3.connect(out / "job.db")) as connection:
        return {each: connection.execute(f"SELECT * FROM {each}").fetchall() for each in tables}


def test_a_file_that_is_noted_as_a_link_and_is_none_is_kept_under_a_name_of_its_own(
    scenes: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "deep" / "er" / "out"
    shutil.copytree(scenes, source)
    assert annotate(source, out, "--images", "copy", "--limit", "2", "-q").code == 0
    with closing(sqlite3.connect(out / "job.db")) as connection, connection:
        connection.execute(
            "update files set content = 'link:../../x', source = null where path like 'images/%'"
        )
    shutil.rmtree(source)
    copies = sorted(path.read_bytes() for path in (out / "images").rglob("*.jpg"))
    command("export", out, "--images", "none", "--allow-missing", "-q")
    assert copies == sorted(path.read_bytes() for path in out.rglob("*.jpg"))
    assert not [path for path in tmp_path.rglob("*.jpg") if out not in path.parents]


@pytest.mark.parametrize("statement", [*WHOEVER, *WRITERS])
def test_status_and_failures_have_no_traceback(job: Path, tmp_path: Path, statement: str) -> None:
    out = damaged(job, tmp_path / "out", statement)
    for name in ("status", "failures"):
        try:
            ended = command(name, out)
        except Exception:
            pytest.fail(traceback.format_exc())
        assert ended.code == 0 or "is damaged" in ended.err
