"""Decides which questions a job asks, and for each class the task that finds it.

With classes, four ways to find them: `od` asks `<OD>` once and maps its labels; `open-vocabulary`
asks one prompt a class; `grounding` asks one prompt that holds all classes; `segmentation` asks for
the mask of each. `auto` decides for each class: `<OD>` where the checkpoint is known to say the
class or a synonym, a prompt of its own otherwise.
"""

from collections.abc import Collection
from dataclasses import replace

from florence_annotate import tasks
from florence_annotate.classes import ClassList, ClassSpec, Matching
from florence_annotate.errors import UsageError
from florence_annotate.questions.asking import AskAboutRegions, AskTiles, AskWithText
from florence_annotate.questions.coverage import refuse_unasked
from florence_annotate.questions.plan import Plan, ask_all, ask_also
from florence_annotate.questions.request import Request, Strategy, finds_classes
from florence_annotate.tasks import OD, OPEN_VOCABULARY, PHRASE_SEPARATOR, Task, control_token_in
from florence_annotate.types import Question


def plan(request: Request, known_labels: Collection[str]) -> Plan:
    """The plan of a job, decided before any image is read.

    `known_labels` are the labels that the checkpoint's `<OD>` is known to say. Raises UsageError
    where the settings contradict each other, an input is missing, or a class can't be asked for.
    """
    request.refuse_contradictions()
    asked = _plan(request, known_labels)
    whole = ask_also(asked, [request.question_of(task) for task in request.also])
    if request.classes is not None:
        refuse_unasked(whole.questions, request.classes)
    return replace(whole, recipe=AskTiles(whole.recipe)) if request.has_tiles else whole


def _plan(request: Request, known_labels: Collection[str]) -> Plan:
    if request.recipe is not None:
        return request.recipe.plan(request.task, lambda: _plan_task(request, known_labels))
    return _plan_task(request, known_labels)


def _plan_task(request: Request, known_labels: Collection[str]) -> Plan:
    task = request.task
    if request.regions is not None:
        return Plan(AskAboutRegions(task.token, request.regions), (Question(task.token),))
    if request.texts is not None:
        return Plan(AskWithText(task.token, request.texts), (Question(task.token),))
    if request.text is not None:
        return ask_all([Question(task.token, request.text)])
    if finds_classes(task):
        return _plan_classes(request, known_labels)
    return ask_all([request.question_of(task)])


def _plan_classes(request: Request, known_labels: Collection[str]) -> Plan:
    one_for_all = _task_for_all(request)
    if request.classes is None:
        return ask_all([Question(OD)])
    specs = request.classes.classes
    matching = request.classes.matching
    pairs = [(spec, one_for_all or _task_for(spec, matching, known_labels)) for spec in specs]
    routes = [(spec.name, task.token) for spec, task in pairs]
    if one_for_all and one_for_all.is_given_names and not one_for_all.takes_one_phrase:
        text = PHRASE_SEPARATOR.join(map(_askable, specs))
        return ask_all([Question(one_for_all.token, text)], routes)
    by_labels = dict.fromkeys(Question(task.token) for _, task in pairs if not task.is_given_names)
    prompts = [Question(task.token, _askable(spec)) for spec, task in pairs if task.is_given_names]
    return ask_all([*by_labels, *prompts], routes)


def _task_for_all(request: Request) -> Task | None:
    """The task that finds every class; None where it is chosen for each class."""
    task, strategy = request.task, request.strategy
    if task.token != OD:
        if strategy not in (Strategy.AUTO, task.name):
            raise UsageError(
                f"--task {task.name} and --strategy {strategy} contradict each other: "
                "leave one of them out"
            )
        return task
    if request.classes is None and strategy not in (Strategy.AUTO, Strategy.OD):
        raise UsageError(
            f"{strategy} asks for classes by name: give them with --classes or --classes-file"
        )
    if strategy is Strategy.AUTO:
        return None
    return task if strategy is Strategy.OD else tasks.find(strategy)


def _task_for(spec: ClassSpec, matching: Matching, known_labels: Collection[str]) -> Task:
    """`<OD>` where the checkpoint is known to say the class, a prompt of its own otherwise."""
    alone = ClassList([replace(spec, prompt=None)], matching)
    is_known = any(alone.find(label) is not None for label in known_labels)
    return tasks.by_token(OD if is_known else OPEN_VOCABULARY)


def _askable(spec: ClassSpec) -> str:
    if found := control_token_in(spec.question):
        raise UsageError(
            f"class {spec.name!r} can't be asked for: the model would read {found!r} in it as a "
            "control token; give the class another prompt in a --classes-file"
        )
    return spec.question
