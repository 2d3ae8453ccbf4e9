"""LoRA adapters, held to what peft computes."""

import re
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
        # where none is given, the job goes on with its own
        assert annotate(scenes, tmp_path / "out", "--limit", 3, "--no-canary").code == 0
        _, another = self.trained(tmp_path / "another", r=2)
        refused = annotate(scenes, tmp_path / "out", "--limit", 2, "--adapter", another)
        assert refused.code == 1 and "adapter" in refused.err

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
