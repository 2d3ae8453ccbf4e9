"""The embedded checkpoint, answer for answer against transformers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import ask, copy_of_shapes, views

from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.errors import CheckpointError, UsageError
from florence_annotate.images import codec
from florence_annotate.images.loading import LoadingOptions, load
from florence_annotate.model.florence import Florence
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.tasks import GROUNDING, OD, OPEN_VOCABULARY
from florence_annotate.types import Generation, ImageRef, Picture, Question, TokenKind

GREEDY = Generation(max_new_tokens=128, num_beams=1, no_repeat_ngram=0, retry_truncated=True)


@pytest.fixture(scope="module")
def pictures(scenes: Path) -> list[Picture]:
    options = LoadingOptions(checkpoints.find("shapes").image_size, 1, 0)
    loaded = []
    for path in sorted(scenes.glob("*.jpg"))[:10]:
        picture = load(ImageRef(path.name, bytes(path), path.stat().st_size, 0), options)
        assert isinstance(picture, Picture)
        loaded.append(picture)
    return loaded


def reference_tokens(model: Florence, picture: Path, prompt: str, beams: int) -> list[int]:
    """As the library's documentation does it: processor, placeholders, `generate`, one image."""
    from transformers import Florence2Processor

    processor = Florence2Processor.from_pretrained(CHECKPOINT)
    image = codec.decode(picture.read_bytes())
    # resized by Pillow, since the library's own resize needs not be the checkpoint's
    side = model.image_size
    square = image.resize((side, side), Image.Resampling.BICUBIC)
    inputs = processor(text=prompt, images=square, return_tensors="pt")
    tokens = model.network.generate(
        **inputs, max_new_tokens=GREEDY.max_new_tokens, num_beams=beams, do_sample=False,
        early_stopping=False,
    )  # fmt: skip
    return tokens[0].tolist()


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize(
    "question", [Question(OD), Question(OPEN_VOCABULARY, "red star")], ids=["od", "asked"]
)
def test_answers_are_those_of_the_librarys_own_pipeline(
    model: Florence, scenes: Path, pictures: list[Picture], question: Question, beams: int
) -> None:
    generation = replace(GREEDY, num_beams=beams)
    features = model.encode(views(pictures[:4]))
    answers = ask(model, features, [(i, question) for i in range(4)], generation)
    for picture, answer in zip(pictures, answers, strict=False):
        prompt = f"{question.task}{question.text or ''}"
        tokens = reference_tokens(model, scenes / picture.ref.key, prompt, beams)
        assert tokens[:2] == [model.vocabulary.eos_id, model.vocabulary.bos_id]
        assert b"".join(map(model.vocabulary.token_bytes, tokens[2:])) == answer.data


def test_an_answer_never_depends_on_its_neighbours(
    model: Florence, pictures: list[Picture]
) -> None:
    asked = [
        (i, question)
        for i in range(len(pictures))
        for question in (
            Question(OD),
            Question(OPEN_VOCABULARY, "blue ellipse"),
            Question(GROUNDING, "red star<and>green cross<and>white rectangle"),
        )
    ]
    together = ask(model, model.encode(views(pictures)), asked, GREEDY)
    for (i, question), answer in zip(asked, together, strict=True):
        (alone,) = ask(model, model.encode(views([pictures[i]])), [(0, question)], GREEDY)
        assert (alone.data, alone.ends, alone.kinds) == (answer.data, answer.ends, answer.kinds)
        assert np.allclose(alone.logprobs, answer.logprobs, atol=1e-3)


@pytest.mark.parametrize("beams", [1, 3])
def test_log_probabilities_are_the_models_own(
    model: Florence, pictures: list[Picture], beams: int
) -> None:
    features = model.encode(views(pictures[:1]))
    (answer,) = ask(model, features, [(0, Question(OD))], replace(GREEDY, num_beams=beams))
    prompt = model.vocabulary.prompt_ids(tasks.prompt(Question(OD)))
    embedded = model.network.get_input_embeddings()(torch.tensor([prompt]))
    start = 0
    tokens = [model.vocabulary.eos_id, model.vocabulary.bos_id]
    names = {
        model.vocabulary.token_bytes(i): i
        for i in range(model.network.config.text_config.vocab_size)
    }
    for end in answer.ends:
        tokens.append(names[answer.data[start:end]])
        start = end
    with torch.inference_mode():
        logits = model.network(
            inputs_embeds=torch.cat([features, embedded], dim=1),
            decoder_input_ids=torch.tensor([tokens[:-1]]),
        ).logits[0]
    expected = logits.log_softmax(-1)[torch.arange(len(tokens) - 1), torch.tensor(tokens[1:])]
    assert np.allclose(answer.logprobs, expected[1:].tolist(), atol=1e-4)
    assert answer.kinds[-1] is TokenKind.CONTROL


def test_a_cut_answer_is_marked_and_asked_again_with_twice_the_limit(
    model: Florence, pictures: list[Picture]
) -> None:
    features = model.encode(views(pictures))
    asked = [(i, Question(OD)) for i in range(len(pictures))]
    whole = ask(model, features, asked, GREEDY)
    assert not any(answer.truncated for answer in whole)
    longest = max(len(answer.ends) for answer in whole)

    short = replace(GREEDY, max_new_tokens=6, retry_truncated=False)
    cut = ask(model, features, asked, short)
    for answer, full in zip(cut, whole, strict=True):
        assert answer.truncated == (len(full.ends) + 1 >= 6)
        assert full.data.startswith(answer.data)
    again = ask(
        model,
        features,
        asked,
        replace(GREEDY, max_new_tokens=longest // 2 + 2, retry_truncated=True),
    )
    assert [answer.data for answer in again] == [answer.data for answer in whole]
    assert not any(answer.truncated for answer in again)


def test_normalised_pixels_are_the_processors(model: Florence, pictures: list[Picture]) -> None:
    from transformers import Florence2Processor

    processor = Florence2Processor.from_pretrained(CHECKPOINT)
    square = Image.fromarray(np.ascontiguousarray(pictures[0].pixels[0].transpose(1, 2, 0)))
    expected = processor(text="<OD>", images=square, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        features = model.network.get_image_features(expected).pooler_output
    assert torch.allclose(model.encode(views(pictures[:1])), features, atol=1e-4)


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        (Question(GROUNDING, "a star<and>a cross"), None),
        (Question(GROUNDING, "a star </s>"), "holds </s>"),
        (Question(OPEN_VOCABULARY, "star " * 2000), "tokens long"),
        (Question("<REGION_TO_OCR>", "<loc_1><loc_2><loc_3><loc_4>"), None),
    ],
)
def test_a_question_that_cannot_be_asked_says_why(
    model: Florence, question: Question, problem: str | None
) -> None:
    found = model.problem(question)
    assert (found is None) if problem is None else (found and problem in found)
    if problem is not None:
        with pytest.raises(UsageError, match=r"change it$"):
            model.refuse_unaskable([question])


def test_fewer_classes_are_advised_where_one_prompt_has_too_many(model: Florence) -> None:
    many = Question(GROUNDING, "<and>".join(["star"] * 2000))
    with pytest.raises(UsageError, match=r"tokens long.*fewer classes at once"):
        model.refuse_unaskable([many])
    own = Question("prompt:boxes", "find <and> " * 2000)
    with pytest.raises(UsageError, match=r"tokens long.*change it$"):
        model.refuse_unaskable([own])


def test_what_needs_no_weights_is_refused_before_they_are_read(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "model.safetensors").write_bytes(b"damaged")
    checkpoint = checkpoints.find(str(folder))
    long = Question("prompt:text", "star " * 2000)
    with pytest.raises(UsageError, match="tokens long"):
        Florence(checkpoint, torch.device("cpu"), torch.float32, "sdpa", [long])
    for pixels, reason in ((1000, "84 cells a side"), (400, "1157 tokens")):
        images = replace(checkpoint.images, size=pixels)
        with pytest.raises(CheckpointError, match=f"{reason}.*preprocessor_config.json"):
            Florence(replace(checkpoint, images=images), torch.device("cpu"), torch.float32, "sdpa")


def test_states_of_a_short_prompt_are_padded_and_masked(
    model: Florence, pictures: list[Picture]
) -> None:
    features = model.encode(views(pictures[:2]))
    short, long = ((0, *[60] * count, 2) for count in (3, 9))
    with torch.inference_mode():
        states, mask = model.encode_prompts(features, [short, long])
        alone, _ = model.encode_prompts(features[:1], [short])
    assert mask.sum(1).tolist() == [features.shape[1] + 5, features.shape[1] + 11]
    assert torch.allclose(states[0, : alone.shape[1]], alone[0], atol=1e-5)
