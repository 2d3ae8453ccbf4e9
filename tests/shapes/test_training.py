"""Questions and answers, the tokenizer, the corpus, and one small step of training."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import Florence2ForConditionalGeneration, Florence2Processor

from florence_annotate.errors import FlorenceAnnotateError
from florence_annotate.shapes import CHECKPOINT, INPUT_SIZE, SHAPES, corpus, targets, tokenizer
from florence_annotate.shapes.cells import CellHead
from florence_annotate.shapes.growth import begin_with
from florence_annotate.shapes.initialisation import (
    initialise,
    location_features,
    sequence_loss,
    soft_bins,
)
from florence_annotate.shapes.learning import Batch, Options, Run
from florence_annotate.shapes.scenes import paint
from florence_annotate.shapes.targets import Target
from florence_annotate.shapes.train import build_config, main, new_run
from florence_annotate.shapes.validation import normalise

STAR = Target("star", "red", (10, 20, 30, 40))
CROSS = Target("cross", "blue", (500, 0, 600, 999))
OTHER_STAR = Target("star", "green", (5, 500, 90, 600))


def boxes(*values: int) -> str:
    return "".join(f"<loc_{value}>" for value in values)


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return tokenizer.build()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    arguments = ["--out", str(folder), "--steps", "2", "--easy-scenes", "8", "--scenes", "8"]
    small = ["--batch", "2", "--threads", "1", "--validate-scenes", "2"]
    assert main([*arguments, *small]) == 0
    return folder


class TestAnswers:
    def test_detection_names_each_shape_once_with_boxes_from_left_to_right(self) -> None:
        exchange = targets.detection([CROSS, STAR, OTHER_STAR])
        assert exchange.prompt == "Locate the objects with category name in the image."
        assert exchange.answer == (
            f"star{boxes(5, 500, 90, 600, 10, 20, 30, 40)}cross{boxes(500, 0, 600, 999)}"
        )

    def test_nothing_there_is_the_empty_answer(self) -> None:
        assert targets.detection([]).answer == ""
        assert targets.open_vocabulary("blue star", [STAR, CROSS]).answer == ""

    def test_a_phrase_may_leave_the_colour_out(self) -> None:
        exchange = targets.open_vocabulary("red star", [STAR, OTHER_STAR])
        assert exchange.prompt == "Locate red star in the image."
        assert exchange.answer == "red star" + boxes(10, 20, 30, 40)
        exchange = targets.open_vocabulary("star", [STAR, OTHER_STAR])
        assert exchange.answer == "star" + boxes(5, 500, 90, 600, 10, 20, 30, 40)

    def test_grounding_keeps_the_order_of_the_prompt(self) -> None:
        exchange = targets.grounding(["blue cross", "white ellipse", "red star"], [STAR, CROSS])
        assert exchange.prompt == (
            "Locate the phrases in the caption: blue cross<and>white ellipse<and>red star"
        )
        assert exchange.answer == (
            f"blue cross{boxes(500, 0, 600, 999)}red star{boxes(10, 20, 30, 40)}"
        )

    @pytest.mark.parametrize(
        ("coordinate", "bin_"), [(0.0, 0), (33.6, 52), (639.99, 999), (640.0, 999)]
    )
    def test_bins(self, coordinate: float, bin_: int) -> None:
        assert targets.to_bin(coordinate, 640) == bin_

    def test_over_half_of_the_phrases_asked_for_are_absent(self) -> None:
        rng = random.Random(0)
        asked = [
            exchange
            for _ in range(500)
            for exchange in targets.questions(rng, [STAR, CROSS, OTHER_STAR])[1:3]
        ]
        absent = [exchange for exchange in asked if not exchange.answer]
        assert 0.5 < len(absent) / len(asked) < 0.75
        # Many of them are hard: a colour that is there with another shape that is there.
        assert sum("green cross" in exchange.prompt for exchange in absent) > 20


class TestTokenizer:
    def test_ids_are_in_the_order_of_the_original(self, words: Tokenizer) -> None:
        assert [words.id_to_token(i) for i in range(4)] == ["<s>", "<pad>", "</s>", "<unk>"]
        first = tokenizer.token_id(words, "<od>")
        added = [words.id_to_token(i) for i in range(first, words.get_vocab_size())]
        assert added[:4] == ["<od>", "</od>", "<ocr>", "</ocr>"]
        assert added[4:1004] == [f"<loc_{i}>" for i in range(1000)]
        assert added[1004:1006] == ["<cap>", "</cap>"]
        assert added[-4:] == ["<poly>", "</poly>", "<and>", "<image>"]
        assert len(added) == 4 + 1000 + 20 + 1

    def test_the_words_of_this_world_are_single_tokens(self, words: Tokenizer) -> None:
        for shape in SHAPES:
            assert len(words.encode(shape, add_special_tokens=False).ids) == 1
        assert len(words.encode("red star", add_special_tokens=False).ids) == 2

    @pytest.mark.parametrize("text", ["a pink cross", "Übergröße 犬 🙂", " leading", "EXIT<loc_7>"])
    def test_any_text_comes_back(self, words: Tokenizer, text: str) -> None:
        ids = words.encode(text).ids
        assert ids[0] == 0 and ids[-1] == 2
        assert words.decode(ids[1:-1], skip_special_tokens=False) == text

    def test_building_gives_the_tokenizer_of_the_checkpoint(self, words: Tokenizer) -> None:
        kept = Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))
        assert kept.get_vocab() == words.get_vocab()


class TestCorpus:
    def test_pixels_and_boxes_are_those_of_the_scene(self, tmp_path: Path) -> None:
        kept = corpus.prepare(tmp_path, first_seed=40, count=3, processes=1)
        for row, seed in enumerate(range(40, 43)):
            scene = paint(seed)
            assert (kept.pixels[row] == corpus.squash(scene.image)).all()
            assert kept.targets(row) == corpus.scene_targets(scene)

    def test_a_second_call_paints_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = corpus.prepare(tmp_path, first_seed=0, count=2, processes=1)
        monkeypatch.setattr(corpus, "paint", None)
        second = corpus.prepare(tmp_path, first_seed=0, count=2, processes=1)
        assert (first.pixels == second.pixels).all()

    def test_mirrored_boxes(self, tmp_path: Path) -> None:
        kept = corpus.prepare(tmp_path, first_seed=3, count=1, processes=1)
        for plain, mirrored in zip(kept.targets(0), kept.targets(0, mirrored=True), strict=True):
            x1, y1, x2, y2 = plain.bins
            assert mirrored.bins == (999 - x2, y1, 999 - x1, y2)

    @pytest.mark.parametrize(
        ("first_seed", "count"), [(1_000_000, 1), (999_999, 2), (2_000_000, 10), (-1, 5)]
    )
    def test_held_out_seeds_are_refused(self, tmp_path: Path, first_seed: int, count: int) -> None:
        with pytest.raises(FlorenceAnnotateError, match="not for training"):
            corpus.prepare(tmp_path, first_seed=first_seed, count=count)
        assert not list(tmp_path.iterdir())


class TestLoss:
    def test_soft_bins_are_distributions_around_the_true_bin(self) -> None:
        soft = soft_bins(4.0)
        assert torch.allclose(soft.sum(1), torch.ones(1000))
        assert (soft.argmax(1) == torch.arange(1000)).all()

    def test_near_bins_start_as_near_vectors(self) -> None:
        features = torch.nn.functional.normalize(location_features(128), dim=1)
        assert features[500] @ features[501] > features[500] @ features[520]

    def test_a_perfect_prediction_costs_nothing(self) -> None:
        soft = soft_bins(3.0)
        logits = torch.full((2, 1010), -50.0)
        logits[0, 2] = 50.0
        logits[1, 5:1005] = soft[70].clamp_min(1e-9).log()
        text, location = sequence_loss(logits, torch.tensor([2, 75]), 5, soft)
        assert text.item() == pytest.approx(0, abs=1e-4)
        assert location.item() == pytest.approx(0, abs=1e-4)

    def test_answers_without_locations_have_no_location_loss(self) -> None:
        text, location = sequence_loss(
            torch.zeros(3, 1010), torch.tensor([0, 2, 2]), 5, soft_bins(3.0)
        )
        assert text.item() > 0 and location.item() == 0


class TestCells:
    def test_pictures_with_and_without_objects(self) -> None:
        head = CellHead(128, 8)
        tokens = torch.zeros(2, 65, 128)
        assert head.loss(tokens, [[STAR, CROSS], []]).item() > 0
        assert torch.isfinite(head.loss(tokens, [[], []]))


class TestGrowth:
    def small(self, words: Tokenizer, **changes: int) -> Florence2ForConditionalGeneration:
        """A model in random weights, smaller than the checkpoint in some way."""
        config = build_config(words.get_vocab_size(), tokenizer.token_id(words, "<image>"))
        if "stride" in changes:
            config.vision_config.patch_stride = [changes.pop("stride"), 2, 2, 1]
            config.vision_config.window_size = 3
        config.text_config.update(changes)
        model = Florence2ForConditionalGeneration(config).eval()
        initialise(model, tokenizer.first_location_id(words), torch.Generator().manual_seed(1))
        return model

    def test_a_checkpoint_is_begun_with_as_it_is(self, words: Tokenizer) -> None:
        model = self.small(words)
        begin_with(model, CHECKPOINT)
        trained = load_file(CHECKPOINT / "model.safetensors")
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, trained[name].float())

    def test_new_layers_pass_on_nearly_what_they_get(
        self, words: Tokenizer, tmp_path: Path
    ) -> None:
        small = self.small(words, encoder_layers=2, decoder_layers=1)
        small.save_pretrained(tmp_path)
        grown = self.small(words)
        begin_with(grown, tmp_path)
        pixels = torch.randn(1, 3, INPUT_SIZE, INPUT_SIZE)
        prompt = torch.tensor([[*[words.token_to_id("<image>")] * 65, 0, 50, 60, 2]])
        question = {"input_ids": prompt, "decoder_input_ids": torch.tensor([[2, 0, 300]])}
        with torch.inference_mode():
            before, after = (m(pixel_values=pixels, **question).logits for m in (small, grown))
        assert torch.allclose(before, after, atol=0.02 * before.std().item())

    def test_positions_are_interpolated_to_more_cells(
        self, words: Tokenizer, tmp_path: Path
    ) -> None:
        small = self.small(words, stride=4)
        small.save_pretrained(tmp_path)
        grown = self.small(words)
        begin_with(grown, tmp_path)
        old, new = (m.model.language_model.encoder.embed_positions.weight for m in (small, grown))
        first = 3  # two unused rows, then the pooled token
        corners = [0, 5, 30, 35], [0, 7, 56, 63]
        assert torch.allclose(
            *(t[[first + c for c in at]] for t, at in zip((old, new), corners, strict=True))
        )
        assert torch.equal(old[first + 36 : first + 60], new[first + 64 : first + 88])


class TestTraining:
    def test_the_checkpoint_loads_whole(self, folder: Path) -> None:
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

    def test_a_run_goes_on_where_it_stopped(self, folder: Path, tmp_path: Path) -> None:
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

    def test_a_step_lowers_the_loss(self, folder: Path) -> None:
        run = new_run(folder_options(folder))
        losses = [sum(run.train_step(one_question([STAR]))) for _ in range(8)]
        assert losses[-1] < 0.7 * losses[0]


def one_question(*pictures: list[Target]) -> Batch:
    """Black pictures that are said to show these objects, asked about once each."""
    pixels = torch.zeros(len(pictures), INPUT_SIZE, INPUT_SIZE, 3, dtype=torch.uint8)
    return Batch(pixels, list(pictures), [[targets.detection(objects)] for objects in pictures])


def folder_options(folder: Path) -> Options:
    return Options(out=folder, steps=100, warm_up=4)
