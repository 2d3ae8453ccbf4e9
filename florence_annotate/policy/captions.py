"""How a dataset writes the texts about an image: openings left out, several joined, and what
stands before and behind them.

Like the rest of a policy it never needs the model: the journal keeps what the model wrote.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Annotated

from pydantic import BaseModel, ConfigDict

from florence_annotate.declaration import Kept, Names, Option, Panel
from florence_annotate.errors import UsageError
from florence_annotate.tasks import OCR, field_of, of
from florence_annotate.types import Caption, KeptInstance, Question

CAPTIONS = "captions"
"""In `join`: every text about the image, in the order in which they were asked for."""
TAGS = "tags"
"""In `join`: the classes of what was found on the image, each once."""


class CaptionSettings(BaseModel):
    """What a user chose of how captions are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    caption_prefix: Annotated[
        str | None,
        Option(
            'Put this before every caption, a trigger word say: "ohwx, ".',
            Panel.DATASET,
            kept=Kept.POLICY,
        ),
    ] = None
    caption_suffix: Annotated[
        str | None, Option("Put this behind every caption.", Panel.DATASET, kept=Kept.POLICY)
    ] = None
    strip_openings: Annotated[
        bool,
        Option(
            'Leave out how captions begin that say what every image is, as "The image shows" does.',
            Panel.DATASET,
            kept=Kept.POLICY,
        ),
    ] = False
    join: Annotated[
        Names | None,
        Option(
            "Make one caption of several texts, in this order: captions (all of them), the names "
            "of their tasks, prompt, and tags (the classes of what was found).",
            Panel.DATASET,
            "A,B,…",
            "each for itself; a format that holds one takes the longest",
            kept=Kept.POLICY,
        ),
    ] = None

    @property
    def joins_tags(self) -> bool:
        """Whether captions are made of what was found, too."""
        return TAGS in (self.join or ())


def refuse_unjoinable(questions: Collection[Question], settings: CaptionSettings) -> None:
    """Raise UsageError for a text that is to be joined and that none of the questions gives."""
    asked = list(dict.fromkeys(map(of, questions)))
    fields = [task.name for task in asked if task.is_about_whole_image]
    there = [
        *([CAPTIONS] if fields else []),
        *fields,
        *([TAGS] if len(fields) < len(asked) else []),
    ]
    missing = next((name for name in settings.join or () if name not in there), None)
    if missing == TAGS:
        named = ",".join([*(task.name for task in asked if not task.is_prompt), "detection"])
        raise UsageError(
            "--join tags: tags are the classes of what is found, and this job looks for nothing: "
            f"ask for boxes too, as --task {named} does in another output (-o), or leave tags out"
        )
    if missing is not None:
        raise UsageError(
            f"--join {missing}: this job has no such text: choose from {', '.join(there)}"
        )


def refuse_without_captions(questions: Collection[Question], settings: CaptionSettings) -> None:
    """Raise UsageError for settings of captions where no question gives any, and none is joined."""
    if settings.join or any(of(question).is_about_whole_image for question in questions):
        return
    given = {
        "--caption-prefix": settings.caption_prefix,
        "--caption-suffix": settings.caption_suffix,
        "--strip-openings": settings.strip_openings,
    }
    if flags := [flag for flag, value in given.items() if value]:
        them = "it" if len(flags) == 1 else "them"
        raise UsageError(
            f"{', '.join(flags)}: this job has no captions: leave {them} out, ask for "
            "captions too, or make them of what is found with --join tags"
        )


def write_captions(
    captions: Iterable[Caption],
    instances: Sequence[KeptInstance],
    class_names: Sequence[str],
    settings: CaptionSettings,
) -> list[Caption]:
    """The captions of an image as its dataset has them; one, where several texts are joined.

    `instances` are those that the dataset keeps, `class_names` the names by class id.
    """
    written = [
        replace(one, text=strip_opening(one.text)) if _is_stripped(one, settings) else one
        for one in captions
    ]
    if settings.join:
        written = [_joined(settings.join, written, instances, class_names)]
    prefix, suffix = settings.caption_prefix or "", settings.caption_suffix or ""
    return [
        # nothing stays nothing: a trigger word alone is no caption
        replace(one, text=f"{prefix}{one.text}{suffix}") if one.text.strip() else one
        for one in written
    ]


def strip_opening(text: str) -> str:
    """A text without the opening that it begins with; what follows gets a capital.

    Unchanged where it begins with none of the table, or where nothing, or no caption, would be
    left: that the image "is not clear" says something, and "shows that" goes with its clause.
    """
    found = _openings().match(text)
    if found is None:
        return text
    rest = text[found.end() :]
    first = re.split(r"\W", rest, maxsplit=1)[0]
    # iPhone and mp3 are spelled as they are
    return rest[0].upper() + rest[1:] if first.isalpha() and first.islower() else rest


@cache
def _openings() -> re.Pattern[str]:
    """Any opening of the table, a comma in or behind it, and the space before what follows."""
    table = resources.files(__package__).joinpath("openings.txt").read_text("utf-8")
    longest_first = sorted(table.splitlines(), key=len, reverse=True)
    spelled = "|".join(map(_spelled, longest_first))
    goes_with_it = r"(?:are|is|of|that)\b"  # in this image is a man; the image shows that he sits
    # atomic: no shorter opening is tried where nothing follows a longer one
    return re.compile(rf"\s*(?>(?:{spelled})\b)[,:]?\s+(?!{goes_with_it})(?=\S)", re.IGNORECASE)


def _spelled(opening: str) -> str:
    """An opening as a regular expression; "The image is" only before a noun with its article."""
    spelled = r",?\s+".join(map(re.escape, opening.split()))
    says_what_it_is = opening.endswith((" is", " be")) and not opening.endswith(" there is")
    return spelled + r"(?=\s+(?:an?|the)\b)" if says_what_it_is else spelled


def _is_stripped(caption: Caption, settings: CaptionSettings) -> bool:
    # what is printed on the image is no description of it
    return settings.strip_openings and caption.task != OCR


def _joined(
    names: Sequence[str],
    captions: Sequence[Caption],
    instances: Sequence[KeptInstance],
    class_names: Sequence[str],
) -> Caption:
    """One text, with commas between its parts; none comes twice, and what is empty is left out."""
    texts: list[str] = []
    scores: list[float] = []
    left = [one for one in captions if one.text.strip()]
    for name in names:
        if name == TAGS:
            texts += dict.fromkeys(class_names[one.class_id] for one in instances)
            scores += [one.score for one in instances]
            continue
        taken = [one for one in left if name in (CAPTIONS, field_of(one.task))]
        left = [one for one in left if one not in taken]
        texts += [one.text for one in taken]
        scores += [one.score for one in taken]
    ended = [text.removesuffix(".") for text in texts[:-1]]
    return Caption(",".join(names), ", ".join([*ended, *texts[-1:]]), min(scores, default=0.0))
