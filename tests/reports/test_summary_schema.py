"""The published schema of `summary.json`, held to the summaries of jobs of all kinds."""

import copy
import importlib.resources
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import annotate, command
from written_answers import answer, select, written_job

from florence_annotate.config.gate_settings import GateSettings
from florence_annotate.dataset.opening import last_spec
from florence_annotate.journal import Journal
from florence_annotate.reports.summary import summarise
from florence_annotate.tasks import CAPTION
from florence_annotate.types import Failure, ImageRef, Question

SCHEMA: dict[str, Any] = json.loads(
    (importlib.resources.files("florence_annotate.reports") / "summary.schema.json").read_text()
)
CAR = answer("car", 1, 2, 300, 400)


def closed(schema: Any) -> Any:
    """The schema with nothing allowed that it does not name: what is written is published."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: closed(each) for name, each in schema.items()}
    if "properties" in schema and isinstance(schema.get("type"), str):
        strict.setdefault("additionalProperties", False)
    return strict


VALIDATOR = jsonschema.Draft202012Validator(closed(SCHEMA))


def hold(summary: Any) -> Any:
    """The summary, if it is as the schema says."""
    VALIDATOR.validate(summary)
    return summary


def exported(out: Path, *options: object) -> Any:
    """What an export writes and prints, which is one thing."""
    result = command("export", out, *options, "--json")
    assert result.code in (0, 3), result.err
    return hold(result.json)


def test_the_schema_is_one_and_says_what_everything_is() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    (names,) = (each["enum"] for each in walk(SCHEMA) if "enum" in each)
    assert names == list(GateSettings.model_fields)
    for name, each in SCHEMA["properties"].items():
        assert each.get("description"), name


def walk(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    for each in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(each, dict | list):
            yield from walk(each)


def test_a_summary_that_lacks_something_or_has_more_is_none(tmp_path: Path) -> None:
    summary = exported(written_job(tmp_path, {"a.png": [CAR]}))
    for name in SCHEMA["properties"]:
        less = {key: value for key, value in summary.items() if key != name}
        assert not VALIDATOR.is_valid(less), name
        more = copy.deepcopy(summary) | {"another": 1}
        assert not VALIDATOR.is_valid(more)


def test_boxes_failures_and_gates_that_are_missed(tmp_path: Path) -> None:
    torn = answer("car", 1, 2, 300, 400, "boat", 0, 0, 999, 999, "torn", 1, 2)
    out = written_job(tmp_path, {"a.png": [torn], "b.png": []}, classes="car,tree")
    with Journal.open_to_write(out) as journal:
        ref = ImageRef("broken.png", b"/broken.png", 1, 1)
        select(journal, [ref, *(record.ref for record in list(journal.records()))])
        journal.append(1, [Failure(ref, "decode", "corrupt", "no header")])
    gates = ("--min-labelled", "99%", "--min-instances", "tree=1,car=1", "--max-truncated", "0%")
    summary = exported(out, *gates, "--max-failures", 0)
    assert summary["failures"] and len(summary["missed_gates"]) == 2 and len(summary["gates"]) == 5


def test_captions_and_an_export_elsewhere(tmp_path: Path) -> None:
    said = {"a.png": [answer("a car", task=CAPTION)]}
    out = written_job(tmp_path, said, [Question(CAPTION)], task="caption")
    assert exported(out)["captions"] == 1
    elsewhere = tmp_path / "elsewhere"
    assert exported(out, "-o", elsewhere, "--format", "jsonl")["output"] == str(elsewhere)
    hold(json.loads((elsewhere / "summary.json").read_text()))


def test_masks_and_held_files(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for image in sorted(scenes.glob("*.jpg"))[:2]:
        shutil.copy(image, tmp_path / "in")
    out = tmp_path / "out"
    result = annotate(tmp_path / "in", out, "--recipe", "instance-segmentation", "--json")
    assert result.code == 0 and hold(result.json)["instances"]
    hold(json.loads((out / "summary.json").read_text()))
    kept, gone = sorted((tmp_path / "in").iterdir())
    (label,) = (out / "labels").rglob(f"{kept.stem}.txt")
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    gone.unlink()
    result = annotate(tmp_path / "in", out, "--recipe", "instance-segmentation", "--json")
    summary = hold(result.json)
    assert summary["held"] and summary["left_dataset"]


@pytest.mark.parametrize("bound", [None, {"model": "shapes"}])
def test_a_run_that_was_interrupted(tmp_path: Path, bound: dict[str, Any] | None) -> None:
    out = written_job(tmp_path, {"a.png": [CAR]})
    with Journal.open_existing(out) as journal:
        summarise(journal, out, last_spec(journal), bound, None, journal.counts())
    hold(json.loads((out / "summary.json").read_text()))
