"""Which classes the questions of a job can find."""

import pytest

from florence_annotate import classes, tasks
from florence_annotate.classes import ClassList, ClassSpec, Matching
from florence_annotate.errors import UsageError
from florence_annotate.questions import coverage, planning
from florence_annotate.questions.request import Request, Strategy
from florence_annotate.tasks import DENSE_CAPTIONS, GROUNDING, OD, OPEN_VOCABULARY, SEGMENTATION
from florence_annotate.types import Question

DETECTION = tasks.find("detection")


KNOWN = {"car", "person"}


def questions(
    class_list: ClassList | None, strategy: Strategy = Strategy.AUTO, task: str = "detection"
) -> tuple[Question, ...]:
    return planning.plan(Request(tasks.find(task), strategy, class_list), KNOWN).questions


def test_classes_that_no_question_can_have_found_are_known() -> None:
    asked = questions(classes.parse_names("hat,shoe"))
    with pytest.raises(UsageError, match="can find scarf:"):
        coverage.refuse_unasked(asked, classes.parse_names("hat,scarf"))
    coverage.refuse_unasked((Question(OD),), classes.parse_names("anything"))
    caption = Question(GROUNDING, "A hat beside a shoe.")
    coverage.refuse_unasked((caption,), classes.parse_names("shoe,hat"))
    with pytest.raises(UsageError, match="can find scarf:"):
        coverage.refuse_unasked((caption,), classes.parse_names("hat,scarf"))


def test_classes_with_a_prompt_of_their_own_are_told_apart() -> None:
    named = classes.parse_names("car,red hat")
    asked = questions(named)
    assert coverage.asked_by_prompt(asked, named) == {1}
    assert coverage.are_asked_by_name(asked)
    assert not coverage.are_asked_by_name([Question(OD)])


def test_descriptions_of_regions_are_part_of_the_answer_unless_they_verify_another() -> None:
    dense = Question(DENSE_CAPTIONS)
    assert coverage.asked_to_verify([dense]) == frozenset()
    assert coverage.asked_to_verify([dense, Question(OPEN_VOCABULARY, "a hat")]) == {DENSE_CAPTIONS}


def test_classes_are_verified_only_where_all_second_questions_are_asked() -> None:
    by_name = Question(OPEN_VOCABULARY, "hat")
    seconds = [Question(task.token) for task in tasks.TASKS if task.verifies]
    coverage.refuse_unverified([by_name, *seconds])
    for asked in ([by_name], seconds, [by_name, *seconds[1:]]):
        with pytest.raises(UsageError, match="--recipe verify"):
            coverage.refuse_unverified(asked)


@pytest.mark.parametrize(
    ("task", "text", "names", "missing"),
    [
        (OPEN_VOCABULARY, "cars", "car", None),
        (OPEN_VOCABULARY, "a red car", "car", "car"),  # its label is the whole phrase
        (OPEN_VOCABULARY, "car<and>hat", "hat,car", None),
        (OPEN_VOCABULARY, "sofa", "couch", None),
        (SEGMENTATION, "car<and>hat", "car", "car"),  # no answer says which it is
        (GROUNDING, "a red car<and>a man", "person,car", None),
        (GROUNDING, "a car door<and>a hat", "car", "car"),  # a door
        (GROUNDING, "A man beside two cars.", "person,car", None),
        (GROUNDING, "A scarf.", "car", "car"),
        (GROUNDING, "🚗", "🚗", None),
    ],
)
def test_what_is_accepted_is_what_will_map(
    task: str, text: str, names: str, missing: str | None
) -> None:
    asked, named = [Question(task, text)], classes.parse_names(names)
    if missing is None:
        coverage.refuse_unasked(asked, named)
        return
    with pytest.raises(UsageError, match=f"can find {missing}:"):
        coverage.refuse_unasked(asked, named)


@pytest.mark.parametrize("text", ["a pink star", "a big star in the picture"])
def test_a_class_that_a_phrase_names_is_told_that_the_phrase_counts_as_a_whole(text: str) -> None:
    asked = [Question(OPEN_VOCABULARY, "hat"), Question(OPEN_VOCABULARY, text)]
    with pytest.raises(
        UsageError, match=rf"can find star: '{text}' .* --classes-file .* grounding"
    ):
        coverage.refuse_unasked(asked, classes.parse_names("hat,scarf,star"))
    with pytest.raises(UsageError, match=r"can find scarf: .* --classes-file with its prompts"):
        coverage.refuse_unasked(asked, classes.parse_names("hat,scarf"))
    prompted = ClassList([ClassSpec("star", prompt=text)])
    coverage.refuse_unasked(asked, prompted)


def test_what_an_older_job_accepted_it_accepts() -> None:
    caption = [Question(GROUNDING, "A scarf and a fire-truck.")]
    older = ClassList(classes.parse_names("scar").classes, Matching(is_older=True))
    coverage.refuse_unasked(caption, older)
