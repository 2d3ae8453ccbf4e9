"""Tasks with locations and tasks with text, answered by settings of their own."""

from dataclasses import replace

import pytest
import torch
from small_models import ask

from florence_annotate.model.florence import Florence
from florence_annotate.shapes.scenes import paint
from florence_annotate.tasks import CAPTION, MORE_DETAILED_CAPTION, OD
from florence_annotate.types import Generation, Question

BOXES = Generation(64, num_beams=1, no_repeat_ngram=0, retry_truncated=False)
TEXTS = Generation(12, num_beams=2, no_repeat_ngram=2, retry_truncated=False)
QUESTIONS = [Question(OD), Question(CAPTION), Question(MORE_DETAILED_CAPTION)]


def features(model: Florence) -> torch.Tensor:
    from florence_annotate.images.resizing import model_pixels

    images = [paint(seed).image for seed in (3_300_000, 3_300_001)]
    return model.encode([model_pixels(image, model.image_size)[0] for image in images])


@pytest.mark.parametrize("rows", [1, 4])
def test_each_kind_has_the_answers_of_its_own_settings(model: Florence, rows: int) -> None:
    encoded = features(model)
    asked = [(index, question) for index in range(2) for question in QUESTIONS]
    together = ask(model, encoded, asked, Generation.of_kinds(BOXES, TEXTS), rows)
    by_boxes, by_texts = (ask(model, encoded, asked, one) for one in (BOXES, TEXTS))
    wanted = [
        box if question.task == OD else text
        for (_, question), box, text in zip(asked, by_boxes, by_texts, strict=True)
    ]
    assert [(one.data, one.ends) for one in together] == [(one.data, one.ends) for one in wanted]
    assert any(one.data != other.data for one, other in zip(by_boxes, by_texts, strict=True))


def test_equal_settings_are_one() -> None:
    assert Generation.of_kinds(BOXES, replace(BOXES)).for_text is None
    short = Generation.of_kinds(BOXES, TEXTS).shortened(5)
    assert short.for_text is not None
    assert short.max_new_tokens == short.for_text.max_new_tokens == 5
