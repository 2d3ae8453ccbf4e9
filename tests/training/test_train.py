"""A small run of the training command."""

from pathlib import Path

import pytest
import torch
from known_truth import CROSS, STAR
from transformers import Florence2ForConditionalGeneration, Florence2Processor

from florence_annotate.shapes import INPUT_SIZE
from florence_annotate.shapes.scenes import paint
from training import corpus, exchanges
from training.asking import normalise
from training.batches import Batch
from training.learning import Options, Run
from training.train import main, new_run
from training.truth import Target, Truth


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    arguments = ["--out", str(folder), "--steps", "2", "--easy-scenes", "8", "--scenes", "8"]
    small = ["--batch", "2", "--threads", "1", "--validate-scenes", "2"]
    assert main([*arguments, *small]) == 0
    return folder


def test_the_checkpoint_loads_whole(folder: Path) -> None:
    model, info = Florence2ForConditionalGeneration.from_pretrained(
        folder / "checkpoint", dtype=torch.float32, output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    processor = Florence2Processor.from_pretrained(folder / "checkpoint")
    scene = paint(1_000_001)
    inputs = processor(images=scene.image, text="<OD>", return_tensors="pt")
    assert model.config.image_token_id == processor.image_token_id
    pixels = normalise(torch.from_numpy(corpus.squash(scene.image).copy())[None])
    assert torch.allclose(pixels, inputs["pixel_values"], atol=1e-6)
    answer = model.generate(**inputs, max_new_tokens=4)
    assert answer[0, :2].tolist() == [2, 0]


def test_a_run_goes_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    kept = new_run(folder_options(folder))
    kept.load_state(folder / "state.safetensors")
    assert kept.step == 2
    batch = one_question([STAR], [CROSS])
    kept.save_state(tmp_path / "state.safetensors")
    again = new_run(folder_options(folder))
    again.load_state(tmp_path / "state.safetensors")

    def weights(run: Run) -> torch.Tensor:
        run.train_step(batch)
        return torch.cat([p.detach().flatten() for p in run.model.parameters()])

    assert torch.equal(weights(kept), weights(again))


def test_a_step_lowers_the_loss(folder: Path) -> None:
    run = new_run(folder_options(folder))
    losses = [sum(run.train_step(one_question([STAR]))) for _ in range(8)]
    assert losses[-1] < 0.7 * losses[0]


def one_question(*shown: list[Target]) -> Batch:
    """Black images that are said to show these objects, asked about once each."""
    pixels = torch.zeros(len(shown), INPUT_SIZE, INPUT_SIZE, 3, dtype=torch.uint8)
    truths = [Truth(tuple(objects)) for objects in shown]
    asked = [(row, exchanges.detection(truth)) for row, truth in enumerate(truths)]
    return Batch(pixels, truths, [True] * len(shown), asked)


def folder_options(folder: Path) -> Options:
    return Options(out=folder, steps=100, warm_up=4)
