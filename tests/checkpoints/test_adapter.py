"""LoRA adapters, held to what peft computes."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import annotate
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from benchmarks.original_layout import original_name
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.layouts import ORIGINAL as ORIGINAL_LAYOUT
from florence_annotate.errors import CheckpointError
from florence_annotate.model.weights import load_network
from florence_annotate.shapes import CHECKPOINT

WEIGHTS = "adapter_model.safetensors"
ZOO = Path(__file__).parent.parent / "data" / "zoo"
PUBLIC = (
    "Alasil1__efficientnet-florence2-disaster-detection/adapter_config.json",
    "roboflow__maestro/adapter_config.partial.json",
    "roboflow__maestro@2024/adapter_config.partial.json",
)
"""Configurations of adapters as people published them, or as their code writes them."""


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
                elif parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter) * 0.05)
        adapted.save_pretrained(folder)
        return adapted, folder

    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"use_rslora": True},
            {"alpha_pattern": {"fc2": 32}, "rank_pattern": {"qkv": 2}},
            {"alpha_pattern": {"decoder.layers.1.fc2": 32, "fc2": 2}, "use_rslora": True},
            {"bias": "lora_only"},
            {"bias": "all"},
            {"modules_to_save": ["encoder_attn_layer_norm", "image_proj_norm"]},
            {"modules_to_save": ["embed_tokens"], "target_modules": ["q_proj"]},
            {"target_modules": ["fc2"], "layers_to_transform": [1], "layers_pattern": "layers"},
            {"target_modules": "all-linear", "exclude_modules": ["fc1", "image_projection"]},
            {"fan_in_fan_out": True},
            {"target_modules": r".*convs\.\d+\.conv"},
        ],
        ids=lambda settings: "-".join(settings) or "plain",
    )
    @pytest.mark.parametrize("is_original", [False, True], ids=["native", "original"])
    def test_merged_is_what_peft_computes_unmerged(
        self, tmp_path: Path, settings: dict[str, Any], is_original: bool
    ) -> None:
        adapted, folder = self.trained(tmp_path / "adapter", **settings)
        if is_original:
            self.rename(folder)
        self.assert_merges(folder, adapted)

    @pytest.mark.parametrize("init", [False, "gaussian", "eva", "orthogonal", "mica"])
    def test_initialisations_that_leave_the_base_alone_merge(
        self, tmp_path: Path, init: bool | str
    ) -> None:
        targets = [target for target in self.TARGETS if init != "mica" or target != "lm_head"]
        adapted, folder = self.trained(
            tmp_path / "adapter", init_lora_weights=init, target_modules=targets
        )
        assert json.loads((folder / "adapter_config.json").read_text())["init_lora_weights"] == init
        self.assert_merges(folder, adapted)

    @pytest.mark.parametrize("public", PUBLIC)
    @pytest.mark.parametrize("is_original", [False, True], ids=["native", "original"])
    def test_adapters_with_public_configurations_merge(
        self, tmp_path: Path, public: str, is_original: bool
    ) -> None:
        """Some of their targets (o_proj, linear, Conv2d) match no layer of a Florence-2, fc2 those
        of vision and text, lm_head a tied weight; they call it CAUSAL_LM, and their revision is
        that of the model that they were trained on."""
        adapted, folder = self.trained(
            tmp_path / "adapter", **json.loads((ZOO / public).read_text())
        )
        adapts = {
            name.split(".lora_")[0] for name in load_file(folder / WEIGHTS) if ".lora_" in name
        }
        ends = {"q_proj", "k_proj", "v_proj"} | (
            {"lm_head", "fc2"} if "maestro" in public else set()
        )
        assert {name.rpartition(".")[2] for name in adapts} == ends
        if is_original:
            self.rename(folder)
        shutil.copy(ZOO / public, folder / "adapter_config.json")
        assert checkpoints.find("shapes", adapter=str(folder)).revision is None
        self.assert_merges(folder, adapted)

    def rename(self, folder: Path) -> None:
        """Give the tensors of an adapter the names of the original layout."""
        tensors = load_file(folder / WEIGHTS)
        save_file({with_original_name(k): v for k, v in tensors.items()}, folder / WEIGHTS)

    def assert_merges(self, folder: Path, adapted: Any) -> None:
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
        # where none is given, the job goes on with its own
        assert annotate(scenes, tmp_path / "out", "--limit", 3, "--no-canary").code == 0
        _, another = self.trained(tmp_path / "another", r=2)
        refused = annotate(scenes, tmp_path / "out", "--limit", 2, "--adapter", another)
        assert refused.code == 1 and "adapter" in refused.err

    @pytest.mark.parametrize(
        ("settings", "match"),
        [
            ({"use_dora": True}, "DoRA"),
            ({"lora_bias": True}, "lora_bias"),
            ({"trainable_token_indices": [5, 6]}, "single tokens"),
        ],
    )
    def test_other_kinds_are_called_by_their_names(
        self, tmp_path: Path, settings: dict[str, Any], match: str
    ) -> None:
        _, folder = self.trained(tmp_path / "adapter", target_modules=["q_proj"], **settings)
        self.assert_refused(folder, match)

    @pytest.mark.parametrize(
        ("setting", "value", "match"),
        [
            ("peft_type", "LOHA", "LOHA.*merge_and_unload"),
            ("target_parameters", ["weight"], "target_parameters"),
            ("kasa_config", {}, None),
            ("kasa_config", {"beta": 1}, "KaSA"),
            ("alora_invocation_tokens", [7], "activated LoRA.*plain LoRA"),
            ("eva_config", {"rho": 2.0}, None),
            ("corda_config", None, None),
            ("init_lora_weights", "pissa", "PiSSA.*weight_conversion.*merge_and_unload"),
            ("init_lora_weights", "pissa_niter_16", "PiSSA"),
            ("init_lora_weights", "OLoRA", "OLoRA"),
            ("init_lora_weights", "corda", "CorDA"),
            ("init_lora_weights", "loftq", r"LoftQ[^.]+merge_and_unload"),  # no other way
            ("init_lora_weights", "lora_ga", "LoRA-GA"),
            ("init_lora_weights", "tomorrow", "not known"),
        ],
    )
    def test_what_changes_more_than_the_adapter_says_is_refused_by_name(
        self, tmp_path: Path, setting: str, value: Any, match: str | None
    ) -> None:
        """None: it merges."""
        folder = tmp_path / "adapter"
        folder.mkdir()
        (folder / WEIGHTS).touch()
        config = json.loads((ZOO / PUBLIC[0]).read_text()) | {setting: value}
        (folder / "adapter_config.json").write_text(json.dumps(config))
        if match is None:
            assert checkpoints.find("shapes", adapter=str(folder)).adapter == folder
        else:
            self.assert_refused(folder, match)

    @pytest.mark.parametrize(
        ("settings", "match"),
        [
            ({"lora_alpha": "16"}, "an alpha is '16'"),
            ({"lora_alpha": None}, "an alpha is None"),
            ({"lora_alpha": float("nan")}, "an alpha is nan"),
            ({"lora_alpha": 10**400}, "an alpha is 1000"),
            ({"alpha_pattern": ["fc2"]}, "alpha_pattern is"),
            ({"alpha_pattern": {"fc2": "32"}}, "an alpha is '32'"),
            ({"alpha_pattern": {"fc2(": 32}}, r"'fc2\(' in alpha_pattern is no regular expression"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_a_scale_that_is_none_is_refused(
        self, tmp_path: Path, settings: dict[str, Any], match: str
    ) -> None:
        config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8} | settings
        (tmp_path / "adapter_config.json").write_text(json.dumps(config))
        (tmp_path / WEIGHTS).touch()
        self.assert_refused(tmp_path, match)

    def assert_refused(self, folder: Path, match: str) -> None:
        """In one line, before the checkpoint's weights are read."""
        with pytest.raises(CheckpointError, match=match) as refused:
            checkpoints.find("shapes", adapter=str(folder))
        assert "\n" not in str(refused.value)

    def test_what_took_a_part_of_the_base_merges_once_it_is_converted(self, tmp_path: Path) -> None:
        """As the message says that it can be."""
        torch.manual_seed(3)
        network = load_network(checkpoints.find("shapes"), torch.float32)
        config = LoraConfig(r=4, target_modules=["q_proj", "fc2"], init_lora_weights="pissa")
        adapted = get_peft_model(network, config).eval()
        adapted.peft_config["default"].init_lora_weights = True
        adapted.save_pretrained(tmp_path / "begun")
        adapted.peft_config["default"].init_lora_weights = "pissa"
        with torch.no_grad():
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
        adapted.save_pretrained(tmp_path / "as-it-is")
        self.assert_refused(tmp_path / "as-it-is", "path_initial_model_for_weight_conversion")
        adapted.save_pretrained(
            tmp_path / "converted", path_initial_model_for_weight_conversion=tmp_path / "begun"
        )
        self.assert_merges(tmp_path / "converted", adapted)

    def test_an_adapter_of_other_shapes_is_refused(self, tmp_path: Path) -> None:
        _, folder = self.trained(tmp_path / "adapter")
        tensors = load_file(folder / WEIGHTS)
        name = next(name for name in tensors if "lora_A" in name)
        save_file(tensors | {name: tensors[name][:, :5].contiguous()}, folder / WEIGHTS)
        with pytest.raises(CheckpointError, match="trained on another"):
            load_network(checkpoints.find("shapes", adapter=str(folder)), torch.float32)

    def made(self, folder: Path, tensors: Any) -> Path:
        """An adapter that holds these, in a PyTorch file where they are no tensors by name."""
        config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8}
        (folder / "adapter_config.json").write_text(json.dumps(config))
        if isinstance(tensors, dict) and all(map(torch.is_tensor, tensors.values())):
            save_file(tensors, folder / WEIGHTS)
        else:
            torch.save(tensors, folder / "adapter_model.bin")
        return folder

    LAYER = "base_model.model.model.language_model.decoder.layers.0.fc1"

    @pytest.mark.parametrize(
        ("tensors", "match"),
        [
            ({}, "holds no LoRA tensors"),
            ([torch.zeros(1)], "holds a list"),
            ({"a": 3}, "holds 'a', which is no tensor"),
            ({"A": torch.zeros(4, 128)}, r"lacks .*layers\.0\.fc1\.lora_B\.weight"),
            ({"B": torch.zeros(512, 4)}, r"lacks .*layers\.0\.fc1\.lora_A\.weight"),
            ({"A": torch.zeros(0, 128), "B": torch.zeros(512, 0)}, "no LoRA of rank 1 or more"),
            ({"A": torch.tensor(1.0), "B": torch.tensor(1.0)}, "no LoRA of rank 1 or more"),
            (
                {"A": torch.zeros(4, 128, dtype=torch.int8), "B": torch.zeros(512, 4)},
                r"lora_A\.weight is of int8",
            ),
        ],
        ids=["empty", "list", "number", "A-alone", "B-alone", "rank-0", "scalars", "int8"],
    )
    def test_an_adapter_of_something_else_than_pairs_is_refused(
        self, tmp_path: Path, tensors: Any, match: str
    ) -> None:
        if isinstance(tensors, dict):
            tensors = {
                f"{self.LAYER}.lora_{each}.weight" if each in ("A", "B") else each: tensor
                for each, tensor in tensors.items()
            }
        folder = self.made(tmp_path, tensors)
        with pytest.raises(CheckpointError, match=match) as refused:
            load_network(checkpoints.find("shapes", adapter=str(folder)), torch.float32)
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("file", ["adapter_config.json", WEIGHTS])
    def test_a_git_lfs_pointer_is_told_from_the_file(self, tmp_path: Path, file: str) -> None:
        folder = self.made(tmp_path, {"a": torch.zeros(1)})
        shutil.copy(ZOO / "peytonrivers__omniparser" / "generation_config.json", folder / file)
        self.assert_refused(folder, f"{file} is a Git LFS pointer.*git lfs pull")

    def test_a_mark_before_the_text_of_a_configuration_is_no_part_of_it(
        self, tmp_path: Path
    ) -> None:
        folder = self.made(tmp_path, {"a": torch.zeros(1)})
        file = folder / "adapter_config.json"
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
        assert checkpoints.find("shapes", adapter=str(folder)).adapter == folder

    def test_a_convolution_of_each_channel_by_itself_is_refused(self, tmp_path: Path) -> None:
        _, folder = self.trained(
            tmp_path / "adapter", r=32, target_modules=r".*blocks\.0\.0\.spatial_block\.conv1"
        )
        with pytest.raises(CheckpointError, match="peft can't merge either"):
            load_network(checkpoints.find("shapes", adapter=str(folder)), torch.float32)

    @pytest.mark.parametrize("name", ["./nowhere", str(CHECKPOINT)])
    def test_a_folder_without_an_adapter_is_refused(self, name: str) -> None:
        with pytest.raises(CheckpointError, match="adapter"):
            checkpoints.find("shapes", adapter=name)


def with_original_name(key: str) -> str:
    parts = re.match(r"base_model\.model\.(.+?)\.((?:lora_|base_layer).+|[^.]+)$", key)
    assert parts
    module, rest = parts.groups()
    name = original_name(f"{module}.weight").removesuffix(".weight")
    name = "language_model.lm_head" if name == "lm_head" else name
    assert ORIGINAL_LAYOUT.native_name(f"{name}.weight") == f"{module}.weight"
    return f"base_model.model.{name}.{rest}"


def answer_to_noise(network: Any) -> torch.Tensor:
    """Logits about an image of noise; a forward pass of the library, not of this project."""
    generator = torch.Generator().manual_seed(5)
    prompt = torch.tensor([[*[network.config.image_token_id] * 65, 0, 60, 70, 2]])
    with torch.inference_mode():
        logits: torch.Tensor = network(
            pixel_values=torch.randn(1, 3, 96, 96, generator=generator),
            input_ids=prompt,
            decoder_input_ids=torch.tensor([[2, 0, 300, 400, 500]]),
        ).logits
    return logits
