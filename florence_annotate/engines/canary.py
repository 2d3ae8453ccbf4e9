"""Tries a model on test images before a job begins.

A checkpoint can load without a complaint and still answer nonsense, and a device's kernels can make
an answer depend on the other images of its batch. Asking about painted images shows both.

Whether the weights are sound is judged by two questions that every Florence-2 was trained on, and
never by those of the job: a rare class, or a fine-tune that has forgotten a task, is no damage.
"""

from collections.abc import Sequence

import torch

from florence_annotate import tasks
from florence_annotate.answers import parsing
from florence_annotate.checkpoints.generation_settings import GenerationSettings
from florence_annotate.errors import CheckpointError
from florence_annotate.images import resizing
from florence_annotate.model.florence import Florence
from florence_annotate.shapes.scenes import paint
from florence_annotate.tasks import Gives
from florence_annotate.types import Answer, Generation, ImageRef, Picture, Question

_SEEDS = 2_900_001, 2_900_002
_MOST_TOKENS = 256
"""A caption, or the boxes of a few shapes, take fewer."""
_JUDGED = (Question(tasks.OD), Question(tasks.CAPTION))
_NEIGHBOUR = Question(tasks.MORE_DETAILED_CAPTION)
"""Its prompt is longer than most prompts of jobs, so that these are padded beside it."""
_SHOWN = 60
"""Bytes of an answer that are shown."""


def check(
    model: Florence,
    questions: Sequence[Question],
    generation: Generation,
    own: GenerationSettings,
) -> list[str]:
    """Ask `<OD>`, a caption and the first question of each task about test images.

    Returns what to tell the user: where only one of the two general questions shows damage, as it
    does where a fine-tune has forgotten that task; and where answers change in a batch, as they may
    in lower precision.

    Raises CheckpointError where both show damage: in each of two images the answer is empty, or
    does not end; where one does, and the token ids of `own`, the checkpoint's settings, are
    doubtful; and where in float32 the answers to an image alone and in a batch are not the same.
    For damage no job is refused that asks a prompt of its own.
    """
    short = generation.shortened(min(_MOST_TOKENS, model.max_new_tokens))
    first_of_task = {question.task: question for question in reversed((*questions, *_JUDGED))}
    asked = list(first_of_task.values())
    images = [_paint(seed, model.image_size) for seed in _SEEDS]
    alone = _ask(model, images[:1], [(0, question) for question in asked], short)
    second = [(1, question) for question in (*_JUDGED, _NEIGHBOUR)]
    beside = _ask(model, images, [*second, *((0, question) for question in asked)], short)
    answers = dict(zip(asked, beside[len(second) :], strict=True))
    damage = [
        said
        for question, other in zip(_JUDGED, beside, strict=False)
        if (said := _say_damage([answers[question], other], images))
    ]
    notes = []
    has_own_prompt = any(tasks.of(question).is_prompt for question in questions)
    if damage and own.is_doubtful and not has_own_prompt:
        raise CheckpointError(
            f"{damage[0]}, and its files contradict each other: {'; '.join(own.contradictions)}. "
            "Put the ids in text_config right, or give --no-canary to go on"
        )
    if len(damage) == len(_JUDGED):
        told = "; ".join(damage)
        if not has_own_prompt:
            raise CheckpointError(
                f"{told}. The weights may be damaged, or are no Florence-2's: get the checkpoint "
                "again, or give --no-canary to go on"
            )
        notes.append(f"{told}: this checkpoint may know nothing but prompts of its own")
    elif damage:
        notes.append(f"{damage[0]}: this checkpoint may have forgotten that task, as fine-tunes do")
    differing = sum(
        (one.data, one.ends) != (other.data, other.ends)
        for one, other in zip(alone, answers.values(), strict=True)
    )
    if differing:
        notes.append(_judge_batches(model, differing, len(asked)))
    return notes


def _judge_batches(model: Florence, differing: int, asked: int) -> str:
    told = f"{differing} of {asked} answers to a test image change beside another image"
    dtype = next(model.network.parameters()).dtype
    if dtype is torch.float32:
        raise CheckpointError(
            f"{told}: this machine's kernels would let batches change a dataset. Choose another "
            "--device or --attention, or give --no-canary to go on"
        )
    return f"{told}, as near-ties may in {str(dtype).removeprefix('torch.')}"


def _say_damage(answers: Sequence[Answer], images: Sequence[Picture]) -> str | None:
    """What is wrong with the answers to one question about each image, in words for the user; None
    where one of them is sound."""
    problems = [
        damage(answer, image.width, image.height)
        for answer, image in zip(answers, images, strict=True)
    ]
    if None in problems:
        return None
    found = " and ".join(str(problem) for problem in dict.fromkeys(problems))
    said = ", ".join(repr(answer.data[:_SHOWN]) for answer in answers)
    return f"two test images got answers to {answers[0].question.task} that are {found} ({said})"


def damage(answer: Answer, width: int, height: int) -> str | None:
    """What is wrong with an answer about an image of `width` by `height` pixels; None for nothing.

    An answer with locations must hold an instance, any other must be text. One with locations may
    reach the limit, where most of it makes instances.
    """
    if tasks.of(answer.question).gives is Gives.TEXT:
        if answer.truncated:
            return "endless"
        return None if parsing.parse_text(answer)[0] else "empty"
    instances, dropped = parsing.parse(answer, width, height)
    if answer.truncated and (not instances or len(instances) < len(dropped)):
        return "endless"
    return None if instances else "without a box"


def _paint(seed: int, side: int) -> Picture:
    image = paint(seed, min_objects=2, max_objects=4).image
    ref = ImageRef(f"canary {seed}", b"", 0, 0)
    return Picture(ref, "", resizing.model_pixels(image, side), image.width, image.height)


def _ask(
    model: Florence,
    images: Sequence[Picture],
    asked: Sequence[tuple[int, Question]],
    generation: Generation,
) -> list[Answer]:
    features = model.encode([image.pixels[0] for image in images])
    answering = model.answering(generation, len(asked))
    for ticket, (index, question) in enumerate(asked):
        answering.ask(ticket, features[index], question)
    answers: dict[int, Answer] = {}
    while found := answering.answers():
        answers |= dict(found)
    return [answers[ticket] for ticket in range(len(asked))]
