"""Which questions are asked, and how often."""

import random

import pytest
from known_truth import SCENE

from florence_annotate import tasks
from training import lessons


def test_every_task_is_asked_as_often_as_its_rate_says() -> None:
    rng = random.Random(0)
    asked = [e for _ in range(400) for e in lessons.questions(rng, SCENE, is_legible=True)]
    for task in tasks.TASKS:
        begin = task.prompt.partition("{input}")[0]
        others = [t.prompt for t in tasks.TASKS if t.prompt.startswith(begin) and t != task]
        if not others:
            count = sum(e.prompt.startswith(begin) for e in asked)
            assert count == pytest.approx(400 * lessons.LESSONS[task.name].rate, rel=0.35)


def test_nobody_reads_in_a_mirror() -> None:
    rng = random.Random(0)
    asked = [e for _ in range(200) for e in lessons.questions(rng, SCENE, is_legible=False)]
    assert not any("text" in exchange.prompt for exchange in asked)


def test_over_half_of_the_phrases_asked_for_are_absent() -> None:
    rng = random.Random(0)
    asked = [lessons.LESSONS["open-vocabulary"].ask(rng, SCENE) for _ in range(1000)]
    absent = [exchange for exchange in asked if not exchange.answer]
    assert 0.5 < len(absent) / len(asked) < 0.75
    # many of them are hard: a colour that is there with another shape that is there.
    assert sum("green cross" in exchange.prompt for exchange in absent) > 20
