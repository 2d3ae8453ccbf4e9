"""Jobs of earlier versions (tests/data/journals) export to the same bytes, and go on."""

import json
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, command, rows
from small_models import copy_of_shapes

from florence_annotate.journal import Journal
from florence_annotate.types import TokenKind

JOURNALS = Path(__file__).parents[1] / "data" / "journals"
ALL = sorted(path.parent.name for path in JOURNALS.glob("*/job.db"))
GENERATION = (
    *("--constrain", "form", "--max-new-tokens", 24, "--no-retry-truncated", "--no-canary"),
    *("--dtype", "float32", "--max-failures", 1, "--workers", 0),
)
CONTINUED: dict[str, tuple[object, ...]] = {
    "continued-boxes": ("--format", "yolo,coco,jsonl"),
    "continued-masks": (
        *("--recipe", "instance-segmentation", "--num-beams", 2),
        *("--format", "yolo-seg,coco,jsonl"),
    ),
}
"""Those that carry their checkpoint, and what they were begun with."""


@dataclass(frozen=True)
class Laid:
    """A copy of a job, with the folders and files that its journal speaks of."""

    source: Path
    out: Path
    expected: dict[str, bytes | str]
    """Exported files: texts by their bytes, others by their SHA-256."""


def lay(name: str, root: Path) -> Laid:
    """Copy a job; the paths and stamps in the copy's journal are those of the copied images."""
    shutil.copytree(JOURNALS / "images", root / "images")
    shutil.copytree(JOURNALS / "tiny-checkpoint", root / "tiny-checkpoint")
    shutil.copy(JOURNALS / "regions.json", root)
    out = root / name
    out.mkdir()
    shutil.copy(JOURNALS / name / "job.db", out)
    connection = sqlite3.connect(out / "job.db")
    for run, text in connection.execute("SELECT id, settings FROM runs").fetchall():
        settings = json.loads(text)
        old_root = str(Path(settings["sources"][0]).parent)
        moved = text.replace(f"{old_root}/", f"{root}/")
        moved = moved.replace("/tmp/journals/", f"{root}/")
        connection.execute("UPDATE runs SET settings = ? WHERE id = ?", (moved, run))
    for image, key in connection.execute("SELECT id, key FROM images").fetchall():
        path = root / "images" / key
        stamp = bytes(path), path.stat().st_size, path.stat().st_mtime_ns
        connection.execute(
            "UPDATE images SET path = ?, size_bytes = ?, mtime_ns = ? WHERE id = ?", (*stamp, image)
        )
        connection.execute(
            "UPDATE attempts SET path = ?, size_bytes = ?, mtime_ns = ? "
            "WHERE seq = (SELECT max(seq) FROM attempts WHERE image = ?)",
            (*stamp, image),
        )
    connection.commit()
    connection.close()
    return Laid(root / "images", out, read_expected(JOURNALS / name / "expected"))


def read_expected(folder: Path) -> dict[str, bytes | str]:
    expected: dict[str, bytes | str] = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    return expected | json.loads(expected.pop("hashes.json"))


def exported(laid: Laid, summary: dict[str, Any]) -> dict[str, bytes | str]:
    """What lies in the output folder, in the form of `Laid.expected`."""
    return {
        name: (laid.out / name).read_bytes()
        if isinstance(laid.expected.get(name), bytes)
        else content
        for name, content in summary["files"].items()
    }


def test_there_is_a_job_of_each_kind() -> None:
    assert {"boxes", "masks", "text", "captions", "tiles", "regions", "verify"} < set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_an_older_job_exports_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    laid = lay(name, tmp_path)
    result = command("export", laid.out, "--json")
    assert result.code == 0, result.err
    assert exported(laid, result.json) == laid.expected


@pytest.mark.parametrize("name", ALL)
def test_an_older_job_is_explained_and_stays_as_it_is(name: str, tmp_path: Path) -> None:
    laid = lay(name, tmp_path)
    before = (laid.out / "job.db").read_bytes()
    explained = command("explain", laid.out, "plain.jpg", "--json")
    assert explained.code == 0, explained.err
    assert (explained.json["state"], bool(explained.json["answers"])) == ("annotated", True)
    assert "plain.jpg" in command("explain", laid.out, "plain").out
    measured = command("stats", laid.out, "--json")
    assert measured.code == 0, measured.err
    assert (laid.out / "job.db").read_bytes() == before
    summary = command("export", laid.out, "--json").json
    for what in ("instances", "classes", "dropped"):
        counts = summary[what]
        if isinstance(counts, dict):
            counts = {each: count for each, count in counts.items() if count}
        assert measured.json[what] == counts


@pytest.mark.parametrize("name", CONTINUED)
def test_an_older_job_resumes(name: str, tmp_path: Path) -> None:
    laid = lay(name, tmp_path)
    result = command("resume", laid.out, "--json")
    assert result.code == 0, result.err
    assert exported(laid, result.json) == laid.expected
    with Journal.open_to_write(laid.out) as journal, journal.transaction():
        where = "image = (SELECT id FROM images WHERE key = 'turned.jpg')"
        journal.connection.execute(
            f"DELETE FROM answers WHERE attempt IN (SELECT seq FROM attempts WHERE {where})"
        )
        journal.connection.execute(f"DELETE FROM attempts WHERE {where}")
    result = command("resume", laid.out, "--json")
    assert result.code == 0, result.err
    assert result.json["run"]["annotated"] == 1
    assert result.json["files"].keys() == laid.expected.keys()


@pytest.mark.parametrize("name", CONTINUED)
def test_an_older_job_goes_on_with_another_image(name: str, tmp_path: Path) -> None:
    laid = lay(name, tmp_path)
    shutil.copy(JOURNALS / "added.png", laid.source)
    options = ["--model", tmp_path / "tiny-checkpoint", *GENERATION, *CONTINUED[name]]
    result = command("run", laid.source, "-o", laid.out, *options, "--json")
    assert result.code == 0, result.err
    assert result.json["run"]["annotated"] == 1
    assert "added.png" in (laid.out / "annotations.jsonl").read_text()
    labels = {name for name in laid.expected if name.startswith("labels/")}
    found = exported(laid, result.json)
    assert {name: found[name] for name in labels} == {name: laid.expected[name] for name in labels}


def test_an_older_job_keeps_the_score_that_it_was_begun_with(tmp_path: Path) -> None:
    laid = lay("continued-boxes", tmp_path)
    model = ("--model", tmp_path / "tiny-checkpoint", *GENERATION)
    shutil.copy(next(laid.source.rglob("*.png")), laid.source / "another.png")
    assert annotate(laid.source, laid.out, *model, *CONTINUED["continued-boxes"]).code == 0
    new = tmp_path / "new"
    assert annotate(laid.source, new, *model, *CONTINUED["continued-boxes"]).code == 0
    for out, is_kept in ((laid.out, False), (new, True)):
        with Journal.open_existing(out) as journal:
            answers = [answer for record in journal.records() for answer in record.answers]
        has_locations = [TokenKind.LOCATION in answer.kinds for answer in answers]
        assert any(has_locations)
        assert [bool(answer.spreads) for answer in answers] == [
            is_kept and one for one in has_locations
        ]


def test_a_second_source_moves_no_key_of_an_older_job(tmp_path: Path) -> None:
    name = "continued-boxes"
    laid = lay(name, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(JOURNALS / "added.png", other)
    options = ["--model", tmp_path / "tiny-checkpoint", *GENERATION, *CONTINUED[name]]
    result = command("run", laid.source, other, "-o", laid.out, *options, "--json")
    assert result.code == 0, result.err
    assert result.json["run"]["annotated"] == 1
    assert result.json["left_dataset"] == {}
    assert "other/added.png" in {row["key"] for row in rows(laid.out)}


def test_what_nobody_gives_an_older_job_goes_on_with(tmp_path: Path) -> None:
    laid = lay("continued-boxes", tmp_path)
    shutil.copy(JOURNALS / "added.png", laid.source)
    arguments = ("run", laid.source, "-o", laid.out, "--max-failures", 1, "--workers", 0)
    before = command("status", laid.out, "--json").json["fingerprint"]
    dry = command(*arguments, "--dry-run", "--json")
    assert (dry.code, dry.json["pending"]) == (0, 1)
    result = command(*arguments, "--no-canary", "--json")
    assert result.code == 0, result.err
    assert result.json["run"]["annotated"] == 1
    assert result.json["fingerprint"] == before
    assert result.json["settings"]["model"] == str(tmp_path / "tiny-checkpoint")


def test_a_given_value_is_refused_by_name_and_so_is_other_content(tmp_path: Path) -> None:
    laid = lay("continued-boxes", tmp_path)
    arguments = ("run", laid.source, "-o", laid.out, "--max-failures", 1)
    result = command(*arguments, "--num-beams", 3)
    assert result.code == 1
    assert "num_beams = 1, and now it is 3" in result.err
    result = command(*arguments, "--pixels", "fast")  # of which that version knew nothing
    assert result.code == 1
    assert 'pixels = "exact", and now it is "fast"' in result.err
    settings = tmp_path / "tiny-checkpoint" / "generation_config.json"
    settings.write_text(settings.read_text() + "\n")
    result = command(*arguments)
    assert result.code == 1
    assert "whose files (weights, tokenizer, configurations) have the hash = " in result.err
    assert len(result.err.splitlines()) == 1


def test_a_job_with_a_value_that_new_jobs_do_not_have_says_so_in_one_line(tmp_path: Path) -> None:
    laid = lay("continued-boxes", tmp_path)
    shutil.copy(JOURNALS / "added.png", laid.source)
    with Journal.open_to_write(laid.out) as journal:
        bound = journal.value("fingerprint")
        journal.set_value("fingerprint", bound | {"no_repeat_ngram": 3})
    result = command("resume", laid.out)
    assert result.code == 0, result.err
    line = "going on with --no-repeat-ngram 3, as the job was begun; a new one would take 0"
    assert result.err.splitlines().count(line) == 1


def test_images_that_were_decoded_otherwise_are_counted_until_all_are_asked_again(
    scenes: Path, tmp_path: Path
) -> None:
    """Earlier versions took token ids and forced tokens from one file alone, and recorded none."""
    checkpoint = copy_of_shapes(tmp_path)
    (checkpoint / "generation_config.json").write_text('{"num_beams": 1}')
    out, line = tmp_path / "out", "3 images were asked by an earlier version"
    options = ("--model", checkpoint, "--no-repeat-ngram", 0)
    result = annotate(scenes, out, "--limit", 3, *options)
    assert (result.code, line in result.err) == (0, False)
    with Journal.open_to_write(out) as journal, journal.transaction():
        journal.connection.execute("DELETE FROM job WHERE name = 'decoding'")
    for limit in (4, 5):
        result = annotate(scenes, out, "--limit", limit, *options)
        assert (result.code, line in result.err) == (0, True), result.err
    result = annotate(scenes, out, "--limit", 5, *options, "--restart")
    assert (result.code, "earlier version" in result.err) == (0, False)
