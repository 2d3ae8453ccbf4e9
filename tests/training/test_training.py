"""Questions and answers, the tokenizer, the corpus, and one small step of training."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import Florence2ForConditionalGeneration, Florence2Processor

from florence_annotate import tasks
from florence_annotate.errors import FlorenceAnnotateError
from florence_annotate.shapes import CHECKPOINT, INPUT_SIZE, SHAPES
from florence_annotate.shapes.scenes import paint
from training import captions, corpus, exchanges, lessons, tokenizer
from training.cells import CellHead
from training.growth import begin_with
from training.initialisation import initialise, location_features, sequence_loss, soft_bins
from training.learning import Batch, Options, Run
from training.train import build_config, main, new_run
from training.truth import PrintedWord, Target, Truth, mirrored, to_bin, truth_of
from training.validation import normalise

STAR = Target("star", "red", (10, 20, 30, 40), (20, 20, 30, 40, 10, 40))
CROSS = Target("cross", "blue", (500, 0, 600, 999), (550, 0, 600, 999, 500, 999))
OTHER_STAR = Target("star", "green", (5, 500, 90, 600), (45, 500, 90, 600, 5, 600))
EXIT = PrintedWord("EXIT", (100, 200, 300, 260))
SCENE = Truth((CROSS, STAR, OTHER_STAR), (EXIT,))


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
        exchange = exchanges.detection(SCENE)
        assert exchange.prompt == "Locate the objects with category name in the image."
        assert exchange.answer == (
            f"star{boxes(5, 500, 90, 600, 10, 20, 30, 40)}cross{boxes(500, 0, 600, 999)}"
        )

    def test_nothing_there_is_the_empty_answer(self) -> None:
        assert exchanges.detection(Truth()).answer == ""
        assert exchanges.open_vocabulary("blue star", SCENE).answer == ""
        assert exchanges.segmentation("blue star", SCENE).answer == ""
        assert exchanges.ocr(Truth()).answer == exchanges.ocr_regions(Truth()).answer == ""

    def test_a_phrase_may_leave_the_colour_out(self) -> None:
        exchange = exchanges.open_vocabulary("red star", SCENE)
        assert exchange.prompt == "Locate red star in the image."
        assert exchange.answer == "red star" + boxes(10, 20, 30, 40)
        exchange = exchanges.open_vocabulary("star", SCENE)
        assert exchange.answer == "star" + boxes(5, 500, 90, 600, 10, 20, 30, 40)

    def test_grounding_keeps_the_order_of_the_prompt(self) -> None:
        phrases = ["blue cross", "white ellipse", "red star"]
        exchange = exchanges.grounding("<and>".join(phrases), phrases, SCENE)
        assert exchange.prompt == (
            "Locate the phrases in the caption: blue cross<and>white ellipse<and>red star"
        )
        assert exchange.answer == (
            f"blue cross{boxes(500, 0, 600, 999)}red star{boxes(10, 20, 30, 40)}"
        )

    def test_outlines_are_bracketed_only_where_there_are_several(self) -> None:
        alone = exchanges.segmentation("red star", SCENE)
        assert alone.prompt == "Locate red star in the image with mask"
        assert alone.answer == boxes(20, 20, 30, 40, 10, 40)
        both = exchanges.segmentation("star", SCENE).answer
        assert both.startswith(f"<poly>{boxes(45, 500, 90, 600, 5, 600)}</poly><poly>")

    def test_words_have_four_corners(self) -> None:
        answer = exchanges.ocr_regions(SCENE).answer
        assert answer == "EXIT" + boxes(100, 200, 300, 200, 300, 260, 100, 260)
        assert exchanges.ocr(SCENE).answer == "EXIT"

    def test_regions_are_in_the_prompt(self) -> None:
        exchange = exchanges.region_to_description((1, 2, 3, 4), STAR)
        assert exchange.prompt == f"What does the region {boxes(1, 2, 3, 4)} describe?"
        assert exchange.answer == "red star"
        assert exchanges.region_to_ocr((1, 2, 3, 4), None).answer == ""

    @pytest.mark.parametrize(
        ("coordinate", "bin_"), [(0.0, 0), (33.6, 52), (639.99, 999), (640.0, 999)]
    )
    def test_bins(self, coordinate: float, bin_: int) -> None:
        assert to_bin(coordinate, 640) == bin_


class TestCaptions:
    def test_objects_are_named_from_left_to_right(self) -> None:
        assert captions.caption(SCENE.objects) == "a green star, a red star and a blue cross"
        assert captions.caption([]) == "an empty picture"

    def test_longer_ones_tell_number_place_and_size(self) -> None:
        assert captions.detailed_caption([STAR, CROSS]) == (
            "The image shows two objects: a red star at the top left and a blue cross at the "
            "centre."
        )
        assert captions.more_detailed_caption([CROSS]) == (
            "The image shows one object. A large blue cross is at the centre."
        )
        assert captions.detailed_caption([]) == "The image shows no objects."


class TestLessons:
    def test_every_task_is_asked_as_often_as_its_rate_says(self) -> None:
        rng = random.Random(0)
        asked = [e for _ in range(400) for e in lessons.questions(rng, SCENE, is_legible=True)]
        for task in tasks.TASKS:
            begin = task.prompt.partition("{input}")[0]
            others = [t.prompt for t in tasks.TASKS if t.prompt.startswith(begin) and t != task]
            if not others:
                count = sum(e.prompt.startswith(begin) for e in asked)
                assert count == pytest.approx(400 * lessons.LESSONS[task.name].rate, rel=0.35)

    def test_nobody_reads_in_a_mirror(self) -> None:
        rng = random.Random(0)
        asked = [e for _ in range(200) for e in lessons.questions(rng, SCENE, is_legible=False)]
        assert not any("text" in exchange.prompt for exchange in asked)

    def test_over_half_of_the_phrases_asked_for_are_absent(self) -> None:
        rng = random.Random(0)
        asked = [lessons.LESSONS["open-vocabulary"].ask(rng, SCENE) for _ in range(1000)]
        absent = [exchange for exchange in asked if not exchange.answer]
        assert 0.5 < len(absent) / len(asked) < 0.75
        # Many of them are hard: a colour that is there with another shape that is there.
        assert sum("green cross" in exchange.prompt for exchange in absent) > 20


class TestTruth:
    def test_outlines_begin_at_the_top_and_keep_to_the_box(self) -> None:
        for seed in range(30):
            for target in truth_of(paint(seed)).objects:
                xs, ys = target.polygon[0::2], target.polygon[1::2]
                assert ys[0] == min(ys) and 3 <= len(xs) <= 12
                box = (min(xs), min(ys), max(xs), max(ys))
                assert all(abs(a - b) <= 12 for a, b in zip(box, target.bins, strict=True))

    def test_mirrored_twice_is_as_it_was(self) -> None:
        for seed in range(20):
            truth = truth_of(paint(seed))
            once = mirrored(truth)
            assert mirrored(once).objects == truth.objects
            assert once.words == ()
            for plain, flipped in zip(truth.objects, once.objects, strict=True):
                x1, y1, x2, y2 = plain.bins
                assert flipped.bins == (999 - x2, y1, 999 - x1, y2)


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
            assert kept.truth(row) == truth_of(scene)

    def test_a_second_call_paints_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = corpus.prepare(tmp_path, first_seed=0, count=2, processes=1)
        monkeypatch.setattr(corpus, "paint", None)
        second = corpus.prepare(tmp_path, first_seed=0, count=2, processes=1)
        assert (first.pixels == second.pixels).all()

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
        assert head.loss(tokens, [SCENE, Truth()], [True, True]).item() > 0
        assert torch.isfinite(head.loss(tokens, [Truth(), Truth()], [True, True]))

    def test_words_that_cannot_be_read_teach_nothing(self) -> None:
        head = CellHead(128, 8)
        only_words = [Truth(words=(EXIT,))]
        legible, mirrored_one = (
            head.loss(torch.zeros(1, 65, 128), only_words, [can_be_read]).item()
            for can_be_read in (True, False)
        )
        assert legible > mirrored_one


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
        begin_with(model, CHECKPOINT, words)
        trained = load_file(CHECKPOINT / "model.safetensors")
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, trained[name].float())

    def test_tokens_keep_their_vectors_in_another_vocabulary(
        self, words: Tokenizer, tmp_path: Path
    ) -> None:
        small = self.small(words)
        small.save_pretrained(tmp_path)
        described = json.loads(words.to_str())
        described["model"]["vocab"] |= {"star": words.token_to_id("cross")}
        described["model"]["vocab"] |= {"cross": words.token_to_id("star")}
        (tmp_path / "tokenizer.json").write_text(json.dumps(described))
        grown = self.small(words)
        begin_with(grown, tmp_path, words)
        star, cross = (words.token_to_id(shape) for shape in ("star", "cross"))
        old, new = (m.get_input_embeddings().weight for m in (small, grown))
        assert torch.equal(new[star], old[cross]) and torch.equal(new[cross], old[star])

    def test_new_layers_pass_on_nearly_what_they_get(
        self, words: Tokenizer, tmp_path: Path
    ) -> None:
        small = self.small(words, encoder_layers=2, decoder_layers=1)
        small.save_pretrained(tmp_path)
        words.save(str(tmp_path / "tokenizer.json"))
        grown = self.small(words)
        begin_with(grown, tmp_path, words)
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
        words.save(str(tmp_path / "tokenizer.json"))
        grown = self.small(words)
        begin_with(grown, tmp_path, words)
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
    truths = [Truth(tuple(objects)) for objects in pictures]
    asked = [(row, exchanges.detection(truth)) for row, truth in enumerate(truths)]
    return Batch(pixels, truths, [True] * len(pictures), asked)


def folder_options(folder: Path) -> Options:
    return Options(out=folder, steps=100, warm_up=4)
