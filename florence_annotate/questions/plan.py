"""`Plan`: what a job asks, decided once from its settings."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from florence_annotate.questions.asking import AskAll, AskAlso
from florence_annotate.tasks import Takes, of
from florence_annotate.types import Question, Recipe


@dataclass(frozen=True, slots=True)
class Plan:
    """A recipe, what it asks, and for each class the task that finds it."""

    recipe: Recipe
    questions: tuple[Question, ...]
    """Those of all images; without a text or region where each image has its own."""
    routes: tuple[tuple[str, str], ...] = ()
    """(class name, task token); empty where there are no classes."""

    @property
    def samples(self) -> tuple[Question, ...]:
        """The questions, with an example text or region where each image has its own."""
        return tuple(
            question
            if question.text is not None
            else replace(question, text=_SAMPLES[of(question).takes])
            for question in self.questions
        )


_SAMPLES = {
    Takes.NOTHING: None,
    Takes.TEXT: "a red star",
    Takes.REGION: "<loc_250><loc_250><loc_750><loc_750>",
}


def ask_all(questions: Iterable[Question], routes: Iterable[tuple[str, str]] = ()) -> Plan:
    """The plan that asks the same questions about every image."""
    asked = tuple(questions)
    return Plan(AskAll(asked), asked, tuple(routes))


def ask_also(plan: Plan, questions: Iterable[Question]) -> Plan:
    """The plan that asks a few more questions about every image, beside its first ones."""
    new = tuple(question for question in questions if question not in plan.questions)
    recipe = AskAlso(plan.recipe, new) if new else plan.recipe
    return replace(plan, recipe=recipe, questions=(*plan.questions, *new))
