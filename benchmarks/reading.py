"""One answer as this package reads it and as transformers' post-processor does, in one form.

transformers' cuts coordinates to whole pixels and takes everything that is not ASCII out of labels,
so that both are brought to that form before they are compared.
"""

from typing import Any

from florence_annotate import tasks
from florence_annotate.answers import parsing
from florence_annotate.tasks import Gives
from florence_annotate.types import Answer, Instance, Question

Read = tuple[Any, ...]
"""A text, or (label, numbers) of each instance; the numbers are whole pixels."""


def ours_read(answer: Answer, width: int, height: int) -> Read:
    """How this package reads it."""
    if tasks.of(answer.question).gives is Gives.TEXT:
        return (_plain(parsing.parse_text(answer)[0]),)
    instances, _ = parsing.parse(answer, width, height)
    return tuple((_label(answer.question, each), _numbers(each)) for each in instances)


def _label(question: Question, instance: Instance) -> str:
    gives = tasks.of(question).gives
    if gives in (Gives.PLAIN_BOXES, Gives.POLYGONS):
        return ""  # neither says one
    return _plain((instance.text or instance.label) if gives is Gives.QUADS else instance.label)


def _numbers(instance: Instance) -> tuple[int, ...]:
    if instance.polygons:
        return tuple(int(v) for polygon in instance.polygons for point in polygon for v in point)
    if instance.quad:
        return tuple(int(value) for point in instance.quad for value in point)
    return tuple(int(value) for value in instance.box)


def _plain(text: str) -> str:
    return " ".join(text.encode("ascii", "ignore").decode().split())


def theirs_read(question: Question, parsed: Any) -> Read:
    """What the post-processor gave."""
    if isinstance(parsed, str):
        for token in (*tasks.SPECIAL_TOKENS, "<pad>"):
            parsed = parsed.replace(token, "")  # it leaves them in texts
        return (_plain(parsed),)
    is_bare = tasks.of(question).gives in (Gives.PLAIN_BOXES, Gives.POLYGONS)
    found: list[tuple[str, tuple[int, ...]]] = []
    for values, labels in (
        ("bboxes", "labels"),
        ("bboxes", "bboxes_labels"),
        ("quad_boxes", "labels"),
        ("polygons", "labels"),
        ("polygons", "polygons_labels"),
    ):
        for value, label in zip(parsed.get(values, ()), parsed.get(labels, ()), strict=False):
            flat = [v for part in value for v in (part if isinstance(part, list) else [part])]
            found.append(("" if is_bare else _plain(label), tuple(flat)))
    return tuple(found)


def why_readings_differ(ours: Read, theirs: Read) -> str:
    """In words, as far as it can be told."""
    if len(ours) == len(theirs):
        if [each[1:] for each in ours] == [each[1:] for each in theirs]:
            return "labels are read otherwise"
        return "instances are read otherwise"
    more, fewer = (ours, theirs) if len(ours) > len(theirs) else (theirs, ours)
    who = "transformers" if more is ours else "this package"
    is_part = all(each in more for each in fewer)
    return f"{who} leaves instances out" + ("" if is_part else ", and reads others otherwise")
