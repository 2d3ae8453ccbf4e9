"""What was settled moves only when somebody asks for it, and never under a person's corrections."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import annotate, command, tree
from PIL import Image
from read_back import image_names, numbered
from written_answers import answer, attempt, picture, say, written_job

from florence_annotate.journal import Journal

SAID = {
    "a.png": [answer("car", 100, 100, 300, 300, "tree", 400, 400, 800, 800)],
    "b.png": [answer("dog", 1, 2, 300, 400)],
}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    out = written_job(tmp_path, SAID, formats="yolo,coco")
    assert command("export", out).code == 0
    return out


def names(out: Path) -> list[str]:
    return list(yaml.safe_load((out / "data.yaml").read_text())["names"].values())


def test_labels_that_come_later_get_ids_behind_the_others(job: Path) -> None:
    assert names(job) == ["car", "dog", "tree"]
    later = SAID | {"c.png": [answer("apple", 1, 2, 300, 400, "zebra", 5, 6, 700, 800)]}
    picture(job.parent / "in" / "c.png")
    with Journal.open_to_write(job) as journal:
        attempt(journal, job.parent, later)
    assert command("export", job).code == 0
    assert names(job) == ["car", "dog", "tree", "apple", "zebra"]
    say(job, answer("tree", 1, 2, 300, 400))
    assert command("export", job).code == 0
    assert names(job) == ["car", "dog", "tree", "apple", "zebra"]


def test_where_a_class_list_is_taken_away_it_is_said_which_ids_stay(job: Path) -> None:
    told = "class ids stay as the class list gave them, with further labels behind: 0 tree, 1 car"
    assert command("export", job, "--classes", "tree,car").code == 0
    without = command("export", job, "--classes", "none")
    assert (without.code, names(job)) == (0, ["tree", "car", "dog"])
    assert told in without.err.splitlines()
    assert "class ids" not in command("export", job, "--min-area", 1).err


def test_a_list_that_would_renumber_is_refused_with_both_orders(job: Path) -> None:
    first = command("export", job, "--classes", "tree,car")
    assert (first.code, names(job)) == (0, ["tree", "car"])
    assert "class ids are those of the list from now on" in first.out
    labels = {path: path.read_text() for path in (job / "labels").rglob("*.txt")}
    refused = command("export", job, "--classes", "car,tree")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "0 tree, 1 car, and would be 0 car, 1 tree" in refused.err
    assert "--renumber" in refused.err
    assert {path: path.read_text() for path in (job / "labels").rglob("*.txt")} == labels
    longer = command("export", job, "--classes", "tree,car,dog")
    assert (longer.code, names(job)) == (0, ["tree", "car", "dog"])
    assert "from now on" not in longer.out
    assert command("export", job, "--classes", "car,tree", "--renumber").code == 0
    assert names(job) == ["car", "tree"]


def test_a_run_that_would_renumber_is_refused_before_a_model_is_loaded(
    scenes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 2, "--classes", "star,cross").code == 0
    refused = annotate(scenes, out, "--limit", 3, "--classes", "cross,star")
    assert (refused.code, "--renumber" in refused.err, "loading" in refused.err) == (2, True, False)
    assert annotate(scenes, out, "--limit", 3, "--classes", "cross,star", "--renumber").code == 0
    assert names(out) == ["cross", "star"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--classes", "tree,car,dog"], "other ids of classes"),
        (["--split", "train=0.5,val=0.5"], "another split"),
        (["--format", "yolo-obb"], "another kind of YOLO"),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, list) else "",
)
def test_what_would_give_a_correction_another_meaning_is_refused(
    job: Path, options: list[str], said: str
) -> None:
    label = job / "labels" / "train" / "a.txt"
    label.write_text("2 0.5 0.5 0.1 0.1\n")
    refused = command("export", job, *options)
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert said in refused.err and "labels/train/a.txt" in refused.err
    assert label.read_text() == "2 0.5 0.5 0.1 0.1\n"
    assert command("export", job, *options, "--overwrite").code == 0


def test_an_edited_description_with_other_names_holds_up_all_labels(job: Path) -> None:
    description = job / "data.yaml"
    description.write_text(description.read_text() + "nc: 3\n")
    assert list(command("export", job, "--min-area", 500, "--json").json["held"]) == ["data.yaml"]
    before = {path: path.read_text() for path in (job / "labels").rglob("*.txt")}
    description.write_text(description.read_text().replace("dog", "puppy"))
    held = command("export", job, "--min-area", 100_000, "--json").json["held"]
    assert sorted(held) == ["data.yaml", "labels/train/a.txt", "labels/train/b.txt"]
    assert {path: path.read_text() for path in (job / "labels").rglob("*.txt")} == before
    found = json.loads((job / "annotations" / "instances_train.json").read_text())
    assert found["annotations"] == []


def test_an_image_keeps_its_number_its_split_and_its_name(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for number in range(12):
        picture(source / f"b{number}.png", (40 + number, 40))
    assert annotate(source, out, "--format", "yolo,coco").code == 0
    before = numbered(out)
    for number in range(12):
        picture(source / f"a{number}.png", (60 + number, 40))
        picture(source / f"b{number}.jpg", (80 + number, 40))
    assert annotate(source, out).code == 0
    after = numbered(out)
    assert {key: after[key] for key in before} == before
    assert sorted(number for number, *_ in after.values()) == list(range(1, 37))
    shutil.move(source / "b3.png", tmp_path)
    assert annotate(source, out).code == 0
    assert numbered(out) == {key: row for key, row in after.items() if key != "b3.png"}
    shutil.move(tmp_path / "b3.png", source)
    assert annotate(source, out).code == 0
    assert numbered(out) == after


def test_another_split_moves_images_and_says_how_many(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for number in range(12):
        picture(source / f"{number}.png", (40 + number, 40))
    assert annotate(source, out).code == 0
    before = numbered(out)
    result = command("export", out, "--split", "train=0.5,val=0.5")
    after = numbered(out)
    moved = sum(before[key][1] != after[key][1] for key in before)
    assert f"{moved} images moved to another split" in result.out
    assert {key: row[0] for key, row in before.items()} == {
        key: row[0] for key, row in after.items()
    }


def test_identical_images_are_in_one_split(tmp_path: Path) -> None:
    for number in range(8):
        picture(tmp_path / "in" / f"{number}.png", (40 + number % 2, 40))
    Image.new("RGB", (90, 40)).save(tmp_path / "in" / "other.png")
    assert annotate(tmp_path / "in", tmp_path / "out", "--split", "train=0.5,val=0.5").code == 0
    assert len(image_names(tmp_path / "out")) == 9
    splits = {key: split for key, (_, split, _) in numbered(tmp_path / "out").items()}
    assert len({splits[f"{number}.png"] for number in (0, 2, 4, 6)}) == 1
    assert len({splits[f"{number}.png"] for number in (1, 3, 5, 7)}) == 1


@pytest.mark.parametrize("missing", [["split_rule", "tops"], ["split_rule"]])
def test_the_rule_of_splits_of_an_older_version_is_no_other_split(
    job: Path, missing: list[str]
) -> None:
    label = job / "labels" / "train" / "a.txt"
    label.write_text("2 0.5 0.5 0.1 0.1\n")
    with Journal.open_to_write(job) as journal:
        policy = held = journal.exports.policy()
        for name in missing[:-1]:
            held = held[name]
        del held[missing[-1]]
        with journal.transaction():
            journal.connection.execute("UPDATE policies SET content = ?", (json.dumps(policy),))
    result = command("export", job, "--min-area", 5)
    assert result.code == 0, result.err
    refused = command("export", job, "--seed", 5)
    assert (refused.code, "another split" in refused.err) == (2, True)


def test_a_copied_dataset_is_not_taken_for_corrected(job: Path) -> None:
    copy = job.with_name("copy")
    shutil.copytree(job, copy, copy_function=shutil.copyfile)  # times are not kept
    result = command("export", copy, "--split", "train=0.5,val=0.5")
    assert result.code == 0, result.err
    label = next((copy / "labels").rglob("a.txt"))
    label.write_text("2 0.5 0.5 0.1 0.1\n")
    refused = command("export", copy, "--split", "train=0.4,val=0.6")
    assert (refused.code, label.relative_to(copy).as_posix() in refused.err) == (2, True)


class TestIdsThatWereGiven:
    """a, b, c → a → …: the ids of b and c stay theirs."""

    @pytest.fixture
    def shortened(self, job: Path) -> Path:
        assert command("export", job, "--classes", "car,dog,tree").code == 0
        assert command("export", job, "--classes", "car").code == 0
        assert names(job) == ["car"]
        assert policy_of(job)["class_ids"] == {0: "car"}
        return job

    @pytest.mark.parametrize("classes", ["car,tree,dog", "car,tree", "car,bus"])
    def test_no_other_class_gets_them(self, shortened: Path, classes: str) -> None:
        refused = command("export", shortened, "--classes", classes)
        assert (refused.code, len(refused.err.splitlines())) == (2, 1)
        assert "0 car, 1 dog, 2 tree" in refused.err and "--renumber" in refused.err
        assert names(shortened) == ["car"]

    @pytest.mark.parametrize("classes", ["car,dog", "car,dog,tree", "car,dog,tree,bus"])
    def test_their_own_classes_come_back_to_them(self, shortened: Path, classes: str) -> None:
        assert command("export", shortened, "--classes", classes).code == 0
        assert names(shortened) == classes.split(",")

    def test_without_a_list_they_are_all_there_again(self, shortened: Path) -> None:
        assert command("export", shortened, "--classes", "none").code == 0
        assert names(shortened) == ["car", "dog", "tree"]
        # somebody has chosen their order once
        refused = command("export", shortened, "--classes", "tree,dog,car")
        assert (refused.code, "--renumber" in refused.err) == (2, True)

    def test_with_renumber_they_are_anybody_s(self, shortened: Path) -> None:
        assert command("export", shortened, "--classes", "car,bus", "--renumber").code == 0
        assert names(shortened) == ["car", "bus"]
        assert command("export", shortened, "--classes", "car,bus,tree").code == 0
        assert names(shortened) == ["car", "bus", "tree"]

    def test_a_folder_of_its_own_begins_with_the_classes_that_there_are(
        self, shortened: Path
    ) -> None:
        other = shortened.with_name("other")
        assert command("export", shortened, "-o", other).code == 0
        assert command("export", shortened, "-o", other, "--classes", "car,bus").code == 0
        assert (names(other), names(shortened)) == (["car", "bus"], ["car"])


def test_the_first_class_list_begins_the_ids_anew(job: Path) -> None:
    assert names(job) == ["car", "dog", "tree"]  # as labels, in an order that nobody chose
    assert command("export", job, "--classes", "car").code == 0
    assert command("export", job, "--classes", "car,tree").code == 0
    assert names(job) == ["car", "tree"]


@pytest.mark.parametrize(
    ("row", "code"), [("2 0.5 0.5 0.1 0.1\n", 2), (" 0 0.5 0.5 0.1 0.1\n", 0), ("\n2?\ninf\n", 0)]
)
@pytest.mark.parametrize("listed", [True, False])
def test_a_class_that_a_correction_names_is_not_left_out(
    job: Path, row: str, code: int, listed: bool
) -> None:
    if listed:
        assert command("export", job, "--classes", "car,dog,tree").code == 0
    label = job / "labels" / "train" / "a.txt"
    label.write_text(row)
    result = command("export", job, "--classes", "car,dog")
    assert result.code == code, result.err
    if code:
        assert len(result.err.splitlines()) == 1
        assert "leaves out 2 tree" in result.err and "labels/train/a.txt" in result.err
        assert command("export", job, "--classes", "car,dog", "--overwrite").code == 0
    assert names(job) == ["car", "dog"]


def policy_of(out: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((out / "policy.yaml").read_text())
    return found


class TestRestart:
    @pytest.fixture
    def corrected(self, scenes: Path, tmp_path: Path) -> tuple[Path, Path]:
        """A dataset with the classes star and cross, and a label of it that names the second."""
        out = tmp_path / "out"
        options = ("--limit", 4, "--classes", "star,cross", "--split", "train=1")
        assert annotate(scenes, out, *options).code == 0
        label = min((out / "labels" / "train").iterdir())
        label.write_text("1 0.5 0.5 0.1 0.1\n")
        return out, label

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--classes", "cross,star", "--split", "train=1"], "other ids of classes"),
            (["--classes", "star", "--split", "train=1"], "leaves out 1 cross"),
            (["--classes", "star,cross"], "another split"),
        ],
        ids=["order", "less", "split"],
    )
    def test_a_correction_gets_no_other_meaning(
        self, scenes: Path, corrected: tuple[Path, Path], options: list[str], said: str
    ) -> None:
        out, label = corrected
        before = tree(out)
        refused = annotate(scenes, out, "--limit", 4, *options, "--restart")
        assert (refused.code, len(refused.err.splitlines())) == (2, 1)
        assert said in refused.err and label.relative_to(out).as_posix() in refused.err
        assert tree(out) == before
        assert annotate(scenes, out, "--limit", 4, *options, "--restart", "--overwrite").code == 0
        assert names(out) == options[1].split(",")
        assert label.is_file() and label.read_text() != "1 0.5 0.5 0.1 0.1\n"

    def test_with_the_same_settings_it_stays(
        self, scenes: Path, corrected: tuple[Path, Path]
    ) -> None:
        out, label = corrected
        options = ("--limit", 4, "--classes", "star,cross", "--split", "train=1", "--restart")
        result = annotate(scenes, out, *options, "--json")
        assert result.code == 0, result.err
        assert list(result.json["held"]) == [label.relative_to(out).as_posix()]

    def test_a_restart_that_comes_to_no_export_changes_nothing_of_that(
        self, scenes: Path, corrected: tuple[Path, Path]
    ) -> None:
        out, _ = corrected
        with Journal.open_to_write(out) as journal:
            journal.restart(keeps_classes=True)
            assert journal.exports.policy() is None
        refused = annotate(scenes, out, "--limit", 4, "--classes", "cross,star", "--renumber")
        assert (refused.code, "other ids of classes" in refused.err) == (2, True)

    def test_without_a_list_the_ids_stay_where_a_correction_has_one(
        self, scenes: Path, corrected: tuple[Path, Path]
    ) -> None:
        out, _ = corrected
        options = ("--limit", 4, "--split", "train=1", "--restart")
        assert annotate(scenes, out, *options).code == 0
        assert names(out)[:2] == ["star", "cross"]
        assert annotate(scenes, out, *options, "--overwrite").code == 0
        assert names(out) == sorted(names(out))

    def test_without_a_correction_everything_begins_anew(
        self, scenes: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        assert annotate(scenes, out, "--limit", 2, "--classes", "star,cross").code == 0
        again = ("--limit", 2, "--classes", "cross,star", "--split", "train=1", "--restart")
        assert annotate(scenes, out, *again).code == 0
        assert names(out) == ["cross", "star"]
