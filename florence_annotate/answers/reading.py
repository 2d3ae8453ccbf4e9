"""The answers about one picture → instances and captions, joined across questions.

How answers read follows from the answers alone, so a job reads the same whichever recipe asked.
"""

from collections.abc import Iterable
from dataclasses import replace

from florence_annotate.answers import merging, parsing
from florence_annotate.geometry import boxes
from florence_annotate.tasks import (
    REGION_TO_CATEGORY,
    REGION_TO_SEGMENTATION,
    Gives,
    of,
)
from florence_annotate.types import (
    Answer,
    Box,
    Caption,
    Dropped,
    Instance,
    Polygon,
    Reading,
    Record,
)

REGION_LABEL = "object"
"""Of boxes that nobody gave a label."""
TEXT_LABEL = "text"
"""Of printed words; what they say is their text."""


def read(record: Record) -> Reading:
    """Instances in pixels, unfiltered; captions; and what could not be read.

    The answer to a prompt about one phrase is about that phrase, whatever the model repeated
    before the locations, so its instances carry the phrase as their label. An answer about a region
    belongs to the instance with that very box: it gives a mask, a label or a text. Where there is
    no such instance, the region was given by the user and becomes one.
    """
    instances: list[Instance] = []
    captions: list[Caption] = []
    dropped: list[Dropped] = []
    about: dict[tuple[Box, str | None], list[Answer]] = {}
    for answer in record.answers:
        task = of(answer.question)
        if answer.question.region is not None:
            region = answer.question.region, answer.question.label
            about.setdefault(region, []).append(answer)
        elif task.is_about_whole_image:
            text, score = parsing.read_text(answer)
            captions.append(Caption(task.token, text, score))
        else:
            found, unreadable = _read(answer, record)
            instances += [_labelled(instance, answer) for instance in found]
            dropped += unreadable
    tiles = {answer.question.view for answer in record.answers} - {None}
    if tiles:
        instances, repeated = merging.merge(instances, record.width, record.height)
        dropped += repeated
    known = {instance.box for instance in instances}
    pairs = [(instance, about.get((instance.box, None), [])) for instance in instances]
    pairs += [
        (Instance(label or REGION_LABEL, 1.0, box, answers[0].question.task), answers)
        for (box, label), answers in about.items()
        if box not in known
    ]
    joined = []
    for instance, answers in pairs:
        whole, unreadable = _join(instance, answers, record)
        joined.append(whole)
        dropped += unreadable
    return Reading(tuple(joined), tuple(captions), tuple(dropped))


def _read(answer: Answer, record: Record) -> tuple[list[Instance], list[Dropped]]:
    """What an answer points at, in pixels of the whole picture, whichever view was asked."""
    view = answer.question.view
    if view is None:
        return parsing.read(answer, record.width, record.height)
    found, unreadable = parsing.read(answer, *boxes.size(view))
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


def _labelled(instance: Instance, answer: Answer) -> Instance:
    task = of(answer.question)
    if task.takes_one_phrase:
        return replace(instance, label=answer.question.text or "")
    if task.gives is Gives.PLAIN_BOXES:
        return replace(instance, label=REGION_LABEL)
    if task.gives is Gives.QUADS:
        return replace(instance, label=TEXT_LABEL)
    return instance


def _join(
    instance: Instance, answers: Iterable[Answer], record: Record
) -> tuple[Instance, list[Dropped]]:
    """The instance with what the answers about its box add.

    Where they made it, since its box was given, they say how sure it is, too.
    """
    dropped: list[Dropped] = []
    for answer in answers:
        task = of(answer.question)
        text, score = parsing.read_text(answer)
        if task.token == REGION_TO_SEGMENTATION:
            found, unreadable = _read(answer, record)
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
