"""The embedded checkpoint through the rooms that know transformers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from small_models import ask, copy_of_shapes, views
from tokenizers import Tokenizer

from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.known import hub_id
from florence_annotate.errors import CheckpointError, DeviceError
from florence_annotate.images import codec
from florence_annotate.images.loading import LoadingOptions, load
from florence_annotate.model import device as devices
from florence_annotate.model.florence import Florence
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.tasks import GROUNDING, OD, OPEN_VOCABULARY
from florence_annotate.types import Generation, ImageRef, Picture, Question, TokenKind

GREEDY = Generation(max_new_tokens=128, num_beams=1, no_repeat_ngram=0, retry_truncated=True)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model() -> Florence:
    return Florence(checkpoints.find("shapes"), CPU, torch.float32, "sdpa")


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
    """As the library's documentation does it: processor, placeholders, `generate`, one picture."""
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


def test_a_prompts_tokens_are_the_processors(model: Florence) -> None:
    from transformers import Florence2Processor

    processor = Florence2Processor.from_pretrained(CHECKPOINT)
    image = Image.new("RGB", (96, 96))
    ids = processor(text="<OPEN_VOCABULARY_DETECTION>red star", images=image)["input_ids"][0]
    prompt = tasks.prompt(Question(OPEN_VOCABULARY, "red star"))
    mine = model.vocabulary.prompt_ids(prompt)
    assert [i for i in ids if i != processor.image_token_id] == list(mine)


def test_normalised_pixels_are_the_processors(model: Florence, pictures: list[Picture]) -> None:
    from transformers import Florence2Processor

    processor = Florence2Processor.from_pretrained(CHECKPOINT)
    square = Image.fromarray(np.ascontiguousarray(pictures[0].pixels[0].transpose(1, 2, 0)))
    expected = processor(text="<OD>", images=square, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        features = model.network.get_image_features(expected).pooler_output
    assert torch.allclose(model.encode(views(pictures[:1])), features, atol=1e-4)


def refused(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match):
        Florence(checkpoints.find(str(folder)), CPU, torch.float32, "sdpa")


def test_a_missing_tensor_is_refused_by_name(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    gone = next(name for name in tensors if name.endswith("fc1.weight"))
    del tensors[gone]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, gone)


def test_an_unexpected_tensor_is_refused_by_name(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors["adapter.weight"] = torch.zeros(1)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, "adapter.weight")


def test_a_tensor_of_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("fc1.weight"))
    tensors[name] = torch.zeros(2, 2)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, name)


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    refused(folder, "is the download complete")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model_type": "bart"}, "is no Florence-2"),
        (None, "config.json is missing"),
    ],
)
def test_what_is_no_florence_is_refused(
    tmp_path: Path, change: dict[str, object] | None, match: str
) -> None:
    folder = copy_of_shapes(tmp_path)
    config = folder / "config.json"
    if change is None:
        config.unlink()
    else:
        config.write_text(json.dumps(json.loads(config.read_text()) | change))
    refused(folder, match)


def test_a_checkpoint_without_weights_is_refused(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "model.safetensors").rename(folder / "weights.onnx")
    refused(folder, "holds no weights")


def test_a_tokenizer_with_more_tokens_than_the_weights_is_refused(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(["<new>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    refused(folder, "belong to different checkpoints")


def test_a_tokenizer_without_locations_is_refused(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace("<loc_7>", "<lok_7>"))
    refused(folder, "<loc_7>")


def test_names_of_checkpoints_are_understood() -> None:
    for name in ("base-ft", "florence-2-base-ft", "Florence-2-Base-FT"):
        assert hub_id(name) == "florence-community/Florence-2-base-ft"
    assert hub_id("somebody/florence") == "somebody/florence"


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere", "nonsense", "a/b/c"])
def test_a_checkpoint_that_cannot_exist_is_refused_without_asking_the_hub(name: str) -> None:
    with pytest.raises(CheckpointError, match="there"):
        checkpoints.find(name)


def test_a_hub_failure_says_how_to_give_a_folder() -> None:
    with pytest.raises(CheckpointError, match=r"--model \./folder"):
        checkpoints.find("base", download=False)


def test_public_checkpoints_are_known_to_say_cocos_names() -> None:
    labels = checkpoints._known_labels(Path("nowhere"), hub_id("large"))
    assert len(labels) == 80
    assert {"person", "toothbrush"} <= labels


def test_cuda_that_is_absent_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(DeviceError, match="sees no CUDA device"):
        devices.resolve_device("cuda")
    with pytest.raises(DeviceError, match="flash"):
        devices.resolve_attention("flash_attention_2", CPU, torch.float32)


@pytest.mark.parametrize("has_bfloat16", [False, True])
def test_auto_is_bfloat16_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bfloat16})
    expected = torch.bfloat16 if has_bfloat16 else torch.float32
    assert devices.resolve_dtype("auto", CPU, is_embedded=False) is expected
    assert devices.resolve_dtype("auto", CPU, is_embedded=True) is torch.float32


def test_auto_attention_is_sdpa_on_a_cpu() -> None:
    assert devices.resolve_attention("auto", CPU, torch.float32) == "sdpa"
