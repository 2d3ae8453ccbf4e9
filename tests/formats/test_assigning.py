"""What an image gets in its first export, by the rule of splits, and keeps."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, command, rows
from written_answers import answer, picture, written_job

import florence_annotate
from florence_annotate.config import job_spec
from florence_annotate.dataset.splits import splitter
from florence_annotate.journal import Journal

CAR = answer("car", 1, 2, 300, 400)
HALVES = "train=0.5,val=0.5"


def splits(out: Path) -> dict[str, str]:
    """Key → split of each image, by the format jsonl."""
    return {row["key"]: row["split"] for row in rows(out)}


def export(out: Path, *flags: object) -> Any:
    result = command("export", out, *flags, "--json")
    assert result.code == 0, result.err
    return result.json


def job(folder: Path, *keys: str, **settings: object) -> Path:
    """A job about these images that no model ran, not exported yet."""
    said = {key: [CAR] for key in keys}
    return written_job(folder, said, **{"formats": "jsonl", "split": HALVES, **settings})


def groups(out: Path, end: int) -> set[tuple[str, str]]:
    """(what keys begin with, split) of all images."""
    return {(key[:end], split) for key, split in splits(out).items()}


SCENES = [f"{camera}/{day}/{number}.png" for camera in "abcd" for day in "xyz" for number in "12"]


def test_images_of_one_folder_go_to_one_split(tmp_path: Path) -> None:
    out = job(tmp_path, *SCENES, "1.png", "2.png")
    export(out)
    assert len(groups(out, 3)) > 13  # each for itself
    export(out, "--split-by", "folder")
    assert len(groups(out, 3)) == 14  # those at the top are of one folder, too
    assert set(splits(out).values()) == {"train", "val"}
    policy = out / "policy.yaml"
    policy.write_text(policy.read_text().replace("split_by: folder", "split_by: ^[a-d]/"))
    export(out)
    assert len(groups(out, 1)) == 6


def test_images_in_whose_keys_an_expression_finds_the_same_go_to_one_split(tmp_path: Path) -> None:
    out = job(tmp_path, *SCENES, split_by="^[a-d]/([xyz])/")
    export(out)
    by_day = {(key[2], split) for key, split in splits(out).items()}
    assert len(by_day) == 3
    export(out, "--split-by", "^[a-d]")  # without a group the whole match counts
    assert len(groups(out, 1)) == 4
    export(out, "--split-by", "^a/|none")  # what does not match is alone
    found = groups(out, 1)
    assert len([split for camera, split in found if camera == "a"]) == 1
    assert len(found) == 7
    alone = {key: split for key, split in splits(out).items() if not key.startswith("a")}
    export(out, "--split-by", "(nothing)?")  # what finds no character, too
    assert alone.items() <= splits(out).items()


def test_images_keep_their_split_until_the_rule_is_another_one(tmp_path: Path) -> None:
    out = job(tmp_path, *SCENES)
    export(out)
    before = splits(out)
    summary = export(out, "--split-by", "folder")
    moved = sum(split != before[key] for key, split in splits(out).items())
    assert 0 < moved == summary["images_moved_to_another_split"]
    assert export(out, "--split-by", "folder")["images_moved_to_another_split"] == 0
    assert export(out, "--split-by", "none")["images_moved_to_another_split"] == moved
    assert splits(out) == before


def test_an_image_that_joins_a_group_later_joins_its_split(tmp_path: Path) -> None:
    for key in SCENES[:-2]:
        picture(tmp_path / "in" / key, (40, 40 + len(key)))
    out, options = tmp_path / "out", ("--split-by", "folder", "--format", "jsonl", "--json")
    assert annotate(tmp_path / "in", out, *options).code == 0
    before = splits(out)
    shutil.copy(tmp_path / "in" / SCENES[0], tmp_path / "in" / "a" / "x" / "3.png")
    picture(tmp_path / "in" / SCENES[-1], (41, 40))
    assert annotate(tmp_path / "in", out, *options).json["images_moved_to_another_split"] == 0
    after = splits(out)
    assert before.items() <= after.items()
    assert after["a/x/3.png"] == after["a/x/1.png"]


@pytest.mark.parametrize("bad", ["(", "", "*", "[[a]", "a{99999999999}"])
def test_what_is_no_expression_is_refused_in_one_line(tmp_path: Path, bad: str) -> None:
    out = job(tmp_path, "a.png")
    result = command("export", out, "--split-by", bad)
    assert result.code == 2
    assert f"--split-by: {bad!r} won't do: it is" in result.err
    assert len(result.err.splitlines()) == 1


def lists(folder: Path, **names: str) -> str:
    """The value of --split-file for files with these lines, separated by spaces."""
    for split, lines in names.items():
        (folder / f"{split}.txt").write_text("# mine\n\n" + lines.replace(" ", "\n") + "\n")
    return ",".join(f"{split}={folder / split}.txt" for split in names)


def test_listed_images_go_to_their_split_and_the_others_to_train(tmp_path: Path) -> None:
    out = job(tmp_path, *SCENES)
    with Journal.open_to_write(out) as journal:  # nobody gave a split
        spec = job_spec.build({"sources": (str(tmp_path / "in"),), "formats": "jsonl"})
        journal.runs.begin(job_spec.dump(spec))
    given = lists(tmp_path, val="a/x/1.png ./b/x/1.png", test="d/z/2.png")
    export(out, "--split-file", given)
    found = splits(out)
    listed = {"a/x/1.png": "val", "b/x/1.png": "val", "d/z/2.png": "test"}
    assert found == dict.fromkeys(SCENES, "train") | listed
    names = {path.name for path in (out / "images").iterdir()}
    assert names == {"train", "val", "test"}


def test_others_are_split_among_the_splits_without_a_list(tmp_path: Path) -> None:
    out = job(tmp_path, *SCENES)
    given = lists(tmp_path, val="a/x/1.png")
    shares = ("--split", "train=0.3,val=0.4,test=0.3")
    export(out, "--split-file", given, *shares, "--format", "jsonl,coco,yolo,coco-results,cvat")
    found = splits(out)
    assert [key for key, split in found.items() if split == "val"] == ["a/x/1.png"]
    counts = Counter(found.values())
    assert min(counts["train"], counts["test"]) > 6
    given = lists(tmp_path, train="a/x/1.png", val="a/x/2.png")
    export(out, "--split-file", given, "--split", HALVES)  # each has a list
    assert Counter(splits(out).values()) == {"train": 23, "val": 1}
    summary = export(out, "--split-file", given, "--split-by", "folder", *shares)
    found = splits(out)
    assert (found.pop("a/x/1.png"), found.pop("a/x/2.png")) == ("train", "val")
    assert set(found.values()) == {"test"}
    assert summary["images_moved_to_another_split"] == 22


def test_the_content_of_a_list_counts_and_not_its_file(tmp_path: Path) -> None:
    for key in SCENES:
        picture(tmp_path / "in" / key)
    out, given = tmp_path / "out", lists(tmp_path, val="a/x/1.png a/x/2.png")
    assert annotate(tmp_path / "in", out, "--split-file", given, "--format", "jsonl").code == 0
    before = (out / "annotations.jsonl").read_text()
    shutil.move(tmp_path / "val.txt", tmp_path / "other.txt")
    assert export(out)["images_moved_to_another_split"] == 0
    (tmp_path / "other.txt").write_text("a/x/2.png\na/x/1.png\na/x/1.png")
    other = f"val={tmp_path / 'other.txt'}"
    assert export(out, "--split-file", other)["images_moved_to_another_split"] == 0
    assert (out / "annotations.jsonl").read_text() == before
    (tmp_path / "other.txt").write_text("a/x/2.png")
    assert export(out, "--split-file", other)["images_moved_to_another_split"] == 1
    assert Counter(splits(out).values()) == {"train": 23, "val": 1}
    assert "a/x/2.png" not in (out / "policy.yaml").read_text()  # lists may be long
    assert export(out, "--min-score", 0.5)["images_moved_to_another_split"] == 0
    assert annotate(tmp_path / "in", out).code == 0
    assert Counter(splits(out).values()) == {"train": 23, "val": 1}
    summary = export(out, "--split-file", "none", "--split", "train=1")
    assert summary["images_moved_to_another_split"] == 1


def test_names_that_fit_no_image_are_said(tmp_path: Path) -> None:
    out = job(tmp_path, "a/1.png", "b/2.png")
    given = lists(tmp_path, val="2.png 3.png", test=str(tmp_path / "in" / "a" / "1.png"))
    result = command("export", out, "--split-file", given)
    assert result.code == 0, result.err
    assert "1 name of --split-file fits no image: '3.png'" in result.out
    assert splits(out) == {"a/1.png": "test", "b/2.png": "val"}
    assert export(out, "--split-file", given)["split_file_names_without_image"] == ["3.png"]


BAD_LISTS = {
    "val=nowhere.txt": "can't read nowhere.txt",
    "val=": "write it as val=list.txt",
    "nowhere.txt": "write it as val=list.txt",
    "vale=a.txt": "there is no split 'vale', but train, val, test",
    "val=a.txt,val=b.txt": "val is named twice",
    "val=none.txt": "none.txt names no image",
    "val=a.txt,test=a.txt": "a/1.png is in two lists, val and test",
    "val=a.txt,test=b.txt": "a/1.png is in two lists of --split-file, val and test",
    "val=both.txt": "has one entry, '1.png', for a/1.png and b/1.png",
    "val=other.txt": "none of the images is named in --split-file",
}


@pytest.mark.parametrize("given", BAD_LISTS)
def test_lists_that_make_no_sense_are_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    files = {
        "none": "# mine\n",
        "a": "a/1.png",
        "b": str(tmp_path / "in" / "a" / "1.png"),
        "both": "1.png",
        "other": "2.png",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.txt").write_text(text)
    monkeypatch.chdir(tmp_path)
    out = job(tmp_path, "a/1.png", "b/1.png")
    done = command("export", out, "--split-file", given)
    new = tmp_path / "new"
    begun = annotate(tmp_path / "in", new, "--split-file", given)
    for result in (done, begun):
        assert (result.code, len(result.err.splitlines())) == (2, 1)
        assert BAD_LISTS[given] in result.err
    assert not (out / "annotations.jsonl").exists()
    assert not new.exists()


FOLDERS = {
    **{f"train/{number}.png": "train" for number in range(4)},
    **{f"valid/deep/{number}.png": "val" for number in range(4)},
    "test/1.png": "test",
}


def paint(folder: Path, *keys: str) -> Path:
    """Images of different content."""
    for key in keys:
        picture(folder / key, (40 + len(list(folder.rglob("*.png"))), 40))
    return folder


SAID_OF_FOLDERS = "split as the source's own folders are named"


def test_a_source_with_folders_of_splits_is_split_so(tmp_path: Path) -> None:
    source, out = paint(tmp_path / "in", *FOLDERS), tmp_path / "out"
    result = annotate(source, out, "--format", "jsonl,coco,coco-results,yolo")
    assert result.code == 0, result.err
    assert result.out.count(SAID_OF_FOLDERS) == 1
    assert splits(out) == FOLDERS
    assert {path.name for path in (out / "images").iterdir()} == {"train", "val", "test"}
    assert export(out, "--min-score", 0.5)["split_by_folders"]
    assert splits(out) == FOLDERS
    paint(source, "test/2.png", "train/9.png", "more/1.png", "2.png")
    assert annotate(source, out, "--format", "jsonl").code == 0
    after = splits(out)
    assert FOLDERS.items() <= after.items()
    assert (after["test/2.png"], after["train/9.png"]) == ("test", "train")
    by_content = splitter({"train": 0.8, "val": 0.2}, 0)
    others = [row for row in rows(out) if row["key"] in ("more/1.png", "2.png")]
    assert [row["split"] for row in others] == [by_content(row["sha256"]) for row in others]


def test_splits_that_no_folder_and_no_image_has_are_not_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(paint(tmp_path / "in", "train/1.png", "test/1.png"), out).code == 0
    names = {path.name for path in (out / "annotations").iterdir()}
    assert names == {"instances_train.json", "instances_test.json"}


@pytest.mark.parametrize("flags", [("--split", "train=0.8,val=0.2"), ("--split-by", "[0-9]")])
def test_a_split_that_is_asked_for_goes_before_the_folders(
    tmp_path: Path, flags: tuple[str, str]
) -> None:
    source, out = paint(tmp_path / "in", *FOLDERS), tmp_path / "out"
    result = annotate(source, out, *flags, "--format", "jsonl,coco")
    assert result.code == 0 and SAID_OF_FOLDERS not in result.out
    found = splits(out)
    assert found != FOLDERS
    assert not (out / "annotations" / "instances_test.json").exists()
    assert annotate(source, out, flags[0], "none").code == 0
    assert splits(out) == FOLDERS
    moved = sum(found[key] != FOLDERS[key] for key in FOLDERS)
    assert export(out, *flags)["images_moved_to_another_split"] == moved
    assert splits(out) == found


def test_lists_go_before_the_folders_too(tmp_path: Path) -> None:
    source, out = paint(tmp_path / "in", *FOLDERS), tmp_path / "out"
    given = lists(tmp_path, val="train/1.png")
    assert annotate(source, out, "--split-file", given, "--format", "jsonl").code == 0
    assert splits(out) == dict.fromkeys(FOLDERS, "train") | {"train/1.png": "val"}


def test_a_job_that_was_begun_before_keeps_its_rule(tmp_path: Path) -> None:
    out = job(tmp_path, *FOLDERS)  # as a journal that does not say how it splits
    before = export(out)
    assert not before["split_by_folders"]
    assert splits(out) != FOLDERS
    source = tmp_path / "only"
    assert annotate(paint(source, "train/1.png"), tmp_path / "new", "--format", "jsonl").code == 0
    paint(source, *(f"val/{number}.png" for number in range(8)))
    assert annotate(source, tmp_path / "new", "--format", "jsonl").code == 0
    assert "train" in {split for key, split in splits(tmp_path / "new").items() if "val/" in key}


def test_an_image_that_another_rule_passed_by_comes_back_by_that_rule(tmp_path: Path) -> None:
    out = job(tmp_path, *SCENES, formats="jsonl,coco")
    export(out, "--split", HALVES)
    before = splits(out)
    assert "val" in {split for key, split in before.items() if key.startswith("a/")}
    names = {row["key"]: row["file_name"] for row in rows(out)}
    export(out, "--exclude", "a/*", "--split", "train=1")
    summary = export(out, "--split", "train=1")
    assert splits(out) == dict.fromkeys(SCENES, "train")
    assert {row["key"]: row["file_name"] for row in rows(out)} == names
    assert summary["images_moved_to_another_split"] == 0
    assert florence_annotate.open_dataset(out).split_of("a/x/1.png") == "train"
    export(out, "--split", HALVES)
    assert splits(out) == before


def test_a_new_folder_may_be_split_otherwise(tmp_path: Path) -> None:
    out, other = job(tmp_path, *SCENES, formats="jsonl,coco"), tmp_path / "other"
    export(out)
    before = splits(out)
    export(out, "-o", other)
    assert splits(other) == before
    shutil.rmtree(other)
    summary = export(out, "-o", other, "--split", "train=1")
    assert splits(other) == dict.fromkeys(SCENES, "train")
    assert summary["images_moved_to_another_split"] == Counter(before.values())["val"]
    assert splits(out) == before


def test_each_of_several_sources_may_have_folders_of_splits(tmp_path: Path) -> None:
    first = paint(tmp_path / "first", "train/1.png", "val/1.png")
    second = paint(tmp_path / "second", "train/1.png", "test/1.png")
    out = tmp_path / "out"
    assert annotate(first, out, second, "--format", "jsonl").code == 0
    by_folder = {(key.split("/")[-2], split) for key, split in splits(out).items()}
    assert by_folder == {("train", "train"), ("val", "val"), ("test", "test")}
