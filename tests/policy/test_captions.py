"""How the texts about an image are written."""

from importlib import resources

import pytest

from florence_annotate import policy
from florence_annotate.errors import UsageError
from florence_annotate.policy.captions import (
    CaptionSettings,
    refuse_unjoinable,
    refuse_without_captions,
    strip_opening,
    write_captions,
)
from florence_annotate.tasks import CAPTION, MORE_DETAILED_CAPTION, OCR, OD
from florence_annotate.types import Caption, KeptInstance, Question

SHORT = Caption(CAPTION, "a cat", 0.9)
LONG = Caption(MORE_DETAILED_CAPTION, "The image shows a cat. It sits on a sofa.", 0.5)
PRINTED = Caption(OCR, "In this image: SALE", 0.7)
TAGGED = Caption("prompt:text", "cat, indoors", 0.8)
NAMES = ("sofa", "cat")


def found(class_id: int, score: float = 0.6) -> KeptInstance:
    return KeptInstance("thing", score, (0, 0, 9, 9), OD, class_id=class_id)


def texts(*captions: Caption, **settings: object) -> list[str]:
    """What an image with a cat, a sofa and another cat is written to be."""
    instances = [found(1), found(0), found(1)]
    chosen = CaptionSettings.model_validate(settings)
    return [one.text for one in write_captions(captions, instances, NAMES, chosen)]


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("The image shows a red car.", "A red car."),
        ("In this image, we can see a red car.", "A red car."),
        ("In this image we can see a red car.", "A red car."),
        ("in this image, a man rides", "A man rides"),
        ("The image is a close-up of a coin.", "A close-up of a coin."),
        ("The image is of a coin.", "A coin."),
        ("The photo shows: élan", "Élan"),
        (" The image depicts\ntwo cats", "Two cats"),
        # the whole words of an opening, at the beginning, and something behind it
        ("In this photo we can see a man.", "A man."),
        ("The images shown are red.", "The images shown are red."),
        # what is left would be no caption
        ("The image is often blurred.", "The image is often blurred."),
        ("This image is not clear", "This image is not clear"),
        ("The image is in black and white.", "The image is in black and white."),
        ("The photo appears to be old.", "The photo appears to be old."),
        ("The image shows that a man is there", "The image shows that a man is there"),
        ("In this image is a man.", "In this image is a man."),
        ("In the photo of a room, a man sits.", "In the photo of a room, a man sits."),
        ("In this image we can see that it rains", "In this image we can see that it rains"),
        # names are spelled as they are
        ("The image shows iPhone apps", "iPhone apps"),
        ("The image shows mp3 players", "mp3 players"),
        ("The image shows t-shirts", "T-shirts"),
        ('The image shows "a" on a sign', '"a" on a sign'),
        ("A cat. The image shows it twice.", "A cat. The image shows it twice."),
        ("In this image we can see", "In this image we can see"),
        ("", ""),
    ],
)
def test_an_opening_of_the_table_is_left_out(text: str, stripped: str) -> None:
    assert strip_opening(text) == stripped


def test_the_table_of_openings_is_sorted_and_has_none_twice() -> None:
    table = resources.files(policy).joinpath("openings.txt").read_text("utf-8").splitlines()
    assert table == sorted(set(table))
    assert all(line == " ".join(line.split()) and "," not in line for line in table)


def test_captions_are_as_the_model_wrote_them_unless_asked_otherwise() -> None:
    assert write_captions([LONG, SHORT], [], (), CaptionSettings()) == [LONG, SHORT]


def test_prefix_and_suffix_stand_around_every_caption_behind_a_stripped_opening() -> None:
    written = texts(
        SHORT, LONG, strip_openings=True, caption_prefix="ohwx, ", caption_suffix=", film"
    )
    assert written == ["ohwx, a cat, film", "ohwx, A cat. It sits on a sofa., film"]


def test_what_is_printed_keeps_its_words() -> None:
    assert texts(PRINTED, strip_openings=True) == [PRINTED.text]


@pytest.mark.parametrize(
    ("join", "text"),
    [
        ("captions,tags", "A cat. It sits on a sofa, a cat, cat, indoors, cat, sofa"),
        ("tags", "cat, sofa"),
        ("more-detailed-caption,tags", "A cat. It sits on a sofa, cat, sofa"),
        ("prompt,caption", "cat, indoors, a cat"),
        ("prompt,captions", "cat, indoors, A cat. It sits on a sofa, a cat"),
        ("more-detailed-caption", "A cat. It sits on a sofa."),
    ],
)
def test_texts_are_joined_in_the_order_asked_for_and_none_twice(join: str, text: str) -> None:
    written = texts(LONG, SHORT, TAGGED, join=join, strip_openings=True, caption_prefix="x: ")
    assert written == [f"x: {text}"]


def test_a_joined_caption_says_what_is_in_it_and_is_as_sure_as_the_least_sure_of_it() -> None:
    joined = CaptionSettings(join=("caption", "tags"))
    (caption,) = write_captions([SHORT, LONG], [found(1, 0.6)], NAMES, joined)
    assert (caption.task, caption.score) == ("caption,tags", 0.6)
    (nothing,) = write_captions([], [], NAMES, CaptionSettings(join=("tags",)))
    assert (nothing.text, nothing.score) == ("", 0.0)


def test_an_empty_text_leaves_no_comma_and_no_score() -> None:
    empty = Caption(OCR, "", 0.0)
    assert texts(empty, join="ocr,tags") == ["cat, sofa"]
    joined = CaptionSettings(join=("caption", "ocr"))
    (caption,) = write_captions([SHORT, empty], [], NAMES, joined)
    assert (caption.text, caption.score) == (SHORT.text, SHORT.score)


@pytest.mark.parametrize("join", [None, "ocr", "captions"])
def test_nothing_stands_around_an_empty_text(join: str | None) -> None:
    empty = Caption(OCR, "", 0.0)
    assert texts(empty, join=join, caption_prefix="t: ", caption_suffix=".") == [""]


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--caption-prefix", "x "), ("--caption-suffix", " x"), ("--strip-openings", True)],
)
def test_how_captions_are_written_is_refused_where_there_are_none(flag: str, value: object) -> None:
    name = flag.removeprefix("--").replace("-", "_")
    settings = CaptionSettings.model_validate({name: value})
    with pytest.raises(UsageError, match=f"{flag}: this job has no captions"):
        refuse_without_captions([Question(OD)], settings)
    refuse_without_captions([Question(OD), Question(OCR)], settings)
    refuse_without_captions([Question(OD)], settings.model_copy(update={"join": ("tags",)}))
    refuse_without_captions([Question(OD)], CaptionSettings(caption_prefix=""))


def test_what_no_question_gives_cannot_be_joined() -> None:
    def refused(asked: list[Question], *join: str) -> str:
        with pytest.raises(UsageError) as caught:
            refuse_unjoinable(asked, CaptionSettings(join=join))
        return str(caught.value)

    captions = [Question(CAPTION), Question("prompt:text", "<TAGS>")]
    refuse_unjoinable(captions, CaptionSettings(join=("prompt", "captions", "caption")))
    assert "--task caption,detection" in refused(captions, "caption", "tags")
    assert "choose from captions, caption, prompt" in refused(captions, "detailed-caption")
    refuse_unjoinable([Question(OD)], CaptionSettings(join=("tags",)))
    assert "choose from tags" in refused([Question(OD)], "captions")
