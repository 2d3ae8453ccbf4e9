"""What binds a job, also where its journal is an older one."""

import json
from pathlib import Path
from typing import Any

import pytest

from florence_annotate.config import job_spec
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.errors import FingerprintError
from florence_annotate.jobs.fingerprint import (
    BOUND,
    BY_KIND,
    Begun,
    Fingerprint,
    Setting,
    describe,
    digest,
    refuse_other,
)
from florence_annotate.journal import Journal
from florence_annotate.tasks import Kind

FLAT = {
    "model": "shapes",
    "revision": None,
    "weights": "aa",
    "adapter": None,
    "questions": [["<OD>", None]],
    "tiles": None,
    "inputs": None,
    "image_size": 96,
    "dtype": "float32",
    "max_new_tokens": 512,
    "num_beams": 3,
    "no_repeat_ngram": 0,
    "retry_truncated": True,
    "constrain": "form",
    "labels": [],
}
"""As version 0.1.0 wrote it."""
TODAY = FLAT | {"pixels": "exact"}
"""With what bound it, too, before there was a choice."""


def older_job(folder: Path, fingerprint: dict[str, Any], **settings: Any) -> Journal:
    journal = Journal.create(folder)
    journal.set_value("fingerprint", fingerprint)
    journal.runs.begin(json.dumps(JobSpec(**settings).model_dump()))
    return journal


def test_an_older_fingerprint_has_its_values_for_each_kind_of_task(tmp_path: Path) -> None:
    with older_job(tmp_path, FLAT, model="shapes", num_beams=3) as journal:
        found = Fingerprint.of(journal)
        assert found is not None
        assert found.settings.keys() == set(BOUND)
        assert found.settings["num_beams"] == Setting(3, {Kind.LOCATIONS: 3, Kind.TEXT: 3})
        assert found.settings["constrain"].given is None
        assert found.settings["model"] == Setting("shapes", "shapes")
        assert describe(journal) == TODAY


def test_a_setting_that_an_older_journal_lacks_has_the_value_from_before(tmp_path: Path) -> None:
    lacking = ("constrain", "labels", "adapter", "tiles", "inputs")
    older = {name: value for name, value in FLAT.items() if name not in lacking}
    with older_job(tmp_path, older) as journal:
        found = Fingerprint.of(journal)
        assert found is not None
        assert found.settings["constrain"].resolved == dict.fromkeys(Kind, "off")
        assert (found.adapter, found.labels) == (None, ())
        assert describe(journal) == TODAY | {"constrain": "off"}


def test_a_fingerprint_survives_the_journal(tmp_path: Path) -> None:
    settings = {name: Setting(None, "value") for name in BOUND}
    settings |= {name: Setting(1, {Kind.LOCATIONS: 0, Kind.TEXT: 3}) for name in BY_KIND}
    fingerprint = Fingerprint(settings, "aa", None, 768, ("car", "person"))
    with Journal.create(tmp_path) as journal:
        assert Fingerprint.of(journal) is None
        assert Begun.of(journal) is None
        journal.set_value("fingerprint", fingerprint.dump())
        assert Fingerprint.of(journal) == fingerprint
    described = fingerprint.described({"questions": []})
    assert described["num_beams"] == {"locations": 0, "text": 3}
    assert described["labels"] == ["car", "person"]


def test_a_job_that_was_killed_before_it_noted_its_settings_has_begun(tmp_path: Path) -> None:
    with Journal.create(tmp_path) as journal:
        journal.set_value("fingerprint", FLAT)
        begun = Begun.of(journal)
        assert begun is not None
        assert begun.last is None
        assert begun.described() == TODAY


def test_settings_of_older_versions_are_given_where_they_are_no_defaults() -> None:
    text = json.dumps(JobSpec(model="shapes", min_score=0.5).model_dump())
    assert job_spec.load(text).given == {"model", "min_score"}
    again = job_spec.build({"model": "base-ft", "seed": None})
    assert job_spec.load(job_spec.dump(again)).given == {"model"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("dtype", "bfloat16", 'dtype = "float32", and now it is "bfloat16"'),
        (
            "weights",
            "bb",
            'configurations. have the hash = "aa", and now it is "bb"',
        ),
        ("inputs", "cc", "the content of --texts or --regions = null"),
        ("questions", [["<OCR>", None]], r'questions = \[\["<OD>", null\]\]'),
        ("questions", [["<OD>", "x" * 200]], r"\(\d+ characters\)"),
    ],
)
def test_another_bound_value_is_refused_with_both_values(
    name: str, value: Any, message: str
) -> None:
    refuse_other(FLAT, dict(FLAT), Path("out"))
    with pytest.raises(FingerprintError, match=message):
        refuse_other(FLAT, FLAT | {name: value}, Path("out"))


def test_files_of_texts_and_regions_are_known_by_their_content(tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("image,text\n")
    before = digest(str(file))
    assert before == digest(str(file))
    file.write_text("image,text\na.jpg,a cat\n")
    assert digest(str(file)) not in (before, None)
    (tmp_path / "yolo" / "labels").mkdir(parents=True)
    (tmp_path / "yolo" / "data.yaml").write_text("names: [a]")
    empty = digest(str(tmp_path / "yolo"))
    (tmp_path / "yolo" / "labels" / "a.txt").write_text("0 .5 .5 .1 .1")
    assert digest(str(tmp_path / "yolo")) != empty
    assert digest(None) is digest("sidecar") is None


def test_a_setting_that_no_journal_knows_and_no_line_names_has_its_default(
    tmp_path: Path,
) -> None:
    known = {name: value for name, value in FLAT.items() if name != "retry_truncated"}
    with older_job(tmp_path, known) as journal:
        found = Fingerprint.of(journal)
        assert found is not None
        assert found.settings["retry_truncated"] == Setting(None, True)
        dumped = found.dump()
        del dumped["settings"]["num_beams"]
        journal.set_value("fingerprint", dumped)
        again = Fingerprint.of(journal)
        assert again is not None
        assert again.settings["num_beams"] == Setting(None, dict.fromkeys(Kind))
