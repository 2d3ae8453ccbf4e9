"""What was settled stays settled, whoever runs what next."""

import json
import re
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
import yaml
from conftest import annotate, command, edit, tree
from written_answers import answer, written_job

import florence_annotate
from florence_annotate.formats.moving import Moving
from florence_annotate.journal import Journal

BOX, SMALL = (100, 100, 300, 300), (0, 0, 50, 50)
SAID = {
    "a.png": [answer("car", *BOX, "tree", *SMALL, logprobs=None)],
    "b.png": [answer("car", *SMALL)],
}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    out = written_job(tmp_path, SAID, formats="yolo,coco")
    assert command("export", out).code == 0
    return out


def policy(out: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((out / "policy.yaml").read_text())
    return found


def test_a_second_run_keeps_what_an_export_settled(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 3, "--classes", "star,cross").code == 0
    assert command("export", out, "--min-area", 500, "--format", "coco").code == 0
    settled = policy(out)
    result = annotate(scenes, out, "--limit", 5)
    assert result.code == 0, result.err
    assert policy(out) == settled
    assert not (out / "labels").exists()
    assert "→" not in result.err
    assert command("resume", out).code == 0
    assert policy(out) == settled


def test_a_change_is_said_whether_it_was_given_or_edited(job: Path) -> None:
    result = command("export", job, "--min-area", 100)
    assert "min_area 0.0 → 100.0" in result.err.splitlines()
    assert policy(job)["min_area"] == 100
    assert "→" not in command("export", job).err
    edit(job, "min_area: 100.0", "min_area: 10 # smaller ones too")
    assert "min_area 100.0 → 10.0" in command("export", job).err.splitlines()
    assert "# smaller ones too" in (job / "policy.yaml").read_text()


def test_a_key_that_is_taken_out_has_the_value_that_the_job_began_with(tmp_path: Path) -> None:
    out = written_job(tmp_path, SAID, min_area=100.0)
    assert command("export", out, "--min-area", 5).code == 0
    edit(out, "min_area: 5.0", "")
    assert "min_area 5.0 → 100.0" in command("export", out).err.splitlines()


def test_a_flag_may_take_a_limit_away(job: Path) -> None:
    assert command("export", job, "--nms", 0.5).code == 0
    assert command("export", job, "--nms", "none").code == 0
    assert policy(job)["nms"] is None


def test_a_file_that_is_gone_is_made_again_as_the_dataset_is(job: Path) -> None:
    assert command("export", job, "--min-area", 100).code == 0
    before, files = policy(job), tree(job)
    (job / "policy.yaml").unlink()
    result = command("export", job)
    assert (result.code, "→" in result.err) == (0, False)
    assert (policy(job), tree(job)) == (before, files)


def test_a_mistake_in_it_is_found_before_a_model_is_loaded(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 1).code == 0
    edit(out, "min_score: 0.0", "min_score: high")
    before = tree(out)
    for result in (annotate(scenes, out, "--limit", 2), command("export", out)):
        assert (result.code, len(result.err.splitlines())) == (2, 1)
        assert "policy.yaml, line" in result.err and "min_score" in result.err
    assert tree(out) == before


def test_a_preset_changes_nothing_that_is_settled(scenes: Path, tmp_path: Path) -> None:
    out, preset = tmp_path / "out", tmp_path / "mine.yaml"
    assert annotate(scenes, out, "--limit", 1, "--min-score", 0.1).code == 0
    preset.write_text("min_score: 0.9\nseed: 0\n")
    result = annotate(scenes, out, "--limit", 2, "--config", preset)
    assert result.code == 0, result.err
    assert policy(out)["min_score"] == 0.1
    assert "the preset's min_score left aside: policy.yaml says otherwise" in result.err


def test_a_dry_run_writes_nothing_into_it(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 1).code == 0
    before = (out / "policy.yaml").read_bytes()
    assert annotate(scenes, out, "--limit", 2, "--min-score", 0.5, "--dry-run").code == 0
    assert (out / "policy.yaml").read_bytes() == before


def test_a_restart_begins_a_policy_of_its_own(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 1, "--min-score", 0.5).code == 0
    assert annotate(scenes, out, "--limit", 1, "--restart").code == 0
    assert policy(out)["min_score"] == 0


def test_a_class_may_have_limits_of_its_own(job: Path) -> None:
    assert command("export", job, "--classes", "car,tree").code == 0
    edit(job, "  tree:\n", "  tree: {min_area: 1000}\n")
    result = command("export", job, "--json")
    assert result.json["classes"] == {"car": 2, "tree": 0}
    assert result.json["dropped"] == {"min-area": 1}


def test_formats_are_set_and_added(job: Path) -> None:
    assert command("export", job, "--add-format", "jsonl,voc").code == 0
    assert policy(job)["formats"] == ["yolo", "coco", "jsonl", "voc"]
    assert (job / "voc").is_dir() and (job / "labels").is_dir()
    result = command("export", job, "--add-format", "yolo-obb")
    assert policy(job)["formats"] == ["coco", "jsonl", "voc", "yolo-obb"]
    assert "yolo no longer written" in result.err
    result = command("export", job, "--format", "coco")
    assert "jsonl, voc, yolo-obb no longer written" in result.err
    assert not (job / "labels").exists() and not (job / "voc").exists()
    refused = command("export", job, "--add-format", "yolo9000")
    assert (refused.code, "yolo9000" in refused.err) == (2, True)


def test_a_whole_dataset_goes_to_another_folder(job: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "other"
    before, files = (job / "policy.yaml").read_bytes(), tree(job)
    assert command("export", job, "-o", other, "--min-area", 300, "--format", "yolo").code == 0
    assert (job / "policy.yaml").read_bytes() == before
    assert tree(job) == files
    assert policy(other)["min_area"] == 300
    assert policy(other)["target"] != policy(job)["target"]
    assert (other / "images" / "train" / "b.png").exists()
    assert not (other / "annotations").exists() and not (other / "job.db").exists()
    # and again: it is known by the name that it bears
    moved = other.rename(tmp_path / "moved")
    assert command("export", job, "-o", moved, "--add-format", "coco").code == 0
    assert policy(moved)["min_area"] == 300
    assert tree(job) == files
    label = moved / "labels" / "train" / "a.txt"
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    held = command("export", job, "-o", moved, "--min-area", 1, "--json").json["held"]
    assert list(held) == ["labels/train/a.txt"]
    assert command("export", job).code == 0


def test_another_folder_begins_with_what_is_settled_and_goes_its_own_way(
    job: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    assert command("export", job, "--classes", "tree,car").code == 0
    assert command("export", job, "-o", other).code == 0
    names = [yaml.safe_load((out / "data.yaml").read_text())["names"] for out in (job, other)]
    assert names == [{0: "tree", 1: "car"}] * 2
    assert command("export", job, "-o", other, "--classes", "car", "--renumber").code == 0
    assert yaml.safe_load((job / "data.yaml").read_text())["names"] == {0: "tree", 1: "car"}
    assert command("export", job).code == 0


def test_a_folder_of_something_else_is_refused(job: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("mine")
    for folder in (other, job / "labels", tmp_path):
        refused = command("export", job, "-o", folder)
        assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]
    (other / "thesis.tex").rename(other / "job.lock")  # as a killed command leaves it
    assert command("export", job, "-o", other).code == 0
    (other / "policy.yaml").write_text("target: 0123456789abcdef\n")
    refused = command("export", job, "-o", other)
    assert (refused.code, "belongs to another job" in refused.err) == (1, True)


def test_another_folder_gets_the_last_copies_of_the_first(job: Path, tmp_path: Path) -> None:
    before = (job / "images" / "train" / "a.png").read_bytes()
    shutil.rmtree(tmp_path / "in")
    assert command("export", job, "-o", tmp_path / "other").code == 0
    assert (tmp_path / "other" / "images" / "train" / "a.png").read_bytes() == before


def test_a_policy_may_be_gone_by_for_once(job: Path, tmp_path: Path) -> None:
    once = tmp_path / "once.yaml"
    once.write_text("min_area: 300\n")
    before = (job / "policy.yaml").read_bytes()
    result = command("export", job, "--policy", once, "--json")
    assert result.json["instances"] == 1
    assert (job / "policy.yaml").read_bytes() == before
    assert command("export", job, "--json").json["instances"] == 3
    once.write_text("classes: [tree]\n")
    refused = command("export", job, "--policy", once)
    assert (refused.code, "-o" in refused.err) == (2, True)
    assert command("export", job, "--policy", once, "-o", tmp_path / "other").code == 0


def test_a_dataset_is_opened_as_it_was_exported_last(job: Path, tmp_path: Path) -> None:
    def count(**how: object) -> int:
        images = florence_annotate.open_dataset(job, **how)  # type: ignore[arg-type]
        return sum(len(image.instances) for image in images)

    assert command("export", job, "--min-area", 300).code == 0
    assert count() == 1
    edit(job, "min_area: 300.0", "min_area: 0")  # not exported yet
    assert count() == 1
    assert count(min_area=0) == 3
    assert count(policy=job / "policy.yaml") == 3
    assert count(policy=job / "policy.yaml", classes="tree") == 1


def test_an_edit_during_a_run_counts(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 1).code == 0
    with Journal.open_existing(out) as journal:
        assert journal.exports.policy()["min_area"] == 0
    edit(out, "min_area: 0.0", "min_area: 100000")
    result = annotate(scenes, out, "--limit", 2, "--json")
    assert result.json["instances"] == 0


SHAPES = {"a.png": [answer("star", *BOX, "cross", *SMALL, "ellipse", *SMALL)]}


def test_a_class_list_in_another_order_is_settled_too(tmp_path: Path) -> None:
    out = written_job(tmp_path, SHAPES)
    assert command("export", out, "--classes", "cross,ellipse,star").code == 0
    result = command("export", out, "--classes", "star,ellipse,cross", "--renumber")
    said = "classes cross, ellipse, star → star, ellipse, cross"
    assert (result.code, said in result.err.splitlines()) == (0, True), result.err
    assert policy(out)["class_ids"] == {0: "star", 1: "ellipse", 2: "cross"}
    assert [*policy(out)["classes"]] == ["star", "ellipse", "cross"]  # type: ignore[misc]
    result = command("export", out)
    assert (result.code, "→" in result.err) == (0, False), result.err


@pytest.mark.parametrize("name", ["star?", ":star", "no", "- star", "?", "1:30", "2001-01-01"])
def test_a_class_may_have_any_name(name: str, tmp_path: Path) -> None:
    out = written_job(tmp_path, {"a.png": [answer(name, *BOX)]})
    for options in ((), ("--classes", f"{name},cross"), ("--min-area", 1)):
        result = command("export", out, *options)
        assert result.code == 0, result.err
    assert policy(out)["classes"] == {name: None, "cross": None}
    assert policy(out)["class_ids"] == {0: name, 1: "cross"}


def test_comments_go_with_their_classes_and_keys(job: Path) -> None:
    assert command("export", job, "--classes", "tree,car").code == 0
    edit(job, "  car:\n", "  # below\n  car: # a comment of mine\n")
    lines = (job / "policy.yaml").read_text().splitlines()
    assert command("export", job, "--classes", "car,bus,tree", "--renumber").code == 0
    now = (job / "policy.yaml").read_text()
    assert "classes:\n  # below\n  car: # a comment of mine\n  bus:\n  tree:\n" in now
    assert [line for line in lines if line not in now] == ["class_ids: {0: tree, 1: car}"]


def test_many_labels_are_shown_up_to_a_number_that_is_quick_to_read(tmp_path: Path) -> None:
    labels = [f"label {number:05}" for number in range(2_000)]
    said = [part for label in labels for part in (label, *BOX)]
    out = written_job(tmp_path, {"a.png": [answer(*said)]})
    assert command("export", out, "--format", "yolo").code == 0
    assert policy(out)["class_ids"] == dict(enumerate(labels[:1000]))
    assert "# The first 1000 classes by id" in (out / "policy.yaml").read_text()
    assert len(yaml.safe_load((out / "data.yaml").read_text())["names"]) == 2_000


def test_what_is_for_one_export_is_so_where_there_is_no_file(job: Path, tmp_path: Path) -> None:
    once = tmp_path / "once.yaml"
    once.write_text("min_area: 300\n")
    before = policy(job)
    (job / "policy.yaml").unlink()
    assert command("export", job, "--policy", once, "--json").json["instances"] == 1
    assert policy(job) == before
    assert command("export", job, "--json").json["instances"] == 3


def test_a_new_folder_goes_by_the_policy_that_it_was_made_with(job: Path, tmp_path: Path) -> None:
    once, other = tmp_path / "once.yaml", tmp_path / "other"
    once.write_text("classes: [tree]\n")
    assert command("export", job, "--classes", "car,tree").code == 0
    assert command("export", job, "--policy", once, "-o", other).code == 0
    assert policy(other)["classes"] == {"tree": None}
    assert command("export", job, "-o", other).code == 0
    once.write_text("classes: [car]\n")  # once more there is something settled
    refused = command("export", job, "--policy", once, "-o", other, "--renumber")
    assert (refused.code, str(other) in refused.err) == (2, True)


def test_flags_of_an_export_that_is_refused_are_not_settled(job: Path, tmp_path: Path) -> None:
    before, files = (job / "policy.yaml").read_bytes(), tree(job)
    refused = command("export", job, "--min-area", 300, "--include", "nothing*")
    assert refused.code == 2
    assert ((job / "policy.yaml").read_bytes(), tree(job)) == (before, files)
    other = tmp_path / "other"
    refused = command("export", job, "-o", other, "--min-area", 300, "--include", "nothing*")
    assert (refused.code, other.exists()) == (2, False)


def test_an_export_that_is_killed_as_files_move_goes_on_with_its_flags(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Moving, "_move", lambda *arguments: sys.exit(137))
        assert command("export", job, "--min-area", 300).code == 137
    result = command("export", job, "--json")
    assert (result.json["instances"], policy(job)["min_area"]) == (1, 300)


def test_a_new_folder_whose_export_was_killed_is_no_folder_of_something_else(
    job: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / ".export" / "images").mkdir(parents=True)
    for name in ("job.lock", ".policy.yaml.part"):
        (other / name).write_text("")
    assert command("export", job, "-o", other).code == 0
    assert not [path.name for path in other.iterdir() if path.name.startswith(".")]


BYTES = "caf\udce9"
"""As Python has what a terminal in Latin-1 gives."""


@pytest.mark.parametrize(
    "flag", ["--split-by", "--caption-prefix", "--include", "--classes", "--format"]
)
def test_text_that_is_no_utf_8_is_refused_before_anything_is_written(job: Path, flag: str) -> None:
    before, files = (job / "policy.yaml").read_bytes(), tree(job)
    refused = command("export", job, flag, BYTES)
    assert (refused.code, len(refused.err.splitlines())) == (2, 1), refused.err
    assert ((job / "policy.yaml").read_bytes(), tree(job)) == (before, files)
    assert command("export", job).code == 0


@pytest.mark.parametrize(("task", "flag"), [("grounding", "--text"), ("detection", "--prompt")])
def test_a_question_that_is_no_utf_8_is_refused(
    scenes: Path, tmp_path: Path, task: str, flag: str
) -> None:
    refused = annotate(scenes, tmp_path / "out", "--task", task, flag, BYTES)
    assert (refused.code, len(refused.err.splitlines())) == (2, 1), refused.err
    assert flag in refused.err and not (tmp_path / "out").exists()


def test_a_policy_with_such_text_is_refused(job: Path) -> None:
    edit(job, "split_by:\n", 'split_by: "caf\\udce9"\n')
    refused = command("export", job)
    assert (refused.code, "policy.yaml" in refused.err) == (2, True)


def test_a_journal_that_has_such_text_goes_on_without_it(tmp_path: Path) -> None:
    out = written_job(tmp_path, SAID)
    with sqlite3.connect(out / "job.db") as journal:
        (text,) = journal.execute("SELECT settings FROM runs").fetchone()
        settings = json.dumps(json.loads(text) | {"split_by": BYTES})
        journal.execute("UPDATE runs SET settings = ?", (settings,))
    assert command("export", out).code == 0
    assert policy(out)["split_by"] is None


def test_what_a_killed_write_left_is_gone_after_the_next(job: Path) -> None:
    (job / ".policy.yaml.part").write_text("min_sc")
    assert command("export", job).code == 0
    assert not (job / ".policy.yaml.part").exists()


def test_the_file_says_where_formats_are_listed(job: Path) -> None:
    text = (job / "policy.yaml").read_text()
    assert "# Formats to write: those that 'florence-annotate export --help' lists." in text


@pytest.mark.parametrize(
    ("line", "message"),
    [("[yolo, cocoo]", "there is no format 'cocoo': did you mean coco?"), ("[]", "no format")],
)
def test_a_format_that_is_none_is_told_with_where_it_stands(
    job: Path, line: str, message: str
) -> None:
    path = job / "policy.yaml"
    path.write_text(re.sub("(?m)^formats:.*$(\n- .*$)*", f"formats: {line}", path.read_text()))
    ended = command("export", job)
    assert ended.code == 2
    assert message in ended.err and "formats (policy.yaml" in ended.err
    by_flag = command("export", job, "--format", "yolo,cocoo")
    assert "error: --format: there is no format 'cocoo'" in by_flag.err
