"""The answers about one image → instances and captions, joined across questions.

How answers read follows from the answers, so a job reads the same whichever recipe asked; only
whether the user gave the regions is told by the job's questions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from florence_annotate.answers import merging, parsing
from florence_annotate.geometry import boxes
from florence_annotate.tasks import (
    REGION_TO_CATEGORY,
    REGION_TO_SEGMENTATION,
    Gives,
    Takes,
    Task,
    of,
    phrases,
)
from florence_annotate.types import (
    Answer,
    Box,
    Caption,
    Dropped,
    Instance,
    Polygon,
    Question,
    Reading,
    Record,
)

REGION_LABEL = "object"
"""Of boxes that nobody gave a label."""
TEXT_LABEL = "text"
"""Of printed words; what they say is their text."""

_AnswersByRegion = dict[tuple[Box, str | None], list[Answer]]


def are_regions_given(questions: Sequence[Question]) -> bool:
    """Whether the user gave the regions that a job asks about: its first question is about one.

    A question about boxes that the job finds itself comes after those that find them.
    """
    return bool(questions) and of(questions[0]).takes is Takes.REGION


def read(record: Record, *, regions_given: bool = False) -> Reading:
    """Instances in pixels of the image, unfiltered; captions; and what could not be read.

    The answer to a prompt about one phrase is about that phrase, whatever the model repeated
    before the locations, so its instances carry the phrase as their label; of a prompt about
    several, what the model says before the locations tells which. An answer about a region
    belongs to the instance with that very box: it gives a mask, a label or a text. Where there is
    no such instance, a region that the user gave becomes one.
    """
    instances: list[Instance] = []
    captions: list[Caption] = []
    dropped: list[Dropped] = []
    about: _AnswersByRegion = {}
    has_tiles = False
    for answer in record.answers:
        question = answer.question
        has_tiles = has_tiles or question.view is not None
        task = of(question)
        if question.region is not None:
            about.setdefault((question.region, question.label), []).append(answer)
        elif task.is_about_whole_image:
            text, score = parsing.parse_text(answer)
            captions.append(Caption(task.token, text, score))
        else:
            found, unreadable = _parse(answer, record)
            instances += _labelled(found, answer, task)
            dropped += unreadable
    if has_tiles:
        instances, repeated = merging.merge(instances, record.width, record.height)
        dropped += repeated
    if about:
        given = _as_instances(about, instances) if regions_given else []
        instances, unreadable = _join(instances, given, about, record)
        dropped += unreadable
    return Reading(tuple(instances), tuple(captions), tuple(dropped))


def _parse(answer: Answer, record: Record) -> tuple[list[Instance], list[Dropped]]:
    """What an answer points at, in pixels of the whole image, whichever view was asked."""
    view = answer.question.view
    if view is None:
        return parsing.parse(answer, record.width, record.height)
    found, unreadable = parsing.parse(answer, *boxes.size(view))
    return [_moved(instance, view) for instance in found], unreadable


def _moved(instance: Instance, view: Box) -> Instance:
    left, top = view[:2]

    def moved(polygon: Polygon) -> Polygon:
        return tuple((x + left, y + top) for x, y in polygon)

    x1, y1, x2, y2 = instance.box
    return replace(
        instance,
        box=(x1 + left, y1 + top, x2 + left, y2 + top),
        polygons=tuple(map(moved, instance.polygons)),
        quad=moved(instance.quad),
        view=view,
    )


def _labelled(found: list[Instance], answer: Answer, task: Task) -> list[Instance]:
    """Instances under the label that their question gives them, if it gives one."""
    if task.takes_one_phrase:
        label = answer.question.text or ""
        if len(phrases(label)) > 1:
            return [replace(each, label=each.label or label) for each in found]
    elif task.gives is Gives.PLAIN_BOXES:
        label = REGION_LABEL
    elif task.gives is Gives.QUADS:
        label = TEXT_LABEL
    elif task.is_prompt:
        return [replace(instance, label=instance.label or REGION_LABEL) for instance in found]
    else:
        return found
    return [replace(instance, label=label) for instance in found]


def _as_instances(
    about: _AnswersByRegion, found: Iterable[Instance]
) -> list[tuple[Instance, list[Answer]]]:
    """Regions that the user gave, with the answers about them, but for boxes that were found."""
    known = {instance.box for instance in found}
    return [
        (Instance(label or REGION_LABEL, 1.0, box, answers[0].question.task), answers)
        for (box, label), answers in about.items()
        if box not in known
    ]


def _join(
    found: Iterable[Instance],
    given: Iterable[tuple[Instance, list[Answer]]],
    about: _AnswersByRegion,
    record: Record,
) -> tuple[list[Instance], list[Dropped]]:
    """Instances with what the answers about their boxes add, and what could not be read of that."""
    joined: list[Instance] = []
    dropped: list[Dropped] = []
    pairs = [(instance, about.get((instance.box, None), [])) for instance in found]
    for instance, answers in (*pairs, *given):
        whole, unreadable = _add_answers(instance, answers, record)
        joined.append(whole)
        dropped += unreadable
    return joined, dropped


def _add_answers(
    instance: Instance, answers: Iterable[Answer], record: Record
) -> tuple[Instance, list[Dropped]]:
    """The instance with what the answers about its box add.

    Where they made it, since its box was given, they say how sure it is, too.
    """
    dropped: list[Dropped] = []
    for answer in answers:
        task = of(answer.question)
        text, score = parsing.parse_text(answer)
        if task.token == REGION_TO_SEGMENTATION:
            found, unreadable = _parse(answer, record)
            polygons = tuple(polygon for one in found for polygon in one.polygons)
            instance = replace(instance, polygons=polygons or instance.polygons)
            dropped += [replace(one, label=instance.label) for one in unreadable]
            score = found[0].score if found else 0.0
        elif task.token == REGION_TO_CATEGORY:
            instance = replace(instance, label=text)
        else:
            instance = replace(instance, text=text)
        if instance.task == task.token:
            instance = replace(instance, score=score)
    return instance, dropped
