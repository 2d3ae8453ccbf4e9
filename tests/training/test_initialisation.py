"""The weights that a run begins with."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import Florence2ForConditionalGeneration

from florence_annotate.errors import UsageError
from florence_annotate.shapes import CHECKPOINT
from training import checkpoint, tokenizer
from training.initialisation import begin_with, initialise, location_features


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))


def test_near_bins_start_as_near_vectors() -> None:
    features = torch.nn.functional.normalize(location_features(128), dim=1)
    assert features[500] @ features[501] > features[500] @ features[520]


def random_model(words: Tokenizer) -> Florence2ForConditionalGeneration:
    model = checkpoint.new_model(words).eval()
    initialise(model, tokenizer.first_location_id(words), torch.Generator().manual_seed(1))
    return model


def test_a_checkpoint_is_begun_with_as_it_is(words: Tokenizer) -> None:
    model = random_model(words)
    begin_with(model, CHECKPOINT, words)
    trained = load_file(CHECKPOINT / "model.safetensors")
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, trained[name].float())


def with_words(words: Tokenizer, **ids: int) -> Tokenizer:
    """The same tokenizer, in which some words have other ids."""
    described = json.loads(words.to_str())
    described["model"]["vocab"] |= ids
    return Tokenizer.from_str(json.dumps(described))


def test_tokens_keep_their_vectors_in_another_vocabulary(words: Tokenizer, tmp_path: Path) -> None:
    old = random_model(words)
    old.save_pretrained(tmp_path)
    star, cross = (tokenizer.token_id(words, shape) for shape in ("star", "cross"))
    with_words(words, star=cross, cross=star).save(str(tmp_path / "tokenizer.json"))
    new = random_model(words)
    begin_with(new, tmp_path, words)
    before, after = (model.get_input_embeddings().weight for model in (old, new))
    assert torch.equal(after[star], before[cross]) and torch.equal(after[cross], before[star])


def test_new_tokens_keep_what_they_began_with(words: Tokenizer, tmp_path: Path) -> None:
    random_model(words).save_pretrained(tmp_path)
    described = json.loads(words.to_str())
    described["model"]["vocab"]["comet"] = described["model"]["vocab"].pop("star")
    described["model"]["merges"] = []
    (tmp_path / "tokenizer.json").write_text(json.dumps(described))
    model = random_model(words)
    weights = model.get_input_embeddings().weight
    with torch.no_grad():
        weights.fill_(7.0)
    begin_with(model, tmp_path, words)
    is_kept = (weights == 7.0).all(dim=1)
    assert is_kept.nonzero().flatten().tolist() == [tokenizer.token_id(words, "star")]


@pytest.mark.parametrize("change", [{"encoder_layers": 2}, {"d_model": 64}])
def test_another_architecture_is_refused(
    words: Tokenizer, tmp_path: Path, change: dict[str, int]
) -> None:
    config = checkpoint.new_model(words).config
    config.text_config.update(change)
    config.vision_config.projection_dim = config.text_config.d_model
    Florence2ForConditionalGeneration(config).save_pretrained(tmp_path)
    words.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UsageError, match="another architecture"):
        begin_with(random_model(words), tmp_path, words)
