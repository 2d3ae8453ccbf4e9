"""The test image that a model is tried on before a job."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import annotate
from safetensors.torch import load_file, save_file
from small_models import copy_of_shapes
from written_answers import answer

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.engines import canary
from florence_annotate.errors import CheckpointError
from florence_annotate.model.florence import Florence
from florence_annotate.types import Generation, ImageRef, Picture, Question


class TestCanary:
    QUESTIONS = (Question("<OD>"), Question("<OPEN_VOCABULARY_DETECTION>", "red star"))
    GENERATION = Generation(64, 1, 0, False)

    def test_a_sound_checkpoint_passes(self, model: Florence) -> None:
        assert canary.check(model, self.QUESTIONS, self.GENERATION) is None

    @pytest.mark.parametrize(
        ("task", "tokens", "is_readable"),
        [
            # as public checkpoints answer: the region comes again behind its description
            ("<REGION_TO_CATEGORY>", ["car", 52, 332, 932, 774], True),
            ("<REGION_TO_OCR>", [], True),
            ("<REGION_TO_OCR>", [52, 332, 932, 774], False),
            ("<CAPTION>", ["a car", 52, 332], False),
            ("<OD>", ["car", 52, 332, 932, 774], True),
            ("<OD>", ["car", 52, 332, "door", 1], False),
            # cut at the limit without a word, or without a box: that would go on
            ("<CAPTION>", ["</s>"] * 64, False),
            ("<OD>", ["</s>"] * 64, False),
            ("<OD>", ["car "] * 64, False),
            ("<OD>", [*["car", 52, 332, 932, 774] * 12, "car", 1], True),
        ],
    )
    def test_answers_are_held_to_their_task(
        self, task: str, tokens: list[str | int], is_readable: bool
    ) -> None:
        picture = Picture(ImageRef("a", b"", 0, 0), "", None, 640, 480)
        said = replace(answer(*tokens, task=task), truncated=len(tokens) > 60)
        assert canary.is_readable(said, picture) is is_readable

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_answers_that_depend_on_the_batch_are_noticed(
        self, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = Florence(checkpoints.find("shapes"), torch.device("cpu"), dtype, "sdpa")
        encode = model.encode

        def leak(pictures: list[Picture]) -> torch.Tensor:
            features = encode(pictures)
            return features if len(pictures) == 1 else features.flip(0)

        monkeypatch.setattr(model, "encode", leak)
        if dtype is torch.float32:
            with pytest.raises(CheckpointError, match="beside another image"):
                canary.check(model, self.QUESTIONS, self.GENERATION)
        else:
            told = canary.check(model, self.QUESTIONS, self.GENERATION)
            assert told and "bfloat16" in told

    def test_a_damaged_checkpoint_does_not_start(self, scenes: Path, tmp_path: Path) -> None:
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
        assert not (tmp_path / "out" / "job.db").exists()
        options = ["--limit", 1, "--model", folder, "--no-canary"]
        assert annotate(scenes, tmp_path / "out", *options).code == 0
