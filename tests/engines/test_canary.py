"""The test image that a model is tried on before a job."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import annotate
from safetensors.torch import load_file, save_file
from small_models import copy_of_shapes
from written_answers import answer

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.generation_settings import GenerationSettings
from florence_annotate.engines import canary
from florence_annotate.errors import CheckpointError
from florence_annotate.model.florence import Florence
from florence_annotate.types import Answer, Answering, Generation, Picture, Question

QUESTIONS = (Question("<OD>"), Question("<OPEN_VOCABULARY_DETECTION>", "red star"))
GENERATION = Generation(64, 1, 0, False)
OWN = checkpoints.find("shapes").generation


def check(
    model: Florence,
    questions: Sequence[Question] = QUESTIONS,
    own: GenerationSettings = OWN,
) -> list[str]:
    return canary.check(model, questions, GENERATION, own)


def test_a_sound_checkpoint_passes(model: Florence) -> None:
    assert check(model) == []


def test_a_class_that_is_on_no_test_image_says_nothing_about_the_weights(
    scenes: Path, tmp_path: Path
) -> None:
    options = ("--classes", "star,unicorn", "--limit", 1, "--num-beams", 2, "--max-new-tokens", 8)
    result = annotate(scenes, tmp_path / "out", *options)
    assert result.code == 0, result.err


@pytest.mark.parametrize(
    ("task", "tokens", "found"),
    [
        ("<CAPTION>", ["a car"], None),
        ("<CAPTION>", [], "empty"),
        ("<CAPTION>", [52, 332], "empty"),
        ("<CAPTION>", ["</s>"] * 64, "endless"),
        ("<CAPTION>", ["a car "] * 64, "endless"),
        ("<OD>", ["car", 52, 332, 932, 774], None),
        ("<OD>", [], "without a box"),
        ("<OD>", ["car door"], "without a box"),
        ("<OD>", ["</s>"] * 64, "endless"),
        ("<OD>", ["car "] * 64, "endless"),
        # cut at the limit amid boxes: there were many
        ("<OD>", [*["car", 52, 332, 932, 774] * 12, "car", 1], None),
    ],
)
def test_an_answer_is_damaged_where_it_says_nothing_or_does_not_end(
    task: str, tokens: list[str | int], found: str | None
) -> None:
    said = replace(answer(*tokens, task=task), truncated=len(tokens) > 60)
    assert canary.damage(said, 640, 480) == found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_answers_that_depend_on_the_batch_are_noticed(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Florence(checkpoints.find("shapes"), torch.device("cpu"), dtype, "sdpa")
    encode = model.encode

    def leak(pictures: list[Picture]) -> torch.Tensor:
        features = encode(pictures)
        return features if len(pictures) == 1 else features.flip(0)

    monkeypatch.setattr(model, "encode", leak)
    if dtype is torch.float32:
        with pytest.raises(CheckpointError, match="beside another image"):
            check(model)
    else:
        (told,) = check(model)
        assert "bfloat16" in told


class Forgetful(Florence):
    """Answers some tasks with nothing."""

    forgotten: Collection[str] = ()

    def answering(self, generation: Generation, rows: int) -> Answering:
        queue = super().answering(generation, rows)
        answers = queue.answers

        def forget() -> list[tuple[int, Answer]]:
            return [
                (ticket, answer(task=said.question.task))
                if said.question.task in self.forgotten
                else (ticket, said)
                for ticket, said in answers()
            ]

        queue.answers = forget  # type: ignore[method-assign]
        return queue


@pytest.fixture(scope="module")
def forgetful() -> Forgetful:
    return Forgetful(checkpoints.find("shapes"), torch.device("cpu"), torch.float32, "sdpa")


@pytest.mark.parametrize("task", ["<OD>", "<CAPTION>"])
def test_a_task_that_is_forgotten_is_told(task: str, forgetful: Forgetful) -> None:
    forgetful.forgotten = [task]
    (told,) = check(forgetful)
    assert told.startswith(f"two test images got answers to {task} that are")
    assert "(b'', b'')" in told and "forgotten that task" in told


def test_a_checkpoint_that_forgot_both_is_refused_unless_it_is_asked_in_its_own_words(
    forgetful: Forgetful,
) -> None:
    forgetful.forgotten = ["<OD>", "<CAPTION>"]
    with pytest.raises(CheckpointError, match=r"<OD> that are without a box.*<CAPTION> that"):
        check(forgetful)
    (told,) = check(forgetful, [Question("prompt:text", "<GENERATE_TAGS>")])
    assert "nothing but prompts of its own" in told


def test_damage_is_refused_at_once_where_the_tokenizer_contradicts_the_ids(
    forgetful: Forgetful,
) -> None:
    forgetful.forgotten = ["<CAPTION>"]
    said = "eos_token_id is 1 (text_config); tokenizer.json says 2"
    own = replace(OWN, is_doubtful=True, contradictions=(said,))
    with pytest.raises(CheckpointError, match=r"<CAPTION> that are empty.*eos_token_id is 1"):
        check(forgetful, own=own)
    assert check(forgetful, [Question("prompt:text", "<GENERATE_TAGS>")], own)
    forgetful.forgotten = []
    assert check(forgetful, own=own) == []


def test_a_damaged_checkpoint_does_not_start(scenes: Path, tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    shared = "model.language_model.shared.weight"
    save_file(
        tensors | {shared: tensors[shared].roll(600, 0)},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    result = annotate(scenes, tmp_path / "out", "--limit", 1, "--model", folder)
    assert result.code == 1 and "--no-canary" in result.err
    assert "two test images got answers to <OD> that are" in result.err
    assert not (tmp_path / "out" / "job.db").exists()
    options = ["--limit", 1, "--model", folder, "--no-canary"]
    assert annotate(scenes, tmp_path / "out", *options).code == 0
