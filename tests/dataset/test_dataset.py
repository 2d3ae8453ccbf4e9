"""Journal + policy → annotated images."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from written_answers import answer, attempt, written_job

import florence_annotate
from florence_annotate.dataset import opening
from florence_annotate.dataset.dataset import Dataset
from florence_annotate.errors import JobError
from florence_annotate.journal import Journal
from florence_annotate.tasks import CAPTION, GROUNDING, REGION_TO_DESCRIPTION
from florence_annotate.types import Question

SAID = {
    "b.png": [answer("tree", 1, 2, 300, 400, "car", 1, 2, 300, 400)],
    "a.png": [answer("car", 1, 2, 300, 400)],
    "c/d.png": [answer()],
}


def labels(dataset: Dataset) -> dict[str, list[tuple[str, int]]]:
    """Of each image, in the order in which they come."""
    return {
        image.ref.key: [(one.label, one.class_id) for one in image.instances] for image in dataset
    }


def test_images_come_in_the_order_of_their_keys_as_often_as_asked(tmp_path: Path) -> None:
    dataset = florence_annotate.open_dataset(written_job(tmp_path, SAID))
    assert dataset.class_names == ("car", "tree")
    expected = {"a.png": [("car", 0)], "b.png": [("tree", 1), ("car", 0)], "c/d.png": []}
    for _ in range(2):
        assert labels(dataset) == expected
        assert list(labels(dataset)) == ["a.png", "b.png", "c/d.png"]


def test_with_a_class_list_its_order_is_the_class_id(tmp_path: Path) -> None:
    out = written_job(tmp_path, SAID, classes="tree,lorry,automobile")
    dataset = florence_annotate.open_dataset(out)
    assert dataset.class_names == ("tree", "lorry", "automobile")
    assert labels(dataset)["b.png"] == [("tree", 0)]
    (dropped,) = next(iter(dataset)).dropped
    assert (dropped.label, dropped.reason) == ("car", "no-class")


def test_an_image_that_was_not_asked_is_told_from_one_without_anything(tmp_path: Path) -> None:
    out = written_job(tmp_path, {"a.png": [answer()], "b.png": []})
    assert [image.was_asked for image in florence_annotate.open_dataset(out)] == [True, False]


def test_an_answer_that_was_cut_is_told(tmp_path: Path) -> None:
    cut = replace(answer("car", 1, 2), truncated=True)
    (image,) = florence_annotate.open_dataset(written_job(tmp_path, {"a.png": [cut]}))
    assert image.truncated
    assert [one.reason for one in image.dropped] == ["torn-box"]


def test_what_a_job_asks_later_joins_what_it_asked_before(tmp_path: Path) -> None:
    asked = Question("<OD>"), Question(CAPTION)
    out = written_job(tmp_path, {"a.png": [answer("car", 1, 2, 300, 400)]}, asked)
    with Journal.open_to_write(out) as journal:
        attempt(journal, tmp_path, {"a.png": [answer("a street", task=CAPTION)]})
    (image,) = florence_annotate.open_dataset(out)
    assert [one.label for one in image.instances] == ["car"]
    assert [one.text for one in image.captions] == ["a street"]


def test_regions_become_instances_where_the_job_was_given_them(tmp_path: Path) -> None:
    said = answer("a red car", task=REGION_TO_DESCRIPTION)
    question = Question(REGION_TO_DESCRIPTION, "<loc_1>", (1.0, 2.0, 30.0, 40.0), "car")
    answers = {"a.png": [replace(said, question=question)]}
    given = written_job(tmp_path / "given", answers, (Question(REGION_TO_DESCRIPTION),))
    ((instance,),) = (image.instances for image in florence_annotate.open_dataset(given))
    assert (instance.label, instance.text) == ("car", "a red car")
    plan = Question("<OD>"), Question(REGION_TO_DESCRIPTION)
    found = florence_annotate.open_dataset(written_job(tmp_path / "found", answers, plan))
    assert [image.instances for image in found] == [()]
    assert found.class_names == ()


def test_a_job_of_captions_alone_has_no_classes(tmp_path: Path) -> None:
    said = {"a.png": [answer("a street", task=CAPTION)]}
    dataset = florence_annotate.open_dataset(written_job(tmp_path, said, (Question(CAPTION),)))
    assert dataset.class_names == ()
    assert [one.text for image in dataset for one in image.captions] == ["a street"]


def test_before_the_first_run_there_is_nothing_to_open(tmp_path: Path) -> None:
    with Journal.create(tmp_path) as journal:
        with pytest.raises(JobError, match="holds no job yet"):
            opening.questions_of(journal)
        with pytest.raises(JobError, match="holds no job yet"):
            opening.last_spec(journal)


CAPTION_OF_STREET = Question(GROUNDING, "The image shows a red car in a street.")
GROUNDED = {
    "a.png": [
        answer("The image", 1, 2, 900, 900, "a red car", 1, 2, 300, 400, task=GROUNDING),
    ]
}


def test_phrases_are_of_the_class_of_their_head(tmp_path: Path) -> None:
    out = written_job(tmp_path, GROUNDED, (CAPTION_OF_STREET,), classes="street,car")
    dataset = florence_annotate.open_dataset(out)
    assert labels(dataset) == {"a.png": [("a red car", 1)]}
    (dropped,) = next(iter(dataset)).dropped
    assert (dropped.label, dropped.reason) == ("The image", "no-object")


def test_a_phrase_that_names_nothing_makes_no_class(tmp_path: Path) -> None:
    out = written_job(tmp_path / "new", GROUNDED, (CAPTION_OF_STREET,))
    assert florence_annotate.open_dataset(out).class_names == ("a red car",)
    out = written_job(tmp_path / "older", GROUNDED, (CAPTION_OF_STREET,), label_rules=1)
    assert florence_annotate.open_dataset(out).class_names == ("The image", "a red car")


def test_a_job_from_before_the_rules_keeps_its_own(tmp_path: Path) -> None:
    said = {"a.png": [answer("sofa", 1, 2, 300, 400), answer("couchs", 1, 2, 3, 4)]}
    out = written_job(tmp_path, said, classes="couch")
    assert labels(florence_annotate.open_dataset(out)) == {"a.png": [("sofa", 0)]}
    with Journal.open_to_write(out) as journal, journal.transaction():
        ((text,),) = journal.connection.execute("SELECT settings FROM runs").fetchall()
        kept = json.loads(text)
        for name in ("synonyms", "label_rules", "drop_containers"):
            del kept[name]
        journal.connection.execute("UPDATE runs SET settings = ?", (json.dumps(kept),))
    assert labels(florence_annotate.open_dataset(out)) == {"a.png": [("couchs", 0)]}
