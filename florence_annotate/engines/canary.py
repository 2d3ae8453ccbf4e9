"""Tries a model on a test image before a job begins.

A checkpoint can load without a complaint and still answer nonsense, and a device's kernels can make
an answer depend on the other images of its batch. Asking about one painted image, alone and in a
batch with another, shows both.
"""

from collections.abc import Sequence

import torch

from florence_annotate import tasks
from florence_annotate.answers import parsing
from florence_annotate.errors import CheckpointError
from florence_annotate.images import codec
from florence_annotate.model.florence import Florence
from florence_annotate.shapes.scenes import paint
from florence_annotate.tasks import Gives, Takes
from florence_annotate.types import Answer, Generation, ImageRef, Picture, Question, TokenKind

_SEEDS = 2_900_001, 2_900_002
_MOST_TOKENS = 64
_NEIGHBOUR = Question(tasks.MORE_DETAILED_CAPTION)
"""Its prompt is longer than most prompts of jobs, so that these are padded beside it."""


def check(model: Florence, questions: Sequence[Question], generation: Generation) -> str | None:
    """Ask the first question of each task about the test image.

    Returns what to tell the user where answers change in a batch, as they may in lower precision;
    None where they do not.

    Raises CheckpointError where an answer does not have the form of its task, or where in float32
    the answers to an image alone and in a batch are not the same.
    """
    first_of_task = {question.task: question for question in reversed(questions)}
    asked = list(first_of_task.values())
    most = min(_MOST_TOKENS, model.max_new_tokens)
    short = generation.shortened(most)
    picture, neighbour = map(_paint, _SEEDS, [model.image_size] * 2)
    together = [(1, _NEIGHBOUR), *((0, question) for question in asked)]
    alone = [_ask(model, [picture], [(0, question)], short)[0] for question in asked]
    beside = _ask(model, [picture, neighbour], together, short)[1:]
    for answer in alone:
        if not is_readable(answer, picture):
            raise CheckpointError(
                f"a test image got an answer to {answer.question.task} that is none: "
                f"{answer.data[:80]!r}. The weights may be damaged, or not trained for this task; "
                "get the checkpoint again, choose another --task, or give --no-canary to go on"
            )
    pairs = zip(alone, beside, strict=True)
    differing = sum((one.data, one.ends) != (other.data, other.ends) for one, other in pairs)
    if not differing:
        return None
    told = f"{differing} of {len(asked)} answers to a test image change beside another image"
    dtype = next(model.network.parameters()).dtype
    if dtype is torch.float32:
        raise CheckpointError(
            f"{told}: this machine's kernels would let batches change a dataset. Choose another "
            "--device or --attention, or give --no-canary to go on"
        )
    return f"{told}, as near-ties may in {str(dtype).removeprefix('torch.')}"


def _paint(seed: int, side: int) -> Picture:
    image = paint(seed, min_objects=2, max_objects=4).image
    ref = ImageRef(f"canary {seed}", b"", 0, 0)
    return Picture(ref, "", codec.model_pixels(image, side), image.width, image.height)


def _ask(
    model: Florence,
    pictures: Sequence[Picture],
    asked: Sequence[tuple[int, Question]],
    generation: Generation,
) -> list[Answer]:
    features = model.encode([picture.pixels[0] for picture in pictures])
    answering = model.answering(generation, len(asked))
    for ticket, (index, question) in enumerate(asked):
        answering.ask(ticket, features[index], question)
    answers: dict[int, Answer] = {}
    while found := answering.answers():
        answers |= dict(found)
    return [answers[ticket] for ticket in range(len(asked))]


def is_readable(answer: Answer, picture: Picture) -> bool:
    """Whether an answer has the form of its task.

    An answer with locations must make instances of most of what it says, any other must be text.
    An empty answer is fine: it says that nothing is there. So is a region behind the text about it,
    which public checkpoints repeat, and an incomplete end where the token limit cut the answer.
    """
    task = tasks.of(answer.question)
    if task.gives is Gives.TEXT:
        has_text = bool(parsing.parse_text(answer)[0])
        if answer.truncated and not has_text:
            return False  # an empty answer that does not end
        return TokenKind.LOCATION not in answer.kinds or (has_text and task.takes is Takes.REGION)
    instances, dropped = parsing.parse(answer, picture.width, picture.height)
    is_torn = answer.truncated and answer.kinds[-1] is TokenKind.LOCATION
    if answer.truncated and not instances:
        return False
    return len(instances) >= len(dropped) - is_torn
