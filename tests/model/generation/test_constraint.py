"""Answers held to their form and to given labels."""

import re
from dataclasses import replace

import pytest
import torch
from small_models import ask, views

from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.images.resizing import model_pixels
from florence_annotate.model.florence import Florence
from florence_annotate.shapes.scenes import paint
from florence_annotate.tasks import OD, OPEN_VOCABULARY, TASKS, Takes
from florence_annotate.types import Answer, Generation, ImageRef, Picture, Question, TokenKind

FREE = Generation(max_new_tokens=48, num_beams=1, no_repeat_ngram=0, retry_truncated=False)
FORM = replace(FREE, constrain="form")


@pytest.fixture(scope="module")
def model() -> Florence:
    """The embedded checkpoint, its embeddings shaken, so that it writes all sorts of things."""
    model = Florence(checkpoints.find("shapes"), torch.device("cpu"), torch.float32, "sdpa")
    torch.manual_seed(1)
    weight = model.network.lm_head.weight.data
    weight += 0.3 * torch.randn_like(weight)
    return model


@pytest.fixture(scope="module")
def features(model: Florence) -> torch.Tensor:
    pictures = [
        Picture(ImageRef(str(i), b"", 0, 0), "", model_pixels(paint(i).image, 96), 1, 1)
        for i in range(3_200_000, 3_200_008)
    ]
    return model.encode(views(pictures))


def letters(answer: Answer) -> str:
    """The answer as tasks.FORMS writes it; `?` for what is in no form."""
    start, spelled = 0, ""
    for end, kind in zip(answer.ends, answer.kinds, strict=True):
        name = answer.data[start:end]
        control = {b"<sep>": "s", b"<poly>": "p", b"</poly>": "q", b"</s>": ""}
        spelled += {TokenKind.TEXT: "t", TokenKind.LOCATION: "l"}.get(kind) or control.get(
            name, "?"
        )
        start = end
    return spelled


def question_of(task: tasks.Task) -> Question:
    texts = {Takes.NOTHING: None, Takes.TEXT: "red star", Takes.REGION: "<loc_100>" * 4}
    return Question(task.token, texts[task.takes])


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_whole_answer_has_the_form_of_its_task(
    model: Florence, features: torch.Tensor, task: tasks.Task, beams: int
) -> None:
    question = question_of(task)
    asked = [(i, question) for i in range(len(features))]
    held = ask(model, features, asked, replace(FORM, num_beams=beams))
    for answer in held:
        if answer.truncated:
            assert "?" not in letters(answer)
        else:
            assert re.fullmatch(tasks.form(question), letters(answer))


def test_without_the_constraint_the_same_model_breaks_the_form(
    model: Florence, features: torch.Tensor
) -> None:
    asked = [(i, Question(OD)) for i in range(len(features))]
    free = ask(model, features, asked, FREE)
    assert not all(re.fullmatch(tasks.form(Question(OD)), letters(answer)) for answer in free)


@pytest.mark.parametrize("ngram", [0, 2])
@pytest.mark.parametrize("beams", [1, 3])
def test_labels_are_spelled_whole_and_only_those(
    model: Florence, features: torch.Tensor, beams: int, ngram: int
) -> None:
    """Also where one label begins another, and where the ban on repeats leaves no other token."""
    labels = ("red star", "red", "green cross", "star")
    asked = [
        (i, question)
        for i in range(len(features))
        for question in (Question(OD), Question(OPEN_VOCABULARY, "blue star"))
    ]
    generation = replace(
        FREE, num_beams=beams, no_repeat_ngram=ngram, constrain="labels", labels=labels
    )
    seen: set[str] = set()
    for answer in ask(model, features, asked, generation):
        if answer.question.task == OD:
            seen |= set(re.findall(r"[^<>]+(?=<loc_)", answer.data.decode()))
            assert answer.truncated or re.fullmatch(tasks.form(answer.question), letters(answer))
    assert seen
    assert seen <= set(labels)


def test_answers_of_the_right_form_are_left_alone(features: torch.Tensor) -> None:
    """The trained checkpoint keeps to the form by itself: every token stays."""
    model = Florence(checkpoints.find("shapes"), torch.device("cpu"), torch.float32, "sdpa")
    asked = [(i, Question(OD)) for i in range(len(features))]
    for free, held in zip(
        ask(model, features, asked, FREE), ask(model, features, asked, FORM), strict=True
    ):
        assert free.data == held.data
