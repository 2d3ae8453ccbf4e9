"""Answers about one picture, joined across questions."""

from florence_annotate.answers import reading
from florence_annotate.tasks import OPEN_VOCABULARY, SEGMENTATION
from florence_annotate.types import Answer, Box, ImageRef, Question, Record, TokenKind

BOX: Box = (100.5, 200.5, 300.5, 400.5)
LOCATIONS = "<loc_100><loc_200><loc_300><loc_400>"


def answer(task: str, said: str, locations: int = 0, **asked: object) -> Answer:
    """A text, then the first location tokens of a triangle."""
    pieces = [said.encode(), *(f"<loc_{100 * n}>".encode() for n in (1, 2, 3, 4, 1, 4))]
    pieces = pieces[: 1 + locations] if said else pieces[1 : 1 + locations]
    kinds = [TokenKind.TEXT] * bool(said) + [TokenKind.LOCATION] * locations
    ends = tuple(sum(map(len, pieces[: i + 1])) for i in range(len(pieces)))
    question = Question(task, **asked)  # type: ignore[arg-type]
    logprobs = (-1.0,) * len(pieces)
    return Answer(question, b"".join(pieces), ends, tuple(kinds), logprobs, False)


def read(*answers: Answer, regions_given: bool = False) -> reading.Reading:
    record = Record(ImageRef("a", b"", 0, 0), "", 1000, 1000, answers)
    return reading.read(record, regions_given=regions_given)


def about(task: str, said: str, locations: int = 0, label: str | None = None) -> Answer:
    return answer(task, said, locations, text=LOCATIONS, region=BOX, label=label)


def test_answers_about_a_box_join_the_instance_with_it() -> None:
    found = answer("<OD>", "car", 4)
    said = read(
        found,
        about("<REGION_TO_SEGMENTATION>", "", 6),
        about("<REGION_TO_DESCRIPTION>", "a red car"),
    )
    (instance,) = said.instances
    assert (instance.label, instance.box, instance.text) == ("car", BOX, "a red car")
    assert instance.polygons == (((100.5, 200.5), (300.5, 400.5), (100.5, 400.5)),)
    assert instance.score == read(found).instances[0].score


def test_what_a_prompt_points_at_has_the_label_that_the_model_wrote_or_is_an_object() -> None:
    named = read(answer("prompt:boxes", "icon", 4, text="<FIND>"))
    unnamed = read(answer("prompt:boxes", "", 4, text="<FIND>"))
    outlined = read(answer("prompt:polygons", "leaf", 6, text="<OUTLINE>"))
    labels = [one.label for said in (named, unnamed, outlined) for one in said.instances]
    assert labels == ["icon", "object", "leaf"]
    assert outlined.instances[0].polygons == (((100.5, 200.5), (300.5, 400.5), (100.5, 400.5)),)


def test_two_given_regions_with_one_box_stay_two() -> None:
    said = read(
        about("<REGION_TO_OCR>", "7", label="shirt"),
        about("<REGION_TO_OCR>", "7", label="person"),
        regions_given=True,
    )
    assert [(one.label, one.text) for one in said.instances] == [("shirt", "7"), ("person", "7")]


def test_a_category_replaces_the_label_that_was_given() -> None:
    said = read(about("<REGION_TO_CATEGORY>", "truck", label="car"), regions_given=True)
    (instance,) = said.instances
    assert instance.label == "truck" and 0 < instance.score < 1


def test_a_mask_that_cannot_be_read_is_told_under_its_label() -> None:
    said = read(about("<REGION_TO_SEGMENTATION>", "", 4, label="car"), regions_given=True)
    assert said.instances[0].polygons == () and said.instances[0].score == 0
    assert [(one.label, one.reason) for one in said.dropped] == [("car", "torn-polygon")]


def test_texts_about_the_whole_picture_are_captions() -> None:
    tags = answer("prompt:text", "a street, a sign", text="<TAGS>")
    said = read(answer("<CAPTION>", "a street"), answer("<OCR>", "STOP"), tags)
    assert [(one.task, one.text) for one in said.captions] == [
        ("<CAPTION>", "a street"),
        ("<OCR>", "STOP"),
        ("prompt:text", "a street, a sign"),
    ]
    assert said.instances == said.dropped == ()


def test_the_label_is_the_one_phrase_that_was_asked_for() -> None:
    (instance,) = read(answer(OPEN_VOCABULARY, "wheel", 4, text="wheels of a car")).instances
    assert instance.label == "wheels of a car"


def test_of_several_phrases_the_models_own_words_tell_which() -> None:
    several = {"text": "person<and>a red car"}
    said = read(
        answer(OPEN_VOCABULARY, "person", 4, **several),
        answer(OPEN_VOCABULARY, "a red car", 4, **several),
        answer(SEGMENTATION, "", 6, **several),
    )
    assert [one.label for one in said.instances] == ["person", "a red car", several["text"]]
