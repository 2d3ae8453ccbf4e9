"""Checkpoints as people have them: both layouts, every kind of file, adapters, and the canary."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import annotate, command, tree
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from small_models import ORIGINAL, copy_of_shapes, original_layout
from tokenizers import Tokenizer
from written_answers import answer

from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.layouts import ORIGINAL as ORIGINAL_LAYOUT
from florence_annotate.engines import canary
from florence_annotate.errors import CheckpointError
from florence_annotate.model.attention import attend_by
from florence_annotate.model.florence import Florence
from florence_annotate.model.vision import VisionTower
from florence_annotate.model.vocabulary import load_tokenizer
from florence_annotate.model.weights import load_network
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.types import Generation, ImageRef, Picture, Question

CPU = torch.device("cpu")

_TO_ORIGINAL = (
    (r"^model\.language_model\.", "language_model.model."),
    (r"^model\.multi_modal_projector\.image_projection\.weight$", "image_projection"),
    (r"^model\.multi_modal_projector\.image_position_embed\.", "image_pos_embed."),
    (r"^model\.multi_modal_projector\.", ""),
    (r"^model\.vision_tower\.", "vision_tower."),
    (r"(\.convs\.\d+)\.conv\.", r"\1.proj."),
    (r"\.(conv[12])\.", r".\1.fn.dw."),
    (r"\.(spatial|channel)_block\.norm1\.", r".\1_block.NORM."),
    (r"\.(window_attn|channel_attn)\.(qkv|proj)\.", r".\1.fn.\2."),
    (r"\.norm2\.", ".ffn.norm."),
    (r"\.ffn\.(fc[12])\.", r".ffn.fn.net.\1."),
    (r"\.spatial_block\.NORM\.", ".spatial_block.window_attn.norm."),
    (r"\.channel_block\.NORM\.", ".channel_block.channel_attn.norm."),
)


def original_name(name: str) -> str:
    for pattern, replacement in _TO_ORIGINAL:
        name = re.sub(pattern, replacement, name)
    return name


def write_original(folder: Path) -> Path:
    """The embedded checkpoint in the original layout, with a tokenizer that lacks the tasks'."""
    folder.mkdir()
    tensors = load_file(CHECKPOINT / "model.safetensors")
    renamed = {
        original_name(name): tensor.T.contiguous() if "image_projection" in name else tensor
        for name, tensor in tensors.items()
    }
    shared = renamed["language_model.model.shared.weight"]
    for tied in ("lm_head", "model.encoder.embed_tokens", "model.decoder.embed_tokens"):
        renamed[f"language_model.{tied}.weight"] = shared.clone()
    renamed["language_model.final_logits_bias"] = torch.zeros(1, len(shared))
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((CHECKPOINT / "config.json").read_text())
    generation = json.loads((CHECKPOINT / "generation_config.json").read_text())
    vision = config["vision_config"]
    vision |= {
        "model_type": "davit",
        "dim_embed": vision.pop("embed_dim"),
        "visual_temporal_embedding": {
            "type": "COSINE",
            "max_temporal_embeddings": vision.pop("max_temporal_embeddings"),
        },
        "image_pos_embed": {
            "type": "learned_abs_2d",
            "max_pos_embeddings": vision.pop("max_position_embeddings"),
        },
    }
    config["text_config"] |= {"model_type": "florence2_language", **generation}
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(CHECKPOINT / "preprocessor_config.json", folder)
    shutil.copy(CHECKPOINT / "labels.txt", folder)
    words = json.loads((CHECKPOINT / "tokenizer.json").read_text())
    added = {*tasks.SPECIAL_TOKENS, "<image>"}
    words["added_tokens"] = [t for t in words["added_tokens"] if t["content"] not in added]
    (folder / "tokenizer.json").write_text(json.dumps(words))
    return folder


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return write_original(tmp_path / "original")


class TestLayouts:
    def test_the_original_layout_gives_the_same_dataset(
        self, original: Path, scenes: Path, tmp_path: Path
    ) -> None:
        settings = ["--limit", 6, "--classes", "star,red cross"]
        assert annotate(scenes, tmp_path / "native", *settings).code == 0
        result = annotate(
            scenes, tmp_path / "other", *settings, "--model", original, "--dtype", "float32"
        )
        assert result.code == 0, result.err
        assert tree(tmp_path / "other") == tree(tmp_path / "native")

    def test_generation_settings_of_old_configurations_count(self, original: Path) -> None:
        config = json.loads((original / "config.json").read_text())
        config["text_config"] |= {"num_beams": 3, "no_repeat_ngram_size": 3}
        (original / "config.json").write_text(json.dumps(config))
        found = checkpoints.find(str(original))
        assert (found.num_beams, found.no_repeat_ngram) == (3, 3)

    def test_features_and_logits_are_those_of_another_implementation(self, tmp_path: Path) -> None:
        network = load_network(original_layout(tmp_path), torch.float32)
        expected = {
            name: torch.from_numpy(value)
            for name, value in np.load(ORIGINAL / "expected.npz").items()
            if name != "generated"
        }
        tower = VisionTower(network, attend_by("sdpa"), (0.0,) * 3, (1.0,) * 3)
        with torch.inference_mode():
            features = tower(expected["pixel_values"] * 255)
            prompts = network.get_input_embeddings()(expected["input_ids"])
            logits = network.lm_head(
                network.model.language_model(
                    inputs_embeds=torch.cat([features, prompts], 1),
                    decoder_input_ids=expected["decoder_input_ids"],
                ).last_hidden_state
            )
        assert torch.allclose(features, expected["image_features"], atol=1e-4)
        assert torch.allclose(logits, expected["logits"], atol=1e-3)
        assert network.generation_config.num_beams == 3
        assert network.generation_config.forced_bos_token_id == 0

    def test_the_tokenizer_is_completed_in_the_original_order(self, original: Path) -> None:
        kept = Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))
        completed = load_tokenizer(checkpoints.find(str(original)))
        for token in tasks.SPECIAL_TOKENS:
            assert completed.token_to_id(token) == kept.token_to_id(token)
        text = "What is the region <loc_5><loc_999>?"
        assert completed.encode(text).ids == kept.encode(text).ids


class TestFiles:
    @pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
    @pytest.mark.parametrize("shards", [1, 3])
    def test_every_kind_of_file_is_read(self, tmp_path: Path, suffix: str, shards: int) -> None:
        folder = copy_of_shapes(tmp_path)
        tensors = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        stem = "model" if suffix == ".safetensors" else "pytorch_model"
        names = sorted(tensors)
        weight_map = {}
        for shard in range(shards):
            file = f"{stem}-{shard}{suffix}" if shards > 1 else f"{stem}{suffix}"
            part = {name: tensors[name] for name in names[shard::shards]}
            weight_map |= dict.fromkeys(part, file)
            if suffix == ".safetensors":
                save_file(part, folder / file, {"format": "pt"})
            else:
                torch.save(part, folder / file)
        if shards > 1:
            index = folder / f"{stem}{suffix}.index.json"
            index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
        network = load_network(checkpoints.find(str(folder)), torch.float16)
        for name, tensor in tensors.items():
            assert torch.equal(network.state_dict()[name], tensor)

    def test_a_missing_shard_is_named(self, tmp_path: Path) -> None:
        folder = copy_of_shapes(tmp_path)
        (folder / "model.safetensors").unlink()
        index = {"weight_map": {"a": "model-1.safetensors", "b": "../elsewhere.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(CheckpointError, match="not beside it"):
            checkpoints.find(str(folder))

    def test_code_in_a_pytorch_file_is_not_run(self, tmp_path: Path) -> None:
        folder = copy_of_shapes(tmp_path)
        (folder / "model.safetensors").unlink()
        mark = tmp_path / "mark"
        torch.save({"weight": Harmful(mark)}, folder / "pytorch_model.bin")
        with pytest.raises(CheckpointError, match="can't load"):
            Florence(checkpoints.find(str(folder)), CPU, torch.float32, "sdpa")
        assert not mark.exists()


class Harmful:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of peft
class TestAdapters:
    TARGETS = ("q_proj", "fc2", "qkv", "lm_head")

    def trained(self, folder: Path, **settings: Any) -> tuple[Any, Path]:
        """peft's own model with random updates, and the adapter that it saves."""
        torch.manual_seed(3)
        network = load_network(checkpoints.find("shapes"), torch.float32)
        settings = {"r": 4, "lora_alpha": 8, "target_modules": list(self.TARGETS)} | settings
        adapted = get_peft_model(network, LoraConfig(**settings)).eval()
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "lora_" in name:
                    parameter.copy_(torch.randn_like(parameter) * 0.05)
        adapted.save_pretrained(folder)
        return adapted, folder

    @pytest.mark.parametrize(
        "settings",
        [{}, {"use_rslora": True}, {"alpha_pattern": {"fc2": 32}, "rank_pattern": {"qkv": 2}}],
        ids=["plain", "rslora", "patterns"],
    )
    @pytest.mark.parametrize("is_original", [False, True], ids=["native", "original"])
    def test_merged_is_what_peft_computes_unmerged(
        self, tmp_path: Path, settings: dict[str, Any], is_original: bool
    ) -> None:
        adapted, folder = self.trained(tmp_path / "adapter", **settings)
        if is_original:
            file = folder / "adapter_model.safetensors"
            save_file({with_original_name(k): v for k, v in load_file(file).items()}, file)
        merged = load_network(checkpoints.find("shapes", adapter=str(folder)), torch.float32)
        plain = load_network(checkpoints.find("shapes"), torch.float32)
        ours, theirs, before = map(answer_to_noise, (merged, adapted.base_model.model, plain))
        assert torch.allclose(ours, theirs, atol=2e-4)
        assert not torch.allclose(ours, before, atol=0.1)

    def test_a_tied_weight_is_untied_before_it_changes(self, tmp_path: Path) -> None:
        _, folder = self.trained(tmp_path / "adapter", target_modules=["lm_head"])
        merged = load_network(checkpoints.find("shapes", adapter=str(folder)), torch.float32)
        plain = load_network(checkpoints.find("shapes"), torch.float32)
        same = torch.equal(merged.get_input_embeddings().weight, plain.lm_head.weight)
        assert same and not torch.equal(merged.lm_head.weight, plain.lm_head.weight)

    def test_whole_modules_that_were_trained_are_taken_over(self, tmp_path: Path) -> None:
        settings = {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}
        adapted, folder = self.trained(tmp_path / "adapter", **settings)
        with torch.no_grad():
            adapted.base_model.model.lm_head.modules_to_save.default.weight.mul_(1.5)
        adapted.save_pretrained(folder)
        merged = load_network(checkpoints.find("shapes", adapter=str(folder)), torch.float32)
        theirs = answer_to_noise(adapted.base_model.model)
        assert torch.allclose(answer_to_noise(merged), theirs, atol=2e-4)

    def test_the_command_takes_an_adapter_and_is_bound_to_it(
        self, scenes: Path, tmp_path: Path
    ) -> None:
        _, folder = self.trained(tmp_path / "adapter")
        options = ["--limit", 2, "--adapter", folder, "--no-canary"]
        assert annotate(scenes, tmp_path / "out", *options).code == 0
        other = annotate(scenes, tmp_path / "out", "--limit", 2)
        assert other.code == 1 and "adapter" in other.err

    @pytest.mark.parametrize(
        ("settings", "match"),
        [({"use_dora": True, "target_modules": ["q_proj"]}, "DoRA"), ({}, "trained on another")],
    )
    def test_what_does_not_fit_is_refused(
        self, tmp_path: Path, settings: dict[str, Any], match: str
    ) -> None:
        _, folder = self.trained(tmp_path / "adapter", **settings)
        if not settings:
            file = folder / "adapter_model.safetensors"
            tensors = load_file(file)
            name = next(name for name in tensors if "lora_A" in name)
            save_file(tensors | {name: tensors[name][:, :5].contiguous()}, file)
        with pytest.raises(CheckpointError, match=match):
            load_network(checkpoints.find("shapes", adapter=str(folder)), torch.float32)

    @pytest.mark.parametrize("name", ["./nowhere", str(CHECKPOINT)])
    def test_a_folder_without_an_adapter_is_refused(self, name: str) -> None:
        with pytest.raises(CheckpointError, match="adapter"):
            checkpoints.find("shapes", adapter=name)


def with_original_name(key: str) -> str:
    module, part, rest = re.split(r"\.(lora_|base_layer)", key.removeprefix("base_model.model."))
    name = original_name(f"{module}.weight").removesuffix(".weight")
    name = "language_model.lm_head" if name == "lm_head" else name
    assert ORIGINAL_LAYOUT.native_name(f"{name}.weight") == f"{module}.weight"
    return f"base_model.model.{name}.{part}{rest}"


def answer_to_noise(network: Any) -> torch.Tensor:
    """Logits about a picture of noise; a forward pass of the library, not of this project."""
    generator = torch.Generator().manual_seed(5)
    prompt = torch.tensor([[*[network.config.image_token_id] * 65, 0, 60, 70, 2]])
    with torch.inference_mode():
        logits: torch.Tensor = network(
            pixel_values=torch.randn(1, 3, 96, 96, generator=generator),
            input_ids=prompt,
            decoder_input_ids=torch.tensor([[2, 0, 300, 400, 500]]),
        ).logits
    return logits


class TestCanary:
    QUESTIONS = (Question("<OD>"), Question("<OPEN_VOCABULARY_DETECTION>", "red star"))
    GENERATION = Generation(64, 1, 0, False)

    def test_a_sound_checkpoint_passes(self) -> None:
        model = Florence(checkpoints.find("shapes"), CPU, torch.float32, "sdpa")
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
        model = Florence(checkpoints.find("shapes"), CPU, dtype, "sdpa")
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


def test_models_lists_what_is_known() -> None:
    rows = command("models", "--json").json
    assert [row["name"] for row in rows] == ["base", "large", "base-ft", "large-ft", "shapes"]
    assert "found in" in rows[-1]["where"] and "fetched when first used" in rows[0]["where"]
    said = command("models").out
    assert "231.0 M" in said and "MIT" in said
