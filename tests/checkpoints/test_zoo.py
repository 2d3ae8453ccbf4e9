"""Every public checkpoint loads and answers as transformers' own network does.

Their files are in tests/data/zoo, with a README of the traps in them; their weights are random.
"""

import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from public_checkpoints import (
    LONGEST,
    NARROWER,
    ZOO,
    Asked,
    byte_level_bpe,
    generate,
    let_answers_end,
    native_network,
    whole,
    write_published,
    write_tokenizer,
)
from small_models import ask

from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.image_settings import ImageSettings
from florence_annotate.checkpoints.known import hub_id
from florence_annotate.checkpoints.layouts import NATIVE, ORIGINAL, Layout
from florence_annotate.errors import CheckpointError
from florence_annotate.model.florence import Florence
from florence_annotate.shapes.scenes import paint
from florence_annotate.types import Generation, Question

VARIANT = "04RR__Florence-custom-encoder"
QUESTIONS = (
    Question(tasks.OD),
    Question("<CAPTION>"),
    Question(tasks.OPEN_VOCABULARY, "traffic light"),
)


@dataclass(frozen=True)
class Expected:
    """What the files of a checkpoint come to, read by hand."""

    early_stopping: bool = True
    longest: int = 1024
    layout: Layout = ORIGINAL
    contradictions: int = 0
    """How many ids another file has otherwise."""


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BART_IDS = {
    "decoder_start_token_id": 2,
    "eos_token_id": 2,
    "pad_token_id": 1,
    "forced_bos_token_id": 0,
    "forced_eos_token_id": 2,
}
"""Of all of them, whatever their other files say."""
BEAMS, NGRAM = 3, 3
"""Of all of them, too."""
EXPECTED = {
    "MiaoshouAI__Florence-2-base-PromptGen-v2.0": Expected(),
    "MiaoshouAI__Florence-2-large-PromptGen-v2.0": Expected(),
    "YcZhangSing__AMD": Expected(),
    "florence-community__Florence-2-base": Expected(layout=NATIVE),
    "florence-community__Florence-2-large": Expected(longest=4096, layout=NATIVE),
    "microsoft__Florence-2-base": Expected(),
    "microsoft__Florence-2-base-ft": Expected(),
    "microsoft__Florence-2-large": Expected(early_stopping=False, longest=4096),
    "microsoft__Florence-2-large-ft": Expected(early_stopping=False),
    # bos 2, eos 1 and pad 0 in config.json
    "microsoft__Florence-2-large@2024-06-15": Expected(contradictions=3),
    "microsoft__Florence-2-large@2024-06-26": Expected(),
    "microsoft__Florence-2-large@2024-07-20": Expected(),
    # and in generation_config.json
    "microsoft__OmniParser": Expected(contradictions=6),
    "microsoft__OmniParser-v2": Expected(contradictions=6),
    "muddassirrr__pm2dla": Expected(),
    "muhammadwaqas476074__Florence2-Changes": Expected(),
    "onnx-community__Florence-2-base": Expected(),
    "onnx-community__Florence-2-base-ft": Expected(),
    "ragavsachdeva__magiv3": Expected(),
    "thomas-roth__Florence-2-large": Expected(longest=4096),
    "thwri__CogFlorence-2-Large-Freeze": Expected(early_stopping=False),
}


def test_the_table_has_every_whole_configuration() -> None:
    assert {*EXPECTED, VARIANT} == set(whole())


@cache
def asked() -> Asked:
    """The questions about a painted image."""
    mean, std = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    words = (byte_level_bpe().encode(tasks.prompt(question)).ids for question in QUESTIONS)
    normalised = (torch.from_numpy(pixels()) / 255 - mean) / std
    return Asked(normalised[None], tuple((0, *ids, 2) for ids in words))


@cache
def pixels() -> Any:
    """A painted image, uint8 (3, 768, 768)."""
    image = paint(3_200_000).image.convert("RGB").resize((768, 768), Image.Resampling.BICUBIC)
    return np.asarray(image).transpose(2, 0, 1).copy()


@cache
def network_of(structure: str) -> Any:
    """A network whose answers end; most checkpoints of the zoo have one of five structures."""
    network = native_network(structure)
    let_answers_end(network, asked(), {**BART_IDS, "no_repeat_ngram_size": NGRAM})
    return network


@cache
def said_by(network: Any, beams: int, early_stopping: bool) -> list[list[int]]:
    """The token ids of each answer, by transformers' `generate`."""
    return [
        generate(
            network,
            states,
            num_beams=beams,
            no_repeat_ngram_size=NGRAM,
            **({"early_stopping": early_stopping} if beams > 1 else {}),
            **BART_IDS,
        )
        .sequences[0]
        .tolist()
        for states in asked().states(network)
    ]


def test_19_of_cocos_names_take_three_tokens_at_the_beginning_of_a_label() -> None:
    """As in the public vocabulary: a ban on three tokens in a row forbids them a second box."""
    names = checkpoints._known_labels(Path("nowhere"), hub_id("base"))
    assert sum(len(byte_level_bpe().encode(name).ids) >= 3 for name in names) == 19


@pytest.mark.parametrize("name", EXPECTED)
def test_a_public_checkpoint_is_read_as_its_files_say(name: str, tmp_path: Path) -> None:
    hold(name, tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["microsoft__Florence-2-base", "florence-community__Florence-2-large"]
)
def test_a_public_checkpoint_of_full_width_is_read_too(name: str, tmp_path: Path) -> None:
    hold(name, tmp_path / name, factor=1)


@torch.inference_mode()
def hold(name: str, folder: Path, factor: int = NARROWER) -> None:
    """Hold a checkpoint's settings to the table, and its answers to transformers' own."""
    network = write_published(name, folder, network_of, factor)
    expected = EXPECTED[name]
    checkpoint = checkpoints.find(str(folder))
    own, decoding = checkpoint.generation, checkpoint.generation.decoding
    assert checkpoint.layout is expected.layout
    assert checkpoint.max_new_tokens == expected.longest
    assert (own.num_beams, own.no_repeat_ngram) == (BEAMS, NGRAM)
    assert decoding.early_stopping is expected.early_stopping
    assert (decoding.start, decoding.end, decoding.pad) == (2, 2, 1)
    assert (decoding.forced_first, decoding.forced_last) == (0, 2)
    assert len(own.contradictions) == expected.contradictions

    model = Florence(checkpoint, torch.device("cpu"), torch.float32, "sdpa")
    features = model.encode([pixels()])
    for beams in (1, BEAMS):
        settings = Generation(LONGEST, beams, NGRAM, retry_truncated=False)
        found = ask(model, features, [(0, question) for question in QUESTIONS], settings)
        wanted = said_by(network, beams, expected.early_stopping)
        for answer, tokens in zip(found, wanted, strict=True):
            said = [model.vocabulary.token_bytes(token) for token in tokens[2:]]
            assert answer.data == b"".join(said)
            assert len(answer.kinds) == len(said)
            assert answer.data.endswith(b"</s>")


def refused(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match) as error:
        checkpoints.find(str(folder))
    assert len(str(error.value).splitlines()) == 1


def copied(name: str, folder: Path) -> Path:
    """A folder of the zoo with everything that it may lack but the weights, which are empty."""
    shutil.copytree(ZOO / name, folder)
    write_tokenizer(folder, [])
    (folder / "model.safetensors").touch()
    return folder


@pytest.mark.parametrize(
    "name", sorted({path.parent.name for path in ZOO.glob("*/*")} - set(whole()))
)
def test_a_folder_without_a_whole_configuration_is_refused(name: str, tmp_path: Path) -> None:
    is_adapter = (ZOO / name / "adapter_config.json").exists()
    reason = "is a LoRA adapter and no whole" if is_adapter else r"config\.json is missing"
    refused(copied(name, tmp_path / name), reason)


def test_another_vision_tower_is_refused_by_its_name(tmp_path: Path) -> None:
    refused(copied(VARIANT, tmp_path / "variant"), "swinv2-large.*Florence-2's is a DaViT")


def test_quantized_weights_are_refused(tmp_path: Path) -> None:
    folder = copied("microsoft__Florence-2-base-ft", tmp_path / "quantized")
    block = ZOO / "mlx-community__Florence-2-base-ft-4bit" / "config.partial.json"
    config = json.loads((folder / "config.json").read_text()) | json.loads(block.read_text())
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, "quantized to 4 bits.*take the checkpoint that it was made from")


@pytest.mark.parametrize(
    "file", ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]
)
def test_a_git_lfs_pointer_is_told_from_the_file(file: str, tmp_path: Path) -> None:
    folder = copied("microsoft__Florence-2-large", tmp_path / "pointer")
    shutil.copy(ZOO / "peytonrivers__omniparser" / "generation_config.json", folder / file)
    refused(folder, rf"{file} is a Git LFS pointer.*git lfs pull")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("microsoft__OmniParser", "microsoft/Florence-2-base"),
        ("florence-community__Florence-2-large", "florence-community/Florence-2-base"),
    ],
)
def test_a_missing_tokenizer_is_refused_with_where_to_copy_it_from(
    name: str, source: str, tmp_path: Path
) -> None:
    folder = copied(name, tmp_path / "bare")
    (folder / "tokenizer.json").unlink()
    refused(folder, rf"lacks tokenizer\.json.*{source}")


def test_images_are_made_as_published_where_no_file_says_how(tmp_path: Path) -> None:
    folder = copied("microsoft__OmniParser", tmp_path / "bare")
    images = checkpoints.find(str(folder)).images
    assert images == ImageSettings(768, MEAN, STD)


@pytest.mark.parametrize("name", ["microsoft__Florence-2-base", "ragavsachdeva__magiv3"])
def test_preprocessors_are_read_whatever_else_they_hold(name: str, tmp_path: Path) -> None:
    assert checkpoints.find(str(copied(name, tmp_path / name))).images == ImageSettings(
        768, MEAN, STD
    )
