"""Which answers count where an image has several attempts."""

from dataclasses import replace

from written_answers import answer

from florence_annotate.answers import reading
from florence_annotate.answers.attempts import with_counting_answers
from florence_annotate.geometry.locations import to_locations
from florence_annotate.tasks import (
    CAPTION,
    GROUNDING,
    OD,
    OPEN_VOCABULARY,
    REGION_TO_DESCRIPTION,
    REGION_TO_SEGMENTATION,
    SEGMENTATION,
)
from florence_annotate.types import Answer, Box, ImageRef, Question, Record

BOX: Box = (100.5, 200.5, 300.5, 400.5)
"""That of `car`."""
OTHER: Box = (500.5, 500.5, 600.5, 600.5)


def car(label: str = "car") -> Answer:
    return answer(label, 100, 200, 300, 400)


def asked(said: Answer, text: str | None, task: str | None = None) -> Answer:
    return replace(said, question=Question(task or said.question.task, text))


def about(box: Box, said: str, task: str = REGION_TO_DESCRIPTION, label: str = "") -> Answer:
    text = to_locations(box, 1000, 1000)
    return replace(answer(said, task=task), question=Question(task, text, box, label or None))


def counting(
    *attempts: tuple[Answer, ...], plan: tuple[Question, ...], regions_given: bool = False
) -> tuple[Answer, ...]:
    """Of attempts at the same bytes, the oldest first."""
    *earlier, latest = attempts
    record = Record(ImageRef("a", b"", 0, 0), "", 1000, 1000, latest, tuple(earlier))
    found = with_counting_answers(record, plan, regions_given=regions_given)
    assert found.earlier == ()
    return found.answers


def test_a_single_attempt_counts_as_it_is() -> None:
    record = Record(ImageRef("a", b"", 0, 0), "", 1000, 1000, (car(), about(OTHER, "?")))
    assert with_counting_answers(record, (Question(OD),), regions_given=False) is record


def test_the_latest_answer_to_each_question_counts() -> None:
    plan = Question(OD), Question(CAPTION)
    first = car(), answer("a street", task=CAPTION)
    assert counting(first, (car("bus"),), plan=plan) == (first[1], car("bus"))


def test_what_the_latest_attempt_did_not_ask_counts_from_an_earlier_one() -> None:
    plan = Question(OD), Question(OPEN_VOCABULARY, "tram")
    tram = asked(answer("tram", 1, 2, 3, 4, task=OPEN_VOCABULARY), "tram")
    assert counting((car(),), (tram,), plan=plan) == (car(), tram)
    assert counting((car(),), (car("bus"),), (tram,), plan=plan) == (car("bus"), tram)


def test_the_same_question_about_another_tile_is_another_one() -> None:
    whole = car()
    tile = replace(whole, question=replace(whole.question, view=(0, 0, 500, 500)))
    assert counting((whole,), (tile,), plan=(Question(OD),)) == (whole, tile)


def test_prompts_of_one_task_are_questions_of_their_own() -> None:
    plan = Question(SEGMENTATION, "cat"), Question(SEGMENTATION, "dog")
    cat, dog = (
        asked(answer("", 1, 2, 3, 4, 5, 6, task=SEGMENTATION), text) for text in ("cat", "dog")
    )
    assert counting((cat,), (dog,), plan=plan) == (cat, dog)
    assert counting((cat, dog), (dog,), plan=plan) == (cat, dog)


def test_a_follow_up_counts_from_the_attempt_whose_answer_found_its_box() -> None:
    plan = Question(OD), Question(OPEN_VOCABULARY, "tram"), Question(REGION_TO_DESCRIPTION)
    tram = asked(answer("tram", 1, 2, 3, 4, task=OPEN_VOCABULARY), "tram")
    first = car(), about(BOX, "a red car")
    assert counting(first, (tram,), plan=plan) == (*first, tram)
    bus = answer("bus", 1, 2, 3, 4)
    assert counting(first, (bus,), plan=plan) == (bus,)
    # here the box itself is found again, and yet its description is not of that attempt
    assert counting(first, (car(),), plan=plan) == (car(),)
    both = car(), tram, about(BOX, "a red car"), about((1.5, 2.5, 3.5, 4.5), "a tram")
    assert counting(both, (bus,), plan=plan) == (both[1], both[3], bus)


def test_a_follow_up_alone_counts_for_nothing() -> None:
    plan = Question(OD), Question(REGION_TO_SEGMENTATION)
    mask = about(BOX, "", REGION_TO_SEGMENTATION)
    assert counting((car(),), (mask,), plan=plan) == (car(),)


def test_regions_that_were_given_are_questions_like_others() -> None:
    plan = (Question(REGION_TO_DESCRIPTION),)
    old, new = about(BOX, "a car"), about(BOX, "a bus")
    other = about(OTHER, "a tree")
    assert counting((old, other), (new,), plan=plan, regions_given=True) == (other, new)
    named = about(BOX, "a lorry", label="lorry")
    assert counting((old,), (named,), plan=plan, regions_given=True) == (old, named)


def test_a_text_of_the_images_own_may_have_changed() -> None:
    plan = (Question(GROUNDING),)
    old, new = (asked(answer(text, 1, 2, 3, 4, task=GROUNDING), text) for text in ("cat", "dog"))
    assert counting((old,), (new,), plan=plan) == (new,)
    assert counting((old,), (car(),), plan=(*plan, Question(OD))) == (old, car())


def test_what_was_grounded_of_an_earlier_caption_goes_with_it() -> None:
    plan = Question(CAPTION), Question(GROUNDING)
    caption = answer("a cat", task=CAPTION)
    grounded = asked(answer("a cat", 1, 2, 3, 4, task=GROUNDING), "a cat")
    again = answer("", task=CAPTION)  # which asks nothing more
    assert counting((caption, grounded), (again,), plan=plan) == (again,)


def test_an_attempt_that_asked_nothing_leaves_nothing() -> None:
    old = asked(answer("cat", 1, 2, 3, 4, task=GROUNDING), "cat")
    assert counting((old,), (), plan=(Question(GROUNDING),)) == ()


def test_only_a_region_that_was_given_becomes_an_instance() -> None:
    record = Record(ImageRef("a", b"", 0, 0), "", 1000, 1000, (about(BOX, "a car"),))
    assert reading.read(record).instances == ()
    (instance,) = reading.read(record, regions_given=True).instances
    assert (instance.box, instance.text) == (BOX, "a car")


def test_regions_are_given_where_the_first_question_is_about_one() -> None:
    given = (Question(REGION_TO_DESCRIPTION),)
    assert reading.are_regions_given(given)
    assert not reading.are_regions_given((Question(OD), *given))
    assert not reading.are_regions_given((Question(OD), Question(CAPTION), *given))
    assert not reading.are_regions_given(())
