"""Which classes the questions of a job can find, and which they can't."""

from collections.abc import Collection

from florence_annotate.classes import ClassList
from florence_annotate.errors import UsageError
from florence_annotate.tasks import DENSE_CAPTIONS, TASKS, Takes, of, phrases
from florence_annotate.types import Question


def asked_by_prompt(questions: Collection[Question], classes: ClassList) -> frozenset[int]:
    """The ids of the classes that a prompt of their own asks for."""
    texts = {question.text for question in questions if of(question).takes_one_phrase}
    return frozenset(i for i, spec in enumerate(classes.classes) if spec.question in texts)


def asked_to_verify(questions: Collection[Question]) -> frozenset[str]:
    """Tokens of the tasks that a job asks only to verify what it asks by name."""
    asked = frozenset(question.task for question in questions)
    return asked & {DENSE_CAPTIONS} if are_asked_by_name(questions) else frozenset()


def are_asked_by_name(questions: Collection[Question]) -> bool:
    """Whether any of the questions asks for one class by its name."""
    return any(of(question).takes_one_phrase for question in questions)


def refuse_unverified(questions: Collection[Question]) -> None:
    """Raise UsageError where a job lacks the questions that verify classes asked by name."""
    asked = {question.task for question in questions}
    verifying = {task.token for task in TASKS if task.verifies}
    if not are_asked_by_name(questions) or not asked >= verifying:
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
        if of(question).takes is not Takes.REGION and of(question).has_locations
    ]
    if not finding or any(q.text is None or of(q).takes is Takes.NOTHING for q in finding):
        return  # regions that are given, and questions that name nothing, may have any label
    found = {class_id for each in finding for class_id in _findable(each, classes)}
    missing = [name for class_id, name in enumerate(classes.names) if class_id not in found]
    for each in finding:
        in_phrase = classes.named_in(each.text or "") if of(each).takes_one_phrase else set()
        if named := [name for name in missing if classes.find(name) in in_phrase]:
            raise UsageError(
                f"no question of this job can find {', '.join(named)}: {each.text!r} is the label "
                "of its answers as a whole: make it the prompt or a synonym of the class in a "
                "--classes-file (of a finished job, give the one that it was run with), or ask "
                "with --task grounding, which goes by the head of a phrase"
            )
    if missing:
        raise UsageError(
            f"no question of this job can find {', '.join(missing)}: with --text, leave out what "
            "it does not name; of a finished job, give the --classes-file with its prompts again, "
            "or annotate again with these classes in another output (-o)"
        )


def _findable(question: Question, classes: ClassList) -> set[int | None]:
    """Ids of the classes that labels of the answers to a question with a text can stand for."""
    task, text = of(question), question.text or ""
    asked = phrases(text)
    if task.takes_one_phrase:
        # where the model gives no labels, the whole text is the label
        return set(map(classes.find, asked if task.gives.has_labels else [text]))
    if classes.matching.is_older:
        return {
            class_id
            for class_id, spec in enumerate(classes.classes)
            if spec.question.casefold() in text.casefold()
        }
    # of phrases, each is a label; a caption may name a class anywhere
    named = classes.named_in(text) if len(asked) == 1 else ()
    return {*map(classes.find_phrase, asked), *named}
