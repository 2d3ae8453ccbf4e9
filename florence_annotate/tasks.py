"""The 15 tasks of Florence-2 as one table, and the tasks of a prompt of the user's own.

The prompts are those the model was trained with; source: the processor of the original
checkpoints, the same in transformers' `Florence2Processor`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from florence_annotate.errors import UsageError
from florence_annotate.types import Question


class Takes(StrEnum):
    """What a task needs besides the image."""

    NOTHING = "nothing"
    TEXT = "text"
    REGION = "a region"


class Kind(StrEnum):
    """Kinds of tasks that want settings of generation of their own."""

    LOCATIONS = "locations"
    """Boxes, polygons and quadrilaterals, with or without labels."""
    TEXT = "text"


class Gives(StrEnum):
    """What kind of answer a task gives."""

    TEXT = "text"
    BOXES = "labels and boxes"
    PLAIN_BOXES = "boxes"
    QUADS = "text and quadrilaterals"
    POLYGONS = "polygons"
    BOXES_OR_POLYGONS = "labels and boxes or polygons"

    @property
    def has_boxes(self) -> bool:
        return self in (Gives.BOXES, Gives.BOXES_OR_POLYGONS, Gives.PLAIN_BOXES)

    @property
    def has_labels(self) -> bool:
        """Whether the model names what it points at."""
        return self in (Gives.BOXES, Gives.BOXES_OR_POLYGONS)


_POLYGON = "llllll(ll)*"
_PARTS = f"{_POLYGON}(s{_POLYGON})*"

FORMS: dict[Gives, str] = {
    Gives.TEXT: "t*",
    Gives.BOXES: "(t+(llll)+)*",
    Gives.PLAIN_BOXES: "(llll)*",
    Gives.QUADS: "(t+llllllll)*",
    Gives.POLYGONS: f"({_PARTS})?|(p{_PARTS}q)+",
    Gives.BOXES_OR_POLYGONS: f"(t+((llll)+|(p{_PARTS}q)+))*",
}
"""What answers look like, as regular expressions over the kinds of their tokens.

Text, location, separator of polygons (`<sep>`), `<poly>` and `</poly>`: t, l, s, p, q.
"""
_PARTS_OR_SEVERAL = f"({_PARTS}|(p{_PARTS}q)+)"
FORMS_OF_PROMPTS: dict[Gives, str] = {
    **FORMS,
    Gives.BOXES: "(t*(llll)+)*",
    Gives.POLYGONS: f"{_PARTS_OR_SEVERAL}?(t+{_PARTS_OR_SEVERAL})*",
}
"""Of answers to a user's own prompt, which may name what they point at, or not."""


LOCATION_BINS = 1000
"""Locations are in thousandths of the image's sides."""

SPECIAL_TOKENS: tuple[str, ...] = (
    *("<od>", "</od>", "<ocr>", "</ocr>"),
    *(f"<loc_{bin_index}>" for bin_index in range(LOCATION_BINS)),
    *("<cap>", "</cap>", "<ncap>", "</ncap>", "<dcap>", "</dcap>", "<grounding>", "</grounding>"),
    *("<seg>", "</seg>", "<sep>", "<region_cap>", "</region_cap>"),
    # the original's spelling, kept: fine-tuned checkpoints carry it too
    *("<region_to_desciption>", "</region_to_desciption>", "<proposal>", "</proposal>"),
    *("<poly>", "</poly>", "<and>"),
)
"""What Florence-2 adds to its tokenizer, in this order (its processor's source)."""


PHRASE_SEPARATOR = "<and>"
"""The control token that stands between the phrases of one prompt, and of one answer."""

_CONTROL_TOKENS = frozenset({*SPECIAL_TOKENS, "<s>", "</s>", "<pad>", "<unk>", "<mask>", "<image>"})
_IN_BRACKETS = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    token: str
    prompt: str
    """With `{input}` where the text or the region goes."""
    takes: Takes
    gives: Gives
    takes_one_phrase: bool = False
    """Its text is one phrase, and it always points somewhere, also where there is nothing of it."""
    labels_are_phrases: bool = False
    """Its labels are phrases of a text, as `a red car` and `it`, instead of names."""
    verifies: bool = False
    """Its answers tell whether an image shows a class that was asked for by name."""
    is_prompt: bool = False
    """It is a prompt of the user's own, which is the text of its question."""

    @property
    def is_given_names(self) -> bool:
        """Whether it is told what to look for, instead of saying what is there."""
        return self.takes is Takes.TEXT

    @property
    def has_locations(self) -> bool:
        return self.gives is not Gives.TEXT

    @property
    def kind(self) -> Kind:
        return Kind.LOCATIONS if self.has_locations else Kind.TEXT

    @property
    def has_labels(self) -> bool:
        """Whether the model names, or may name, what it points at."""
        return self.gives.has_labels or (self.is_prompt and self.gives is Gives.POLYGONS)

    @property
    def is_about_whole_image(self) -> bool:
        """Whether its answer is a text about the whole image."""
        return self.gives is Gives.TEXT and self.takes is not Takes.REGION


OD = "<OD>"
OPEN_VOCABULARY = "<OPEN_VOCABULARY_DETECTION>"
GROUNDING = "<CAPTION_TO_PHRASE_GROUNDING>"
DENSE_CAPTIONS = "<DENSE_REGION_CAPTION>"
CAPTION = "<CAPTION>"
MORE_DETAILED_CAPTION = "<MORE_DETAILED_CAPTION>"
OCR = "<OCR>"
SEGMENTATION = "<REFERRING_EXPRESSION_SEGMENTATION>"
REGION_TO_SEGMENTATION = "<REGION_TO_SEGMENTATION>"
REGION_TO_CATEGORY = "<REGION_TO_CATEGORY>"
REGION_TO_DESCRIPTION = "<REGION_TO_DESCRIPTION>"

TASKS: tuple[Task, ...] = (
    Task(
        "detection",
        OD,
        "Locate the objects with category name in the image.",
        Takes.NOTHING,
        Gives.BOXES,
        verifies=True,
    ),
    Task(
        "open-vocabulary",
        OPEN_VOCABULARY,
        "Locate {input} in the image.",
        Takes.TEXT,
        Gives.BOXES_OR_POLYGONS,
        takes_one_phrase=True,
    ),
    Task(
        "grounding",
        GROUNDING,
        "Locate the phrases in the caption: {input}",
        Takes.TEXT,
        Gives.BOXES,
        labels_are_phrases=True,
    ),
    Task(
        "dense-captions",
        DENSE_CAPTIONS,
        "Locate the objects in the image, with their descriptions.",
        Takes.NOTHING,
        Gives.BOXES,
        labels_are_phrases=True,
        verifies=True,
    ),
    Task(
        "region-proposals",
        "<REGION_PROPOSAL>",
        "Locate the region proposals in the image.",
        Takes.NOTHING,
        Gives.PLAIN_BOXES,
    ),
    Task(
        "caption",
        CAPTION,
        "What does the image describe?",
        Takes.NOTHING,
        Gives.TEXT,
        verifies=True,
    ),
    Task(
        "detailed-caption",
        "<DETAILED_CAPTION>",
        "Describe in detail what is shown in the image.",
        Takes.NOTHING,
        Gives.TEXT,
    ),
    Task(
        "more-detailed-caption",
        MORE_DETAILED_CAPTION,
        "Describe with a paragraph what is shown in the image.",
        Takes.NOTHING,
        Gives.TEXT,
        verifies=True,
    ),
    Task("ocr", OCR, "What is the text in the image?", Takes.NOTHING, Gives.TEXT),
    Task(
        "ocr-regions",
        "<OCR_WITH_REGION>",
        "What is the text in the image, with regions?",
        Takes.NOTHING,
        Gives.QUADS,
    ),
    Task(
        "segmentation",
        SEGMENTATION,
        "Locate {input} in the image with mask",
        Takes.TEXT,
        Gives.POLYGONS,
        takes_one_phrase=True,
    ),
    Task(
        "region-to-segmentation",
        REGION_TO_SEGMENTATION,
        "What is the polygon mask of region {input}",
        Takes.REGION,
        Gives.POLYGONS,
    ),
    Task(
        "region-to-category",
        REGION_TO_CATEGORY,
        "What is the region {input}?",
        Takes.REGION,
        Gives.TEXT,
    ),
    Task(
        "region-to-description",
        REGION_TO_DESCRIPTION,
        "What does the region {input} describe?",
        Takes.REGION,
        Gives.TEXT,
    ),
    Task(
        "region-to-ocr",
        "<REGION_TO_OCR>",
        "What text is in the region {input}?",
        Takes.REGION,
        Gives.TEXT,
    ),
)


class PromptGives(StrEnum):
    """What the answer to a prompt of the user's own may hold, as `--gives` says it."""

    TEXT = "text"
    BOXES = "boxes"
    POLYGONS = "polygons"
    QUADS = "quads"


PROMPTS: dict[PromptGives, Task] = {
    said: Task("prompt", f"prompt:{said}", "{input}", Takes.NOTHING, gives, is_prompt=True)
    for said, gives in (
        (PromptGives.TEXT, Gives.TEXT),
        (PromptGives.BOXES, Gives.BOXES),
        (PromptGives.POLYGONS, Gives.POLYGONS),
        (PromptGives.QUADS, Gives.QUADS),
    )
}
"""A task for each kind of answer to a prompt of the user's own; a job has one such prompt."""

_BY_TOKEN = {task.token: task for task in (*TASKS, *PROMPTS.values())}
_BY_NAME = {task.name: task for task in TASKS}


def find(name_or_token: str) -> Task:
    """The task of a name (`detection`) or of a token (`<OD>`); case does not matter.

    Raises UsageError for a task that does not exist.
    """
    written = name_or_token.strip()
    task = _BY_TOKEN.get(written.upper()) or _BY_NAME.get(written.lower())
    if task is None:
        raise UsageError(
            f"there is no task {name_or_token!r}: choose one of "
            f"{', '.join(_BY_NAME)}, or a token such as <OD> ('florence-annotate tasks' lists them)"
        )
    return task


def by_token(token: str) -> Task:
    """The task of a token as questions and instances carry it."""
    return _BY_TOKEN[token]


def field_of(caption_task: str) -> str:
    """What a caption is called in a dataset: the name of its task, or of what was joined in it."""
    task = _BY_TOKEN.get(caption_task)
    return caption_task if task is None else task.name


def of(question: Question) -> Task:
    """The task of a question."""
    return _BY_TOKEN[question.task]


def form(question: Question) -> str:
    """What the answer looks like; see FORMS."""
    task = of(question)
    return (FORMS_OF_PROMPTS if task.is_prompt else FORMS)[task.gives]


def phrases(text: str) -> list[str]:
    """The phrases of a text that the control token separates; one where there is none of it."""
    return [phrase.strip() for phrase in text.split(PHRASE_SEPARATOR)]


def control_token_in(text: str) -> str | None:
    """What the model would read as a control token in a user's text, if anything."""
    return next((part for part in _IN_BRACKETS.findall(text) if part in _CONTROL_TOKENS), None)


def prompt(question: Question) -> str:
    """The sentence that stands for the question, without the `<s>` and `</s>` around it."""
    return of(question).prompt.replace("{input}", question.text or "")
