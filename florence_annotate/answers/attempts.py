"""Several attempts at one image → the answers that count.

Most images have one attempt. Another is made where a file changed and changed back, or was touched,
or where a job asks something more about images that it has asked before.
"""

from collections.abc import Collection
from dataclasses import replace

from florence_annotate.answers import reading
from florence_annotate.types import Answer, Question, Record

_Key = tuple[object, ...]


def with_counting_answers(
    record: Record, questions: Collection[Question], *, regions_given: bool
) -> Record:
    """The record of the latest attempt with all answers that count, earlier attempts' first.

    `questions` are the job's. To each question, the latest answer counts. In particular:

    - An answer about a box that the job found counts only where the answer that found it does, of
      the same attempt.
    - A text of the image's own (from its sidecar, or its caption) may be another one at each
      attempt. An answer about one counts only until an attempt asks again what its own had asked:
      then the image was asked anew, about the text that it has by now.
    - So it is with all answers before an attempt that asked nothing: there was nothing to ask.
    """
    if not record.earlier:
        return record
    asked = {(question.task, question.text) for question in questions}
    taken: set[_Key] = set()
    counting: list[Answer] = []
    for answers in (record.answers, *reversed(record.earlier)):
        if not answers:
            break
        keys = [_key(answer.question, asked) for answer in answers]
        is_anew = not taken.isdisjoint(keys)
        still = [
            answer
            for answer, key in zip(answers, keys, strict=True)
            if key not in taken and not (is_anew and _has_own_text(answer.question, asked))
        ]
        if not regions_given:
            still = _without_lost_boxes(still, record)
        counting[:0] = still
        taken.update(keys)
    return replace(record, answers=tuple(counting), earlier=())


def _key(question: Question, asked: Collection[tuple[str, str | None]]) -> _Key:
    """What makes two questions the same, a text of the image's own left out."""
    text = None if _has_own_text(question, asked) else question.text
    return question.task, text, question.region, question.label, question.view


def _has_own_text(question: Question, asked: Collection[tuple[str, str | None]]) -> bool:
    """Whether its text is none of the job's; where a region has its locations for a text, it is
    told by the region."""
    return question.region is None and (question.task, question.text) not in asked


def _without_lost_boxes(answers: list[Answer], record: Record) -> list[Answer]:
    """Answers of one attempt that count, but for those about boxes that none of them finds."""
    if all(answer.question.region is None for answer in answers):
        return answers
    finding = tuple(answer for answer in answers if answer.question.region is None)
    found = reading.read(replace(record, answers=finding, earlier=()))
    boxes = {instance.box for instance in found.instances}
    return [
        answer
        for answer in answers
        if answer.question.region is None or answer.question.region in boxes
    ]
