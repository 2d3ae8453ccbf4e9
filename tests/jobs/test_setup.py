"""From a request to a model that is ready, and what a job that goes on takes from its journal."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from florence_annotate.config import job_spec
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.errors import CheckpointError, DeviceError, UsageError
from florence_annotate.jobs.fingerprint import Begun, Fingerprint, Setting
from florence_annotate.jobs.setup import Setup, take_over
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.tasks import Kind


def build(**flags: Any) -> JobSpec:
    return job_spec.build({"model": "shapes", **flags})


def setup_of(bound: Fingerprint | None = None, **flags: Any) -> Setup:
    spec = build(**flags)
    return Setup.of(spec, spec.request(), bound)


def begun(last: JobSpec | None = None, **resolved: Any) -> Begun:
    """A job that was begun with `last`, with other resolved values than those of today."""
    last = last or build()
    fingerprint = Setup.of(last, last.request()).fingerprint()
    settings = {
        **fingerprint.settings,
        **{name: Setting(None, value) for name, value in resolved.items()},
    }
    return Begun(replace(fingerprint, settings=settings), {}, last)


def test_auto_and_none_are_settled_by_checkpoint_and_device() -> None:
    setup = setup_of(device="cpu")
    assert (setup.place.name, setup.dtype) == ("cpu", "float32")
    assert (setup.generation.max_new_tokens, setup.generation.num_beams) == (512, 1)
    assert setup.generation.for_text is None
    given = setup_of(num_beams=2, max_new_tokens=24, constrain="form", dtype="bfloat16")
    assert given.dtype == "bfloat16"
    assert (given.generation.num_beams, given.generation.max_new_tokens) == (2, 24)
    assert given.fingerprint().settings["num_beams"] == Setting(2, dict.fromkeys(Kind, 2))


@pytest.mark.parametrize(
    ("flags", "error", "message"),
    [
        ({"max_new_tokens": 5000}, UsageError, "has positions for 1024"),
        ({"constrain": "labels"}, UsageError, "--strategy od"),
        ({"model": "./nowhere"}, CheckpointError, "not there"),
        ({"device": "cuda"}, DeviceError, "--device"),
        ({"task": "caption", "classes": "a", "model": "./nowhere"}, UsageError, "leave --classes"),
        ({"presence": True, "task": "caption"}, UsageError, "begins with boxes"),
        (
            {
                "recipe": "verify",
                "classes": "a",
                "strategy": "open-vocabulary",
                "constrain": "labels",
            },
            UsageError,
            "leave one of them out",
        ),
    ],
)
def test_what_cannot_be_is_refused(flags: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        setup = setup_of(**flags)
        _ = setup.generation, setup.place


def test_od_is_held_to_names_and_synonyms() -> None:
    classes = [{"star": {"synonyms": ["asterisk"]}, "cross": None}][0]
    setup = setup_of(classes=classes, constrain="labels")
    assert setup.labels == setup.generation.labels == ("star", "asterisk", "cross")


def test_what_nobody_gives_is_the_journals() -> None:
    first = build(num_beams=2, dtype="float16", retry_truncated=False, pixels="fast")
    job = begun(first)
    spec = take_over(job_spec.build({"min_score": 0.5}), job)
    assert (spec.model, spec.dtype, spec.retry_truncated) == ("shapes", "float16", False)
    assert spec.pixels == "fast"
    assert spec.given == {"min_score"}
    setup = Setup.of(spec, spec.request(), job.fingerprint)
    assert setup.generation.num_beams == 2
    assert setup.dtype == "float16"
    resolved = {name: each.resolved for name, each in setup.fingerprint().settings.items()}
    assert resolved == {name: each.resolved for name, each in job.fingerprint.settings.items()}


def test_what_somebody_gives_is_kept_to_be_held_against_the_journal() -> None:
    job = begun(build(num_beams=2))
    spec = take_over(build(num_beams=3, dtype="bfloat16"), job)
    setup = Setup.of(spec, spec.request(), job.fingerprint)
    assert (setup.generation.num_beams, setup.dtype) == (3, "bfloat16")


def test_auto_is_no_value_to_be_held_against_the_journal() -> None:
    job = begun(build(dtype="float16"))
    spec = take_over(build(dtype="auto"), job)
    assert Setup.of(spec, spec.request(), job.fingerprint).dtype == "float16"


def test_the_kinds_of_tasks_may_have_values_of_their_own() -> None:
    job = begun(no_repeat_ngram={Kind.LOCATIONS: 0, Kind.TEXT: 3})
    spec = take_over(build(recipe="describe"), job)
    generation = Setup.of(spec, spec.request(), job.fingerprint).generation
    assert generation.no_repeat_ngram == 0
    assert generation.for_text is not None
    assert generation.for_text.no_repeat_ngram == 3


def test_a_value_that_a_new_job_would_not_have_is_told_in_a_line() -> None:
    job = begun(no_repeat_ngram=dict.fromkeys(Kind, 3))
    spec = take_over(build(), job)
    (line,) = Setup.of(spec, spec.request(), job.fingerprint).departures()
    assert line == (
        "going on with --no-repeat-ngram 3, as the job was begun; a new one would take 0"
    )
    given = begun(build(no_repeat_ngram=3))
    spec = take_over(build(), given)
    assert Setup.of(spec, spec.request(), given.fingerprint).departures() == []
    assert setup_of().departures() == []


def test_a_value_of_tasks_that_are_not_asked_is_not_told() -> None:
    job = begun(no_repeat_ngram={Kind.LOCATIONS: 0, Kind.TEXT: 3})
    spec = take_over(build(), job)
    assert Setup.of(spec, spec.request(), job.fingerprint).departures() == []


def test_a_checkpoint_in_a_folder_is_bound_by_its_content(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(CHECKPOINT, tmp_path / "mine"))
    job = begun(build(model=str(folder)))
    moved = folder.rename(tmp_path / "moved")
    spec = take_over(build(model=str(moved)), job)
    now = Setup.of(spec, spec.request(), job.fingerprint).fingerprint()
    assert now.described({}) == job.fingerprint.described({})
    spec = take_over(job_spec.build({}), job)
    with pytest.raises(CheckpointError, match=r"mine|not a"):
        Setup.of(spec, spec.request(), job.fingerprint)


def test_the_settings_of_a_run_that_goes_on_are_those_in_force() -> None:
    job = begun(build(num_beams=2, constrain="form"))
    spec = take_over(build(), job)
    assert (spec.num_beams, spec.constrain) == (2, "form")
    assert not spec.given & {"num_beams", "constrain"}
    by_kind = begun(num_beams={Kind.LOCATIONS: 1, Kind.TEXT: 3})
    assert take_over(build(), by_kind).num_beams is None


def with_a_ban(folder: Path) -> str:
    """The embedded checkpoint, whose own files forbid three tokens in a row a second time."""
    copied = Path(shutil.copytree(CHECKPOINT, folder / "banning"))
    file = copied / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"no_repeat_ngram_size": 3}))
    return str(copied)


def test_a_ban_on_repeats_is_the_checkpoints_own_for_text_and_off_for_boxes(tmp_path: Path) -> None:
    model = with_a_ban(tmp_path)
    by_default = setup_of(model=model)
    assert by_default.resolve("no_repeat_ngram") == {Kind.LOCATIONS: 0, Kind.TEXT: 3}
    assert setup_of(model=model, no_repeat_ngram="own").generation.no_repeat_ngram == 3
    assert setup_of(model=model, no_repeat_ngram=4).resolve("no_repeat_ngram") == {
        Kind.LOCATIONS: 4,
        Kind.TEXT: 4,
    }
    with pytest.raises(UsageError, match="write a whole number of 0 or more, or own"):
        setup_of(no_repeat_ngram="mine")


def test_a_job_that_goes_on_decodes_as_it_recorded() -> None:
    recorded = replace(setup_of().checkpoint.generation.decoding, early_stopping=True)
    job = begun()
    bound = replace(job.fingerprint, decoding=asdict(recorded))
    spec = take_over(build(), job)
    assert Setup.of(spec, spec.request(), bound).checkpoint.generation.decoding == recorded
