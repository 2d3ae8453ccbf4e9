"""The table of tasks."""

import contextlib

import pytest

from florence_annotate import tasks
from florence_annotate.errors import UsageError
from florence_annotate.tasks import (
    OD,
    OPEN_VOCABULARY,
)


@pytest.mark.parametrize("name", ["open-vocabulary", "<OPEN_VOCABULARY_DETECTION>", "<od>"])
def test_a_task_is_found_by_name_or_token(name: str) -> None:
    assert tasks.find(name).token in (OPEN_VOCABULARY, OD)


def test_a_task_that_does_not_exist_is_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match="detection, open-vocabulary"):
        tasks.find("detect")


def test_prompts_are_the_sentences_of_the_checkpoints_processor() -> None:
    from transformers import Florence2Processor

    with_input, without = {}, {}
    for task in tasks.TASKS:
        (with_input if "{input}" in task.prompt else without)[task.token] = task.prompt

    class Bare(Florence2Processor):  # type: ignore[misc]
        """The tables are made in a constructor that wants a tokenizer only after them."""

        def __init__(self) -> None:
            with contextlib.suppress(AttributeError):
                super().__init__(image_processor=None, tokenizer=None)

    reference = Bare()
    assert reference.task_prompts_with_input == with_input
    assert reference.task_prompts_without_inputs == without
