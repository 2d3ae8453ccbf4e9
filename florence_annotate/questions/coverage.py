"""What the questions of a job can find, and what they can't."""

from collections.abc import Collection

from florence_annotate.classes import ClassList
from florence_annotate.errors import UsageError
from florence_annotate.tasks import (
    ASKED_BY_NAME,
    DENSE_CAPTIONS,
    GROUNDING,
    WITNESSES,
    Gives,
    Takes,
    of,
)
from florence_annotate.types import Question


def asked_by_prompt(questions: Collection[Question], classes: ClassList) -> frozenset[int]:
    """Ids of the classes that have a prompt of their own."""
    texts = {question.text for question in questions if question.task in ASKED_BY_NAME}
    return frozenset(i for i, spec in enumerate(classes.classes) if spec.question in texts)


def witnesses(questions: Collection[Question]) -> frozenset[str]:
    """Tasks that a job asks only to confirm what it asks by name."""
    asked = frozenset(question.task for question in questions)
    return asked & {DENSE_CAPTIONS} if asked & ASKED_BY_NAME else frozenset()


def refuse_unverified(questions: Collection[Question]) -> None:
    """Raise UsageError where no second kind of question is asked about classes asked by name."""
    asked = {question.task for question in questions}
    if not asked & ASKED_BY_NAME or not asked.issuperset(WITNESSES):
        raise UsageError(
            "--presence needs a second kind of question about each class, and this job asks none: "
            "annotate with --recipe verify in another output (-o)"
        )


def refuse_unasked(questions: Collection[Question], classes: ClassList) -> None:
    """Raise UsageError for classes that none of the questions can find."""
    # follow-ups and captions find nothing of their own
    finding = [
        question
        for question in questions
        if of(question).takes is not Takes.REGION and of(question).gives is not Gives.TEXT
    ]
    if not finding or any(question.text is None for question in finding):
        return  # given regions have any label, and such questions may find anything
    phrases = {q.text or "" for q in finding if q.task != GROUNDING}
    # a caption may name a class anywhere
    texts = [(q.text or "").casefold() for q in finding if q.task == GROUNDING]
    missing = [
        spec.name
        for spec in classes.classes
        if spec.question not in phrases
        and not any(spec.question.casefold() in text for text in texts)
    ]
    if missing:
        raise UsageError(
            f"no question of this job can find {', '.join(missing)}: with --text, leave out what "
            "it does not name; of a finished job, annotate again with these classes in another "
            "output (-o)"
        )
