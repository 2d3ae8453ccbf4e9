"""The settings of a job → its recipe: which tasks, which classes by which questions.

With classes, four ways to find them: `od` asks `<OD>` once and maps its labels; `open-vocabulary`
asks one prompt a class; `grounding` asks one prompt that holds all classes; `segmentation` asks for
the mask of each. `auto` decides for each class: `<OD>` where the checkpoint is known to say the
class or a synonym, its own prompt otherwise.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from florence_annotate.classes import ClassList, ClassSpec
from florence_annotate.errors import UsageError
from florence_annotate.questions.coverage import refuse_unasked
from florence_annotate.questions.recipes import (
    AskAboutBoxes,
    AskAboutRegions,
    AskAll,
    AskTiles,
    AskWithText,
    GroundCaption,
)
from florence_annotate.questions.request import BY_CLASS, RecipeName, Request, Strategy
from florence_annotate.tasks import (
    CAPTION,
    GROUNDING,
    OD,
    OPEN_VOCABULARY,
    PHRASE_SEPARATOR,
    REGION_TO_DESCRIPTION,
    REGION_TO_SEGMENTATION,
    SEGMENTATION,
    TASKS,
    Gives,
    Takes,
    by_token,
    control_token_in,
    of,
)
from florence_annotate.types import Question, Recipe


@dataclass(frozen=True, slots=True)
class Plan:
    """A recipe, what it asks, and for each class the task that finds it."""

    recipe: Recipe
    questions: tuple[Question, ...]
    """Those of all pictures; without a text or region where each picture has its own."""
    routes: tuple[tuple[str, str], ...] = ()
    """(class name, task token); empty where there are no classes."""

    @property
    def samples(self) -> tuple[Question, ...]:
        """The questions, with a text or a region where each picture has its own."""
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


def plan(request: Request, known_labels: Collection[str]) -> Plan:
    """Decide the questions of a job, once, before any picture is read.

    `known_labels` are those that the checkpoint's `<OD>` is known to say. Raises UsageError where
    the settings contradict each other, an input is missing, or a class can't be asked for.
    """
    request.refuse_contradictions()
    whole = _plan(request, known_labels)
    if request.classes is not None:
        refuse_unasked(whole.questions, request.classes)
    return replace(whole, recipe=AskTiles(whole.recipe)) if request.has_tiles else whole


def _plan(request: Request, known_labels: Collection[str]) -> Plan:
    if request.recipe is RecipeName.CAPTION_GROUNDING:
        caption = request.task.token if request.task.gives is Gives.TEXT else CAPTION
        return Plan(GroundCaption(caption), (Question(caption), Question(GROUNDING)))
    finding = _plan_task(request, known_labels)
    if request.recipe is RecipeName.INSTANCE_SEGMENTATION:
        return _ask_about_boxes(finding, REGION_TO_SEGMENTATION)
    if request.recipe is RecipeName.DESCRIBE:
        return _ask_about_boxes(finding, REGION_TO_DESCRIPTION, Question(CAPTION))
    if request.recipe is RecipeName.VERIFY:
        return _verify(finding)
    return finding


def _verify(finding: Plan) -> Plan:
    """Other questions about the classes that are asked by name: see `presence`."""
    if not any(by_token(task).takes_one_phrase for _, task in finding.routes):
        raise UsageError(
            "--recipe verify is for classes that are asked by name, one prompt each, and this job "
            "asks for none so: name classes with --strategy open-vocabulary or segmentation"
        )
    others = (Question(task.token) for task in TASKS if task.verifies)
    return _ask_all(tuple(dict.fromkeys((*finding.questions, *others))), finding.routes)


def _ask_about_boxes(finding: Plan, task: str, *also: Question) -> Plan:
    recipe = AskAboutBoxes(finding.recipe, task, also)
    return Plan(recipe, (*finding.questions, *also, Question(task)), finding.routes)


def _plan_task(request: Request, known_labels: Collection[str]) -> Plan:
    task = request.task
    if request.regions is not None:
        return Plan(AskAboutRegions(task.token, request.regions), (Question(task.token),))
    if request.texts is not None:
        return Plan(AskWithText(task.token, request.texts), (Question(task.token),))
    if request.text is not None:
        return _ask_all((Question(task.token, request.text),))
    if task.token in BY_CLASS:
        return _plan_classes(request, known_labels)
    return _ask_all((Question(task.token),))


def _ask_all(questions: tuple[Question, ...], routes: Iterable[tuple[str, str]] = ()) -> Plan:
    return Plan(AskAll(questions), questions, tuple(routes))


def _plan_classes(request: Request, known_labels: Collection[str]) -> Plan:
    strategy = _settle(request)
    if request.classes is None:
        return _ask_all((Question(OD),))
    specs = request.classes.classes
    if strategy is Strategy.GROUNDING:
        text = PHRASE_SEPARATOR.join(_askable(spec) for spec in specs)
        return _ask_all((Question(GROUNDING, text),), [(spec.name, GROUNDING) for spec in specs])
    if strategy is Strategy.SEGMENTATION:
        questions = tuple(Question(SEGMENTATION, _askable(spec)) for spec in specs)
        return _ask_all(questions, [(spec.name, SEGMENTATION) for spec in specs])
    by_od = [
        strategy is Strategy.OD or (strategy is Strategy.AUTO and _is_known(spec, known_labels))
        for spec in specs
    ]
    prompts = [
        Question(OPEN_VOCABULARY, _askable(spec))
        for spec, is_by_od in zip(specs, by_od, strict=True)
        if not is_by_od
    ]
    routes = [
        (spec.name, OD if is_by_od else OPEN_VOCABULARY)
        for spec, is_by_od in zip(specs, by_od, strict=True)
    ]
    return _ask_all((*([Question(OD)] if any(by_od) else []), *prompts), routes)


def _settle(request: Request) -> Strategy:
    task, strategy = request.task, request.strategy
    implied = BY_CLASS[task.token]
    if task.token != OD:
        if strategy not in (Strategy.AUTO, implied):
            raise UsageError(
                f"--task {task.name} and --strategy {strategy} contradict each other: "
                "leave one of them out"
            )
        strategy = implied
    if request.classes is None and strategy not in (Strategy.AUTO, Strategy.OD):
        raise UsageError(
            f"{strategy} asks for classes by name: give them with --classes or --classes-file"
        )
    return strategy


def _is_known(spec: ClassSpec, known_labels: Collection[str]) -> bool:
    alone = ClassList([replace(spec, prompt=None)])
    return any(alone.find(label) is not None for label in known_labels)


def _askable(spec: ClassSpec) -> str:
    if found := control_token_in(spec.question):
        raise UsageError(
            f"class {spec.name!r} can't be asked for: the model would read {found!r} in it as a "
            "control token; give the class another prompt in a --classes-file"
        )
    return spec.question
